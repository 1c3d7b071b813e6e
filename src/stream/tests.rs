//! Rows of woven sources, from the first to the last, and with a stop in between.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::shape::Shape;
use super::*;
use crate::workspace::Workspace;

/// Two sources: one of three files of which one is packed in several frames and one holds a bad row, and one of CSV.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let lines = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|row| format!("{{\"prompt\": \"{name} {row}\"}}\n")).collect()
    };
    fs::write(dir.path().join("a.jsonl"), lines("a", 40).concat()).unwrap();
    let mut packed = Vec::new();
    for frame in lines("b", 60).chunks(25) {
        packed.extend(zstd::encode_all(frame.concat().as_bytes(), 0).unwrap());
    }
    fs::write(dir.path().join("b.jsonl.zst"), packed).unwrap();
    let mut broken = lines("c", 20);
    broken[7] = "{\"prompt\": 7}\n".to_owned();
    broken[19] = "no JSON\n".to_owned();
    fs::write(dir.path().join("c.jsonl"), broken.concat()).unwrap();
    let mut csv = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writeln!(csv, "id,prompt").unwrap();
    for row in 0..50 {
        writeln!(csv, "{row},\"d, line {row}\"").unwrap();
    }
    fs::write(dir.path().join("d.csv.gz"), csv.finish().unwrap()).unwrap();
    dir
}

fn streams(dir: &Path, limit: Option<u64>, rate: f64) -> Streams {
    let source = |name: &str, uri: &str, weight: f64, limit| Source {
        name: name.to_owned(),
        uris: vec![uri.to_owned()],
        shape: Shape::read(Some("prompt"), None).unwrap(),
        limit,
        sample: Some(Sample { rate, seed: 3 }),
        weight,
        max_bad: 5,
        max_too_long: 0,
    };
    let sources = vec![source("logs", "*.jsonl*", 2.0, limit), source("table", "d.csv.gz", 1.0, None)];
    Streams::new(sources, dir.to_owned(), Workspace::default(), StreamSettings::default())
}

/// A fifth of the rows are no items to whoever takes them.
fn is_refused(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.ends_with("13"))
}

/// Up to so many rows, and where to go on.
fn take(woven: &mut Woven, count: usize) -> Vec<(Value, u64)> {
    let mut rows = Vec::new();
    while rows.len() < count {
        let Some(row) = woven.next() else { break };
        let row = row.unwrap_or_else(|error| panic!("{error}"));
        if is_refused(&row.value) {
            woven.refuse("it is refused").unwrap();
        }
        rows.push((row.value, row.line));
    }
    rows
}

/// What reports tell, aside from times, and from bytes, which are estimates within a packed file.
fn told(streams: &Streams) -> Vec<SourceReport> {
    let mut reports = streams.reports();
    for report in &mut reports {
        report.read.waited = std::time::Duration::ZERO;
        report.read.bytes = 0;
    }
    reports
}

fn names() -> [String; 2] {
    ["logs".to_owned(), "table".to_owned()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_go_on_after_any_stop_and_each_comes_once(
        stops in prop::collection::vec(0_usize..70, 0..4), limit in prop::option::of(0_u64..130), rate in prop::sample::select(vec![0.5, 1.0]),
    ) {
        let dir = folder();
        let whole = streams(dir.path(), limit, rate);
        let expected = take(&mut whole.weave(&names(), None).unwrap(), usize::MAX);
        let mut rows = Vec::new();
        let mut mark: Option<Bookmark> = None;
        let mut last = None;
        for stop in stops.into_iter().chain([usize::MAX]) {
            let streams = streams(dir.path(), limit, rate);
            let mut woven = streams.weave(&names(), mark.as_ref()).unwrap();
            rows.extend(take(&mut woven, stop));
            let written = serde_json::to_string(&woven.bookmark()).unwrap();
            mark = Some(serde_json::from_str(&written).unwrap());
            last = Some(told(&streams));
        }
        prop_assert_eq!(rows, expected);
        prop_assert_eq!(last, Some(told(&whole)));
    }
}

#[test]
fn files_that_changed_are_not_gone_on_with() {
    let dir = folder();
    let mut woven = streams(dir.path(), None, 1.0);
    let mark = {
        let mut rows = woven.weave(&names(), None).unwrap();
        take(&mut rows, 10);
        rows.bookmark()
    };
    woven = streams(dir.path(), None, 1.0);
    let [logs, table] = names();
    let other = woven.weave(&[table, logs], Some(&mark)).err().unwrap();
    assert!(matches!(other, StreamError::Changed { .. }), "{other}");
    fs::write(dir.path().join("0.jsonl"), "{\"prompt\": \"new\"}\n").unwrap();
    woven = streams(dir.path(), None, 1.0);
    let error = woven.weave(&names(), Some(&mark)).err().unwrap();
    assert_eq!(error, StreamError::Changed { name: "logs".to_owned() });
}
