//! A horizontal scale for a drawing.

use std::fmt::{self, Write};

use crate::report::number;

/// The drawings' width in their own units; the page scales them.
pub(super) const WIDTH: f64 = 680.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 20.0;

pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    /// Of the ticks' figures.
    decimals: usize,
}

impl Axis {
    /// A scale that holds all `values`, with a margin; `None` where none is finite, or no scale can.
    pub fn over(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = values
            .into_iter()
            .filter(|x| x.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            return None;
        }
        let margin = if high > low { (high - low) * 0.06 } else { (low.abs() * 0.1).max(1e-6) };
        let (low, high) = (low - margin, high + margin);
        let rough = (high - low) / 6.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let (unit, finer) = [(1.0, 0.0), (2.0, 0.0), (2.5, 1.0), (5.0, 0.0), (10.0, -1.0)]
            .into_iter()
            .find(|(unit, _)| unit * magnitude >= rough)?;
        let decimals = (finer - magnitude.log10()).round().clamp(0.0, 9.0) as usize;
        ((high - low).is_finite() && magnitude > 0.0).then_some(Self { low, high, step: unit * magnitude, decimals })
    }

    /// Where `x` is drawn; what lies outside, at the edge.
    pub fn x(&self, x: f64) -> f64 {
        let part = ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        LEFT + part * (RIGHT - LEFT)
    }

    pub fn start(&self) -> f64 {
        self.low
    }

    pub fn end(&self) -> f64 {
        self.high
    }

    /// The line, its ticks and their figures, at height `y`.
    pub fn write(&self, out: &mut String, y: f64) -> fmt::Result {
        writeln!(out, r#"<line class="axis" x1="{LEFT}" y1="{y:.1}" x2="{RIGHT}" y2="{y:.1}"/>"#)?;
        let first = (self.low / self.step).ceil();
        let ticks = (0..12).map(|i| (first + f64::from(i)) * self.step).take_while(|tick| *tick <= self.high);
        for tick in ticks {
            let x = self.x(tick);
            writeln!(out, r#"<line class="axis" x1="{x:.1}" y1="{y:.1}" x2="{x:.1}" y2="{:.1}"/>"#, y + 4.0)?;
            let text = number::fixed(tick, self.decimals);
            writeln!(out, r#"<text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#, y + 17.0)?;
        }
        Ok(())
    }
}

/// Opens a drawing of a given height; `label` is what a reader hears in its place, already escaped.
pub(super) fn open(out: &mut String, height: f64, label: &str) -> fmt::Result {
    writeln!(out, r#"<svg viewBox="0 0 {WIDTH} {height:.0}" role="img" aria-label="{label}">"#)
}

/// The name of a row of a drawing, left of the scale.
pub(super) fn row_label(out: &mut String, y: f64, text: &str) -> fmt::Result {
    writeln!(out, r#"<text class="row" x="0" y="{:.1}">{text}</text>"#, y + 4.0)
}
