//! What every kind makes of few items, of items that are all alike, and of a figure that is none.

use super::*;
use crate::request::RollingLogprob;

/// A kind whose items each give one figure, and the answers that play it.
struct Played {
    kind: &'static str,
    /// How it is taken through so many items, of which item `bad` has NaN in its answers.
    run: fn(usize, Option<usize>) -> Ending,
}

fn rolling(per_token: f64) -> Answer {
    Answer::RollingLogprob(RollingLogprob { total_logprob: 2.0 * per_token, num_tokens: 2, logprobs: vec![0.0; 2] })
}

/// Takes a probe of `key = [item, …]` through its items; `good` is what each request of a sound item gets.
fn ending<P: Probe>(
    key: &str,
    item: fn(usize) -> String,
    count: usize,
    bad: Option<usize>,
    good: impl Fn(&Request, f64) -> Answer,
) -> Ending {
    let probe: P = probe(&list(key, count, item));
    let answer = |request: &Request| {
        let subject = request.op.subject();
        let is_bad = bad.is_some_and(|bad| subject.split(' ').any(|word| word == format!("#{bad}")));
        Ok(good(request, if is_bad { f64::NAN } else { 0.0 }))
    };
    course_of(&probe, CoursePlan::default(), answer).judge(&Court::PLAIN)
}

fn prompt(i: usize) -> String {
    format!("\"prompt #{i}\"")
}

const PLAYED: [Played; 6] = [
    Played { kind: "delta_kl", run: |n, bad| ending::<DeltaKl>("prompts", prompt, n, bad, |_, x| moved(0.3 + x, 1.0)) },
    Played {
        kind: "adapter_ablation",
        run: |n, bad| {
            let dose = |view: View| match view {
                View::Scaled(scale) => scale.value(),
                _ => 1.0,
            };
            ending::<AdapterAblation>("prompts", prompt, n, bad, |request, x| moved(0.1, 2.0 * dose(request.view) + x))
        },
    },
    Played {
        kind: "paraphrase_invariance",
        run: |n, bad| {
            let case = |i| format!("{{ prompt = \"case #{i}\", gold = \" g\", paraphrases = [\"other #{i}\"] }}");
            ending::<ParaphraseInvariance>("cases", case, n, bad, |request, x| {
                logprob(if request.view == View::Ft { -1.0 + x } else { -3.0 })
            })
        },
    },
    Played {
        kind: "preference_flip",
        run: |n, bad| {
            let triple = |i| format!("{{ prompt = \"triple #{i}\", chosen = \" yes\", rejected = \" no\" }}");
            ending::<PreferenceFlip>("triples", triple, n, bad, |request, x| {
                let Op::LogprobOf { completion, .. } = &request.op else { panic!("{request:?}") };
                logprob(if (completion == " yes") == (request.view == View::Ft) { -1.0 + x } else { -3.0 })
            })
        },
    },
    Played {
        kind: "calibration_drift",
        run: |n, bad| {
            let fact = |i| format!("{{ prompt = \"fact #{i}\", gold = \" g\" }}");
            ending::<CalibrationDrift>("items", fact, n, bad, |_, x| logprob(-1.0 + x))
        },
    },
    Played {
        kind: "external_perplexity",
        run: |n, bad| ending::<ExternalPerplexity>("texts", prompt, n, bad, |_, x| rolling(-1.0 + x)),
    },
];

#[test]
fn a_figure_that_is_none_is_an_error_that_names_its_item_and_no_verdict_stands_on_the_rest() {
    for Played { kind, run } in PLAYED {
        let broken = run(40, Some(7));
        assert!(broken.judgement.is_none(), "{kind}");
        assert_eq!((broken.failed, broken.items), (1, 40), "{kind}");
        assert_eq!(broken.errors, ["item 8: its figure is not a finite number"], "{kind}");
        assert!(run(40, None).judgement.is_some(), "{kind}");
    }
}

#[test]
fn one_item_and_two_settle_nothing_and_no_item_is_refused_before() {
    for Played { kind, run } in PLAYED {
        for n in [1, 2, MIN_ITEMS - 1] {
            let few = run(n, None).judgement.unwrap();
            assert_eq!(few.verdict, Verdict::Inconclusive, "{kind}, {n} items: {}", few.message);
            assert_eq!((few.score, few.values.len()), (None, n), "{kind}");
        }
    }
    assert_eq!(probe::<DeltaKl>("prompts = []").survey(&NoFiles).unwrap_err(), "there are no prompts");
    assert_eq!(probe::<PreferenceFlip>("triples = []").survey(&NoFiles).unwrap_err(), "there are no triples");
}

#[test]
fn a_fold_of_nothing_has_no_verdict_and_no_figure() {
    fn nothing<P: Probe>(toml: &str) {
        let judgement = probe::<P>(toml).judge(&P::Fold::default(), &Court::PLAIN);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{}: {}", P::KIND.name, judgement.message);
        assert!(judgement.score.is_none() && judgement.values.is_empty() && judgement.criteria.is_empty(), "{}", P::KIND.name);
    }
    nothing::<DeltaKl>("prompts = []");
    nothing::<ClusterKl>("prompts = []");
    nothing::<AdapterRevert>("cases = []");
    nothing::<PromptCollapse>("prompts = []");
    nothing::<MultiTurnCoherenceDecay>("prompts = []");
    nothing::<ParaphraseInvariance>("cases = []");
    nothing::<PreferenceFlip>("triples = []");
    nothing::<CalibrationDrift>("items = []");
    nothing::<Leakage>("sections = []");
    nothing::<ExternalPerplexity>("texts = []");
    nothing::<AdapterAblation>("prompts = []");
    nothing::<SectionInternalization>("sections = []");
    nothing::<ToolUseFidelity>("cases = []");
}

#[test]
fn items_that_are_all_alike_are_settled_where_a_mean_is_and_not_where_a_share_is_still_wide() {
    for Played { kind, run } in PLAYED {
        let alike = run(40, None).judgement.unwrap();
        assert_eq!(alike.verdict, Verdict::Pass, "{kind}: {}", alike.message);
        let first = &alike.criteria[0].estimate;
        let is_share = ["preference_flip", "calibration_drift"].contains(&kind);
        assert_eq!(first.interval.is_some_and(|[low, high]| high - low > 1e-9), is_share, "{kind}: {first:?}");
    }
}
