//! Markdown for a comment on a pull request or a CI job's summary: the verdict, a table, the findings, the rest folded away.

use std::fmt::{self, Write};

use crate::record::{Diagnosis, ProbeRecord, RunRecord, Verdict};

use super::escape::{Markdown, MarkdownProse};
use super::{criterion, number, outcome};

#[must_use]
pub fn render(run: &RunRecord) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, run);
    text
}

fn write(out: &mut String, run: &RunRecord) -> fmt::Result {
    let verdict = run.gate.verdict;
    if let Some(liveness) = outcome::dead(run) {
        writeln!(
            out,
            "## {} sway: {}, {}\n\n{}\n",
            sign(verdict),
            verdict.name(),
            outcome::not_live(liveness),
            Markdown(&liveness.message)
        )?;
        diagnosis(out, run)?;
        return details(out, run);
    }
    writeln!(out, "## {} sway: {}, {}\n", sign(verdict), verdict.name(), outcome::score(run))?;
    if let Some(interrupted) = outcome::interrupted(run) {
        writeln!(out, "**Interrupted:** {interrupted}.\n")?;
    }
    writeln!(out, "{}\n\n{}.\n", MarkdownProse(&run.gate.message), outcome::tally(&run.probes))?;
    diagnosis(out, run)?;
    if !run.probes.is_empty() {
        table(out, &run.probes)?;
        findings(out, &run.probes)?;
    }
    let left_out: Vec<String> =
        outcome::left_out(&run.probes).map(|probe| format!("{} ({})", Markdown(&probe.name), probe.verdict.name())).collect();
    if !left_out.is_empty() {
        writeln!(out, "Left out of the score: {}.\n", left_out.join(", "))?;
    }
    details(out, run)
}

/// What it comes down to.
fn diagnosis(out: &mut String, run: &RunRecord) -> fmt::Result {
    for Diagnosis { finding, advice, probes, .. } in &run.diagnosis {
        let probes: Vec<String> = probes.iter().map(|name| Markdown(name).to_string()).collect();
        let of = if probes.is_empty() { String::new() } else { format!(" ({})", probes.join(", ")) };
        let advice = if advice.is_empty() { String::new() } else { format!(" *{}*", Markdown(advice)) };
        writeln!(out, "> {}{of}{advice}\n", Markdown(finding))?;
    }
    Ok(())
}

fn table(out: &mut String, probes: &[ProbeRecord]) -> fmt::Result {
    writeln!(out, "| verdict | probe | kind | score | metric | value | wanted | z | n |")?;
    writeln!(out, "| :--- | :--- | :--- | ---: | :--- | :--- | :--- | ---: | ---: |")?;
    for probe in probes {
        writeln!(
            out,
            "| {} {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            sign(probe.verdict),
            probe.verdict.name(),
            Markdown(&probe.name),
            Markdown(&probe.kind),
            probe.score.map(number::score).unwrap_or_default(),
            Markdown(&probe.metric),
            Markdown(&probe.estimate.as_ref().map(number::estimate_in_words).unwrap_or_default()),
            Markdown(&probe.criteria.first().map(criterion::wanted_sign).unwrap_or_default()),
            outcome::z(probe).map(number::z).unwrap_or_default(),
            number::count(probe.n as u64),
        )?;
    }
    writeln!(out)
}

/// Those that do not simply pass; the rest are in the details.
fn findings(out: &mut String, probes: &[ProbeRecord]) -> fmt::Result {
    let (passed, open): (Vec<_>, Vec<_>) = probes.iter().partition(|probe| probe.verdict == Verdict::Pass);
    for probe in &open {
        finding(out, probe)?;
    }
    if !open.is_empty() {
        writeln!(out)?;
    }
    if !passed.is_empty() {
        writeln!(out, "<details><summary>What passed</summary>\n")?;
        passed.iter().try_for_each(|probe| finding(out, probe))?;
        writeln!(out, "\n</details>\n")?;
    }
    Ok(())
}

fn finding(out: &mut String, probe: &ProbeRecord) -> fmt::Result {
    writeln!(out, "- **{}** ({}): {}", Markdown(&probe.name), probe.verdict.name(), Markdown(&probe.message))?;
    if probe.verdict != Verdict::Pass {
        probe.criteria.iter().try_for_each(|of| writeln!(out, "  - {}", Markdown(&criterion::sentence(of))))?;
    }
    if let Some(why) = outcome::degenerate(probe) {
        writeln!(out, "  - no z: {}", Markdown(why))?;
    }
    if let Some(noise) = outcome::noise(probe) {
        writeln!(out, "  - {}", Markdown(&noise))?;
    }
    match probe.item_errors.len() {
        0 => Ok(()),
        n => writeln!(out, "  - {} not measured: {}", number::plural(n as u64, "item"), Markdown(&probe.item_errors[0])),
    }
}

/// Of a model from the hub.
fn commit(commit: Option<&str>) -> String {
    commit.map(|commit| format!(", commit {}", Markdown(number::short(commit)))).unwrap_or_default()
}

fn details(out: &mut String, run: &RunRecord) -> fmt::Result {
    let base = &run.base;
    writeln!(out, "<details><summary>Models and work</summary>\n")?;
    writeln!(out, "| | |\n| :--- | :--- |")?;
    writeln!(out, "| suite | {}, {} |", Markdown(&run.suite), Markdown(number::short(&run.suite_digest)))?;
    writeln!(
        out,
        "| base | {}{}, {}, {} parameters, in {}, {} |",
        Markdown(&base.source),
        commit(base.commit.as_deref()),
        Markdown(&base.architecture),
        number::parameters(base.parameters),
        base.computed_in(),
        Markdown(number::short(&base.digest)),
    )?;
    if let Some(adapter) = &run.adapter {
        writeln!(
            out,
            "| adapter | {}{}, {}, {} parameters, {} |",
            Markdown(&adapter.source),
            commit(adapter.commit.as_deref()),
            Markdown(&adapter.peft_type),
            number::parameters(adapter.parameters),
            Markdown(number::short(&adapter.digest)),
        )?;
    }
    for source in &run.sources {
        let pieces: Vec<String> = outcome::source(source).iter().map(|piece| Markdown(piece).to_string()).collect();
        writeln!(out, "| source | {}, {} |", Markdown(&source.name), pieces.join(", "))?;
        source.bad_rows.iter().try_for_each(|bad| writeln!(out, "| | {} |", Markdown(bad)))?;
    }
    if let Some(liveness) = &run.liveness {
        let modules = outcome::modules(liveness).map(|modules| format!("; {modules}")).unwrap_or_default();
        writeln!(out, "| liveness | {}{modules} |", Markdown(&liveness.message))?;
    }
    let stats = &run.stats;
    writeln!(
        out,
        "| work | {}, {} from the cache, {} in {} |",
        number::plural(stats.cache_hits + stats.cache_misses, "request"),
        number::count(stats.cache_hits),
        number::plural(stats.forward_passes, "forward pass"),
        number::plural(stats.batches_sent, "batch"),
    )?;
    writeln!(
        out,
        "| tokens | {} requested, {} computed |",
        number::count(stats.tokens_requested),
        number::count(stats.tokens_computed),
    )?;
    writeln!(
        out,
        "| time | load {}, scoring {}, peak {} |",
        number::seconds(stats.load_s),
        number::seconds(stats.scoring_wall_s),
        number::bytes(stats.peak_rss_bytes),
    )?;
    writeln!(out, "\n</details>\n\nsway {}", Markdown(&run.sway_version))
}

/// Beside a word, never alone.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Fail => "❌",
        Verdict::Warn => "⚠️",
        Verdict::Skip => "⏭️",
        Verdict::Error => "💥",
        Verdict::Inconclusive => "❔",
    }
}

#[cfg(test)]
mod tests;
