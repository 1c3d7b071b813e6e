//! Items that come from sources: files by globs, packed or not, and what is done with rows that are none.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::file_server::Server;
use crate::world::{PROMPTS, ROOT, Told, World, moved, process, sway};

fn prompts() -> Vec<String> {
    serde_json::from_str(PROMPTS).unwrap()
}

fn lines(prompts: &[String]) -> String {
    prompts.iter().fold(String::new(), |mut text, prompt| {
        let _ = writeln!(text, "{}", json!({ "prompt": prompt, "id": 7 }));
        text
    })
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A suite of one `delta_kl` whose prompts come from the source `traffic`.
fn suite(world: &World, source: &str, probe: &str) -> String {
    let source = format!("[null]\nruns = 3\nmax_items = 4\n\n[[source]]\nname = \"traffic\"\n{source}\n");
    let probe = format!("[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = {{ source = \"traffic\" }}\n{probe}\n");
    world.suite(&(source + &probe))
}

fn run(suite: &str) -> Told {
    sway(&["run", suite, "--format", "json"])
}

/// The prompts in three files, each of another form.
fn scattered(world: &World) {
    fs::create_dir_all(world.dir().join("logs/deep")).unwrap();
    let prompts = prompts();
    world.write("logs/a.jsonl", lines(&prompts[..3]));
    world.write("logs/b.jsonl.gz", gzip(&lines(&prompts[3..5])));
    let csv = prompts[5..].iter().fold("id,prompt\n".to_owned(), |text, prompt| text + &format!("1,\"{prompt}\"\n"));
    world.write("logs/deep/c.csv.zst", zstd::encode_all(csv.as_bytes(), 3).unwrap());
}

#[test]
fn prompts_of_a_source_give_the_figures_of_the_same_prompts_in_the_suite() {
    let world = World::new();
    scattered(&world);
    let inline = world.suite(&format!("[null]\nruns = 3\nmax_items = 4\n\n{}", moved("moved", "")));
    let expected = run(&inline).json();
    let found = run(&suite(&world, "uri = 'logs/**'\nfield = 'prompt'", ""));
    assert_eq!(found.code, 0, "{}", found.stderr);
    let found = found.json();
    // Which items are asked under the nulls is drawn alike, whether they were counted before or not.
    assert_eq!(found["probes"], expected["probes"]);
    let source = &found["sources"][0];
    assert_eq!((&source["name"], &source["files"]), (&json!("traffic"), &json!(3)));
    assert_eq!((&source["rows"], &source["items"], &source["bad"]), (&json!(8), &json!(8), &json!(0)));
    assert_eq!(source["listing"].as_str().unwrap().len(), 64);
}

#[test]
fn a_template_and_fields_say_what_of_a_row_is_the_item() {
    let world = World::new();
    let prompts = prompts();
    let rows = prompts.iter().map(|prompt| prompt.rsplit_once(' ').unwrap());
    let rows: Vec<Value> = rows.map(|(start, end)| json!({ "start": start, "end": end })).collect();
    world.write("rows.jsonl", crate::world::lines_of(&rows));
    let template = run(&suite(&world, "uri = 'rows.jsonl'\nfield = '{{ row.start }} {{ row.end }}'", "")).json();
    let fields = "uri = 'rows.jsonl'\nfields = { prompt = '{{ row.start }} {{ row.end }}', cluster = 'end' }";
    let grouped = run(&suite(&world, fields, "")).json();
    assert_eq!(template["probes"][0]["values"], grouped["probes"][0]["values"]);
    // Four of the eight end in `in`.
    assert_eq!(grouped["probes"][0]["estimate"]["clusters"], 5);
}

#[test]
fn sources_are_woven_by_weight_and_cut_by_limits() {
    let world = World::new();
    let prompts = prompts();
    world.write("a.txt", prompts[..6].join("\n"));
    world.write("b.txt", prompts[6..].join("\n"));
    let sources = "[[source]]\nname = 'a'\nuri = 'a.txt'\nweight = 2\nlimit = 4\n[[source]]\nname = 'b'\nuri = 'b.txt'\n";
    let probe = |items: &str| format!("[[probe]]\nname = 'moved'\nkind = 'delta_kl'\nprompts = {items}\n");
    let values = |rest: String| {
        let told = run(&world.suite(&format!("[null]\nruns = 0\n{rest}")));
        told.json()["probes"][0]["values"].as_array().unwrap().clone()
    };
    let inline = values(probe(PROMPTS));
    let woven = values(sources.to_owned() + &probe("{ source = ['a', 'b'] }"));
    let expected: Vec<Value> = [0, 1, 6, 2, 3, 7].iter().map(|&item: &usize| inline[item].clone()).collect();
    assert_eq!(woven, expected);
    let cut = values(sources.to_owned() + &probe("{ source = ['a', 'b'], limit = 5 }"));
    assert_eq!(cut, expected[..5]);
}

#[test]
fn a_record_tells_what_was_read_where_a_probe_stops_before_the_end() {
    let world = World::new();
    let many: Vec<String> = (0..300).map(|row| format!("{} {row}", prompts()[row % 8])).collect();
    world.write("many.txt", many.join("\n"));
    let suite = suite(&world, "uri = 'many.txt'", "");
    // More than is glanced at before, and fewer than there are.
    let text = fs::read_to_string(&suite).unwrap().replace("{ source = \"traffic\" }", "{ source = \"traffic\", limit = 150 }");
    fs::write(&suite, text).unwrap();
    let found = run(&suite).json();
    assert_eq!(found["probes"][0]["n"], 150);
    assert_eq!((&found["sources"][0]["rows"], &found["sources"][0]["items"]), (&json!(150), &json!(150)));
}

#[test]
fn a_sample_is_chosen_by_what_rows_hold_and_not_by_where_they_stand() {
    let world = World::new();
    let rows: Vec<String> = (0..200).map(|row| format!("{} {row}", prompts()[row % 8])).collect();
    let chosen = |files: &[&[String]]| {
        for (index, rows) in files.iter().enumerate() {
            world.write(&format!("part{index}.txt"), rows.join("\n"));
        }
        let source = "uri = 'part*.txt'\nsample = { rate = 0.1, seed = 7 }";
        let found = run(&suite(&world, source, "")).json();
        let mut values: Vec<f64> = serde_json::from_value(found["probes"][0]["values"].clone()).unwrap();
        values.sort_by(f64::total_cmp);
        values
    };
    let whole = chosen(&[&rows]);
    assert!((5..40).contains(&whole.len()), "{}", whole.len());
    assert_eq!(chosen(&[&rows[120..], &rows[..120]]), whole);
}

#[test]
fn a_row_that_is_no_item_ends_the_run_before_a_model_is_loaded_and_is_named() {
    let world = World::new();
    world.write("rows.jsonl", lines(&prompts()[..2]) + "{\"text\": \"x\"}\n");
    let told = run(&suite(&world, "uri = 'rows.jsonl'\nfield = 'prompt'", ""));
    assert_eq!((told.code, told.stdout.as_str()), (4, ""));
    let expected = "rows.jsonl:3: no field `prompt`\nhint: `max_bad` in the source says how many rows may be\n";
    assert!(told.stderr.ends_with(expected), "{}", told.stderr);
    assert!(told.stderr.contains("probe `moved`: source `traffic`: "), "{}", told.stderr);
}

#[test]
fn rows_that_may_be_none_are_counted_and_the_first_are_shown() {
    let world = World::new();
    let text = format!("not json\n{}{{\"prompt\": 3}}\n{{\"prompt\": \"\"}}\n", lines(&prompts()));
    world.write("rows.jsonl", text);
    let allowed = |most: u32| run(&suite(&world, &format!("uri = 'rows.jsonl'\nfield = 'prompt'\nmax_bad = {most}"), ""));
    let source = allowed(3).json()["sources"][0].clone();
    assert_eq!((&source["rows"], &source["items"], &source["bad"]), (&json!(11), &json!(8), &json!(3)));
    let bad: Vec<String> = serde_json::from_value(source["bad_rows"].clone()).unwrap();
    let ends = ["rows.jsonl:1: not JSON", "rows.jsonl:10: field `prompt` is a number", "rows.jsonl:11: `prompt` is empty"];
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert!(bad.iter().zip(ends).all(|(bad, end)| bad.contains(end)), "{bad:?}");
    let told = allowed(2);
    assert_eq!(told.code, 4);
    assert!(told.stderr.contains("3 of 11 rows are no items: "), "{}", told.stderr);
    let human = sway(&["run", &suite(&world, "uri = 'rows.jsonl'\nfield = 'prompt'\nmax_bad = 3", "")]).stdout;
    assert!(human.contains("source   traffic · 1 file") && human.contains("3 rows that are none"), "{human}");
}

#[test]
fn a_fault_in_the_middle_of_a_source_is_an_error_and_no_shorter_source() {
    let world = World::new();
    // More than is glanced at before models are loaded.
    let many: Vec<String> = (0..400).map(|row| format!("{} {row}", prompts()[row % 8])).collect();
    let packed = gzip(&lines(&many));
    world.write("cut.jsonl.gz", &packed[..packed.len() - 9]);
    let told = run(&suite(&world, "uri = 'cut.jsonl.gz'\nfield = 'prompt'", ""));
    assert_eq!((told.code, told.stdout.as_str()), (4, ""), "{}", told.stderr);
    assert!(told.stderr.contains("cut.jsonl.gz") && told.stderr.contains("gzip"), "{}", told.stderr);
}

#[test]
fn what_names_no_source_is_told_before_anything_is_opened() {
    let world = World::new();
    world.write("rows.bin", "x");
    for (source, told) in [
        ("uri = 's4://bucket/x.jsonl'", "s4://"),
        ("uri = []", "must name at least one place"),
        ("uri = 'rows.jsonl'\nsample = { rate = 0.0 }", "must lie above 0, and be at most 1"),
        ("uri = 'rows.jsonl'\nweight = 0", "must lie above 0"),
        ("uri = 'rows.jsonl'\nfield = 'a'\nfields = { prompt = 'b' }", "both say what an item is"),
        ("uri = 'rows.jsonl'\nfield = '{{ rwo.x }}'", "there is no `rwo` here"),
        ("uri = 'rows.jsonl'\nfeild = 'a'", "did you mean `field`"),
    ] {
        let found = run(&suite(&world, source, ""));
        assert_eq!(found.code, 2, "{source}: {}", found.stderr);
        assert!(found.stderr.contains(told), "{source}: {}", found.stderr);
    }
    for (source, told) in [
        ("uri = 'nothing/*.jsonl'", "matches nothing"),
        ("uri = 'rows.bin'", "can't be told by its name"),
        ("uri = 'missing.jsonl'", "missing.jsonl"),
    ] {
        let found = run(&suite(&world, source, ""));
        assert_eq!(found.code, 4, "{source}: {}", found.stderr);
        assert!(found.stderr.contains(told), "{source}: {}", found.stderr);
    }
}

#[test]
fn a_probe_that_names_no_source_of_the_suites_is_told_which_there_are() {
    let world = World::new();
    let probe = |prompts: &str| {
        let source = "[[source]]\nname = \"traffic\"\nuri = \"a.jsonl\"\n";
        let probe = format!("[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = {prompts}\n");
        sway(&["run", &world.suite(&format!("{source}{probe}")), "--dry-run"]).stderr
    };
    for (prompts, told) in [
        ("{ source = 'trafic' }", "did you mean `traffic`?"),
        ("{ source = ['traffic', 'traffic'] }", "it names the source `traffic` twice"),
        ("{ source = 'traffic', file = 'x' }", "must name `file` or `source`, not both"),
        ("{ source = 'traffic', field = 'x' }", "the `[[source]]` says what of a row is an item"),
        ("{ source = [] }", "must name at least one source"),
        ("{ limit = 3 }", "must name `file` or `source`"),
    ] {
        let found = probe(prompts);
        assert!(found.contains(told), "{prompts}: {found}");
    }
}

#[test]
fn a_dry_run_tells_that_items_of_sources_were_not_counted() {
    let world = World::new();
    let many: Vec<String> = (0..100).map(|row| format!("prompt {row}")).collect();
    world.write("many.txt", many.join("\n"));
    let found = sway(&["run", &suite(&world, "uri = 'many.txt'", ""), "--dry-run"]).stdout;
    assert!(found.contains("64+") && found.contains("at least 64 items"), "{found}");
}

#[test]
fn rows_of_parquet_give_the_figures_of_the_same_rows_as_json_lines() {
    let world = World::new();
    let values = |file: &str| {
        let source = format!(
            "uri = '{ROOT}/src/stream/row/tests/golden/{file}'\nfield = 'On {{{{ row.day }}}} {{{{ row.int8 }}}}'\nlimit = 20"
        );
        let told = run(&suite(&world, &source, ""));
        assert_eq!(told.stderr, "");
        told.json()["probes"][0]["values"].as_array().unwrap().clone()
    };
    let expected = values("rows.jsonl");
    assert_eq!(expected.len(), 20);
    assert_eq!(values("v2_zstd.parquet"), expected);
    assert_eq!(values("v1_snappy.parquet"), expected);
}

#[test]
fn cases_of_a_pipeline_come_from_a_source_too() {
    let world = World::new();
    let row = |prompt: &String| json!({ "question": prompt, "gold": "x" });
    world.write("cases.jsonl", crate::world::lines_of(&prompts().iter().map(row).collect::<Vec<_>>()));
    let source = "[[source]]\nname = 'cases'\nuri = 'cases.jsonl'\nfields = { input = 'question', gold = 'gold' }\n";
    let probe = "[[probe]]\nname = 'written'\nkind = 'pipeline'\nmin_gain = 0.1\ncases = { source = 'cases' }\n[[probe.stage]]\nprompt = '{{ input }}'\n\
        params = { max_new_tokens = 4 }\n[[probe.scorer]]\nkind = 'starts_with'\ntarget = '{{ case.gold }}'\n";
    let told = run(&world.suite(&format!("{source}{probe}")));
    assert_eq!(told.json()["probes"][0]["n"], 8, "{}", told.stderr);
}

#[test]
fn a_prompt_beyond_the_models_context_is_told_with_its_line_or_left_out() {
    let world = World::new();
    let mut rows = prompts();
    rows.insert(3, "The home of Nessa Drace is in ".repeat(200));
    rows.push("Thessa Grell has a house in ".repeat(200));
    world.write("rows.txt", rows.join("\n"));
    let run = |rest: &str| run(&suite(&world, &format!("uri = 'rows.txt'\n{rest}"), ""));
    let told = run("").json();
    let probe = &told["probes"][0];
    assert_eq!(probe["verdict"], "error");
    let error = probe["item_errors"][0].as_str().unwrap().replace(&format!("{}/", world.dir().display()), "");
    assert!(error.starts_with("item 4 (rows.txt:4): ") && error.contains("tokens"), "{error}");
    assert_eq!(run("max_too_long = 1").json()["probes"][0]["verdict"], "error");

    let left_out = run("max_too_long = 2").json();
    let probe = &left_out["probes"][0];
    assert!(probe["message"].as_str().unwrap().contains("2 items are longer than the model's context and left out"), "{probe}");
    assert_eq!(probe["evidence"]["too_long"], 2);
    world.write("rows.txt", prompts().join("\n"));
    let without = run("").json();
    for field in ["values", "n", "criteria", "verdict"] {
        assert_eq!(probe[field], without["probes"][0][field]);
    }
    assert_eq!(probe["null"]["items"], without["probes"][0]["null"]["items"]);
}

#[test]
fn a_probe_that_stops_when_it_is_decided_reads_no_further() {
    let world = World::new();
    let many: Vec<String> = (0..3000).map(|row| format!("{} {row}", prompts()[row % 8])).collect();
    world.write("many.txt", many.join("\n"));
    let found = |keys: &str| run(&suite(&world, "uri = 'many.txt'", keys)).json();
    let decided = found("threshold = 0.001\nstop_when = \"decided\"");
    let probe = &decided["probes"][0];
    let settled = probe["evidence"]["sequential_test"]["decided_after"].as_u64().unwrap();
    assert!(settled < 500 && probe["n"] == settled.max(5), "{probe}");
    assert_eq!(probe["criteria"][0]["verdict"], "pass");
    assert!(decided["sources"][0]["rows"].as_u64().unwrap() < 1000, "{}", decided["sources"]);

    let refused = |kind: &str, keys: &str| {
        let probe = format!("[[probe]]\nname = 'p'\nkind = '{kind}'\nstop_when = 'decided'\nprompts = {PROMPTS}\n{keys}");
        let told = sway(&["run", &world.suite(&probe), "--dry-run"]);
        assert_eq!(told.code, 2);
        told.stderr
    };
    assert!(
        refused("prompt_collapse", "").contains("prompt_collapse has no test that could settle its verdict before the items end")
    );
    assert!(refused("delta_kl", "decide = 'point'").contains("an estimate alone settles nothing"));
    assert!(refused("delta_kl", "stop_at = 3").contains("unknown key `stop_at`"));
}

#[test]
fn processes_share_what_they_fetched_and_look_at_it_before_they_believe_it() {
    let world = World::new();
    let many: Vec<String> = (0..40).map(|row| format!("{} {row}", prompts()[row % 8])).collect();
    let body = lines(&many);
    let server = Server::start(move |request, out| out.file(request, body.as_bytes(), "\"1\""));
    let suite = suite(&world, &format!("uri = '{}/rows.jsonl'\nfield = 'prompt'", server.url()), "");
    let cache = world.path("cache");
    let args = |file: &str| -> Vec<String> {
        ["run", &suite, "--no-store", "-q", "--stream-cache", &cache, "--json", file].map(str::to_owned).to_vec()
    };
    let record = |file: &str| {
        let mut record = world.json(file);
        let stats = record["stats"].take();
        (record, stats["sources"].clone())
    };
    let files: Vec<String> = (0..3).map(|index| world.path(&format!("{index}.json"))).collect();
    let together: Vec<_> = files.iter().map(|file| process(&args(file)).spawn().unwrap()).collect();
    for mut child in together {
        assert!(child.wait().unwrap().code().is_some_and(|code| code < 4));
    }
    let (expected, _) = record("0.json");
    assert!((1..3).all(|index| record(&format!("{index}.json")).0 == expected));

    let again = world.path("again.json");
    assert_eq!(sway(&args(&again)).stderr, "");
    let (found, stats) = record("again.json");
    assert_eq!(found, expected);
    assert!(stats["misses"] == 0 && stats["fetched_bytes"] == 0 && stats["disk_hits"].as_u64() > Some(0), "{stats}");

    let kept: Vec<_> =
        walk(&world.dir().join("cache")).into_iter().filter(|path| fs::metadata(path).unwrap().len() > 100).collect();
    assert!(!kept.is_empty());
    for path in kept {
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(sway(&args(&again)).stderr, "");
    let (found, stats) = record("again.json");
    assert_eq!(found, expected);
    assert!(stats["damaged"].as_u64() > Some(0), "{stats}");
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
