//! The page around the probes.

use std::fmt::{self, Write};

use crate::record::{AdapterInfo, Diagnosis, ProbeRecord, RunRecord, Verdict};
use crate::report::escape::{Html, HtmlProse};
use crate::report::{criterion, number, outcome};

use super::badge::Badge;
use super::{gauge, norms, probe};

const STYLE: &str = include_str!("page.css");

/// Nothing may be fetched, whatever the page comes to hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

pub(super) fn write(out: &mut String, run: &RunRecord) -> fmt::Result {
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>")?;
    writeln!(out, r#"<meta name="viewport" content="width=device-width, initial-scale=1"/>"#)?;
    writeln!(out, r#"<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>"#)?;
    writeln!(out, r#"<meta name="color-scheme" content="light dark"/>"#)?;
    writeln!(out, r#"<link rel="icon" href="data:,"/>"#)?;
    writeln!(out, "<title>sway: {}, {}</title>", run.gate.verdict.name(), Html(&run.suite))?;
    writeln!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<main>")?;
    banner(out, run)?;
    diagnosis(out, run)?;
    subjects(out, run)?;
    if outcome::dead(run).is_none() && !run.probes.is_empty() {
        overview(out, &run.probes)?;
        writeln!(out, "<h2>Findings</h2>")?;
        run.probes.iter().enumerate().try_for_each(|(i, of)| probe::write(out, i + 1, of))?;
    }
    liveness(out, run)?;
    work(out, run)?;
    footer(out, run)?;
    writeln!(out, "</main>\n</body>\n</html>")
}

fn banner(out: &mut String, run: &RunRecord) -> fmt::Result {
    let gate = &run.gate;
    writeln!(out, r#"<header class="banner {}">"#, gate.verdict.name())?;
    writeln!(out, r#"<p class="kicker">sway · {}</p>"#, Html(&run.suite))?;
    let word = match gate.verdict {
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        _ => "Can’t tell",
    };
    writeln!(out, "<h1>{word}</h1>")?;
    if let Some(interrupted) = outcome::interrupted(run) {
        writeln!(out, r#"<p class="why"><b>Interrupted:</b> {interrupted}.</p>"#)?;
    }
    if let Some(liveness) = outcome::dead(run) {
        let finding =
            if liveness.inconclusive { "It can’t be told whether the adapter is live" } else { "The adapter is not live" };
        writeln!(out, r#"<p class="why"><b>{finding}:</b> {}</p>"#, HtmlProse(&liveness.message))?;
        return writeln!(out, "</header>");
    }
    writeln!(out, r#"<p class="why">{}</p>"#, HtmlProse(&gate.message))?;
    writeln!(out, r#"<p class="tally"><b>{}</b> · {}</p>"#, outcome::score(run), outcome::tally(&run.probes))?;
    gauge::write(out, gate)?;
    writeln!(out, "</header>")
}

/// What it comes down to, each with what to do.
fn diagnosis(out: &mut String, run: &RunRecord) -> fmt::Result {
    for Diagnosis { finding, advice, probes, .. } in &run.diagnosis {
        writeln!(out, r#"<div class="diagnosis"><p>{}</p>"#, Html(finding))?;
        if !advice.is_empty() {
            writeln!(out, r#"<p class="advice">{}</p>"#, Html(advice))?;
        }
        if !probes.is_empty() {
            writeln!(out, r#"<p class="stands">stands on {}</p>"#, Html(&probes.join(", ")))?;
        }
        writeln!(out, "</div>")?;
    }
    Ok(())
}

fn subjects(out: &mut String, run: &RunRecord) -> fmt::Result {
    let base = &run.base;
    writeln!(out, r#"<dl class="subjects">"#)?;
    let commit = base.commit.as_deref();
    let subject = Subject {
        role: "base",
        source: &base.source,
        commit,
        family: &base.architecture,
        parameters: base.parameters,
        computed_in: Some(base.computed_in()),
        digest: &base.digest,
    };
    subject.write(out)?;
    if let Some(AdapterInfo { source, commit, peft_type, parameters, digest }) = &run.adapter {
        let commit = commit.as_deref();
        Subject { role: "adapter", source, commit, family: peft_type, parameters: *parameters, computed_in: None, digest }
            .write(out)?;
    }
    for source in &run.sources {
        writeln!(out, "<div><dt>source</dt><dd><code>{}</code>", Html(&source.name))?;
        writeln!(out, "<span>{}</span></dd></div>", Html(&outcome::source(source).join(" · ")))?;
    }
    writeln!(out, "</dl>")
}

/// A model or an adapter.
struct Subject<'a> {
    role: &'static str,
    source: &'a str,
    commit: Option<&'a str>,
    /// Its architecture or its PEFT type.
    family: &'a str,
    parameters: u64,
    /// In what, and where.
    computed_in: Option<String>,
    digest: &'a str,
}

impl Subject<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "<div><dt>{}</dt><dd><code>{}</code>", self.role, Html(self.source))?;
        write!(out, "<span>{} · {} parameters", Html(self.family), number::parameters(self.parameters))?;
        if let Some(computed_in) = &self.computed_in {
            write!(out, " · in {computed_in}")?;
        }
        if let Some(commit) = self.commit {
            write!(out, " · commit {}", Html(number::short(commit)))?;
        }
        writeln!(out, " · {}</span></dd></div>", Html(number::short(self.digest)))
    }
}

fn overview(out: &mut String, probes: &[ProbeRecord]) -> fmt::Result {
    writeln!(out, "<h2>Probes</h2>\n<div class=\"wide\"><table class=\"overview\"><thead><tr>")?;
    for (head, class) in [
        ("verdict", ""),
        ("probe", ""),
        ("score", "n"),
        ("metric", ""),
        ("value", "n"),
        ("95 % interval", ""),
        ("wanted", ""),
        ("z", "n"),
        ("q", "n"),
        ("n", "n"),
    ] {
        writeln!(out, r#"<th scope="col" class="{class}">{head}</th>"#)?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (i, probe) in probes.iter().enumerate() {
        let (value, interval) = probe.estimate.as_ref().map(number::estimate).unwrap_or_default();
        writeln!(out, "<tr><td>{}</td>", Badge(probe.verdict))?;
        writeln!(
            out,
            r##"<th scope="row"><a href="#probe-{}">{}</a><small>{}</small></th>"##,
            i + 1,
            Html(&probe.name),
            Html(&probe.kind),
        )?;
        writeln!(out, r#"<td class="n">{}</td>"#, probe.score.map(number::score).unwrap_or_default())?;
        writeln!(out, r#"<td>{}</td><td class="n">{value}</td>"#, Html(&probe.metric))?;
        writeln!(out, r#"<td class="quiet">{}</td>"#, interval.unwrap_or_default())?;
        let wanted = probe.criteria.first().map(criterion::wanted_sign).unwrap_or_default();
        writeln!(out, r#"<td class="quiet">{}</td>"#, Html(&wanted))?;
        writeln!(out, r#"<td class="n">{}</td>"#, outcome::z(probe).map(number::z).unwrap_or_default())?;
        writeln!(out, r#"<td class="n">{}</td>"#, Html(&probe.q.map(number::p).unwrap_or_default()))?;
        writeln!(out, r#"<td class="n">{}</td></tr>"#, number::count(probe.n as u64))?;
    }
    writeln!(out, "</tbody></table></div>")?;
    let left_out: Vec<String> = outcome::left_out(probes).map(|probe| Html(&probe.name).to_string()).collect();
    if !left_out.is_empty() {
        writeln!(out, r#"<p class="note">Left out of the score: {}.</p>"#, left_out.join(", "))?;
    }
    Ok(())
}

fn liveness(out: &mut String, run: &RunRecord) -> fmt::Result {
    let Some(liveness) = &run.liveness else { return Ok(()) };
    writeln!(out, "<h2>Is the adapter live?</h2>")?;
    match liveness.verdict() {
        Verdict::Pass => writeln!(out, "<p><b>Yes:</b> {}</p>", HtmlProse(&liveness.message))?,
        Verdict::Fail => writeln!(out, "<p><b>No.</b></p>")?,
        _ => writeln!(out, "<p><b>It can’t be told.</b></p>")?,
    }
    writeln!(out, r#"<dl class="figures">"#)?;
    let floor = format!("{}, nats", outcome::noise_floor(run));
    let figures = [
        ("tensors, all consumed", Some(number::count(liveness.tensors as u64))),
        ("modules", Some(number::count(liveness.modules.len() as u64))),
        ("exactly zero", Some(number::count(liveness.zero_modules as u64))),
        ("largest move, nats", liveness.largest_move.map(number::significant)),
        (floor.as_str(), liveness.noise_floor.map(number::significant)),
    ];
    for (name, text) in figures {
        if let Some(text) = text {
            writeln!(out, "<div><dt>{name}</dt><dd>{text}</dd></div>")?;
        }
    }
    writeln!(out, "</dl>")?;
    norms::write(out, liveness)
}

fn work(out: &mut String, run: &RunRecord) -> fmt::Result {
    let stats = &run.stats;
    let saved = stats.tokens_requested.saturating_sub(stats.tokens_computed);
    writeln!(out, "<h2>What it took</h2>\n<dl class=\"figures\">")?;
    for (name, text) in [
        ("requests", number::count(stats.cache_hits + stats.cache_misses)),
        ("from the cache", format!("{} ({})", number::count(stats.cache_hits), number::percent(stats.hit_rate))),
        ("forward passes", number::count(stats.forward_passes)),
        ("batches", number::count(stats.batches_sent)),
        ("largest batch", number::count(stats.max_batch_size)),
        ("tokens requested", number::count(stats.tokens_requested)),
        ("tokens computed", number::count(stats.tokens_computed)),
        ("tokens saved", number::count(saved)),
        ("load", number::seconds(stats.load_s)),
        ("scoring", number::seconds(stats.scoring_wall_s)),
        ("peak memory", number::bytes(stats.peak_rss_bytes)),
    ] {
        writeln!(out, "<div><dt>{name}</dt><dd>{text}</dd></div>")?;
    }
    writeln!(out, "</dl>")
}

fn footer(out: &mut String, run: &RunRecord) -> fmt::Result {
    writeln!(out, "<footer>\n<details><summary>Digests</summary><dl class=\"digests\">")?;
    let adapter = run.adapter.as_ref().map(|adapter| ("adapter", adapter.digest.as_str()));
    let digests = [("suite", run.suite_digest.as_str()), ("base", &run.base.digest), ("tokenizer", &run.base.tokenizer_digest)];
    for (name, digest) in digests.into_iter().chain(adapter) {
        writeln!(out, "<div><dt>{name}</dt><dd><code>{}</code></dd></div>", Html(digest))?;
    }
    writeln!(out, "</dl></details>")?;
    writeln!(out, "<p>sway {} · record version {}</p>\n</footer>", Html(&run.sway_version), run.schema_version)
}
