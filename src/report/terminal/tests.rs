use insta::assert_snapshot;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::record::Stats;
use crate::report::sample;

fn plain(run: &RunRecord, width: usize) -> String {
    render(run, Style { color: false, width })
}

/// A line that is too wide, unless it is one word, or a path before its separator.
fn too_wide(text: &str, width: usize) -> Option<&str> {
    text.lines().find(|line| {
        let words = line.trim().trim_start_matches("- ").trim_end_matches(" ·");
        let words =
            words.strip_prefix("base ").or(words.strip_prefix("adapter ")).or(words.strip_prefix("suite ")).unwrap_or(words);
        line.width() > width && words.trim().contains(' ')
    })
}

#[test]
fn a_failing_run_at_80_columns() {
    assert_snapshot!(plain(&sample::failing(), 80), @"
    FAIL  score 0.58 (partial) · 6 probes: 4 passed, 1 failed, 1 inconclusive
          `facts` failed, and the score 0.58 is below 0.6

    suite    probes/demo.toml · 5e1f0c7a9b32
    base     probes/demo/base · llama · 724 k parameters · in f32 · 3f9a2c1b04de
    adapter  probes/demo/memorised · lora · 24.6 k parameters · 91ab03c4d5e6
    live     the logits move by up to 3.21 nats, where recomputing the base moves
             them by 1.9e-6
             28 modules, ‖ΔW‖/‖W‖ median 0.0390, largest 0.0600

    verdict       probe        score  metric         value  95 % interval    n     z
    pass          moved         0.93  mean_js         0.31  [0.26, 0.36]    40  21.3
    fail          facts         0.22  ratio           0.22  [0.15, 0.31]    24   4.3
    pass          preferences   0.77  flip_rate       0.89  [0.74, 0.97]    28
    pass          document      0.88  excess_recall   0.04  [−0.01, 0.09]   18
    pass          dose          0.71  r_squared      0.972  [0.961, 0.980]  12
    inconclusive  held                lost_share      0.12  [0.05, 0.25]    40

    moved (delta_kl): pass
      the next-token distribution moves by a mean Jensen-Shannon divergence of 0.31
      nats over 40 prompts, 21 standard deviations beyond random adapters of the
      same size
      - noise floor 4.50e−11 nats of JS, where 0.310 were found
    facts (paraphrase_invariance): fail
      the lift is 0.74 on the prompts as trained and 0.16 on their paraphrases: the
      adapter learnt a phrasing, not the facts
      - ratio 0.22 [0.15, 0.31], wanted above 0.5: fail
      - verbatim_lift 0.74 [0.66, 0.81], wanted above 0.2: pass
    preferences (preference_flip): pass
      of the 28 triples that the base gets wrong, the adapter gets 25 right, and it
      broke none
    document (leakage): pass
      the adapter recites no more of the document than the base does
    dose (adapter_ablation): pass
      the change grows with the adapter's scale, nearly in a line, up to 1.25 times
    held (calibration_drift): inconclusive
      the share of items that lost more than 1 nat per token may lie on either side
      of 0.15
      - lost_share 0.12 [0.05, 0.25], wanted below 0.15: inconclusive; about 210
        items would settle it

    left out of the score: held (inconclusive)

    diagnosis
      The adapter does what this suite asks: it kept what the base knew. (held)

    work     1,204 requests · 310 from the cache (25.7 %) · 894 forward passes ·
             41 batches (largest 64)
    tokens   52,310 requested · 18,204 computed · 34,106 saved (65.2 %)
    time     load 0.41 s · scoring 3.21 s · 5,671 tokens/s · peak 312 MiB
    ");
}

#[test]
fn a_healthy_run_at_120_columns() {
    assert_snapshot!(plain(&sample::healthy(), 120), @"
    PASS  score 0.81 (healthy) · 6 probes: 6 passed
          every probe holds, and the score is at least 0.6

    suite    probes/demo.toml · 5e1f0c7a9b32
    base     probes/demo/base · llama · 724 k parameters · in f32 · 3f9a2c1b04de
    adapter  probes/demo/healthy · lora · 24.6 k parameters · 91ab03c4d5e6
    live     the logits move by up to 3.21 nats, where recomputing the base moves them by 1.9e-6
             28 modules, ‖ΔW‖/‖W‖ median 0.0390, largest 0.0600

    verdict  probe        kind                   score  metric         value  95 % interval   wanted    n     z        q
    pass     moved        delta_kl                0.93  mean_js         0.31  [0.26, 0.36]    > 0.02   40  21.3  < 0.001
    pass     facts        paraphrase_invariance   0.84  ratio           0.82  [0.71, 0.93]    > 0.5    24   4.3    0.002
    pass     preferences  preference_flip         0.77  flip_rate       0.89  [0.74, 0.97]    > 0.7    28
    pass     document     leakage                 0.88  excess_recall   0.04  [−0.01, 0.09]   < 0.5    18
    pass     dose         adapter_ablation        0.71  r_squared      0.972  [0.961, 0.980]  > 0.9    12
    pass     held         calibration_drift       0.90  lost_share     0.010  [0.000, 0.030]  < 0.15  200

    moved (delta_kl): pass
      the next-token distribution moves by a mean Jensen-Shannon divergence of 0.31 nats over 40 prompts, 21 standard
      deviations beyond random adapters of the same size
      - noise floor 4.50e−11 nats of JS, where 0.310 were found
    facts (paraphrase_invariance): pass
      the lift on paraphrases is 0.82 of the lift on the prompts as trained
    preferences (preference_flip): pass
      of the 28 triples that the base gets wrong, the adapter gets 25 right, and it broke none
    document (leakage): pass
      the adapter recites no more of the document than the base does
    dose (adapter_ablation): pass
      the change grows with the adapter's scale, nearly in a line, up to 1.25 times
    held (calibration_drift): pass
      2 of 200 items lost more than 1 nat per token

    diagnosis
      The adapter does what this suite asks: it kept what the base knew. (held)

    work     1,204 requests · 310 from the cache (25.7 %) · 894 forward passes · 41 batches (largest 64)
    tokens   52,310 requested · 18,204 computed · 34,106 saved (65.2 %)
    time     load 0.41 s · scoring 3.21 s · 5,671 tokens/s · peak 312 MiB
    ");
}

#[test]
fn a_dead_adapter_is_the_finding() {
    assert_snapshot!(plain(&sample::dead(), 80), @"
    FAIL  the adapter is not live: every one of the 28 modules has an update of
          exactly zero: lora_B was never trained, or was reset when the adapter was
          saved

    suite    probes/demo.toml · 5e1f0c7a9b32
    base     probes/demo/base · llama · 724 k parameters · in f32 · 3f9a2c1b04de
    adapter  probes/demo/noop · lora · 24.6 k parameters · 91ab03c4d5e6
    dead     28 modules, ‖ΔW‖/‖W‖ median 0, largest 0, 28 exactly zero

    diagnosis
      The adapter does what this suite asks: it kept what the base knew. (held)

    work     0 requests · 0 from the cache (0.0 %) · 0 forward passes ·
             0 batches (largest 0)
    tokens   0 requested · 0 computed · 0 saved (0.0 %)
    time     load 0.40 s · scoring 0.00 s · 0 tokens/s · peak 298 MiB
    ");
}

#[test]
fn what_bf16_cannot_tell_is_not_called_dead() {
    let text = plain(&sample::under_the_floor(), 80);
    let head: Vec<&str> = text.lines().take(8).collect();
    assert_snapshot!(head.join("\n"), @"
    INCONCLUSIVE  it can't be told whether the adapter is live: it moves no logit by
                  more than 1.2e-2, and the noise floor is 3.1e-2 (bf16 against f32)

    suite    probes/demo.toml · 5e1f0c7a9b32
    base     probes/demo/base · llama · 724 k parameters · in bf16 · 3f9a2c1b04de
    adapter  probes/demo/healthy · lora · 24.6 k parameters · 91ab03c4d5e6
    open     28 modules, ‖ΔW‖/‖W‖ median 0.0390, largest 0.0600
    ");
}

#[test]
fn what_cannot_be_told_says_why() {
    assert_snapshot!(plain(&sample::inconclusive(), 80), @"
    INCONCLUSIVE  score 0.81 (healthy) · 6 probes: 3 passed, 1 inconclusive,
                  1 in error, 1 skipped
                  nothing failed, but `moved` is inconclusive and `document` could
                  not be measured

    suite    probes/demo.toml · 5e1f0c7a9b32
    base     probes/demo/base · llama · 724 k parameters · in f32 · 3f9a2c1b04de
    adapter  probes/demo/healthy · lora · 24.6 k parameters · 91ab03c4d5e6
    live     the logits move by up to 3.21 nats, where recomputing the base moves
             them by 1.9e-6
             28 modules, ‖ΔW‖/‖W‖ median 0.0390, largest 0.0600

    verdict       probe        score  metric         value  95 % interval     n    z
    inconclusive  moved               mean_js         0.31  [0.26, 0.36]     40
    pass          facts         0.84  ratio           0.82  [0.71, 0.93]     24  4.3
    pass          preferences   0.77  flip_rate       0.89  [0.74, 0.97]     28
    error         document            excess_recall                           0
    skip          dose                r_squared                              12
    pass          held          0.90  lost_share     0.010  [0.000, 0.030]  200

    moved (delta_kl): inconclusive
      the move is above the threshold, but nothing says whether it is larger than a
      random adapter's
      - mean_js 0.31 [0.26, 0.36], wanted above 0.02: pass
      - no z: 2 of 8 draws gave a number, and it takes 3
      - noise floor 4.50e−11 nats of JS, where 0.310 were found
    facts (paraphrase_invariance): pass
      the lift on paraphrases is 0.82 of the lift on the prompts as trained
    preferences (preference_flip): pass
      of the 28 triples that the base gets wrong, the adapter gets 25 right, and it
      broke none
    document (leakage): error
      no section could be measured
      - item 1: the prompt has 4,096 tokens and the model's context is 2,048
      - item 2: the prompt has 4,096 tokens and the model's context is 2,048
      - item 3: the prompt has 4,096 tokens and the model's context is 2,048
      - and 3 more items not measured
    dose (adapter_ablation): skip
      not enabled
    held (calibration_drift): pass
      2 of 200 items lost more than 1 nat per token

    left out of the score: moved (inconclusive), document (error), dose (skip)

    diagnosis
      The adapter does what this suite asks: it kept what the base knew. (held)

    work     1,204 requests · 310 from the cache (25.7 %) · 894 forward passes ·
             41 batches (largest 64)
    tokens   52,310 requested · 18,204 computed · 34,106 saved (65.2 %)
    time     load 0.41 s · scoring 3.21 s · 5,671 tokens/s · peak 312 MiB
    ");
}

#[test]
fn an_interrupted_run_says_so_first() {
    let text = plain(&sample::interrupted(), 80);
    assert_snapshot!(text.lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    INTERRUPTED  the run was stopped; only the 2 probes that had finished count
    INCONCLUSIVE  score 0.81 (healthy) · 2 probes: 2 passed
                  4 of 6 probes did not finish
    ");
}

#[test]
fn no_line_is_wider_than_the_page() {
    for (name, run) in sample::all() {
        for width in 60..=140 {
            let text = plain(&run, width);
            assert_eq!(too_wide(&text, width), None, "{name} at {width}");
        }
    }
}

#[test]
fn two_runs_differ_only_in_the_last_line() {
    let slow = Stats { load_s: 9.0, scoring_wall_s: 812.5, peak_rss_bytes: 7 << 30, ..sample::healthy().stats };
    let (a, b) = (sample::healthy(), RunRecord { stats: slow, ..sample::healthy() });
    let (a, b) = (plain(&a, 80), plain(&b, 80));
    let (a, b): (Vec<_>, Vec<_>) = (a.lines().collect(), b.lines().collect());
    assert_eq!(a[..a.len() - 1], b[..b.len() - 1]);
    assert_ne!(a.last(), b.last());
}

#[test]
fn colour_adds_nothing_but_colour() {
    for (name, run) in sample::all() {
        let colored = render(&run, Style { color: true, width: 80 });
        let mut bare = String::new();
        let mut parts = colored.split('\x1b');
        bare.push_str(parts.next().unwrap());
        parts.for_each(|part| bare.push_str(part.split_once('m').unwrap().1));
        assert_eq!(bare, plain(&run, 80), "{name}");
    }
}

proptest! {
    #[test]
    fn whatever_the_names_are_the_page_keeps_its_width(name in "\\PC{0,60}", message in "(\\PC{0,12} ){0,20}", width in 60_usize..130) {
        let mut run = sample::failing();
        run.probes[1].name = name;
        run.probes[1].message.clone_from(&message);
        run.gate.message = message;
        let text = plain(&run, width);
        prop_assert_eq!(too_wide(&text, width), None);
    }
}

#[test]
fn a_source_is_told_with_what_was_read_of_it_and_its_rows_that_are_none() {
    let run = RunRecord { sources: vec![sample::traffic()], ..sample::healthy() };
    let told = plain(&run, 80);
    let source = "source   traffic · 12 files, 3.17 GiB · 100,000 items of 100,203 rows ·\n         203 rows that are none · 77aa12c03f9a\n         \
        s3://bucket/logs/2026-01/a.jsonl.zst:17: it has no field `prompt`; it\n         has `text`\n";
    assert!(told.contains(source), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}
