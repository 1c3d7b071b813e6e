//! Commands that touch no model, and what holds for all: help, versions, colours.

use crate::world::{DEMO, World, process, sway};

#[test]
fn the_kinds_are_listed() {
    insta::assert_snapshot!(sway(&["list-probes"]).shown(), @r#"
    exit 0
    --- stdout
    delta_kl                    adherence     did the next-token distributions move?
    adapter_revert              adherence     does it fall back to the base's answers when asked in other words?
    prompt_collapse             adherence     does its effect last when other text stands before the prompt?
    cluster_kl                  adherence     does it change what some prompts are about, and leave the others?
    multi_turn_coherence_decay  adherence     does its effect last over the turns of a conversation?
    pipeline                    adherence     is what it writes, stage by stage, better than what the base writes?
    section_internalization     attribution   which sections of its training text did it take in?
    paraphrase_invariance       attribution   does what was learned come out in other words?
    preference_flip             attribution   does it prefer the right answer where the base did not?
    tool_use_fidelity           attribution   does it still call tools as their schemas ask, and no others?
    style_fingerprint           calibration   does it write more like the text that it was to write like?
    calibration_drift           calibration   did it forget what the base knew?
    leakage                     calibration   does it recite its training text?
    external_perplexity         calibration   does it still read general prose as well?
    gradient_ghost              calibration   was the training long enough, and did it reach every layer?
    training_drift              calibration   did the training's loss go down smoothly, and far enough?
    adapter_ablation            ablation      does the answer grow with the adapter's dose?
    null_adapter                baseline      what do random adapters of the same size do?
    noise_floor                 baseline      how much does computing alone change?
    base_invariance             baseline      is the base the same before, beside and after the adapter?
    "#);
    let kinds = sway(&["list-probes", "--format", "json"]).json();
    let names: Vec<&str> = kinds.as_array().unwrap().iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "delta_kl",
            "adapter_revert",
            "prompt_collapse",
            "cluster_kl",
            "multi_turn_coherence_decay",
            "pipeline",
            "section_internalization",
            "paraphrase_invariance",
            "preference_flip",
            "tool_use_fidelity",
            "style_fingerprint",
            "calibration_drift",
            "leakage",
            "external_perplexity",
            "gradient_ghost",
            "training_drift",
            "adapter_ablation",
            "null_adapter",
            "noise_floor",
            "base_invariance",
        ]
    );
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, begins) in [
        ("bash", "_sway() {"),
        ("zsh", "#compdef sway"),
        ("fish", "# Print an optspec"),
        ("powershell", "\nusing namespace"),
        ("elvish", "\nuse builtin;"),
    ] {
        let told = sway(&["completions", shell]);
        assert_eq!(told.code, 0);
        assert!(told.stdout.starts_with(begins), "{shell}: {}", &told.stdout[..80]);
        assert!(told.stdout.contains("list-probes"));
    }
    assert_eq!(sway(&["completions", "tcsh"]).code, 2);
}

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let told = sway(&["--help"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    assert!(told.stdout.contains("Exit codes: 0 the gate holds"));
    let told = sway(&["--version"]);
    assert_eq!(told.shown(), format!("exit 0\n--- stdout\nsway {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["run", "score", "trace", "list-probes", "completions"] {
        assert_eq!(sway(&[command, "--help"]).code, 0);
    }
}

#[test]
fn what_was_mistyped_on_the_command_line_is_usage() {
    for args in [
        &["rnu"][..],
        &["run"],
        &["run", DEMO, "--jsno", "x"],
        &["run", DEMO, "--threads", "0"],
        &["score"],
        &["run", DEMO, "--format", "xml"],
    ] {
        let told = sway(args);
        assert_eq!(told.code, 2, "{args:?}");
        assert!(told.stderr.starts_with("error: "), "{args:?}");
        assert_eq!(told.stdout, "");
    }
}

#[test]
fn no_colour_codes_reach_what_is_no_terminal() {
    let world = World::new();
    let suite = world.small_suite();
    for (name, value) in [("NO_COLOR", "1"), ("NO_COLOR", ""), ("TERM", "xterm-256color")] {
        for args in [&["run", &suite][..], &["run", "nowhere.toml"], &["--help"], &["run", DEMO, "--filter", "zzz"]] {
            let output = process(args).env(name, value).output().unwrap();
            assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{name}={value} {args:?}");
        }
    }
}
