//! From probes' verdicts to the run's.

use crate::record::{Category, Gate, ProbeRecord, Verdict};
use crate::suite::GateSpec;

/// The gate holds when nothing failed, nothing was left open, and the score is not under the minimum.
pub fn judge(probes: &[ProbeRecord], spec: &GateSpec) -> Gate {
    let score = overall(probes);
    let named = |verdict: Verdict| -> Vec<String> { probes.iter().filter(|probe| probe.verdict == verdict).map(|probe| format!("`{}`", probe.name)).collect() };
    let failed = named(Verdict::Fail);
    let low = score.filter(|score| *score < spec.min_score);
    let errors = named(Verdict::Error);
    let open = named(Verdict::Inconclusive);
    let low_clause = low.map(|score| format!("the score {score:.2} is below {:.2}", spec.min_score));
    let (verdict, message) = if !failed.is_empty() || low.is_some() {
        let failed = (!failed.is_empty()).then(|| format!("{} failed", list(&failed)));
        (Verdict::Fail, failed.into_iter().chain(low_clause).collect::<Vec<_>>().join(", and "))
    } else if !errors.is_empty() || !open.is_empty() {
        let errors = (!errors.is_empty()).then(|| format!("{} could not be measured", list(&errors)));
        let open = (!open.is_empty()).then(|| format!("{} could not be settled with the items given", list(&open)));
        (Verdict::Inconclusive, errors.into_iter().chain(open).collect::<Vec<_>>().join(", and "))
    } else if score.is_none() {
        (Verdict::Inconclusive, "no probe gave a score".to_owned())
    } else {
        (Verdict::Pass, "every probe that ran holds".to_owned())
    };
    Gate { verdict, score, min_score: spec.min_score, fdr: spec.fdr, band: score.map(band), message }
}

/// The gate of a run whose adapter is dead.
pub fn dead(message: &str, spec: &GateSpec) -> Gate {
    Gate { verdict: Verdict::Fail, score: None, min_score: spec.min_score, fdr: spec.fdr, band: None, message: message.to_owned() }
}

/// Weighted mean over the categories present of the weighted mean of each one's scored probes.
fn overall(probes: &[ProbeRecord]) -> Option<f64> {
    let categories = Category::ALL.iter().filter_map(|category| {
        let scored = || probes.iter().filter(|probe| probe.category == *category).filter_map(|probe| Some((probe.score?, probe.weight)));
        let weight: f64 = scored().map(|(_, weight)| weight).sum();
        (weight > 0.0).then(|| (category.weight(), scored().map(|(score, weight)| score * weight).sum::<f64>() / weight))
    });
    let (weight, sum) = categories.fold((0.0, 0.0), |(weight, sum), (w, score)| (weight + w, sum + w * score));
    (weight > 0.0).then(|| sum / weight)
}

/// The score's band.
fn band(score: f64) -> &'static str {
    match score {
        s if s < 0.3 => "noise",
        s if s < 0.6 => "partial",
        s if s <= 0.85 => "healthy",
        _ => "suspicious",
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
