//! What pipelines found: what the adapter writes is worse than what the base writes, or no better.

use super::{Found, failed_by, figure, names};
use crate::record::{Diagnosis, ProbeRecord};

fn failed<'a>(found: &'a Found<'_>, criterion: &'static str) -> Vec<&'a ProbeRecord> {
    found.of("pipeline").filter(|probe| failed_by(probe, criterion)).collect()
}

/// It writes worse than the base where nothing was to be lost.
pub fn writes_worse(found: &Found<'_>) -> Option<Diagnosis> {
    let lost = failed(found, "drop");
    let largest = lost.iter().filter_map(|probe| figure(probe, "drop")).reduce(f64::max)?;
    Some(Diagnosis {
        cause: "writes_worse".to_owned(),
        finding: format!(
            "What the adapter writes is worse than what the base writes: it lost up to {largest:.2} of a score of 1."
        ),
        advice: "`sway show RUN --case N` has what both wrote, and the evidence the cases that lost most.".to_owned(),
        probes: names(lost),
    })
}

/// It was to write better than the base, and does not by enough.
pub fn writes_no_better(found: &Found<'_>) -> Option<Diagnosis> {
    let short = failed(found, "gain");
    let largest = short.iter().filter_map(|probe| figure(probe, "gain")).reduce(f64::max)?;
    let how = if largest > 0.0 {
        format!("hardly better than the base ({largest:.2} of a score of 1)")
    } else {
        "no better than the base".to_owned()
    };
    Some(Diagnosis {
        cause: "writes_no_better".to_owned(),
        finding: format!("The adapter writes {how}."),
        advice: "`sway show RUN --case N` has what both wrote. Ask as the training text does: what comes out in its words alone was learned by heart.".to_owned(),
        probes: names(short),
    })
}

#[cfg(test)]
mod tests {
    use crate::record::{Category, Criterion, Estimate, ProbeRecord, Verdict};
    use crate::runner::diagnosis::diagnose;

    fn pipeline(name: &str, criterion: &str, value: f64) -> ProbeRecord {
        let criterion = Criterion {
            name: criterion.to_owned(),
            estimate: Estimate::bare(value, 20),
            threshold: 0.1,
            good_side: String::new(),
            verdict: Verdict::Fail,
            items_to_settle: None,
        };
        ProbeRecord {
            name: name.to_owned(),
            kind: "pipeline".to_owned(),
            criteria: vec![criterion],
            ..ProbeRecord::without_figures(Category::Adherence, Verdict::Fail)
        }
    }

    #[test]
    fn a_loss_and_a_gain_that_did_not_come_are_told_with_their_figures() {
        let said = |probes: &[ProbeRecord]| -> Vec<(String, String)> {
            diagnose(None, probes, 0.05).into_iter().map(|one| (one.cause, one.finding)).collect()
        };
        let [(cause, finding)] = &said(&[pipeline("a", "drop", 0.3), pipeline("b", "drop", 0.85)])[..] else { panic!() };
        assert_eq!((cause.as_str(), finding.contains("up to 0.85")), ("writes_worse", true), "{finding}");
        let [(cause, finding)] = &said(&[pipeline("a", "gain", -0.2)])[..] else { panic!() };
        assert_eq!((cause.as_str(), finding.as_str()), ("writes_no_better", "The adapter writes no better than the base."));
        let both = said(&[pipeline("a", "gain", 0.07), pipeline("b", "drop", 0.3)]);
        assert_eq!(both.iter().map(|(cause, _)| cause.as_str()).collect::<Vec<_>>(), ["writes_worse", "writes_no_better"]);
        assert!(said(&[pipeline("a", "score", 0.2)])[0].0 == "unexplained");
    }
}
