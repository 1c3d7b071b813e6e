//! One probe's section.

use std::fmt::{self, Write};

use crate::record::{NullOutcome, ProbeRecord};
use crate::report::escape::{Html, HtmlProse};
use crate::report::number;

use super::badge::Badge;
use super::{evidence, figure, values};

/// How many of the items that could not be measured are named.
const ITEM_ERRORS_SHOWN: usize = 50;

/// `place`: the probe's place in the run, from 1, which its link names.
pub(super) fn write(out: &mut String, place: usize, probe: &ProbeRecord) -> fmt::Result {
    writeln!(out, r#"<section class="probe" id="probe-{place}">"#)?;
    writeln!(out, "<header><h3>{}</h3>{}</header>", Html(&probe.name), Badge(probe.verdict))?;
    writeln!(out, r#"<p class="kind">{} · {}</p>"#, Html(&probe.kind), probe.category.name())?;
    writeln!(out, r#"<p class="finding">{}</p>"#, HtmlProse(&probe.message))?;
    for criterion in &probe.criteria {
        figure::write(out, criterion, probe.calibration.as_ref().filter(|nulls| nulls.metric == criterion.name))?;
        if let Some(items) = criterion.items_to_settle {
            writeln!(out, r#"<p class="note">About {} would settle it.</p>"#, number::plural(items as u64, "item"))?;
        }
    }
    values::write(out, &probe.values_of, &probe.values)?;
    write_tests(out, probe)?;
    if !probe.item_errors.is_empty() {
        let items = number::plural(probe.item_errors.len() as u64, "item");
        writeln!(out, "<details open=\"\"><summary>{items} not measured</summary><ul>")?;
        probe.item_errors.iter().take(ITEM_ERRORS_SHOWN).try_for_each(|error| writeln!(out, "<li>{}</li>", HtmlProse(error)))?;
        if let Some(more) = probe.item_errors.len().checked_sub(ITEM_ERRORS_SHOWN).filter(|more| *more > 0) {
            writeln!(out, "<li>{} in the JSON report</li>", number::plural(more as u64, "more item"))?;
        }
        writeln!(out, "</ul></details>")?;
    }
    if !probe.evidence.is_empty() {
        writeln!(out, "<details><summary>Evidence</summary>")?;
        evidence::write(out, &probe.evidence)?;
        writeln!(out, "</details>")?;
    }
    writeln!(out, "</section>")
}

/// The figures that the drawings do not show.
fn write_tests(out: &mut String, probe: &ProbeRecord) -> fmt::Result {
    let mut figures: Vec<(&str, String)> = Vec::new();
    if let Some(score) = probe.score {
        figures.push(("score", number::score(score)));
    }
    if let Some(p) = probe.p_paired {
        let error = probe.p_paired_error.filter(|error| *error > 0.0);
        let error = error.map(|error| format!(" ± {}", number::significant(error))).unwrap_or_default();
        figures.push(("p, paired", number::p(p) + &error));
    }
    match probe.calibration.as_ref().map(|nulls| &nulls.outcome) {
        Some(NullOutcome::Compared { mean, sd, z, p }) => figures.extend([
            ("z against nulls", number::z(*z)),
            ("p against nulls", number::p(*p)),
            ("nulls, mean ± sd", format!("{} ± {}", number::significant(*mean), number::significant(*sd))),
        ]),
        Some(NullOutcome::Degenerate { degenerate }) => figures.push(("no z", degenerate.clone())),
        None => {}
    }
    if let Some(q) = probe.q {
        figures.push(("q, over the suite", number::p(q)));
    }
    let floor = probe.noise.map(|beside| (format!("noise floor, {}", beside.measure.name()), number::significant(beside.floor)));
    if let Some((name, floor)) = &floor {
        figures.push((name, floor.clone()));
    }
    if figures.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<dl class="figures">"#)?;
    figures.iter().try_for_each(|(name, text)| writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Html(text)))?;
    writeln!(out, "</dl>")
}
