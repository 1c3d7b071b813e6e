//! Line after line into a summary, in memory that grows with the probes and views but not with the lines.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

use crate::record::TraceLine;

use super::batches::Batches;
use super::{ProbeTally, SlowLine, Tally, Totals, TraceSummary, ViewTally};

/// A line that is not one of a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a line of a trace: {cause}")]
pub struct MalformedLine {
    /// Counted from 1.
    pub line: u64,
    pub cause: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error(transparent)]
    Malformed(#[from] MalformedLine),
    #[error("line {line} can't be read")]
    Read { line: u64, source: io::Error },
}

/// Reads a whole trace and keeps its `slowest` lines; stops at the first malformed line.
///
/// # Errors
/// A malformed line, other than a last one without a newline; what the reader fails with.
pub fn summarize(mut reader: impl BufRead, slowest: usize) -> Result<TraceSummary, TraceError> {
    let mut fold = TraceFold::new(slowest);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|source| TraceError::Read { line: fold.lines + 1, source })?;
        if read == 0 {
            return Ok(fold.finish());
        }
        fold.push(&line)?;
    }
}

/// The fold itself, for a caller that wants to go on after a malformed line.
#[derive(Debug, Default)]
pub struct TraceFold {
    lines: u64,
    incomplete_lines: u64,
    batches: Batches,
    ts: Option<(f64, f64)>,
    places: HashMap<String, usize>,
    probes: Vec<(String, BTreeMap<String, Tally>)>,
    /// Slowest first; of equally slow lines the earlier first.
    slowest: Vec<SlowLine>,
    keep: usize,
}

impl TraceFold {
    /// `slowest`: how many of the slowest lines to keep.
    #[must_use]
    pub fn new(slowest: usize) -> Self {
        Self { keep: slowest, ..Self::default() }
    }

    /// Takes the next line, with its newline: one without is the last of its file, and may break off. Blank lines are passed over.
    ///
    /// # Errors
    /// A line that is not of a trace. It leaves the figures as they are, and the next line may follow.
    pub fn push(&mut self, line: &[u8]) -> Result<(), MalformedLine> {
        self.lines += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice::<TraceLine>(line) {
            Ok(line) => self.add(&line),
            Err(_) if !line.ends_with(b"\n") => self.incomplete_lines += 1,
            Err(error) => return Err(MalformedLine { line: self.lines, cause: cause(&error) }),
        }
        Ok(())
    }

    #[must_use]
    pub fn finish(self) -> TraceSummary {
        let mut all = Tally::default();
        let mut views = BTreeMap::<String, Tally>::new();
        let mut probes = Vec::new();
        for (probe, by_view) in self.probes {
            let mut tally = Tally::default();
            for (view, of_view) in &by_view {
                tally.merge(of_view);
                views.entry(view.clone()).or_default().merge(of_view);
            }
            all.merge(&tally);
            probes.push(ProbeTally { probe, tally, views: ordered(by_view) });
        }
        TraceSummary {
            totals: Totals {
                tally: all,
                batches: self.batches.count(),
                first_ts: self.ts.map(|(first, _)| first),
                last_ts: self.ts.map(|(_, last)| last),
            },
            probes,
            views: ordered(views),
            slowest: self.slowest,
            incomplete_lines: self.incomplete_lines,
        }
    }

    fn add(&mut self, line: &TraceLine) {
        if line.batch > 0 {
            self.batches.insert(line.batch);
        }
        self.ts = Some(self.ts.map_or((line.ts, line.ts), |(first, last)| (first.min(line.ts), last.max(line.ts))));
        if let Some(tally) = self.tally(line) {
            tally.add(line);
        }
        self.rank(line);
    }

    fn tally(&mut self, line: &TraceLine) -> Option<&mut Tally> {
        let place = self.places.get(line.probe.as_ref()).copied().unwrap_or(self.probes.len());
        if place == self.probes.len() {
            self.places.insert(line.probe.clone().into_owned(), place);
            self.probes.push((line.probe.clone().into_owned(), BTreeMap::new()));
        }
        let views = &mut self.probes[place].1;
        // Most lines are of a view that is known: it costs them a look, not a copy of the name.
        if !views.contains_key(line.view_id.as_ref()) {
            views.insert(line.view_id.clone().into_owned(), Tally::default());
        }
        views.get_mut(line.view_id.as_ref())
    }

    fn rank(&mut self, line: &TraceLine) {
        let full = self.slowest.len() >= self.keep;
        if line.hit || (full && self.slowest.last().is_none_or(|last| last.wall_ms >= line.wall_ms)) {
            return;
        }
        let at = self.slowest.partition_point(|kept| kept.wall_ms >= line.wall_ms);
        let slow = SlowLine {
            line: self.lines,
            probe: line.probe.clone().into_owned(),
            view_id: line.view_id.clone().into_owned(),
            op: line.op.clone().into_owned(),
            prompt_hash: line.prompt_hash.clone().into_owned(),
            batch: line.batch,
            tokens: line.tokens,
            wall_ms: line.wall_ms,
        };
        self.slowest.insert(at, slow);
        self.slowest.truncate(self.keep);
    }
}

/// Base, adapter, scaled by λ, nulls by seed, then whatever else there is.
fn ordered(views: BTreeMap<String, Tally>) -> Vec<ViewTally> {
    let mut views: Vec<ViewTally> = views.into_iter().map(|(view_id, tally)| ViewTally { view_id, tally }).collect();
    let key = |view: &ViewTally| {
        let (family, number) = view.view_id.split_once('_').unwrap_or((&view.view_id, ""));
        let rank = ["base", "ft", "scaled", "null"].iter().position(|name| *name == family).unwrap_or(usize::MAX);
        (rank, number.parse::<f64>().unwrap_or(f64::INFINITY))
    };
    views.sort_by(|a, b| {
        let ((rank_a, number_a), (rank_b, number_b)) = (key(a), key(b));
        rank_a.cmp(&rank_b).then(number_a.total_cmp(&number_b))
    });
    views
}

/// The parser's complaint, with the column alone: to it every line is line 1.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const TRACE: &str = concat!(
        r#"{"ts":100.5,"probe":"moved","view_id":"base","prompt_hash":"aaaaaaaaaaaa","top_k":8,"op":"next_token_dist","wall_ms":4.0,"hit":false,"batch":1,"tokens":9}"#,
        "\n",
        r#"{"ts":100.5,"probe":"moved","view_id":"ft","prompt_hash":"aaaaaaaaaaaa","top_k":8,"op":"next_token_dist","wall_ms":6.0,"hit":false,"batch":1,"tokens":9}"#,
        "\n",
        r#"{"ts":100.6,"probe":"moved","view_id":"null_10","prompt_hash":"aaaaaaaaaaaa","top_k":8,"op":"next_token_dist","wall_ms":6.0,"hit":false,"batch":2,"tokens":9}"#,
        "\n",
        r#"{"ts":100.7,"probe":"facts","view_id":"ft","prompt_hash":"aaaaaaaaaaaa","top_k":0,"op":"logprob_of","wall_ms":0.0,"hit":true,"batch":0,"tokens":0}"#,
        "\n",
        r#"{"ts":100.9,"probe":"moved","view_id":"null_9","prompt_hash":"bbbbbbbbbbbb","top_k":0,"op":"logprob_of","wall_ms":1.5,"hit":false,"batch":3,"tokens":4}"#,
        "\n",
    );

    #[test]
    fn the_totals_are_those_of_the_engine() {
        let summary = summarize(TRACE.as_bytes(), 2).unwrap();
        let Totals { tally, batches, first_ts, last_ts } = &summary.totals;
        assert_eq!((tally.events, tally.hits, tally.misses(), tally.tokens, *batches), (5, 1, 4, 31, 3));
        assert!((tally.wall_ms - 17.5).abs() < 1e-12);
        assert_eq!((*first_ts, *last_ts), (Some(100.5), Some(100.9)));
        assert_eq!(summary.incomplete_lines, 0);
    }

    #[test]
    fn probes_stand_in_the_order_of_asking_and_views_in_that_of_the_families() {
        let summary = summarize(TRACE.as_bytes(), 0).unwrap();
        let probes: Vec<&str> = summary.probes.iter().map(|probe| probe.probe.as_str()).collect();
        let views: Vec<&str> = summary.views.iter().map(|view| view.view_id.as_str()).collect();
        assert_eq!(probes, ["moved", "facts"]);
        assert_eq!(views, ["base", "ft", "null_9", "null_10"]);
        assert!(summary.slowest.is_empty());
    }

    #[test]
    fn of_equally_slow_lines_the_earlier_comes_first() {
        let summary = summarize(TRACE.as_bytes(), 2).unwrap();
        let lines: Vec<u64> = summary.slowest.iter().map(|slow| slow.line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn a_killed_process_leaves_an_incomplete_line_at_most() {
        let cut = &TRACE[..TRACE.len() - 20];
        let summary = summarize(cut.as_bytes(), 2).unwrap();
        assert_eq!((summary.totals.tally.events, summary.incomplete_lines), (4, 1));
        let whole_without_newline = summarize(TRACE.trim_end().as_bytes(), 2).unwrap();
        assert_eq!((whole_without_newline.totals.tally.events, whole_without_newline.incomplete_lines), (5, 0));
    }

    #[test]
    fn a_malformed_line_is_named_and_the_next_can_follow() {
        let text = TRACE.replacen(r#""op":"next_token_dist","#, "", 1);
        let error = summarize(text.as_bytes(), 2).unwrap_err();
        assert_eq!(error.to_string(), "line 1 is not a line of a trace: missing field `op` at column 131");
        let mut fold = TraceFold::new(2);
        let malformed = text.split_inclusive('\n').filter(|line| fold.push(line.as_bytes()).is_err()).count();
        assert_eq!((malformed, fold.finish().totals.tally.events), (1, 4));
    }

    #[test]
    fn an_empty_trace_is_zeros() {
        let summary = summarize(&b""[..], 5).unwrap();
        assert_eq!(summary.totals, Totals::default());
        assert!(summary.probes.is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_a_malformed_line() {
        assert!(matches!(summarize(&b"\xff\xfe\n"[..], 5), Err(TraceError::Malformed(MalformedLine { line: 1, .. }))));
    }
}
