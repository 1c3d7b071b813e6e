//! `JUnit` XML, as the test reporters of GitLab, GitHub and Jenkins read it.
//!
//! A suite per category with a case per probe, and a suite `sway` with the cases `liveness` and `gate`: a run whose
//! probes all pass and whose score is too low fails in a place of its own. What can't be told counts as an error, since
//! a release must not ship on it.

use std::fmt::{self, Write};

use crate::record::{Category, ProbeRecord, RunRecord, Verdict};

use super::escape::Xml;
use super::{criterion, outcome};

/// How many of a probe's unmeasured items are named.
const ITEM_ERRORS_SHOWN: usize = 20;

#[must_use]
pub fn render(run: &RunRecord) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, run);
    text
}

fn write(out: &mut String, run: &RunRecord) -> fmt::Result {
    let suites = suites(run);
    let all: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="sway" {} time="{:.3}">"#, counts(&all), run.stats.scoring_wall_s)?;
    for suite in &suites {
        let cases: Vec<&Case> = suite.cases.iter().collect();
        writeln!(out, r#"  <testsuite name="{}" {}>"#, Xml(&suite.name), counts(&cases))?;
        if !suite.properties.is_empty() {
            writeln!(out, "    <properties>")?;
            for (name, value) in &suite.properties {
                writeln!(out, r#"      <property name="{name}" value="{}"/>"#, Xml(value))?;
            }
            writeln!(out, "    </properties>")?;
        }
        suite.cases.iter().try_for_each(|case| write_case(out, case))?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn write_case(out: &mut String, case: &Case) -> fmt::Result {
    write!(out, r#"    <testcase classname="{}" name="{}""#, Xml(&case.class), Xml(&case.name))?;
    // Some readers show the attribute, some the text.
    let message = Xml(&case.message);
    let text =
        std::iter::once(&case.message).chain(&case.details).map(|line| Xml(line).to_string()).collect::<Vec<_>>().join("\n");
    match case.verdict {
        Verdict::Pass => return writeln!(out, "/>"),
        Verdict::Warn => writeln!(out, ">\n      <system-out>{text}</system-out>")?,
        Verdict::Skip => writeln!(out, ">\n      <skipped message=\"{message}\"/>")?,
        Verdict::Fail => writeln!(out, ">\n      <failure type=\"fail\" message=\"{message}\">{text}</failure>")?,
        Verdict::Error | Verdict::Inconclusive => {
            let kind = case.verdict.name();
            writeln!(out, ">\n      <error type=\"{kind}\" message=\"{message}\">{text}</error>")?;
        }
    }
    writeln!(out, "    </testcase>")
}

struct Suite {
    name: String,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

struct Case {
    class: String,
    name: String,
    verdict: Verdict,
    message: String,
    /// Lines that follow the message.
    details: Vec<String>,
}

fn suites(run: &RunRecord) -> Vec<Suite> {
    let categories = Category::ALL.into_iter().map(|category| Suite {
        name: format!("sway.{}", category.name()),
        properties: vec![],
        cases: run.probes.iter().filter(|probe| probe.category == category).map(of_probe).collect(),
    });
    std::iter::once(of_run(run)).chain(categories.filter(|suite| !suite.cases.is_empty())).collect()
}

fn of_run(run: &RunRecord) -> Suite {
    let mut properties = vec![
        ("sway_version", run.sway_version.clone()),
        ("suite", run.suite.clone()),
        ("suite_digest", run.suite_digest.clone()),
        ("base", run.base.source.clone()),
        ("dtype", run.base.dtype.clone()),
        ("device", run.base.device.clone()),
        ("base_digest", run.base.digest.clone()),
        ("tokenizer_digest", run.base.tokenizer_digest.clone()),
    ];
    properties.extend(run.base.commit.clone().map(|commit| ("base_commit", commit)));
    if let Some(adapter) = &run.adapter {
        properties.extend([("adapter", adapter.source.clone()), ("adapter_digest", adapter.digest.clone())]);
        properties.extend(adapter.commit.clone().map(|commit| ("adapter_commit", commit)));
    }
    if let Some(score) = run.gate.score {
        properties.push(("score", format!("{score:.4}")));
    }
    let case = |name: &str, verdict, message: String| Case {
        class: "sway".to_owned(),
        name: name.to_owned(),
        verdict,
        message,
        details: vec![],
    };
    let liveness = run.liveness.as_ref().map(|liveness| case("liveness", liveness.verdict(), liveness.message.clone()));
    let said = [outcome::interrupted(run), Some(run.gate.message.clone())];
    let gate = case("gate", run.gate.verdict, said.into_iter().flatten().collect::<Vec<_>>().join("; "));
    Suite { name: "sway".to_owned(), properties, cases: liveness.into_iter().chain([gate]).collect() }
}

fn of_probe(probe: &ProbeRecord) -> Case {
    let degenerate = outcome::degenerate(probe).map(|why| format!("no z: {why}"));
    let details = probe
        .criteria
        .iter()
        .map(criterion::sentence)
        .chain(degenerate)
        .chain(probe.item_errors.iter().take(ITEM_ERRORS_SHOWN).cloned());
    Case {
        class: format!("sway.{}.{}", probe.category.name(), probe.kind),
        name: probe.name.clone(),
        verdict: probe.verdict,
        message: probe.message.clone(),
        details: details.collect(),
    }
}

fn counts(cases: &[&Case]) -> String {
    let count = |verdicts: &[Verdict]| cases.iter().filter(|case| verdicts.contains(&case.verdict)).count();
    format!(
        r#"tests="{}" failures="{}" errors="{}" skipped="{}""#,
        cases.len(),
        count(&[Verdict::Fail]),
        count(&[Verdict::Error, Verdict::Inconclusive]),
        count(&[Verdict::Skip]),
    )
}

#[cfg(test)]
mod tests;
