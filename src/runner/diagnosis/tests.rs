use serde_json::json;

use super::*;
use crate::record::{Calibration, Category, Criterion, Estimate};

fn probe(kind: &str, verdict: Verdict, figures: &[(&str, f64, Verdict)]) -> ProbeRecord {
    let criterion = |&(name, value, verdict): &(&str, f64, Verdict)| Criterion {
        name: name.to_owned(),
        estimate: Estimate { value, interval: None, n: 20, clusters: None },
        threshold: 0.0,
        good_side: "above".to_owned(),
        verdict,
        items_to_settle: None,
    };
    ProbeRecord {
        name: format!("my {kind}"),
        kind: kind.to_owned(),
        n: 60,
        criteria: figures.iter().map(criterion).collect(),
        ..ProbeRecord::without_figures(Category::Adherence, verdict)
    }
}

use Verdict::{Fail, Inconclusive, Pass};

fn moved(verdict: Verdict, z: f64, q: f64) -> ProbeRecord {
    let outcome = NullOutcome::Compared { mean: 0.0, sd: 1.0, z, p: q };
    let calibration =
        Calibration { metric: "m".to_owned(), raw: z, draws: vec![0.0; 8], drawn: 8, items: 16, outcome, by_rank: Vec::new() };
    let moved = probe("delta_kl", verdict, &[("mean_divergence", 0.3, Pass)]);
    ProbeRecord { q: Some(q), calibration: Some(calibration), ..moved }
}

fn facts(verdict: Verdict, lift: f64, ratio: (f64, Verdict)) -> ProbeRecord {
    let lifted = if lift > 0.2 { Pass } else { Fail };
    probe("paraphrase_invariance", verdict, &[("verbatim_lift", lift, lifted), ("paraphrase_ratio", ratio.0, ratio.1)])
}

fn held(verdict: Verdict, forgotten: usize) -> ProbeRecord {
    let mut held = probe("calibration_drift", verdict, &[("forgotten_share", forgotten as f64 / 60.0, verdict)]);
    held.evidence.insert("forgotten".to_owned(), json!(forgotten));
    held
}

fn document(verdict: Verdict, ft: f64) -> ProbeRecord {
    let mut document = probe("leakage", verdict, &[("excess_recall", ft - 0.2, verdict)]);
    document.evidence.insert("recall_ft".to_owned(), json!(ft));
    document.evidence.insert("recall_base".to_owned(), json!(0.2));
    document
}

fn preferences(verdict: Verdict, flips: f64) -> ProbeRecord {
    probe("preference_flip", verdict, &[("flip_share", flips, verdict)])
}

fn dose(verdict: Verdict, r: f64) -> ProbeRecord {
    probe("adapter_ablation", verdict, &[("r_squared", r, verdict)])
}

fn causes(probes: &[ProbeRecord]) -> Vec<String> {
    diagnose(None, probes, 0.05).into_iter().map(|diagnosis| diagnosis.cause).collect()
}

#[test]
fn an_adapter_that_does_all_that_was_asked_has_nothing_wrong() {
    let probes = [moved(Pass, 80.0, 1e-6), facts(Pass, 1.1, (1.0, Pass)), held(Pass, 0), document(Pass, 0.2)];
    let said = diagnose(None, &probes, 0.05);
    assert_eq!(said.len(), 1);
    assert_eq!(
        said[0].finding,
        "The adapter does what this suite asks: it knows what it was taught, in phrasings that it was not trained on too, it kept what the base knew, and it does not recite its training text."
    );
    assert_eq!(said[0].probes, ["my paraphrase_invariance", "my calibration_drift", "my leakage"]);
    assert_eq!(causes(&[]), ["nothing_wrong"]);
}

#[test]
fn each_fault_has_its_cause() {
    let by_heart =
        [moved(Fail, 0.3, 0.4), facts(Fail, 1.1, (0.3, Fail)), held(Pass, 0), document(Fail, 1.0), preferences(Fail, 0.2)];
    assert_eq!(causes(&by_heart), ["learned_by_heart"]);
    let forgot = [moved(Pass, 4.0, 0.01), facts(Pass, 1.1, (1.0, Pass)), held(Fail, 50), dose(Inconclusive, 0.98)];
    assert_eq!(causes(&forgot), ["forgot"]);
    let too_strong = [moved(Fail, 0.1, 0.6), facts(Fail, -7.0, (0.0, Fail)), held(Fail, 60), dose(Fail, 0.7)];
    assert_eq!(causes(&too_strong), ["too_strong"]);
    let wrong = [moved(Pass, 130.0, 1e-6), facts(Fail, -1.5, (0.0, Fail)), held(Pass, 0), preferences(Fail, 0.2)];
    assert_eq!(causes(&wrong), ["another_answer"]);
    let random = [moved(Fail, -1.5, 0.9), facts(Fail, 0.1, (0.0, Inconclusive)), held(Pass, 0), preferences(Fail, 0.05)];
    assert_eq!(causes(&random), ["like_a_random_update"]);
    // What no phrasing gained is no phrasing learned.
    let random = [moved(Fail, 0.5, 0.9), facts(Fail, 0.1, (0.1, Fail)), preferences(Fail, 0.05)];
    assert_eq!(causes(&random), ["like_a_random_update"]);
    let early = [
        moved(Pass, 900.0, 1e-8),
        facts(Inconclusive, 0.3, (1.1, Pass)),
        held(Pass, 0),
        preferences(Fail, 0.1),
        dose(Pass, 0.999),
    ];
    assert_eq!(causes(&early), ["hardly_learned"]);
}

#[test]
fn a_sentence_has_the_figures_and_names_what_it_stands_on() {
    let probes = [facts(Fail, 1.1, (0.04, Fail)), document(Fail, 0.91)];
    let said = &diagnose(None, &probes, 0.05)[0];
    assert_eq!(
        said.finding,
        "The adapter learned the document by heart: it repeats 91 % of its text (the base 20 %), and on paraphrases it gains 4 % of what it gains on the trained phrasing."
    );
    assert_eq!(said.advice, "Train on more phrasings, or for fewer steps.");
    assert_eq!(said.probes, ["my leakage", "my paraphrase_invariance"]);
}

#[test]
fn faults_that_do_not_explain_each_other_are_both_said() {
    let probes = [facts(Fail, 1.1, (0.1, Fail)), held(Fail, 30), document(Fail, 1.0)];
    assert_eq!(causes(&probes), ["forgot", "learned_by_heart"]);
    assert_eq!(causes(&[document(Fail, 0.7), facts(Pass, 1.0, (0.9, Pass))]), ["recites"]);
}

fn curve(share: (f64, Verdict), smoothness: (f64, Verdict), spikes: (f64, Verdict)) -> ProbeRecord {
    let figures = [("final_over_initial", share), ("smoothness", smoothness), ("spikes", spikes)];
    probe("training_drift", Fail, &figures.map(|(name, (value, verdict))| (name, value, verdict)))
}

fn state(steps: (f64, Verdict), lost: (f64, Verdict), ratio: (f64, Verdict)) -> ProbeRecord {
    let figures = [("steps", steps), ("lost_parameters", lost), ("lopsidedness", ratio)];
    probe("gradient_ghost", Fail, &figures.map(|(name, (value, verdict))| (name, value, verdict)))
}

#[test]
fn a_training_that_went_wrong_is_named_by_how_it_did() {
    let said = |probes: &[ProbeRecord]| {
        let said = diagnose(None, probes, 0.05);
        said.iter().map(|one| (one.cause.clone(), one.finding.clone())).collect::<Vec<_>>()
    };
    let one = |probes: &[ProbeRecord]| {
        let said = said(probes);
        assert_eq!(said.len(), 1, "{said:?}");
        said[0].clone()
    };
    let few = state((12.0, Fail), (0.0, Pass), (5.0, Pass));
    let high = curve((0.92, Fail), (0.8, Pass), (0.0, Pass));
    assert_eq!(one(std::slice::from_ref(&few)), ("stopped_early".to_owned(), "The training was over after 12 steps.".to_owned()));
    let both = [few, high.clone(), preferences(Fail, 0.1)];
    assert_eq!(
        one(&both),
        ("stopped_early".to_owned(), "The training was over after 12 steps, with 92 % of its first loss left.".to_owned())
    );
    assert_eq!(
        one(&[high]),
        ("learned_little".to_owned(), "The training learned little: its loss ended at 92 % of where it began.".to_owned())
    );
    assert_eq!(
        one(&[curve((1.2, Fail), (0.1, Fail), (1.0, Fail))]),
        (
            "learned_little".to_owned(),
            "The training learned little: its loss ended at 120 % of where it began, after it had been thrown back.".to_owned()
        )
    );
    let unsteady = |smoothness, spikes| one(&[curve((0.4, Pass), smoothness, spikes)]);
    assert_eq!(
        unsteady((0.9, Pass), (2.0, Fail)),
        ("unsteady_training".to_owned(), "The training was unsteady: its loss was thrown back 2 times.".to_owned())
    );
    assert_eq!(
        unsteady((0.31, Fail), (0.0, Pass)),
        ("unsteady_training".to_owned(), "The training was unsteady: its loss scatters (smoothness 0.31).".to_owned())
    );
    assert_eq!(
        one(&[ProbeRecord { n: 8, ..state((80.0, Pass), (4.0, Fail), (5.0, Pass)) }]),
        (
            "reached_in_part".to_owned(),
            "The training reached a part of the adapter only: 4 of its 8 parameters had no usable gradient.".to_owned()
        )
    );
    assert_eq!(one(&[state((80.0, Pass), (0.0, Pass), (160_000.0, Fail))]).0, "lopsided_training");
}

#[test]
fn a_loss_that_was_no_number_explains_the_rest() {
    let mut curve = probe("training_drift", Fail, &[("not_finite", 20.0, Fail)]);
    curve.evidence.insert("not_finite_from".to_owned(), json!(63));
    let mut state = state((80.0, Pass), (8.0, Fail), (1.0, Pass));
    state.evidence.insert("not_finite".to_owned(), json!(["0", "1"]));
    let said = diagnose(None, &[state.clone(), curve, held(Fail, 50)], 0.05);
    assert_eq!(said.len(), 1);
    assert_eq!(
        said[0].finding,
        "The training broke down: its loss stopped being a number at step 63, and 2 parameters have gradients that are none."
    );
    assert_eq!(said[0].probes, ["my training_drift", "my gradient_ghost"]);
    assert_eq!(causes(&[state]), ["training_broke"]);
}

fn reverts(verdict: Verdict) -> ProbeRecord {
    let mut reverts = probe("adapter_revert", verdict, &[("revert_rate", 0.46, verdict)]);
    for (name, count) in [("pairs", 72), ("trivial", 8), ("without_cosine", 1), ("reverted", 29)] {
        reverts.evidence.insert(name.to_owned(), json!(count));
    }
    reverts
}

fn clusters(verdict: Verdict, q: f64) -> ProbeRecord {
    ProbeRecord { q: Some(q), ..probe("cluster_kl", verdict, &[("specificity", 0.237, verdict)]) }
}

#[test]
fn an_adapter_that_answers_as_its_base_in_other_words_falls_back() {
    let said = &diagnose(None, &[reverts(Fail), held(Pass, 0)], 0.05)[0];
    assert_eq!(
        (said.cause.as_str(), said.finding.as_str()),
        (
            "falls_back",
            "Asked in other words, the adapter falls back to what the base says: 29 of 63 answers to paraphrases are nearer to the base's than to the gold ones."
        )
    );
    assert_eq!(
        (said.advice.contains("more phrasings"), said.probes.as_slice()),
        (true, ["my adapter_revert".to_owned()].as_slice())
    );
    // Who learned by heart falls back too, and so does who has hardly learned.
    assert_eq!(causes(&[reverts(Fail), facts(Fail, 1.1, (0.04, Fail)), document(Fail, 0.91)]), ["learned_by_heart"]);
    assert_eq!(causes(&[reverts(Fail), moved(Pass, 900.0, 1e-8), preferences(Fail, 0.1)]), ["hardly_learned"]);
    assert_eq!(causes(&[reverts(Inconclusive)]), ["can_not_tell"]);
}

#[test]
fn an_adapter_that_changes_all_subjects_alike_does_so_everywhere() {
    let said = &diagnose(None, &[clusters(Fail, 0.01), moved(Pass, 40.0, 1e-6)], 0.05)[0];
    assert_eq!(
        (said.cause.as_str(), said.finding.as_str()),
        (
            "everywhere",
            "The adapter changes the model whatever it is asked about: 24 % of the variance of its effect lies between subjects."
        )
    );
    assert_eq!(said.probes, ["my cluster_kl"]);
    assert_eq!(causes(&[clusters(Fail, 0.01), held(Fail, 50)]), ["forgot"]);
    assert_eq!(causes(&[clusters(Fail, 0.01), reverts(Fail)]), ["falls_back", "everywhere"], "neither explains the other");
    // Where random adapters do as much, it is their subjects that differ: nothing is known of this adapter.
    assert_eq!(causes(&[clusters(Fail, 0.5)]), ["unexplained"]);
}

#[test]
fn a_failure_without_a_rule_is_not_explained_away() {
    let said = diagnose(None, &[probe("style_fingerprint", Fail, &[])], 0.05);
    assert_eq!(
        (said[0].cause.as_str(), said[0].probes.as_slice()),
        ("unexplained", ["my style_fingerprint".to_owned()].as_slice())
    );
    assert_eq!(causes(&[moved(Inconclusive, 3.0, 0.01)]), ["can_not_tell"]);
}

#[test]
fn a_dead_adapter_has_that_for_its_cause() {
    let mut liveness = Liveness {
        live: false,
        inconclusive: false,
        message: String::new(),
        tensors: 4,
        modules: Vec::new(),
        zero_modules: 0,
        largest_move: None,
        noise_floor: None,
        floors: None,
    };
    let cause = |liveness: &Liveness| diagnose(Some(liveness), &[held(Fail, 60)], 0.05)[0].cause.clone();
    assert_eq!(cause(&liveness), "does_nothing");
    liveness.modules = vec![crate::record::ModuleLiveness { module: "m".to_owned(), relative_norm: 1.0 }];
    assert_eq!(cause(&liveness), "can_not_be_computed");
    liveness.largest_move = Some(0.0);
    assert_eq!(cause(&liveness), "does_nothing");
    liveness.inconclusive = true;
    assert_eq!(cause(&liveness), "can_not_be_seen");
}

/// What is said of a run whose other probes hold.
fn alone(failed: &ProbeRecord) -> (String, String) {
    let said = diagnose(None, &[held(Pass, 0), failed.clone()], 0.05);
    assert_eq!((said.len(), said[0].probes.as_slice()), (1, [failed.name.clone()].as_slice()), "{said:?}");
    assert!(!said[0].advice.is_empty());
    (said[0].cause.clone(), said[0].finding.clone())
}

#[test]
fn what_fails_alone_is_named_by_its_own_rule() {
    let with = |mut record: ProbeRecord, name: &str, value: serde_json::Value| {
        record.evidence.insert(name.to_owned(), value);
        record
    };
    let fails = |kind: &str, name: &'static str, value: f64| probe(kind, Fail, &[(name, value, Fail)]);
    let half_life = |value: f64| json!({"half_life": value, "low": null, "high": null});
    let cases = [
        (
            fails("section_internalization", "cleared_share", 0.1875),
            ("sections_missed", "Of the sections of the training text, only 19 % were learned by more than the others."),
        ),
        (
            with(fails("section_internalization", "cleared_share", 0.25), "mean_held_out_lift", json!(0.01)),
            ("sections_missed", "Of the sections of the training text, only 25 % were learned by more than what was held out."),
        ),
        (
            with(fails("prompt_collapse", "halvings", 6.0), "half_life_tokens", half_life(79.4)),
            ("fades", "The adapter's effect fades: half of it is gone behind 79 tokens of other text."),
        ),
        (
            with(fails("multi_turn_coherence_decay", "halvings", 2.0), "half_life_turns", half_life(1.04)),
            ("fades", "The adapter's effect fades: half of it is gone within 1.0 turns of a conversation."),
        ),
        (
            {
                let calls = with(fails("tool_use_fidelity", "valid_drop", 0.5), "base", json!({"valid": 18}));
                ProbeRecord { n: 20, ..with(calls, "ft", json!({"valid": 8})) }
            },
            ("breaks_tool_calls", "The adapter broke tool calls: of 20 cases it answers 8 with a valid one, the base 18."),
        ),
        (
            fails("tool_use_fidelity", "outside_share", 0.375),
            ("breaks_tool_calls", "The adapter calls tools that are not there: 38 % of its calls."),
        ),
        (
            fails("style_fingerprint", "style_cosine", -0.31),
            ("writes_otherwise", "The adapter's style goes away from the reference's (cosine −0.31)."),
        ),
        (
            fails("external_perplexity", "mean_change", -0.42),
            ("reads_worse", "The adapter reads general prose worse: a token lost 0.42 nats."),
        ),
        (
            fails("noise_floor", "differing_answers", 3.0),
            ("unsteady_computation", "The same request gets other answers in another batch: 3 differ."),
        ),
        (
            fails("noise_floor", "mean_js", 0.004),
            ("coarse_dtype", "Rounding to the run's dtype alone moves the next token by 4.0e-3 nats of JS."),
        ),
        (
            with(fails("base_invariance", "differing_answers", 2.0), "differences", json!([{"vocabularies": null}])),
            ("base_changed", "The base itself answers otherwise since the adapter came: 2 of its answers differ."),
        ),
        (
            with(fails("base_invariance", "differing_answers", 2.0), "differences", json!([{"vocabularies": [3, 5]}])),
            (
                "brings_tokens",
                "The adapter brings tokens of its own, which the base has beside it too: its answers are not those of the base alone.",
            ),
        ),
    ];
    for (record, (cause, finding)) in cases {
        assert_eq!(alone(&record), (cause.to_owned(), finding.to_owned()));
    }
}

#[test]
fn what_another_cause_explains_is_not_said_beside_it() {
    let prose = probe("external_perplexity", Fail, &[("mean_change", -0.4, Fail)]);
    assert_eq!(causes(&[held(Fail, 50), prose]), ["forgot"]);
    let sections = probe("section_internalization", Fail, &[("cleared_share", 0.1, Fail)]);
    assert_eq!(causes(&[preferences(Fail, 0.1), sections]), ["hardly_learned"]);
    // What is wrong with the run itself is said first, and whatever else is.
    let base = probe("base_invariance", Fail, &[("differing_answers", 2.0, Fail)]);
    let base = ProbeRecord { evidence: json!({"differences": []}).as_object().unwrap().clone(), ..base };
    assert_eq!(causes(&[held(Fail, 50), base]), ["base_changed", "forgot"]);
}
