use std::fs;

use proptest::prelude::*;
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::*;

const TIDY: &str = r#"version = 1

[model]
base = "probes/demo/base"
adapter = "probes/demo/healthy"
dtype = "bf16"
device = "cuda:1"

[defaults]
seed = 7

[null]
runs = 0
kind = "init"

[gate]
min_score = 1
fdr = 0.1

[[probe]]
name = "moved"
kind = "delta_kl"
weight = 2
prompts = ["The key insight is", "An important rule"]
threshold = 1

[[probe]]
name = "held"
kind = "leakage"
enabled = false
decide = "point"
min_items = 3
prompts = { file = "prompts.jsonl", limit = 200 }

[probe.options]
steps = [1, 2]
"#;

/// What a probe may ask for.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    prompts: Prompts,
    #[serde(default)]
    threshold: Option<Spanned<f64>>,
    #[serde(default, deserialize_with = "at_least_two")]
    clusters: usize,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    cases: Vec<Case>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    steps: Vec<u32>,
    intent: Intent,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Intent {
    #[default]
    Generalize,
    Memorize,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    prompt: String,
    gold: String,
}

/// A list, or a file: the way without `untagged`, which would lose the spans.
#[derive(Debug, PartialEq)]
enum Prompts {
    List(Vec<String>),
    File(PromptFile),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptFile {
    file: String,
    limit: Option<usize>,
}

impl<'de> Deserialize<'de> for Prompts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};

        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Prompts;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an array of prompts, or { file = … }")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Prompts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Prompts::List)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Prompts, A::Error> {
                PromptFile::deserialize(MapAccessDeserializer::new(map)).map(Prompts::File)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn at_least_two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        few @ 0..2 => Err(D::Error::custom(format!("{few} clusters tell nothing apart\nhint: take at least 2"))),
        enough => Ok(enough),
    }
}

/// What a caller does: the suite's mistakes, then each probe's.
fn check(source: &Source) -> (Suite, Diagnostics) {
    let (suite, mut diagnostics) = parse(source);
    for probe in &suite.probes {
        if let Err(wrong) = probe.config::<Own>() {
            diagnostics.extend(wrong);
        }
    }
    (suite, diagnostics)
}

fn errors(text: &str) -> String {
    let source = Source::new("suite.toml", text);
    let (_, diagnostics) = check(&source);
    if diagnostics.is_empty() { String::new() } else { diagnostics.render(&source, false, 80) }
}

/// Mistakes beside which the rest of a suite is right.
fn errors_in_probe(keys: &str) -> String {
    errors(&format!("version = 1\nmodel.base = \"b\"\n[[probe]]\nname = \"n\"\nkind = \"k\"\n{keys}"))
}

#[test]
fn a_tidy_suite_is_read_whole() {
    let source = Source::new("suite.toml", TIDY);
    let (suite, diagnostics) = parse(&source);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(&source, false, 80));

    let model = suite.model.unwrap();
    assert_eq!(&TIDY[model.base.span()], "\"probes/demo/base\"");
    assert_eq!(model.dtype.get_ref(), &Dtype::Bf16);
    assert_eq!(model.device.unwrap().get_ref(), "cuda:1");
    assert_eq!(model.chat, Chat::Auto);
    assert_eq!(suite.version, 1);
    assert_eq!(suite.defaults, Defaults { seed: 7 });
    assert_eq!(suite.null, NullSpec { runs: 0, kind: NullKind::Init, max_items: 16 });
    assert_eq!(suite.gate, GateSpec { min_score: 1.0, fdr: 0.1, decide: Decide::Interval });

    let [moved, held] = suite.probes.as_slice() else { panic!("two probes") };
    assert_eq!((moved.name.get_ref().as_str(), moved.kind.get_ref().as_str()), ("moved", "delta_kl"));
    assert_eq!((moved.enabled, moved.decide, moved.min_items), (true, None, None));
    assert!((moved.weight - 2.0).abs() < f64::EPSILON);
    let own: Own = moved.config().unwrap();
    assert_eq!(&TIDY[own.threshold.unwrap().span()], "1");

    assert_eq!((held.enabled, held.decide, held.min_items), (false, Some(Decide::Point), Some(3)));
    let own: Own = held.config().unwrap();
    assert_eq!(own.prompts, Prompts::File(PromptFile { file: "prompts.jsonl".into(), limit: Some(200) }));
    assert_eq!(own.options.steps, [1, 2]);
}

#[test]
fn what_a_suite_leaves_out_has_its_default() {
    let (suite, _) = parse(&Source::new("suite.toml", "version = 1\n[model]\nbase = \"b\"\n"));
    let model = suite.model.unwrap();
    assert_eq!((model.dtype.get_ref(), &model.device), (&Dtype::F32, &None));
    assert_eq!(model.dtype.span(), 12..19);
    assert_eq!(suite.null, NullSpec { runs: 8, kind: NullKind::Matched, max_items: 16 });
    assert_eq!(suite.gate, GateSpec { min_score: 0.6, fdr: 0.05, decide: Decide::Interval });
}

#[test]
fn ten_mistakes_give_ten_carets() {
    let shown = errors(
        r#"version = 2
[model]
base = "probes/demo/base"
dtype = "f61"
devise = "cpu"
[defaults]
seed = -1
[null]
runs = 2
[gate]
fdr = 1.0
[[probe]]
name = "moved"
kind = "delta_kl"
weigth = 2
threshold = "high"
promts = ["The key insight is"]
[[probe]]
name = "moved"
kind = "leakage"
prompts = { flie = "prompts.jsonl" }
"#,
    );
    assert_eq!(shown.matches(" --> suite.toml:").count(), 11);
    insta::assert_snapshot!(shown, @r#"
error: this sway reads version 1
 --> suite.toml:1:11
  |
1 | version = 2
  |           ^
  |
  = hint: write `version = 1`

error: unknown value `f61`
 --> suite.toml:4:9
  |
4 | dtype = "f61"
  |         ^^^^^
  |
  = hint: did you mean `f16`?

error: unknown key `devise`
 --> suite.toml:5:1
  |
5 | devise = "cpu"
  | ^^^^^^
  |
  = hint: did you mean `device`?

error: expected a whole number, 0 or more, found -1
 --> suite.toml:7:8
  |
7 | seed = -1
  |        ^^

error: a calibration needs 3 to 1000 draws
 --> suite.toml:9:8
  |
9 | runs = 2
  |        ^
  |
  = hint: at least 3 draws, or 0 to turn calibration off

error: `fdr` must lie between 0 and 1, both excluded
  --> suite.toml:11:7
   |
11 | fdr = 1.0
   |       ^^^

error: unknown key `weigth`
  --> suite.toml:15:1
   |
15 | weigth = 2
   | ^^^^^^
   |
   = hint: did you mean `weight`?

error: expected a number, found a string
  --> suite.toml:16:13
   |
16 | threshold = "high"
   |             ^^^^^^

error: unknown key `promts`
  --> suite.toml:17:1
   |
17 | promts = ["The key insight is"]
   | ^^^^^^
   |
   = hint: did you mean `prompts`?

error: another probe has the name `moved`
  --> suite.toml:19:8
   |
19 | name = "moved"
   |        ^^^^^^^ first on line 13

error: unknown key `flie`
  --> suite.toml:21:13
   |
21 | prompts = { flie = "prompts.jsonl" }
   |             ^^^^
   |
   = hint: did you mean `file`?

11 errors in suite.toml
"#);
}

#[test]
fn an_empty_file_tells_what_a_suite_needs() {
    insta::assert_snapshot!(errors(""), @r#"
error: missing key `version`
 --> suite.toml:1:1
  |
1 |
  | ^
  |
  = hint: begin the suite with `version = 1`

error: the suite has no `[model]`
 --> suite.toml:1:1
  |
1 |
  | ^
  |
  = hint: write `[model]`, and under it `base`: a directory, or a hub id

error: the suite has no `[[probe]]`
 --> suite.toml:1:1
  |
1 |
  | ^
  |
  = hint: write `[[probe]]`, and under it its `name`, its `kind` and the kind's
          keys

3 errors in suite.toml
"#);
}

#[test]
fn unknown_keys_anywhere_are_told_at_once() {
    insta::assert_snapshot!(errors(r#"version = 1
sede = 3
[modle]
base = "b"
[gate]
score = 0.5
colour = "red"
[[probe]]
name = "a"
knd = "delta_kl"
"#), @r#"
    error: unknown key `sede`
     --> suite.toml:2:1
      |
    2 | sede = 3
      | ^^^^
      |
      = hint: known here: `version`, `model`, `defaults`, `null`, `gate`,
              `endpoint`, `source`, `section`, `probe`

    error: unknown key `modle`
     --> suite.toml:3:2
      |
    3 | [modle]
      |  ^^^^^
      |
      = hint: did you mean `model`?

    error: unknown key `score`
     --> suite.toml:6:1
      |
    6 | score = 0.5
      | ^^^^^
      |
      = hint: did you mean `min_score`?

    error: unknown key `colour`
     --> suite.toml:7:1
      |
    7 | colour = "red"
      | ^^^^^^
      |
      = hint: known here: `min_score`, `fdr`, `decide`

    error: unknown key `knd`
      --> suite.toml:10:1
       |
    10 | knd = "delta_kl"
       | ^^^
       |
       = hint: did you mean `kind`?

    5 errors in suite.toml
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one rendering of fifteen mistakes")]
fn values_out_of_range_are_told_at_once() {
    insta::assert_snapshot!(errors(r#"version = 1
[model]
base = " "
adapter = 3
device = ""
chat = true
[defaults]
seed = 1.5
[null]
runs = 1001
kind = "matchd"
max_items = 0
[gate]
min_score = 1.5
fdr = nan
decide = "points"
[[probe]]
name = ""
kind = "k"
weight = -inf
enabled = "yes"
min_items = 0
prompts = []
"#), @r#"
error: `base` must not be empty
 --> suite.toml:3:8
  |
3 | base = " "
  |        ^^^

error: expected a string, found 3
 --> suite.toml:4:11
  |
4 | adapter = 3
  |           ^

error: `device` must not be empty
 --> suite.toml:5:10
  |
5 | device = ""
  |          ^^

error: expected a string, found true
 --> suite.toml:6:8
  |
6 | chat = true
  |        ^^^^
  |
  = hint: known here: `auto`, `user`, `both`, `off`

error: expected a whole number, 0 or more, found 1.5
 --> suite.toml:8:8
  |
8 | seed = 1.5
  |        ^^^

error: a calibration needs 3 to 1000 draws
  --> suite.toml:10:8
   |
10 | runs = 1001
   |        ^^^^
   |
   = hint: at least 3 draws, or 0 to turn calibration off

error: unknown value `matchd`
  --> suite.toml:11:8
   |
11 | kind = "matchd"
   |        ^^^^^^^^
   |
   = hint: did you mean `matched`?

error: `max_items` must be at least 1
  --> suite.toml:12:13
   |
12 | max_items = 0
   |             ^
   |
   = hint: `runs = 0` turns calibration off

error: `min_score` must lie between 0 and 1
  --> suite.toml:14:13
   |
14 | min_score = 1.5
   |             ^^^

error: `fdr` must lie between 0 and 1, both excluded
  --> suite.toml:15:7
   |
15 | fdr = nan
   |       ^^^

error: unknown value `points`
  --> suite.toml:16:10
   |
16 | decide = "points"
   |          ^^^^^^^^
   |
   = hint: did you mean `point`?

error: `name` must not be empty
  --> suite.toml:18:8
   |
18 | name = ""
   |        ^^

error: `weight` must be 0 or more, and finite
  --> suite.toml:20:10
   |
20 | weight = -inf
   |          ^^^^

error: expected true or false, found a string
  --> suite.toml:21:11
   |
21 | enabled = "yes"
   |           ^^^^^

error: `min_items` must be at least 1
  --> suite.toml:22:13
   |
22 | min_items = 0
   |             ^

15 errors in suite.toml
"#);
}

#[test]
fn a_probes_own_mistakes_are_all_told() {
    insta::assert_snapshot!(errors_in_probe(r#"treshold = 0.1
clusters = 1
prompts = ["a", 2, "c", false]
nonsense = 1
[probe.options]
steps = [1, -2, 3]
intent = "memorise"
stepps = 3
[[probe.cases]]
prompt = "p"
[[probe.cases]]
promt = "p"
gold = 3
[[probe.cases]]
"#), @r#"
error: unknown key `treshold`
 --> suite.toml:6:1
  |
6 | treshold = 0.1
  | ^^^^^^^^
  |
  = hint: did you mean `threshold`?

error: 1 clusters tell nothing apart
 --> suite.toml:7:12
  |
7 | clusters = 1
  |            ^
  |
  = hint: take at least 2

error: expected a string, found 2
 --> suite.toml:8:17
  |
8 | prompts = ["a", 2, "c", false]
  |                 ^

error: expected a string, found false
 --> suite.toml:8:25
  |
8 | prompts = ["a", 2, "c", false]
  |                         ^^^^^

error: unknown key `nonsense`
 --> suite.toml:9:1
  |
9 | nonsense = 1
  | ^^^^^^^^
  |
  = hint: known here: `prompts`, `threshold`, `clusters`, `options`, `cases`,
          `name`, `kind`, `enabled`, `weight`, `decide`, `min_items`,
          `stop_when`, `chat`

error: expected a whole number, 0 or more, found -2
  --> suite.toml:11:13
   |
11 | steps = [1, -2, 3]
   |             ^^

error: unknown value `memorise`
  --> suite.toml:12:10
   |
12 | intent = "memorise"
   |          ^^^^^^^^^^
   |
   = hint: did you mean `memorize`?

error: unknown key `stepps`
  --> suite.toml:13:1
   |
13 | stepps = 3
   | ^^^^^^
   |
   = hint: did you mean `steps`?

error: missing key `gold`
  --> suite.toml:14:1
   |
14 | [[probe.cases]]
   | ^^^^^^^^^^^^^^^

error: unknown key `promt`
  --> suite.toml:17:1
   |
17 | promt = "p"
   | ^^^^^
   |
   = hint: did you mean `prompt`?

error: expected a string, found 3
  --> suite.toml:18:8
   |
18 | gold = 3
   |        ^

error: missing key `prompt`
  --> suite.toml:19:1
   |
19 | [[probe.cases]]
   | ^^^^^^^^^^^^^^^

error: missing key `gold`
  --> suite.toml:19:1
   |
19 | [[probe.cases]]
   | ^^^^^^^^^^^^^^^

13 errors in suite.toml
"#);
}

#[test]
fn sections_of_the_wrong_shape_are_told() {
    insta::assert_snapshot!(errors("version = \"1\"\nmodel = \"b\"\nprobe = [3]\ngate = 0.5\n"), @r#"
error: expected a whole number, 0 or more, found a string
 --> suite.toml:1:11
  |
1 | version = "1"
  |           ^^^

error: expected a table, found a string
 --> suite.toml:2:9
  |
2 | model = "b"
  |         ^^^
  |
  = hint: write `[model]`

error: expected a table, found a number
 --> suite.toml:3:10
  |
3 | probe = [3]
  |          ^
  |
  = hint: write `[[probe]]`

error: expected a table, found a number
 --> suite.toml:4:8
  |
4 | gate = 0.5
  |        ^^^
  |
  = hint: write `[gate]`

4 errors in suite.toml
"#);
    insta::assert_snapshot!(errors("version = 1\nmodel.base = \"b\"\n[probe]\nname = \"a\"\n"), @r#"
error: a suite has several probes
 --> suite.toml:3:1
  |
3 | [probe]
  | ^^^^^^^
  |
  = hint: write `[[probe]]`

error: missing key `kind`
 --> suite.toml:3:1
  |
3 | [probe]
  | ^^^^^^^

2 errors in suite.toml
"#);
    insta::assert_snapshot!(errors("version = 1\nmodel.base = \"b\"\nprobe = []\n"), @r#"
error: a suite needs at least one probe
 --> suite.toml:3:1
  |
3 | probe = []
  | ^^^^^
"#);
}

#[test]
fn syntax_errors_are_told_together_with_the_rest() {
    insta::assert_snapshot!(errors(r#"version = 1
[model]
base =
dtype = f16
device: "cpu"
[null]
runs = 2
runs = 3
[[probe]]
name = "a
kind = "k"
prompts = ["a" "b"]
wieght = True
"#), @r#"
error: missing value
 --> suite.toml:3:7
  |
3 | base =
  |       ^

error: a string needs quotes
 --> suite.toml:4:9
  |
4 | dtype = f16
  |         ^^^
  |
  = hint: write `"f16"`

error: key with no value
 --> suite.toml:5:9
  |
5 | device: "cpu"
  |         ^ expected `=`

error: a calibration needs 3 to 1000 draws
 --> suite.toml:7:8
  |
7 | runs = 2
  |        ^
  |
  = hint: at least 3 draws, or 0 to turn calibration off

error: duplicate key `runs`
 --> suite.toml:8:1
  |
8 | runs = 3
  | ^^^^

error: this string has no end
  --> suite.toml:10:10
   |
10 | name = "a
   |          ^ expected `"`

error: missing comma between array elements
  --> suite.toml:12:16
   |
12 | prompts = ["a" "b"]
   |                ^ expected `,`

error: unknown key `wieght`
  --> suite.toml:13:1
   |
13 | wieght = True
   | ^^^^^^
   |
   = hint: did you mean `weight`?

error: a string needs quotes
  --> suite.toml:13:10
   |
13 | wieght = True
   |          ^^^^
   |
   = hint: write `true`

9 errors in suite.toml
"#);
}

#[test]
fn an_open_bracket_is_one_mistake() {
    insta::assert_snapshot!(errors(r#"version = 1
[[probe]]
name = "a"
kind = "k"
prompts = ["a", "b"
[model]
base = "b"
"#), @r#"
error: unclosed array
 --> suite.toml:5:11
  |
5 | prompts = ["a", "b"
  |           ^ opened here
"#);
}

#[test]
fn the_caret_stands_under_the_value_after_tabs_and_wide_characters() {
    insta::assert_snapshot!(errors_in_probe("\tprompts\t=\t[\"日本語🙂\", 5]\r\n"), @r#"
error: expected a string, found 5
 --> suite.toml:6:21
  |
6 |     prompts    =    ["日本語🙂", 5]
  |                                  ^
"#);
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let prompts = "\"The key insight is\", ".repeat(100_000);
    let shown = errors_in_probe(&format!("prompts = [{prompts} 5, {prompts}]"));
    insta::assert_snapshot!(shown, @r#"
error: expected a string, found 5
 --> suite.toml:6:2200013
  |
6 | ...sight is", "The key insight is",  5, "The key insight is", "The key in...
  |                                      ^
"#);
}

#[test]
fn a_suite_can_not_steer_the_terminal() {
    let shown = errors_in_probe("prompts = []\n\"\\u001b[31mred\" = 1");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let source = Source::new("suite.toml", "version = 2");
    let (_, diagnostics) = parse(&source);
    let coloured = diagnostics.render(&source, true, 80);
    assert!(coloured.contains("\u{1b}["));
}

#[test]
fn a_byte_order_mark_and_crlf_change_nothing() {
    let source = Source::new("suite.toml", format!("\u{feff}{}", TIDY.replace('\n', "\r\n")));
    let (suite, diagnostics) = check(&source);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(&source, false, 80));
    assert_eq!(suite.probes.len(), 2);
    assert_eq!(errors("\u{feff}version = 3\r\n").lines().nth(1), Some(" --> suite.toml:1:1"));
}

#[test]
fn what_can_not_be_read_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.toml");
    let refuse = |path: &std::path::Path| {
        let error = Source::read(path).unwrap_err();
        let said = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
        said.replace(folder.path().to_str().unwrap(), "DIR")
    };

    fs::write(&path, b"version = 1\n# caf\xe9\n").unwrap();
    insta::assert_snapshot!(refuse(&path), @r#"
can't read the suite: DIR/demo.toml is not UTF-8 at byte 17 (line 2)
hint: save the file as UTF-8
"#);
    insta::assert_snapshot!(refuse(&folder.path().join("dmo.toml")), @r#"
can't read the suite: DIR/dmo.toml does not exist
hint: did you mean DIR/demo.toml?
"#);
    insta::assert_snapshot!(refuse(folder.path()), @r#"
can't read the suite: DIR is a directory
hint: name the suite's TOML file in it
"#);
    fs::File::create(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    insta::assert_snapshot!(refuse(&path), @r#"
can't read the suite: DIR/demo.toml is larger than 64 MiB
hint: keep items in a JSONL file, and name that file in the probe
"#);
}

fn every_span_is_within(text: &str) {
    let source = Source::new("suite.toml", text);
    let (_, diagnostics) = check(&source);
    for Diagnostic { span, message, .. } in &diagnostics {
        assert!(source.text().get(span.clone()).is_some(), "{message} at {span:?} of {}", source.text().len());
    }
    let shown = diagnostics.render(&source, false, 80);
    assert!(shown.matches(" --> suite.toml:").count() >= diagnostics.len());
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*|(?s).*") {
        every_span_is_within(&text);
    }

    #[test]
    fn any_soup_of_toml_is_read_without_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "[[", "]]", "{", "}", "=", ",", ".", "\"", "'", "'''", "\"\"\"", "\n", "\r\n", " ", "#", "é", "\t",
            "probe", "model", "name", "kind", "base", "version", "null", "runs", "prompts", "cases", "\"x\"", "1", "-2",
            "1e999", "nan", "1979-05-27", "true", "\\u", "\u{feff}", "0x", "[[probe]]\n", "name = \"a\"\n", "kind = \"k\"\n",
        ]), 0..60),
    ) {
        every_span_is_within(&words.concat());
    }

    #[test]
    fn any_damage_to_a_suite_is_read_without_panic(
        cuts in prop::collection::vec((0.0..1.0, 0_usize..30, "[\\[\\]{}=\",.'\n é🙂a1-]{0,4}"), 1..6),
    ) {
        let mut text = TIDY.to_owned();
        for (at, length, patch) in cuts {
            let at = text.floor_char_boundary((at * text.len() as f64) as usize);
            let end = text.ceil_char_boundary((at + length).min(text.len()));
            text.replace_range(at..end, &patch);
        }
        every_span_is_within(&text);
    }
}
