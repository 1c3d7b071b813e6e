use insta::assert_snapshot;

use super::*;
use crate::report::sample;

#[test]
fn a_failing_run() {
    assert_snapshot!(render(&sample::failing()), @r#"
    ## ❌ sway: fail, score 0.58 (partial)

    <code>facts</code> failed, and the score 0.58 is below 0.6

    6 probes: 4 passed, 1 failed, 1 inconclusive.

    > The adapter does what this suite asks: it kept what the base knew. (held)

    | verdict | probe | kind | score | metric | value | wanted | z | n |
    | :--- | :--- | :--- | ---: | :--- | :--- | :--- | ---: | ---: |
    | ✅ pass | moved | delta\_kl | 0.93 | mean\_js | 0.31 \[0.26, 0.36\] | &gt; 0.02 | 21.3 | 40 |
    | ❌ fail | facts | paraphrase\_invariance | 0.22 | ratio | 0.22 \[0.15, 0.31\] | &gt; 0.5 | 4.3 | 24 |
    | ✅ pass | preferences | preference\_flip | 0.77 | flip\_rate | 0.89 \[0.74, 0.97\] | &gt; 0.7 |  | 28 |
    | ✅ pass | document | leakage | 0.88 | excess\_recall | 0.04 \[−0.01, 0.09\] | &lt; 0.5 |  | 18 |
    | ✅ pass | dose | adapter\_ablation | 0.71 | r\_squared | 0.972 \[0.961, 0.980\] | &gt; 0.9 |  | 12 |
    | ❔ inconclusive | held | calibration\_drift |  | lost\_share | 0.12 \[0.05, 0.25\] | &lt; 0.15 |  | 40 |

    - **facts** (fail): the lift is 0.74 on the prompts as trained and 0.16 on their paraphrases: the adapter learnt a phrasing, not the facts
      - ratio 0.22 \[0.15, 0.31\], wanted above 0.5: fail
      - verbatim\_lift 0.74 \[0.66, 0.81\], wanted above 0.2: pass
    - **held** (inconclusive): the share of items that lost more than 1 nat per token may lie on either side of 0.15
      - lost\_share 0.12 \[0.05, 0.25\], wanted below 0.15: inconclusive; about 210 items would settle it

    <details><summary>What passed</summary>

    - **moved** (pass): the next-token distribution moves by a mean Jensen-Shannon divergence of 0.31 nats over 40 prompts, 21 standard deviations beyond random adapters of the same size
      - noise floor 4.50e−11 nats of JS, where 0.310 were found
    - **preferences** (pass): of the 28 triples that the base gets wrong, the adapter gets 25 right, and it broke none
    - **document** (pass): the adapter recites no more of the document than the base does
    - **dose** (pass): the change grows with the adapter's scale, nearly in a line, up to 1.25 times

    </details>

    Left out of the score: held (inconclusive).

    <details><summary>Models and work</summary>

    | | |
    | :--- | :--- |
    | suite | probes/demo.toml, 5e1f0c7a9b32 |
    | base | probes/demo/base, llama, 724 k parameters, in f32, 3f9a2c1b04de |
    | adapter | probes/demo/memorised, lora, 24.6 k parameters, 91ab03c4d5e6 |
    | liveness | the logits move by up to 3.21 nats, where recomputing the base moves them by 1.9e-6; 28 modules, ‖ΔW‖/‖W‖ median 0.0390, largest 0.0600 |
    | work | 1,204 requests, 310 from the cache, 894 forward passes in 41 batches |
    | tokens | 52,310 requested, 18,204 computed |
    | time | load 0.41 s, scoring 3.21 s, peak 312 MiB |

    </details>

    sway 0.1.0
    "#);
}

#[test]
fn a_dead_adapter_is_the_finding() {
    let text = render(&sample::dead());
    assert!(text.starts_with("## ❌ sway: fail, the adapter is not live\n\nevery one of the 28 modules"));
    assert!(!text.contains("| verdict |"));
}

#[test]
fn what_bf16_cannot_tell_is_not_called_dead() {
    let text = render(&sample::under_the_floor());
    assert!(text.starts_with("## ❔ sway: inconclusive, it can't be told whether the adapter is live\n\nit moves no logit"));
    assert!(text.contains("724 k parameters, in bf16, "));
}

#[test]
fn a_name_keeps_its_cell_and_stays_text() {
    let text = render(&sample::hostile());
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ✅") || line.starts_with("| ❌") || line.starts_with("| ❔")).collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 10, "{row}");
    }
    assert!(!text.contains("<script"));
    assert!(!text.contains("@team"));
}
