//! The demo: each adapter gets the verdict that it was made for, and gets it again.

use serde_json::Value;

use crate::world::{DEMO, Told, World, masked, probe, sway, without_timings};

fn demo(adapter: &str, more: &[&str]) -> Told {
    let adapter = format!("probes/demo/{adapter}");
    sway(&[&["run", DEMO, "--adapter", &adapter], more].concat())
}

fn verdict<'a>(record: &'a Value, name: &str) -> &'a str {
    probe(record, name)["verdict"].as_str().unwrap()
}

#[test]
fn a_healthy_adapter_passes_and_the_report_fits_80_columns() {
    let told = sway(&["run", DEMO]);
    let widest = told.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}");
    let _masked = masked(None);
    insta::assert_snapshot!(told.shown(), @"
    exit 0
    --- stdout
    PASS  score 0.79 (healthy) · 6 probes: 6 passed
          every probe that ran holds

    suite    probes/demo.toml · [12 hex]
    base     demo/base · llama · 480 k parameters · in f32 · [12 hex]
    adapter  demo/healthy · LORA · 55.3 k parameters · [12 hex]
    live     it moves the next token's centred logits by up to 9.65, where the noise
             floor is […]
             28 modules, ‖ΔW‖/‖W‖ median 0.276, largest 0.415

    verdict  probe        score  metric           value  95 % interval    n      z
    pass     moved         0.78  mean_divergence  0.567  [0.546, 0.589]  40  141.4
    pass     facts         0.83  verbatim_lift      1.1  [0.7, 3.4]      24    9.6
    pass     preferences   0.85  flip_share        1.00  [0.85, 1.00]    24   19.6
    pass     held          0.85  forgotten_share  0.000  [0.000, 0.060]  60
    pass     document      0.85  excess_recall    −0.02  [−0.09, 0.03]   16
    pass     dose          0.61  r_squared        0.933                  24

    moved (delta_kl): pass
      the next token's distribution moved by 0.567 [0.546, 0.589] nats of JS on
      average; 141.4 standard deviations from random adapters of the same size
      - noise floor […] nats of JS, where 0.567 were found
    facts (paraphrase_invariance): pass
      the gold answers gained 1.146 [0.726, 3.430] nats per token on the trained
      phrasings and 1.037 [0.970, 1.108] times that on paraphrases; 9.6 standard
      deviations from random adapters of the same size
    preferences (preference_flip): pass
      of 22 triples that the base got wrong, the adapter gets 22 right (1.000
      [0.846, 1.000]); the change of the margins: 19.6 standard deviations from
      random adapters of the same size
    held (calibration_drift): pass
      what the base knew is kept: 0 of 60 known facts lost more than 1 nat per token
      (0.000 [0.000, 0.060]), and the mean change is −0.005 [−0.007, −0.003]
    document (leakage): pass
      from a section's beginning it recites 21 % of the rest, the base 23 % (excess
      −0.017 [−0.093, 0.030])
    dose (adapter_ablation): pass
      the change grows with the dose along a line of R² 0.933, and from λ = 1 to
      1.25 by 1.314 [1.218, 1.458] times
      - noise floor […] nats of RMS change, where 1.86 were found

    diagnosis
      The adapter does what this suite asks: it knows what it was taught, in
      phrasings that it was not trained on too, it kept what the base knew, and it
      does not recite its training text. (facts, held, document)

    work     2,288 requests · 881 from the cache (38.5 %) · 1,407 forward passes ·
             23 batches (largest 534)
    tokens   32,798 requested · 12,894 computed · 19,904 saved (60.7 %)
    time     […]
    ");
}

#[test]
fn a_memorised_adapter_is_caught_by_its_paraphrases_and_by_what_it_recites() {
    let told = demo("memorised", &["--format", "json"]);
    assert_eq!(told.code, 1);
    let record = told.json();
    assert_eq!(verdict(&record, "facts"), "fail");
    assert!(probe(&record, "facts")["message"].as_str().unwrap().contains("it learned the phrasing, not the fact"));
    assert_eq!(verdict(&record, "document"), "fail");
    assert!(probe(&record, "document")["message"].as_str().unwrap().contains("it learned its training text by heart"));
    assert_eq!(verdict(&record, "held"), "pass");
    assert_eq!(record["gate"]["verdict"], "fail");
}

#[test]
fn a_forgetful_adapter_is_caught_by_what_it_no_longer_knows() {
    let told = demo("forgot", &["--format", "json"]);
    assert_eq!(told.code, 1);
    let record = told.json();
    assert_eq!(verdict(&record, "held"), "fail");
    assert!(probe(&record, "held")["message"].as_str().unwrap().starts_with("it forgot: "));
    assert_eq!(verdict(&record, "facts"), "pass");
}

#[test]
fn a_dead_adapter_is_the_finding_before_any_probe_is_asked() {
    let world = World::new();
    let told = demo("noop", &["--json", &world.path("record.json")]);
    let record = world.json("record.json");
    assert_eq!(record["liveness"]["live"], false);
    assert_eq!(record["probes"].as_array().unwrap().len(), 0);
    assert_eq!(record["stats"]["forward_passes"], 0);
    let _masked = masked(None);
    insta::assert_snapshot!(told.shown(), @"
    exit 1
    --- stdout
    FAIL  the adapter is not live: the update of all 28 modules is exactly zero, so
          it answers as the base does; was it saved before it was trained?

    suite    probes/demo.toml · [12 hex]
    base     demo/base · llama · 480 k parameters · in f32 · [12 hex]
    adapter  probes/demo/noop · LORA · 55.3 k parameters · [12 hex]
    dead     28 modules, ‖ΔW‖/‖W‖ median 0, largest 0, 28 exactly zero

    diagnosis
      The adapter answers as its base does.
      → Look at what was saved: it should be the last checkpoint of a training, with
        the tensors that were trained.

    work     0 requests · 0 from the cache (0.0 %) · 0 forward passes ·
             0 batches (largest 0)
    tokens   0 requested · 0 computed · 0 saved (0.0 %)
    time     […]
    ");
}

#[test]
fn exit_zero_is_for_those_who_only_want_the_report() {
    let told = demo("noop", &["--exit-zero"]);
    assert_eq!(told.code, 0);
    assert!(told.stdout.starts_with("FAIL"));
}

#[test]
fn two_runs_give_the_same_report_whatever_the_threads() {
    let world = World::new();
    let reports = [("1", "one.json"), ("2", "two.json"), ("2", "again.json")].map(|(threads, name)| {
        let told = sway(&["run", DEMO, "--threads", threads, "--json", &world.path(name)]);
        assert_eq!(told.code, 0);
        let mut lines: Vec<String> = told.stdout.lines().map(str::to_owned).collect();
        assert!(lines.pop().unwrap().starts_with("time "));
        (lines, without_timings(world.json(name)).to_string())
    });
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[1], reports[2]);
}
