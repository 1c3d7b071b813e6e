//! Suites and data files with mistakes: all of them at once, each with its place, before a model is looked for.

use crate::world::{DEMO, World, masked, moved, sway};

/// A base that would be refused, were it looked for.
const NO_BASE: &str = "no-such-base";

#[test]
fn a_suite_that_is_not_there_is_told_with_its_nearest_neighbour() {
    let world = World::new();
    world.small_suite();
    let told = sway(&["run", &world.path("siute.toml")]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @"
    exit 2
    --- stderr
    error: can't read the suite: DIR/siute.toml does not exist
    hint: did you mean DIR/suite.toml?
    ");
}

#[test]
fn a_folder_is_no_suite() {
    let told = sway(&["run", "probes"]);
    insta::assert_snapshot!(told.shown(), @"
    exit 2
    --- stderr
    error: can't read the suite: probes is a directory
    hint: name the suite's TOML file in it
    ");
}

#[test]
fn a_path_through_a_file_is_told_with_its_cause() {
    let world = World::new();
    let suite = world.small_suite();
    let told = sway(&["run", &format!("{suite}/x.toml")]);
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("Not a directory") || cfg!(not(unix)), "{}", told.stderr);
}

#[test]
fn bytes_that_are_not_text_are_no_suite() {
    let world = World::new();
    let told = sway(&["run", &world.write("suite.toml", b"version = 1\n\xff\xfe")]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @"
    exit 2
    --- stderr
    error: can't read the suite: DIR/suite.toml is not UTF-8 at byte 12 (line 2)
    hint: save the file as UTF-8
    ");
}

#[test]
fn what_is_not_toml_is_shown_where_it_ends_to_be() {
    let world = World::new();
    let told = sway(&["run", &world.write("suite.toml", "version = 1\n[model\nbase = 'x'\n")]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @r#"
    exit 2
    --- stderr
    error: unclosed table
     --> DIR/suite.toml:2:7
      |
    2 | [model
      |       ^ expected `]`

    error: unknown key `base`
     --> DIR/suite.toml:3:1
      |
    3 | base = 'x'
      | ^^^^
      |
      = hint: known here: `version`, `model`, `defaults`, `null`, `gate`,
              `endpoint`, `source`, `section`, `probe`

    2 errors in DIR/suite.toml
    "#);
}

#[test]
fn an_empty_suite_is_told_what_it_lacks() {
    let world = World::new();
    let told = sway(&["run", &world.write("suite.toml", "")]);
    assert_eq!(told.code, 2);
    for lacking in ["begin the suite with `version = 1`", "the suite has no `[model]`", "the suite has no `[[probe]]`"] {
        assert!(told.stderr.contains(lacking), "{}", told.stderr);
    }
}

/// As many mistakes as a suite has room for.
const MISTAKEN: &str = r#"version = 2

[model]
bas = "base"
dtype = "bf17"

[defaults]
seed = -1

[null]
runs = 2

[gate]
min_score = 2.0

[[probe]]
name = "moved"
kind = "delta_kll"
prompts = ["a"]

[[probe]]
name = "moved"
kind = "delta_kl"
promts = ["a"]
threshold = "high"

[[probe]]
name = "document"
kind = "leakage"
sections = { file = "x.jsonl", limt = 3 }
"#;

#[test]
fn ten_mistakes_are_told_at_once() {
    let world = World::new();
    let told = sway(&["run", &world.write("suite.toml", MISTAKEN)]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @r#"
    exit 2
    --- stderr
    error: this sway reads version 1
     --> DIR/suite.toml:1:11
      |
    1 | version = 2
      |           ^
      |
      = hint: write `version = 1`

    error: unknown key `bas`
     --> DIR/suite.toml:4:1
      |
    4 | bas = "base"
      | ^^^
      |
      = hint: did you mean `base`?

    error: unknown value `bf17`
     --> DIR/suite.toml:5:9
      |
    5 | dtype = "bf17"
      |         ^^^^^^
      |
      = hint: did you mean `bf16`?

    error: expected a whole number, 0 or more, found -1
     --> DIR/suite.toml:8:8
      |
    8 | seed = -1
      |        ^^

    error: a calibration needs 3 to 1000 draws
      --> DIR/suite.toml:11:8
       |
    11 | runs = 2
       |        ^
       |
       = hint: at least 3 draws, or 0 to turn calibration off

    error: `min_score` must lie between 0 and 1
      --> DIR/suite.toml:14:13
       |
    14 | min_score = 2.0
       |             ^^^

    error: unknown kind `delta_kll`
      --> DIR/suite.toml:18:8
       |
    18 | kind = "delta_kll"
       |        ^^^^^^^^^^^
       |
       = hint: did you mean `delta_kl`?

    error: another probe has the name `moved`
      --> DIR/suite.toml:22:8
       |
    22 | name = "moved"
       |        ^^^^^^^ first on line 17

    error: unknown key `promts`
      --> DIR/suite.toml:24:1
       |
    24 | promts = ["a"]
       | ^^^^^^
       |
       = hint: did you mean `prompts`?

    error: expected a number, found a string
      --> DIR/suite.toml:25:13
       |
    25 | threshold = "high"
       |             ^^^^^^

    error: unknown key `limt`
      --> DIR/suite.toml:30:32
       |
    30 | sections = { file = "x.jsonl", limt = 3 }
       |                                ^^^^
       |
       = hint: did you mean `limit`?

    11 errors in DIR/suite.toml
    "#);
}

#[test]
fn what_this_build_cannot_do_is_refused_at_its_place() {
    let world = World::new();
    let suite = format!(
        "version = 1\n[model]\nbase = \"b\"\nadapter = \"a\"\ndtype = \"f16\"\ndevice = \"cuda:0\"\n{}",
        moved("moved", "")
    );
    let told = sway(&["run", &world.write("suite.toml", suite)]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @r#"
    exit 2
    --- stderr
    error: this sway does not compute in f16
     --> DIR/suite.toml:5:9
      |
    5 | dtype = "f16"
      |         ^^^^^
      |
      = hint: leave `dtype` out, and an f16 checkpoint is computed in float32,
              exactly as it is; or write `bf16`

    error: this sway was built without CUDA
     --> DIR/suite.toml:6:10
      |
    6 | device = "cuda:0"
      |          ^^^^^^^^
      |
      = hint: build it with `cargo install --path . --features cuda` where NVIDIA's
              CUDA toolkit is installed, or compute on the CPU

    2 errors in DIR/suite.toml
    "#);
}

#[test]
fn a_suite_without_an_adapter_needs_one_from_the_command_line() {
    let world = World::new();
    let suite = world.write("suite.toml", format!("version = 1\n[model]\nbase = \"b\"\n{}", moved("moved", "")));
    let told = sway(&["run", &suite]);
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("hint: write `adapter = …` under [model], or give --adapter"), "{}", told.stderr);
    assert_eq!(sway(&["run", &suite, "--adapter", "probes/demo/healthy", "--dry-run"]).code, 0);
}

#[test]
fn a_filter_that_fits_nothing_lists_what_there_is() {
    let told = sway(&["run", DEMO, "--filter", "zzz"]);
    insta::assert_snapshot!(told.shown(), @"
    exit 2
    --- stderr
    error: no probe's name contains `zzz`; the suite has moved, facts, preferences, held, document, dose
    ");
}

#[test]
fn a_bad_row_is_refused_with_its_file_and_line_before_the_models_are_looked_for() {
    let world = World::new();
    let suite = world
        .suite_on(NO_BASE, "[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = { file = \"p.jsonl\", field = \"q\" }\n");
    let path = world.path("p.jsonl");
    for (content, said) in [
        ("{\"q\":\"a\"}\n\n{\"q\":", format!("{path}:3: not JSON: EOF while parsing a value at column 5")),
        ("{\"q\":\"a\"}\n\n{\"p\":\"b\"}\n", format!("{path}:3: it has no field `q`; it has `p`")),
        ("{\"q\":\"a\"}\n{\"q\":\"\"}\n", format!("{path}:2: `prompt` is empty")),
        (
            "{\"q\":7}\n",
            format!("{path}:1: invalid type: integer `7`, expected a string, a list of messages, or a table with `messages`"),
        ),
        ("{\"q\":\"\\ud800\"}\n", format!("{path}:1: not JSON: half of a surrogate pair stands for no character, at column 13")),
        ("\n\n", "there are no prompts".to_owned()),
    ] {
        world.write("p.jsonl", content);
        let told = sway(&["run", &suite]);
        assert_eq!(told.shown(), format!("exit 4\n--- stderr\nerror: probe `moved`: {said}\n"));
    }
    world.write("p.jsonl", b"{\"q\":\"\xff\"}\n");
    assert!(sway(&["run", &suite]).stderr.contains(":1: not UTF-8 at byte 6 of the line"));
}

#[test]
fn items_in_the_suite_that_can_not_be_asked_are_mistakes_of_the_suite() {
    let world = World::new();
    for (prompts, said) in [("[]", "there are no prompts"), ("[\"a\", \"\"]", "item 2: `prompt` is empty")] {
        let probe = format!("[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = {prompts}\n");
        let told = sway(&["run", &world.suite_on(NO_BASE, &probe)]);
        assert_eq!(told.code, 2);
        assert!(
            told.stderr.contains(&format!("error: {said}")) && told.stderr.contains("^^^^^^^ in this probe"),
            "{}",
            told.stderr
        );
    }
}

#[test]
fn a_threshold_out_of_its_range_is_refused_with_a_caret() {
    let world = World::new();
    let probe = "[[probe]]\nname = \"p\"\nkind = \"preference_flip\"\ntriples = { file = \"t.jsonl\" }\nmin_share = 1.0\n";
    let told = sway(&["run", &world.suite_on(NO_BASE, probe)]);
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("`min_share` must lie between 0 and 1, both excluded, not 1"), "{}", told.stderr);
}

#[test]
fn a_case_without_its_gold_answer_is_refused_with_its_place() {
    let world = World::new();
    let suite = world
        .suite_on(NO_BASE, "[[probe]]\nname = \"facts\"\nkind = \"paraphrase_invariance\"\ncases = { file = \"c.jsonl\" }\n");
    world.write(
        "c.jsonl",
        "{\"prompt\":\"a\",\"gold\":\" b\",\"paraphrases\":[\"c\"]}\n{\"prompt\":\"a\",\"paraphrases\":[\"c\"]}\n",
    );
    let told = sway(&["run", &suite]);
    assert_eq!(told.code, 4);
    assert!(told.stderr.contains("c.jsonl:2: missing field `gold`"), "{}", told.stderr);
}

#[test]
fn a_data_file_that_cannot_be_read_is_named() {
    let world = World::new();
    let probe = |file: &str| format!("[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = {{ file = \"{file}\" }}\n");
    world.write("p.csv", "a");
    for (file, said) in [("p.jsonl", "can't read "), (".", ""), ("p.csv", "what its lines are can't be told by its name")] {
        let told = sway(&["run", &world.suite_on(NO_BASE, &probe(file))]);
        assert_eq!(told.code, 4);
        assert!(told.stderr.starts_with("error: probe `moved`: ") && told.stderr.contains(said), "{}", told.stderr);
    }
}

#[test]
fn a_base_that_is_not_there_is_refused() {
    let world = World::new();
    let told = sway(&["run", &world.suite_on(NO_BASE, &moved("moved", ""))]);
    assert_eq!(told.code, 4);
    assert!(told.stderr.starts_with("error: can't load no-such-base with "), "{}", told.stderr);
}
