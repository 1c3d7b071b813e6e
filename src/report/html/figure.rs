//! A criterion drawn: the estimate with its interval, the side on which it should lie, the null draws.

use std::fmt::{self, Write};

use crate::record::{Calibration, Criterion};
use crate::report::escape::Html;
use crate::report::{criterion as words, number};

use super::axis::{self, Axis};

/// `calibration` is drawn where it is of the criterion's own figure.
pub(super) fn write(out: &mut String, criterion: &Criterion, calibration: Option<&Calibration>) -> fmt::Result {
    let estimate = &criterion.estimate;
    let interval = estimate.interval.filter(|ends| ends.iter().all(|end| end.is_finite()));
    let draws = calibration.into_iter().flat_map(|nulls| nulls.draws.iter().copied().chain([nulls.raw]));
    let shown = [estimate.value, criterion.threshold].into_iter().chain(interval.into_iter().flatten()).chain(draws);
    let Some(axis) = Axis::over(shown) else { return Ok(()) };

    let foot = if calibration.is_some() { 84.0 } else { 56.0 };
    writeln!(out, "<figure>")?;
    axis::open(out, foot + 24.0, &Html(&words::sentence(criterion)).to_string())?;
    threshold(out, &axis, criterion, foot)?;
    axis.write(out, foot)?;
    axis::row_label(out, 38.0, "estimate")?;
    if let Some([low, high]) = interval {
        let (low, high) = (axis.x(low), axis.x(high));
        writeln!(out, r#"<line class="interval" x1="{low:.1}" y1="38" x2="{high:.1}" y2="38"/>"#)?;
        for end in [low, high] {
            writeln!(out, r#"<line class="interval" x1="{end:.1}" y1="33" x2="{end:.1}" y2="43"/>"#)?;
        }
    }
    if estimate.value.is_finite() {
        writeln!(out, r#"<circle class="estimate" cx="{:.1}" cy="38" r="5"/>"#, axis.x(estimate.value))?;
    }
    if let Some(nulls) = calibration {
        draw_nulls(out, &axis, nulls)?;
    }
    writeln!(out, "</svg>")?;
    caption(out, criterion, calibration)?;
    writeln!(out, "</figure>")
}

fn threshold(out: &mut String, axis: &Axis, criterion: &Criterion, foot: f64) -> fmt::Result {
    let x = axis.x(criterion.threshold);
    let below = criterion.good_side == "below";
    let (from, to) = if below { (axis.x(axis.start()), x) } else { (x, axis.x(axis.end())) };
    writeln!(out, r#"<rect class="good" x="{from:.1}" y="18" width="{:.1}" height="{:.1}"/>"#, to - from, foot - 18.0)?;
    writeln!(out, r#"<line class="threshold" x1="{x:.1}" y1="6" x2="{x:.1}" y2="{foot:.1}"/>"#)?;
    // The words stand on the side with more room.
    let (anchor, at) = if x > axis::WIDTH / 2.0 { ("end", x - 6.0) } else { ("start", x + 6.0) };
    let text = words::wanted(criterion);
    writeln!(out, r#"<text class="tick" x="{at:.1}" y="13" text-anchor="{anchor}">wanted {}</text>"#, Html(&text))
}

fn draw_nulls(out: &mut String, axis: &Axis, nulls: &Calibration) -> fmt::Result {
    axis::row_label(out, 66.0, "nulls")?;
    for draw in nulls.draws.iter().filter(|draw| draw.is_finite()) {
        let text = number::significant(*draw);
        writeln!(out, r#"<circle class="null" cx="{:.1}" cy="66" r="4"><title>{text}</title></circle>"#, axis.x(*draw))?;
    }
    if nulls.raw.is_finite() {
        let x = axis.x(nulls.raw);
        writeln!(out, r#"<path class="raw" d="M{:.1} 66 L{x:.1} 60.5 L{:.1} 66 L{x:.1} 71.5 Z"/>"#, x - 5.5, x + 5.5)?;
    }
    Ok(())
}

fn caption(out: &mut String, criterion: &Criterion, calibration: Option<&Calibration>) -> fmt::Result {
    let items = number::plural(criterion.estimate.n as u64, "item");
    let interval = if criterion.estimate.interval.is_some() { " and its 95 % interval" } else { "" };
    write!(out, "<figcaption><b>{}</b> ● the estimate{interval} over {items}", Html(&criterion.name))?;
    if let Some(nulls) = calibration {
        let (draws, items) =
            (number::plural(nulls.draws.len() as u64, "random adapter"), number::plural(nulls.items as u64, "item"));
        write!(out, "; ◆ the adapter and ○ {draws}, on the same {items}")?;
    }
    writeln!(out, "</figcaption>")
}
