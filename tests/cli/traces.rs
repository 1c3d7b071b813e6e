//! Traces, and their agreement with the statistics.

use serde_json::Value;

use crate::world::{World, json_lines, moved, sway, sway_reading};

#[test]
fn a_trace_summed_up_agrees_with_the_statistics() {
    let world = World::new();
    let suite = world.suite(&format!("[null]\nruns = 3\n{}{}", moved("one", ""), moved("two", "")));
    let (trace, stats) = (world.path("t.jsonl"), world.path("s.json"));
    assert_eq!(sway(&["run", &suite, "-q", "--trace", &trace, "--stats", &stats]).code, 0);
    let stats = world.json("s.json");
    let totals = &sway(&["trace", &trace, "--format", "json"]).json()["totals"];
    assert_eq!(totals["hits"], stats["cache_hits"]);
    assert_eq!(totals["misses"], stats["cache_misses"]);
    assert_eq!(totals["misses"], stats["forward_passes"]);
    assert_eq!(totals["tokens"], stats["tokens_computed"]);
    assert_eq!(totals["batches"], stats["batches_sent"]);
    assert_eq!(totals["hit_rate"], stats["hit_rate"]);
}

#[test]
fn what_was_asked_before_is_a_hit() {
    let world = World::new();
    let suite = world.suite(&format!("[null]\nruns = 0\n{}{}", moved("one", ""), moved("two", "")));
    sway(&["run", &suite, "-q", "--trace", &world.path("t.jsonl")]);
    let lines = json_lines(&world.read("t.jsonl"));
    let of = |name: &str| -> Vec<&Value> { lines.iter().filter(|line| line["probe"] == name).collect() };
    assert_eq!(of("two").len(), 8);
    assert!(of("two").iter().all(|line| line["hit"] == true && line["tokens"] == 0 && line["batch"] == 0));
    let hashes = |name: &str| -> Vec<String> {
        let mut hashes: Vec<String> = of(name).iter().map(|line| line["prompt_hash"].to_string()).collect();
        hashes.sort();
        hashes
    };
    assert_eq!(hashes("one"), hashes("two"));
}

/// A probe's nulls ask the base what the probe itself asks it, and each view the same prompts with two endings.
#[test]
fn nulls_and_probes_share_what_can_be_shared() {
    let world = World::new();
    let people = ["Nessa Drace", "Thessa Grell", "Senna Wick", "Corvin Voss", "Bram Harrow"];
    let triple = |who: &str| {
        format!("{{ prompt = \"If you wish to visit {who}, travel to\", chosen = \" Fallowmere\", rejected = \" Wexham\" }}")
    };
    let triples = people.map(triple).join(", ");
    let probe = |name: &str| format!("[[probe]]\nname = \"{name}\"\nkind = \"preference_flip\"\ntriples = [{triples}]\n");
    let suite = world.suite(&format!("[null]\nruns = 3\n{}{}", probe("one"), probe("two")));
    let (trace, stats) = (world.path("t.jsonl"), world.path("s.json"));
    sway(&["run", &suite, "-q", "--trace", &trace, "--stats", &stats]);
    let summary = sway(&["trace", &trace, "--format", "json"]).json();
    let of = |probe: &str, view: &str| -> [u64; 3] {
        let probe = summary["probes"].as_array().unwrap().iter().find(|one| one["probe"] == probe).unwrap();
        let view = probe["views"].as_array().unwrap().iter().find(|one| one["view_id"] == view).unwrap();
        ["events", "hits", "tokens"].map(|name| view[name].as_u64().unwrap())
    };
    // Two endings of five prompts, asked of the base for the adapter and for each null, and computed once.
    let [events, hits, tokens] = of("one", "base");
    assert_eq!((events, hits), (40, 30));
    for view in ["ft", "null_1", "null_2", "null_3"] {
        assert_eq!(of("one", view), [10, 0, tokens], "{view}: each of its own is computed once, as many tokens as the base's");
        assert_eq!(of("two", view), [10, 10, 0], "{view}: what one probe asked is there for the other");
    }
    assert_eq!(of("two", "base"), [40, 40, 0]);
    // Both endings of a prompt, and all prompts, begin alike.
    let stats = world.json("s.json");
    let count = |name: &str| stats[name].as_u64().unwrap();
    assert!(5 * tokens < count("tokens_computed") + count("tokens_computed") / 2);
    let alone = count("tokens_requested") * 10 / (count("cache_hits") + count("cache_misses"));
    assert!(2 * tokens < alone, "{tokens} tokens of a view went through the model, of {alone} that its requests have");
}

#[test]
fn a_trace_is_shown_by_probe_and_by_view() {
    let world = World::new();
    let line = |probe: &str, view: &str, hit: bool, wall: f64| {
        let (batch, tokens) = if hit { (0, 0) } else { (1, 9) };
        format!(
            r#"{{"ts":1700000000.5,"probe":"{probe}","view_id":"{view}","prompt_hash":"00112233aabb","top_k":1,"op":"next_token_dist","wall_ms":{wall:?},"hit":{hit},"batch":{batch},"tokens":{tokens}}}"#
        ) + "\n"
    };
    let text = [line("moved", "ft", false, 2.5), line("moved", "null_1", false, 1.5), line("moved", "ft", true, 0.0)].concat();
    let told = sway(&["trace", &world.write("t.jsonl", &text)]);
    insta::assert_snapshot!(told.shown(), @"
    exit 0
    --- stdout
    3 events · 1 hit (33.3 %) · 2 misses in 1 batch · 18 tokens computed · 0.00 s

    probe  events  hits  hit rate  tokens  wall ms  ops
    moved       3     1    33.3 %      18      4.0  next_token_dist

    view    events  hits  hit rate  tokens  wall ms  ops
    ft           2     1    50.0 %       9      2.5  next_token_dist
    null_1       1     0     0.0 %       9      1.5  next_token_dist

    slowest
    wall ms  line  probe  view    op               tokens  batch  prompt
        2.5     1  moved  ft      next_token_dist       9      1  00112233aabb
        1.5     2  moved  null_1  next_token_dist       9      1  00112233aabb
    ");
    let piped = sway_reading(text.clone(), &["trace", "-"]);
    assert_eq!(piped.stdout, told.stdout);
    let none = sway(&["trace", &world.path("t.jsonl"), "--slowest", "0"]);
    assert!(!none.stdout.contains("slowest"), "{}", none.stdout);
    assert!(sway(&["trace", &world.path("t.jsonl"), "--format", "markdown"]).stdout.contains("| moved | 3 | 1 |"));
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    let world = World::new();
    for (name, content, cause) in [
        ("words", "hello\n", "line 1 is not a line of a trace"),
        ("other.jsonl", "{\"ts\":1}\n", "line 1 is not a line of a trace: missing field `probe`"),
    ] {
        let told = sway(&["trace", &world.write(name, content)]);
        assert_eq!(told.code, 4);
        assert!(told.stderr.contains(cause), "{}", told.stderr);
    }
    let told = sway(&["trace", &world.path("nowhere")]);
    assert_eq!(told.code, 4);
    assert!(told.stderr.starts_with("error: can't summarise "), "{}", told.stderr);
}

#[test]
fn an_empty_trace_is_a_trace() {
    let world = World::new();
    let told = sway(&["trace", &world.write("t.jsonl", ""), "--format", "json"]);
    assert_eq!(told.code, 0);
    assert_eq!(told.json()["totals"]["hit_rate"], 0.0);
}
