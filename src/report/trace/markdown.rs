//! The summary as Markdown.

use std::fmt::{self, Write};

use crate::report::escape::Markdown;
use crate::report::number;

use super::{Tally, TraceSummary, incomplete, totals};

#[must_use]
pub fn render(summary: &TraceSummary) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, summary);
    text
}

fn write(out: &mut String, summary: &TraceSummary) -> fmt::Result {
    writeln!(out, "## sway trace\n\n{}", totals(summary).join(" · "))?;
    if let Some(incomplete) = incomplete(summary) {
        writeln!(out, "\n{incomplete}")?;
    }
    if !summary.probes.is_empty() {
        tallies(out, "probe", summary.probes.iter().map(|of| (of.probe.as_str(), &of.tally)))?;
        tallies(out, "view", summary.views.iter().map(|of| (of.view_id.as_str(), &of.tally)))?;
    }
    if !summary.slowest.is_empty() {
        writeln!(out, "\n### Slowest\n\n| wall ms | line | probe | view | op | tokens | batch | prompt |")?;
        writeln!(out, "| ---: | ---: | :--- | :--- | :--- | ---: | ---: | :--- |")?;
        for slow in &summary.slowest {
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                number::fixed(slow.wall_ms, 1),
                slow.line,
                Markdown(&slow.probe),
                Markdown(&slow.view_id),
                Markdown(&slow.op),
                number::count(slow.tokens),
                slow.batch,
                Markdown(&slow.prompt_hash),
            )?;
        }
    }
    Ok(())
}

fn tallies<'a>(out: &mut String, head: &str, rows: impl Iterator<Item = (&'a str, &'a Tally)>) -> fmt::Result {
    writeln!(out, "\n| {head} | events | hits | hit rate | tokens | wall ms | ops |")?;
    writeln!(out, "| :--- | ---: | ---: | ---: | ---: | ---: | :--- |")?;
    for (name, tally) in rows {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            Markdown(name),
            number::count(tally.events),
            number::count(tally.hits),
            number::percent(tally.hit_rate()),
            number::count(tally.tokens),
            number::fixed(tally.wall_ms, 1),
            Markdown(&tally.ops_in_words()),
        )?;
    }
    Ok(())
}
