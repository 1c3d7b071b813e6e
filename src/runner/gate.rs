//! From probes' verdicts to the run's.

use crate::record::{Category, Gate, Liveness, ProbeRecord, Verdict};
use crate::suite::GateSpec;

/// The gate holds when nothing failed, nothing was left open, and the score is not under the minimum.
pub fn judge(probes: &[ProbeRecord], spec: &GateSpec) -> Gate {
    let score = overall(probes);
    let named = |verdict: Verdict| -> Vec<String> {
        probes.iter().filter(|probe| probe.verdict == verdict).map(|probe| format!("`{}`", probe.name)).collect()
    };
    let failed = named(Verdict::Fail);
    let low = score.filter(|score| *score < spec.min_score);
    let errors = named(Verdict::Error);
    let open = named(Verdict::Inconclusive);
    let low_clause = low.map(|score| format!("the score {} is below {:.2}", below(score, spec.min_score), spec.min_score));
    let (verdict, message) = if !failed.is_empty() || low.is_some() {
        let failed = (!failed.is_empty()).then(|| format!("{} failed", list(&failed)));
        (Verdict::Fail, failed.into_iter().chain(low_clause).collect::<Vec<_>>().join(", and "))
    } else if !errors.is_empty() || !open.is_empty() {
        let errors = (!errors.is_empty()).then(|| format!("{} could not be measured", list(&errors)));
        let open = (!open.is_empty()).then(|| format!("{} could not be settled", list(&open)));
        (Verdict::Inconclusive, errors.into_iter().chain(open).collect::<Vec<_>>().join(", and "))
    } else if score.is_none() {
        (Verdict::Inconclusive, "no probe gave a score".to_owned())
    } else {
        (Verdict::Pass, "every probe that ran holds".to_owned())
    };
    Gate { verdict, score, min_score: spec.min_score, fdr: spec.fdr, band: score.map(band).map(str::to_owned), message }
}

/// A score with as many digits as it takes not to read like the minimum that it misses.
fn below(score: f64, minimum: f64) -> String {
    let digits = (2..6).find(|&digits| format!("{score:.digits$}") != format!("{minimum:.digits$}")).unwrap_or(6);
    format!("{score:.digits$}")
}

/// The gate of a run that was interrupted: what failed has failed, and nothing else can be told.
pub fn interrupted(gate: Gate) -> Gate {
    if gate.verdict == Verdict::Fail {
        return gate;
    }
    Gate { verdict: Verdict::Inconclusive, message: "the run was interrupted before every probe had finished".to_owned(), ..gate }
}

/// The gate of a run whose adapter is dead, or may be.
pub fn dead(liveness: &Liveness, spec: &GateSpec) -> Gate {
    Gate {
        verdict: liveness.verdict(),
        score: None,
        min_score: spec.min_score,
        fdr: spec.fdr,
        band: None,
        message: liveness.message.clone(),
    }
}

/// Weighted mean over the categories present of the weighted mean of each one's scored probes.
fn overall(probes: &[ProbeRecord]) -> Option<f64> {
    let categories = Category::ALL.iter().filter_map(|category| {
        let scored =
            || probes.iter().filter(|probe| probe.category == *category).filter_map(|probe| Some((probe.score?, probe.weight)));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> GateSpec {
        GateSpec { min_score: 0.6, fdr: 0.05, decide: crate::suite::Decide::Interval }
    }

    fn probe(category: Category, verdict: Verdict, score: Option<f64>, weight: f64) -> ProbeRecord {
        ProbeRecord { name: verdict.name().to_owned(), score, weight, ..ProbeRecord::without_figures(category, verdict) }
    }

    fn passing(score: f64) -> ProbeRecord {
        probe(Category::Adherence, Verdict::Pass, Some(score), 1.0)
    }

    #[test]
    fn the_score_weighs_probes_in_their_category_and_categories_in_the_whole() {
        let probes = [
            probe(Category::Adherence, Verdict::Pass, Some(0.8), 3.0),
            probe(Category::Adherence, Verdict::Pass, Some(0.4), 1.0),
            probe(Category::Attribution, Verdict::Pass, Some(0.6), 1.0),
        ];
        assert!((overall(&probes).unwrap() - (0.30 * 0.7 + 0.35 * 0.6) / 0.65).abs() < 1e-12);
    }

    #[test]
    fn a_score_at_the_minimum_holds_and_one_below_fails() {
        assert_eq!(judge(&[passing(0.6)], &spec()).verdict, Verdict::Pass);
        let low = judge(&[passing(0.599)], &spec());
        assert_eq!(low.verdict, Verdict::Fail);
        assert_eq!(low.message, "the score 0.599 is below 0.60");
    }

    #[test]
    fn a_failure_outweighs_what_can_not_be_told_and_that_outweighs_a_pass() {
        let open = || probe(Category::Attribution, Verdict::Inconclusive, None, 1.0);
        let failed = || probe(Category::Attribution, Verdict::Fail, Some(0.4), 1.0);
        assert_eq!(judge(&[passing(0.9), open()], &spec()).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&[passing(0.9), open(), failed()], &spec()).verdict, Verdict::Fail);
        assert_eq!(
            judge(&[passing(0.9), probe(Category::Ablation, Verdict::Error, None, 1.0)], &spec()).verdict,
            Verdict::Inconclusive
        );
        assert_eq!(
            judge(&[passing(0.9), probe(Category::Ablation, Verdict::Warn, Some(0.9), 1.0)], &spec()).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn without_a_score_nothing_can_be_told() {
        assert_eq!(judge(&[], &spec()).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&[probe(Category::Baseline, Verdict::Pass, Some(1.0), 1.0)], &spec()).verdict, Verdict::Inconclusive);
    }
}
