//! Sections of the training document: where they are written, and what is said of those that are wrong or not there.

use serde_json::Value;

use crate::world::{ROOT, World, masked, probe, sway};

const DOCUMENT: &str = "probes/demo/data/document.jsonl";

/// The texts of the demo's document.
pub fn texts() -> Vec<String> {
    let rows = std::fs::read_to_string(format!("{ROOT}/{DOCUMENT}")).unwrap();
    let text = |row: &str| serde_json::from_str::<Value>(row).unwrap()["text"].as_str().unwrap().to_owned();
    rows.lines().map(text).collect()
}

/// `[[section]]` tables of these texts.
pub fn tables(texts: &[String], more: &str) -> String {
    let tables: Vec<String> =
        texts.iter().map(|text| format!("[[section]]\ntext = {}\n{more}\n", Value::from(text.as_str()))).collect();
    tables.concat()
}

pub fn recites(name: &str, more: &str) -> String {
    format!("[[probe]]\nname = \"{name}\"\nkind = \"leakage\"\nprefix_share = 0.5\n{more}\n")
}

#[test]
fn a_document_is_the_same_in_tables_in_a_list_in_json_lines_and_in_markdown() {
    let world = World::new();
    let texts = &texts()[..6];
    let markdown: Vec<String> = texts.iter().enumerate().map(|(i, text)| format!("## Section {i}\n\n{text}\n\n")).collect();
    world.write("doc.md", format!("# The news\n\n{}", markdown.concat()));
    let probes = [
        recites("shared", ""),
        recites("list", &format!("sections = {}", Value::from(texts.to_vec()))),
        recites("json", &format!("sections = {{ file = '{ROOT}/{DOCUMENT}', limit = 6 }}")),
        recites("markdown", "sections = { file = \"doc.md\" }"),
    ];
    let suite = world.suite(&format!("[null]\nruns = 0\n{}{}", tables(texts, ""), probes.concat()));
    let told = sway(&["run", &suite, "--format", "json"]);
    assert_eq!(told.stderr, "");
    let record = told.json();
    assert_eq!(probe(&record, "shared")["n"], 6);
    for name in ["list", "json", "markdown"] {
        assert_eq!(probe(&record, name)["values"], probe(&record, "shared")["values"], "{name}");
    }
}

#[test]
fn a_file_of_the_suite_is_read_by_every_probe_that_has_no_sections_of_its_own() {
    let world = World::new();
    let file = format!("[[section]]\nfile = '{ROOT}/{DOCUMENT}'\nlimit = 7\n");
    let one_more = "[[section]]\nname = \"one more\"\nkind = \"instruction\"\nprompt = \"p\"\nanswer = \"a\"\n";
    let suite = world.suite(&format!("{file}{one_more}{}{}", recites("one", ""), recites("two", "")));
    let told = sway(&["run", &suite, "--dry-run"]);
    let probes: Vec<&str> = told.stdout.lines().skip_while(|line| !line.starts_with("probe")).collect();
    insta::assert_snapshot!(probes.join("\n"), @"
    probe  kind                     items  requests
    one    leakage                      8        14
    two    leakage                      8        14

    16 items, 28 requests in their first rounds
    ");
}

#[test]
fn without_sections_a_probe_says_where_they_could_be() {
    let world = World::new();
    let told = sway(&["run", &world.suite(&recites("document", ""))]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @r#"
    exit 2
    --- stderr
    error: leakage asks after sections of the training document, and there are none
     --> DIR/suite.toml:8:8
      |
    8 | name = "document"
      |        ^^^^^^^^^^ in this probe
      |
      = hint: give the probe `sections` (a list of texts, or { file = "document.md"
              }), or write `[[section]]` tables
    "#);
    assert_eq!(sway(&["run", &world.suite(&recites("document", "enabled = false")), "--dry-run"]).code, 0);
}

#[test]
fn mistakes_in_sections_have_their_places() {
    let world = World::new();
    let suite = "version = 1
[model]
base = 'b'
adapter = 'a'

[[section]]
txt = \"misspelt\"

[[section]]
kind = \"instruction\"
prompt = \"asked\"

[[section]]
prompt = \"asked\"
answer = \"told\"

[[section]]
text = \" \"

[[section]]
file = \"x.md\"
held_out = \"yes\"
limt = 3

[[section]]
kind = \"instructions\"
text = \"t\"

[[probe]]
name = \"document\"
kind = \"leakage\"
sections = [\"a b c d e f g h\", { text = 3 }]
";
    let told = sway(&["run", &world.write("suite.toml", suite)]);
    let _masked = masked(Some(&world));
    insta::assert_snapshot!(told.shown(), @r#"
    exit 2
    --- stderr
    error: unknown key `txt`
     --> DIR/suite.toml:7:1
      |
    7 | txt = "misspelt"
      | ^^^
      |
      = hint: did you mean `text`?

    error: missing key `answer`
     --> DIR/suite.toml:9:1
      |
    9 | [[section]]
      | ^^^^^^^^^^^

    error: `answer` does not go with a section of kind `prose`
      --> DIR/suite.toml:13:1
       |
    13 | [[section]]
       | ^^^^^^^^^^^
       |
       = hint: write `kind = "instruction"`

    error: `text` is empty
      --> DIR/suite.toml:17:1
       |
    17 | [[section]]
       | ^^^^^^^^^^^ in this section

    error: expected true or false, found a string
      --> DIR/suite.toml:22:12
       |
    22 | held_out = "yes"
       |            ^^^^^

    error: unknown key `limt`
      --> DIR/suite.toml:23:1
       |
    23 | limt = 3
       | ^^^^
       |
       = hint: did you mean `limit`?

    error: unknown value `instructions`
      --> DIR/suite.toml:26:8
       |
    26 | kind = "instructions"
       |        ^^^^^^^^^^^^^^
       |
       = hint: did you mean `instruction`?

    error: expected a string, found 3
      --> DIR/suite.toml:32:41
       |
    32 | sections = ["a b c d e f g h", { text = 3 }]
       |                                         ^

    8 errors in DIR/suite.toml
    "#);
}

#[test]
fn a_bad_section_of_a_file_is_told_with_its_line() {
    let world = World::new();
    let suite = world.suite("[[section]]\nfile = \"doc.jsonl\"\n[[probe]]\nname = \"document\"\nkind = \"leakage\"\n");
    let path = world.path("doc.jsonl");
    for (row, said) in [
        ("{\"text\":\"\"}", "`text` is empty"),
        ("{\"kind\":\"instruction\",\"prompt\":\"p\"}", "missing field `answer`"),
        ("{\"kind\":\"poem\",\"text\":\"t\"}", "unknown variant `poem`, expected one of `prose`, `instruction`, `preference`"),
    ] {
        world.write("doc.jsonl", format!("{{\"id\":1,\"text\":\"fine\"}}\n{row}\n"));
        let told = sway(&["run", &suite]);
        assert_eq!(told.shown(), format!("exit 4\n--- stderr\nerror: probe `document`: {path}:2: {said}\n"));
    }
    world.write("doc.jsonl", "");
    assert!(sway(&["run", &suite]).stderr.contains("there are no sections"));
}

#[test]
fn sections_that_can_not_be_recited_are_passed_over_and_counted() {
    let world = World::new();
    let mut texts = texts()[..6].to_vec();
    texts.push("too short".to_owned());
    let record =
        sway(&["run", &world.suite(&format!("{}{}", tables(&texts, ""), recites("document", ""))), "--format", "json"]).json();
    let document = probe(&record, "document");
    assert_eq!(document["estimate"]["n"], 6);
    let message = document["message"].as_str().unwrap();
    assert!(message.ends_with("1 section was passed over: no prose, or too short"), "{message}");

    let record = sway(&["run", &world.suite(&recites("document", "sections = [\"too short\"]")), "--format", "json"]).json();
    assert_eq!(probe(&record, "document")["verdict"], "inconclusive");
}
