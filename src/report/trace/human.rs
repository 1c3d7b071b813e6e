//! The summary for a terminal.

use crate::report::escape::terminal as clean;
use crate::report::paint::Paint;
use crate::report::table::{Cell, Column, Table};
use crate::report::{Style, number, wrap};

use super::{SlowLine, Tally, TraceSummary, incomplete, totals};

#[must_use]
pub fn render(summary: &TraceSummary, style: Style) -> String {
    let paint = Paint { color: style.color };
    let mut text = wrap::hang("", 0, &wrap::pieces(&totals(summary)), style.width);
    if let Some(incomplete) = incomplete(summary) {
        text += &wrap::hang("", 0, &incomplete, style.width);
    }
    let tallies = |head, rows| Table { columns: columns(head), rows }.render(style.width, paint);
    if !summary.probes.is_empty() {
        let probes = tallies("probe", summary.probes.iter().map(|of| row(&of.probe, &of.tally)).collect());
        let views = tallies("view", summary.views.iter().map(|of| row(&of.view_id, &of.tally)).collect());
        text = [text, probes, views].join("\n");
    }
    if !summary.slowest.is_empty() {
        let slowest = Table { columns: slow_columns(), rows: summary.slowest.iter().map(slow_row).collect() };
        text = [text, paint.bold("slowest"), slowest.render(style.width, paint)].join("\n");
    }
    text
}

fn columns(head: &'static str) -> [Column; 7] {
    [
        Column::left(head, 0).at_least(16),
        Column::right("events", 1),
        Column::right("hits", 2),
        Column::right("hit rate", 5),
        Column::right("tokens", 3),
        Column::right("wall ms", 4),
        Column::left("ops", 6).at_least(15),
    ]
}

fn row(name: &str, tally: &Tally) -> [Cell; 7] {
    [
        clean(name).into(),
        number::count(tally.events).into(),
        number::count(tally.hits).into(),
        number::percent(tally.hit_rate()).into(),
        number::count(tally.tokens).into(),
        number::fixed(tally.wall_ms, 1).into(),
        clean(&tally.ops_in_words()).into(),
    ]
}

fn slow_columns() -> [Column; 8] {
    [
        Column::right("wall ms", 0),
        Column::right("line", 1),
        Column::left("probe", 2).at_least(10),
        Column::left("view", 3),
        Column::left("op", 4).at_least(10),
        Column::right("tokens", 5),
        Column::right("batch", 7),
        Column::left("prompt", 6),
    ]
}

fn slow_row(slow: &SlowLine) -> [Cell; 8] {
    [
        number::fixed(slow.wall_ms, 1).into(),
        number::count(slow.line).into(),
        clean(&slow.probe).into(),
        clean(&slow.view_id).into(),
        clean(&slow.op).into(),
        number::count(slow.tokens).into(),
        number::count(slow.batch).into(),
        clean(&slow.prompt_hash).into(),
    ]
}

#[cfg(test)]
mod tests;
