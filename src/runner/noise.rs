//! A finding beside what computing alone explains.

use crate::record::{BesideNoise, ProbeRecord, Verdict};

/// Sets a probe's divergence beside its noise floor; a pass that stands on less than the floor is none.
pub fn set_beside(record: &mut ProbeRecord, beside: Option<BesideNoise>) {
    let Some(BesideNoise { measure, value, floor }) = beside else { return };
    record.noise = beside;
    if matches!(record.verdict, Verdict::Pass | Verdict::Warn) && value <= floor {
        record.verdict = Verdict::Inconclusive;
        record.score = None;
        let found = &record.message;
        let name = measure.name();
        record.message = format!(
            "computing alone explains it: the mean {name} of {value:.1e} nats is under the noise floor of {floor:.1e}; {found}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Category, Measure};

    fn beside(value: f64, verdict: Verdict) -> ProbeRecord {
        let mut record = ProbeRecord { score: Some(0.7), ..ProbeRecord::without_figures(Category::Adherence, verdict) };
        set_beside(&mut record, Some(BesideNoise { measure: Measure::Js, value, floor: 1e-3 }));
        record
    }

    #[test]
    fn what_passes_at_the_floor_or_under_it_is_inconclusive() {
        assert_eq!(beside(1.01e-3, Verdict::Pass).verdict, Verdict::Pass);
        for value in [1e-3, 0.9e-3, 0.0] {
            let record = beside(value, Verdict::Pass);
            assert_eq!((record.verdict, record.score), (Verdict::Inconclusive, None));
            assert!(record.message.contains("under the noise floor of 1.0e-3"), "{}", record.message);
        }
        assert_eq!(beside(1e-4, Verdict::Warn).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn what_fails_fails_whatever_the_floor() {
        let record = beside(1e-4, Verdict::Fail);
        assert_eq!((record.verdict, record.score), (Verdict::Fail, Some(0.7)));
        assert!(record.noise.is_some(), "the floor is told all the same");
    }
}
