//! The items' values drawn: a dot each where they can be told apart, else bars.

use std::fmt::{self, Write};

use crate::report::number;

use crate::report::escape::Html;

use super::axis::{self, Axis};

const DOT_COLUMNS: usize = 72;
const BARS: usize = 36;
/// The highest pile of dots.
const HIGHEST_PILE: usize = 9;
const BAR_HEIGHT: f64 = 64.0;
const DOT_STEP: f64 = 7.5;

pub(super) fn write(out: &mut String, name: &str, values: &[f64]) -> fmt::Result {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let Some(axis) = Axis::over(finite.iter().copied()).filter(|_| finite.len() > 1) else { return Ok(()) };
    let label = format!("values of {}", number::plural(finite.len() as u64, "item"));
    let piles = count(&finite, &axis, DOT_COLUMNS);
    let highest = piles.iter().max().copied().unwrap_or(0);

    writeln!(out, "<figure>")?;
    if highest <= HIGHEST_PILE {
        let foot = highest as f64 * DOT_STEP + 8.0;
        axis::open(out, foot + 24.0, &label)?;
        axis.write(out, foot)?;
        axis::row_label(out, foot - 8.0, "items")?;
        for (i, pile) in piles.iter().enumerate() {
            let x = middle(&axis, i, DOT_COLUMNS);
            (0..*pile).try_for_each(|j| {
                writeln!(out, r#"<circle class="item" cx="{x:.1}" cy="{:.1}" r="3.2"/>"#, foot - 5.0 - j as f64 * DOT_STEP)
            })?;
        }
    } else {
        let foot = BAR_HEIGHT + 8.0;
        let bars = count(&finite, &axis, BARS);
        let highest = bars.iter().max().copied().unwrap_or(1).max(1);
        let width = (axis.x(axis.end()) - axis.x(axis.start())) / BARS as f64;
        axis::open(out, foot + 24.0, &label)?;
        axis.write(out, foot)?;
        axis::row_label(out, foot - 8.0, "items")?;
        for (i, n) in bars.iter().enumerate().filter(|(_, n)| **n > 0) {
            let height = *n as f64 / highest as f64 * BAR_HEIGHT;
            let x = middle(&axis, i, BARS) - width / 2.0 + 0.75;
            let (y, width, text) = (foot - height, width - 1.5, number::plural(*n as u64, "item"));
            writeln!(
                out,
                r#"<rect class="item" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{text}</title></rect>"#
            )?;
        }
    }
    writeln!(out, "</svg>")?;
    let unmeasured = values.len() - finite.len();
    let unmeasured = if unmeasured > 0 { format!("; {unmeasured} without a number") } else { String::new() };
    writeln!(
        out,
        "<figcaption><b>{}</b> of each of {}{unmeasured}</figcaption>",
        Html(name),
        number::plural(values.len() as u64, "item")
    )?;
    writeln!(out, "</figure>")
}

/// How many values fall into each of `columns` equal parts of the axis.
fn count(values: &[f64], axis: &Axis, columns: usize) -> Vec<usize> {
    let mut counts = vec![0; columns];
    for x in values {
        let part = (x - axis.start()) / (axis.end() - axis.start());
        counts[((part * columns as f64) as usize).min(columns - 1)] += 1;
    }
    counts
}

fn middle(axis: &Axis, column: usize, columns: usize) -> f64 {
    axis.x(axis.start() + (column as f64 + 0.5) / columns as f64 * (axis.end() - axis.start()))
}
