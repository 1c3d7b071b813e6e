//! One line a request that the engine answered.

use std::fs::{self, File};
use std::io::BufReader;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use sway::engine::{CacheLimits, EngineError, Question, Step, Trace};
use sway::report::trace::summarize;
use sway::request::{Request, Sampling, View};
use tempfile::NamedTempFile;

use super::models::MODELS;
use super::stub::{Bench, NON_FINITE, REFUSED, Stub, ask, completion, generate, next, rolling};

fn traced() -> (Bench, NamedTempFile) {
    traced_of(Stub::default())
}

fn traced_of(stub: Stub) -> (Bench, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    let mut bench = Bench::with(stub, CacheLimits::default());
    bench.engine.set_trace(Trace::new("t.jsonl".to_owned(), file.reopen().unwrap()));
    (bench, file)
}

/// Every line of a file that must end with a whole one.
fn lines(file: &NamedTempFile) -> Vec<Map<String, Value>> {
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is not whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_has_its_fields_in_the_order_of_the_design() {
    let (mut bench, file) = traced();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    bench.ask(&[Request { view: View::Ft, ..next("abc") }]);
    let lines = lines(&file);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let fields: Vec<&str> = line.keys().map(String::as_str).collect();
    assert_eq!(fields, ["ts", "probe", "view_id", "prompt_hash", "top_k", "op", "wall_ms", "hit", "batch", "tokens"]);
    assert!((line["ts"].as_f64().unwrap() - before).abs() < 60.0);
    assert_eq!((&line["probe"], &line["view_id"], &line["op"]), (&"test".into(), &"ft".into(), &"next_token_dist".into()));
    let hash = line["prompt_hash"].as_str().unwrap();
    assert!(hash.len() == 12 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    assert_eq!((&line["top_k"], &line["hit"], &line["batch"], &line["tokens"]), (&1.into(), &false.into(), &1.into(), &3.into()));
    assert!(line["wall_ms"].as_f64().unwrap() >= 0.0);
}

#[test]
fn there_is_one_line_for_each_request_that_was_answered() {
    let (mut bench, file) = traced();
    bench.ask(&[next("a"), next("a"), completion("a", "b"), next(REFUSED), next(NON_FINITE)]);
    bench.ask(&[next("a"), generate("a", 4, Sampling::Greedy)]);
    let told: Vec<(String, bool, u64, u64)> = lines(&file)
        .iter()
        .map(|line| {
            let number = |name: &str| line[name].as_u64().unwrap();
            (line["op"].as_str().unwrap().to_owned(), line["hit"].as_bool().unwrap(), number("batch"), number("tokens"))
        })
        .collect();
    let told: Vec<(&str, bool, u64, u64)> =
        told.iter().map(|(op, hit, batch, tokens)| (op.as_str(), *hit, *batch, *tokens)).collect();
    let tokens = NON_FINITE.len() as u64;
    assert_eq!(
        told,
        [
            ("next_token_dist", false, 1, 1),
            ("next_token_dist", true, 0, 0),
            ("logprob_of", false, 1, 1),
            ("next_token_dist", false, 1, tokens),
            ("next_token_dist", true, 0, 0),
            ("generate", false, 2, 4),
        ]
    );
    let hash = |line: usize| lines(&file)[line]["prompt_hash"].clone();
    assert_eq!(hash(0), hash(2), "the hash is the prompt's, whatever the op");
    assert_ne!(hash(0), hash(3));
}

#[test]
fn lines_are_whole_at_any_time() {
    let (mut bench, file) = traced_of(Stub { batch: Some(7), ..Stub::default() });
    let requests: Vec<Request> = (0..40).map(|i| rolling("x".repeat(300 + i))).collect();
    let questions: Vec<Question<'_>> = requests.iter().map(|request| Question { asker: "a\"b\n", request }).collect();
    let (mut seen, mut answered) = (0, 0);
    let mut look = |step: &Step<'_>| {
        let batch = step.answered;
        seen += 1;
        answered += batch;
        assert_eq!(lines(&file).len(), answered);
    };
    bench.engine.answer(&questions, &mut look).unwrap();
    assert!(seen > 3);
    assert_eq!(lines(&file)[0]["probe"], "a\"b\n");
}

#[test]
fn the_trace_and_the_statistics_agree() {
    let (mut bench, file) = traced_of(Stub { batch: Some(7), ..Stub::default() });
    for round in 0..5 {
        let requests: Vec<Request> = (0..30 * round)
            .map(|i| if i % 7 == 0 { generate(i, 3, Sampling::Greedy) } else { next("w".repeat(i * 10 + 1)) })
            .collect();
        bench.ask(&requests);
        bench.ask(&[next(NON_FINITE), next(NON_FINITE), next(REFUSED)]);
    }
    let stats = bench.engine.stats();
    let summary = summarize(BufReader::new(File::open(file.path()).unwrap()), 3).unwrap();
    let tally = &summary.totals.tally;
    assert_eq!((tally.hits, tally.misses()), (stats.cache_hits, stats.cache_misses));
    assert!((tally.hit_rate() - stats.hit_rate).abs() < 1e-12);
    assert_eq!((tally.tokens, summary.totals.batches), (stats.tokens_computed, stats.batches_sent));
    // Microseconds are what a line shows.
    assert!((tally.wall_ms / 1e3 - stats.scoring_wall_s).abs() < 1e-6 * tally.events as f64);
    assert_eq!(summary.incomplete_lines, 0);
}

/// A continuation takes many passes, and most of them end none: what they took is told all the same.
#[test]
fn the_trace_and_the_statistics_of_a_model_agree() {
    let file = NamedTempFile::new().unwrap();
    let mut engine = MODELS[0].1.engine();
    engine.set_trace(Trace::new("t.jsonl".to_owned(), file.reopen().unwrap()));
    for _ in 0..2 {
        let generations = [2, 7, 12].map(|tokens| generate("w1 w2 w3", tokens, Sampling::Greedy)).into_iter();
        let requests: Vec<Request> =
            generations.chain([next("w1 w2"), next("w1 w2 w4"), completion("w1", " w2"), rolling("w1 w5 w6 w7")]).collect();
        ask(&mut engine, &requests).unwrap();
    }
    let stats = engine.stats();
    let summary = summarize(BufReader::new(File::open(file.path()).unwrap()), 3).unwrap();
    let tally = &summary.totals.tally;
    assert_eq!((tally.hits, tally.misses()), (stats.cache_hits, stats.cache_misses));
    assert_eq!((tally.hits, tally.misses()), (7, 7));
    assert_eq!(tally.tokens, stats.tokens_computed);
    assert_eq!(summary.totals.batches, stats.batches_sent, "batches in the trace, and in the statistics");
    let (told, took) = (tally.wall_ms / 1e3, stats.scoring_wall_s);
    assert!((told - took).abs() < 1e-6 * tally.events as f64, "{told} s of {took} s");
}

#[test]
fn a_trace_that_can_not_be_written_is_an_error_that_names_it() {
    let file = NamedTempFile::new().unwrap();
    let mut bench = Bench::new();
    bench.engine.set_trace(Trace::new("t.jsonl".to_owned(), File::open(file.path()).unwrap()));
    let error = bench.try_ask(&[next("a")]).unwrap_err();
    assert!(matches!(&error, EngineError::Trace { path, .. } if path == "t.jsonl"), "{error}");
}
