//! The score on its scale, with the bands and the least that the gate takes.

use std::fmt::{self, Write};

use crate::record::Gate;
use crate::report::number;

use super::axis::WIDTH;

const BANDS: [(&str, f64, f64); 4] =
    [("noise", 0.0, 0.3), ("partial", 0.3, 0.6), ("healthy", 0.6, 0.85), ("suspicious", 0.85, 1.0)];

pub(super) fn write(out: &mut String, gate: &Gate) -> fmt::Result {
    let Some(score) = gate.score.filter(|score| score.is_finite()) else { return Ok(()) };
    let x = |score: f64| 4.0 + score.clamp(0.0, 1.0) * (WIDTH - 8.0);
    let label = format!("score {} of 1, at least {} wanted", number::score(score), number::typed(gate.min_score));
    writeln!(out, r#"<svg class="gauge" viewBox="0 0 {WIDTH} 64" role="img" aria-label="{label}">"#)?;
    for (name, from, to) in BANDS {
        let (left, right) = (x(from) + 1.0, x(to) - 1.0);
        let within = if gate.band.as_deref() == Some(name) { "band within" } else { "band" };
        writeln!(out, r#"<rect class="{within}" x="{left:.1}" y="24" width="{:.1}" height="8" rx="1.5"/>"#, right - left)?;
        let middle = f64::midpoint(left, right);
        writeln!(out, r#"<text class="tick" x="{middle:.1}" y="48" text-anchor="middle">{name}</text>"#)?;
    }
    let least = x(gate.min_score);
    writeln!(out, r#"<line class="threshold" x1="{least:.1}" y1="14" x2="{least:.1}" y2="38"/>"#)?;
    let (anchor, at) = if gate.min_score > score { ("start", least + 4.0) } else { ("end", least - 4.0) };
    let text = number::typed(gate.min_score);
    writeln!(out, r#"<text class="tick" x="{at:.1}" y="17" text-anchor="{anchor}">at least {text}</text>"#)?;
    let at = x(score);
    writeln!(out, r#"<circle class="estimate" cx="{at:.1}" cy="28" r="7"/>"#)?;
    writeln!(out, "</svg>")
}
