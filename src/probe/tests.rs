//! Probes on hand-written answers: no model, no mock.

mod adapter_revert;
mod base_invariance;
mod boundaries;
mod cluster_kl;
mod clusters;
mod external_perplexity;
mod general_knowledge;
mod leakage;
mod multi_turn_coherence_decay;
mod noise_floor;
mod null_adapter;
mod parts;
mod pipeline;
mod prompt_collapse;
mod section_internalization;
mod states;
mod style_fingerprint;
mod tool_use_fidelity;
mod training;

use std::collections::BTreeSet;

use super::*;
use crate::record::{Calibration, NullOutcome, Verdict};
use crate::request::{
    CompletionLogprob, Divergence, Finish, Generation, NextTokenDist, Op, Prompt, Request, RequestError, Scale, View,
};

/// No file is opened by a probe whose items are in the suite.
struct NoFiles;

impl OpenRows for NoFiles {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
        Err(format!("{} was opened", items.file))
    }
}

/// What is known of the model that the answers play.
const MODEL: ModelFacts = ModelFacts { has_chat_template: false, has_adapter: true, vocab_size: 3, base_vocab_size: 3 };

fn probe<P: Probe>(toml: &str) -> P {
    toml::from_str(toml).unwrap()
}

/// A mean over two tokens, so that a sum taken for a mean shows.
fn logprob(per_token: f64) -> Answer {
    Answer::LogprobOf(CompletionLogprob {
        logprob: 2.0 * per_token,
        num_tokens: 2,
        logprobs: vec![per_token as f32; 2],
        token_ids: vec![1, 2],
    })
}

fn moved(js: f64, rms: f64) -> Answer {
    let divergence =
        Divergence { js, kl: 2.0 * js, kl_reverse: js, rms, max_change: rms, same_top: js < 0.1, top_probability_change: -js };
    Answer::NextTokenDist(NextTokenDist {
        token_ids: vec![0],
        logprobs: vec![0.0],
        tail_logprob: None,
        vocab_size: 1,
        entropy: 0.0,
        divergence: Some(divergence),
    })
}

fn text(text: &str) -> Answer {
    Answer::Generate(Generation { text: text.to_owned(), token_ids: Vec::new(), finish: Finish::Eos, prompt_tokens: 0 })
}

/// Takes a probe through all its items; `answer` plays the model, and sees the item's number with each request.
fn course_of<P: Probe>(
    probe: &P,
    plan: CoursePlan,
    answer: impl Fn(&Request) -> Result<Answer, RequestError>,
) -> Box<dyn Course> {
    let mut course = probe.start(&NoFiles, MODEL, plan).unwrap();
    while course.draw(3).unwrap() > 0 {
        loop {
            let asked = course.ask();
            if asked.is_empty() {
                break;
            }
            course.tell(asked.iter().map(&answer).collect());
        }
    }
    course
}

fn judged<P: Probe>(probe: &P, answer: impl Fn(&Request) -> Answer) -> Judgement {
    course_of(probe, CoursePlan::default(), |request| Ok(answer(request))).judge(&Court::PLAIN).judgement.unwrap()
}

/// `key = [f(0), f(1), …]`
fn list(key: &str, count: usize, item: impl Fn(usize) -> String) -> String {
    format!("{key} = [{}]", (0..count).map(item).collect::<Vec<_>>().join(", "))
}

fn prompts(count: usize) -> String {
    list("prompts", count, |i| format!("\"prompt {i}\""))
}

/// The number at the end of a prompt.
fn number(request: &Request) -> f64 {
    request.op.subject().rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap()
}

#[test]
fn a_threshold_that_no_figure_can_lie_beyond_is_refused() {
    fn refused<P: Probe>(toml: &str) -> bool {
        toml::from_str::<P>(toml).is_err()
    }
    assert!(refused::<DeltaKl>("prompts = [\"a\"]\nthreshold = nan"));
    assert!(refused::<DeltaKl>("prompts = [\"a\"]\nthreshold = -1.0"));
    assert!(refused::<PreferenceFlip>("triples = []\nmin_share = 1.0"));
    assert!(refused::<CalibrationDrift>("items = []\nmin_change = 0.0"));
    assert!(refused::<CalibrationDrift>("items = []\nmax_share = 0.0"));
    assert!(refused::<Leakage>("sections = []\nprefix_share = 7.0"));
    assert!(refused::<Leakage>("sections = []\nmax_excess = -0.05"));
    assert!(refused::<Leakage>("sections = []\nmax_new_tokens = 0"));
    assert!(refused::<Leakage>("sections = []\nchunk_words = 15"));
    assert!(refused::<SectionInternalization>("sections = []\nmin_lift = 0.0"));
    assert!(refused::<SectionInternalization>("sections = []\nmin_share = 1.0"));
    assert!(refused::<ExternalPerplexity>("min_change = 0.1"));
    assert!(refused::<ExternalPerplexity>("chunk_words = 15"));
    assert!(refused::<ExternalPerplexity>("texts = [\"a\"]\nfile = \"a.txt\""));
    assert!(refused::<AdapterAblation>("prompts = []\nmin_growth = 1.25"));
    assert!(refused::<AdapterAblation>("prompts = []\nmin_r_squared = 1.0"));
    assert!(!refused::<AdapterAblation>("prompts = []\nmin_growth = 1.1"));
}

mod delta_kl_on_answers {
    use super::*;

    #[test]
    fn it_asks_the_adapter_against_the_base_once_an_item() {
        let probe: DeltaKl = probe(&prompts(1));
        let item = probe.items().open(&NoFiles).unwrap().next().unwrap().unwrap();
        let asked = probe.ask(&item, &[]);
        assert_eq!(
            asked,
            [Request::new(View::Ft, Op::NextTokenDist { prompt: "prompt 0".into(), top_k: 1, versus: Some(View::Base) })]
        );
        assert!(probe.ask(&item, &[vec![moved(0.1, 1.0)]]).is_empty());
    }

    #[test]
    fn the_metric_is_the_mean_divergence_and_the_interval_decides() {
        let clear = judged(&probe::<DeltaKl>(&prompts(12)), |r| moved(0.3 + 0.01 * number(r), 1.0));
        assert_eq!(clear.verdict, Verdict::Pass);
        assert!((clear.criteria[0].estimate.value - 0.355).abs() < 1e-12);
        let still = judged(&probe::<DeltaKl>(&prompts(12)), |r| moved(0.001 * number(r), 1.0));
        assert_eq!(still.verdict, Verdict::Fail);
        let open = judged(&probe::<DeltaKl>(&prompts(12)), |r| moved(if number(r) < 6.0 { 0.0 } else { 0.05 }, 1.0));
        assert_eq!(open.verdict, Verdict::Inconclusive);
        assert!(open.criteria[0].items_to_settle.is_some() && open.message.contains("items would settle it"), "{}", open.message);
    }

    #[test]
    fn kl_is_taken_where_it_is_asked_for() {
        let probe: DeltaKl = probe(&format!("divergence = \"kl\"\n{}", prompts(6)));
        assert!((judged(&probe, |_| moved(0.2, 1.0)).criteria[0].estimate.value - 0.4).abs() < 1e-12);
    }
}

mod nulls {
    use super::*;

    fn plan(nulls: &[u64], calibrated: &[usize]) -> CoursePlan {
        CoursePlan {
            nulls: nulls.to_vec(),
            calibrated: calibrated.iter().copied().collect::<BTreeSet<_>>(),
            ..CoursePlan::default()
        }
    }

    fn calibration(nulls: &[u64], answer: impl Fn(&Request) -> Result<Answer, RequestError>) -> Calibration {
        course_of(&probe::<DeltaKl>(&prompts(6)), plan(nulls, &[1, 4]), answer).calibration().unwrap()
    }

    /// The first round of a kind with two nulls, and one of another rank, on two of its items: what is asked under each null, taken for
    /// the adapter's, is what is asked of the adapter on these items.
    fn asks_the_same_under_nulls<P: Probe>(toml: &str) {
        let probe: P = probe(toml);
        let other_rank = Scale::from_hundredths(200);
        let mut course = probe.start(&NoFiles, MODEL, CoursePlan { ranks: vec![other_rank], ..plan(&[7, 8], &[1, 4]) }).unwrap();
        course.draw(6).unwrap();
        let asked = course.ask();
        let of_items = |request: &Request| [1.0, 4.0].contains(&number(request));
        // What is asked of the base on the way is asked once a lane, and answered once.
        let own: Vec<Request> = asked.iter().filter(|r| r.view == View::Ft && of_items(r)).cloned().collect();
        assert!(!own.is_empty(), "{}", P::KIND.name);
        let ranked = [7, 8].map(|seed| View::NullOfRank { seed, multiplier: other_rank });
        for null in [View::Null(7), View::Null(8)].into_iter().chain(ranked) {
            let under_null: Vec<Request> =
                asked.iter().filter(|r| r.view == null).map(|r| r.with_view_replaced(null, View::Ft)).collect();
            assert_eq!(under_null, own, "{} under {null}", P::KIND.name);
        }
        let known = [View::Base, View::Ft, View::Null(7), View::Null(8)].into_iter().chain(ranked).collect::<Vec<_>>();
        assert!(asked.iter().all(|request| known.contains(&request.view)), "{}", P::KIND.name);
    }

    #[test]
    fn calibration_is_the_probes_own_requests_under_null_views() {
        asks_the_same_under_nulls::<DeltaKl>(&prompts(6));
        let case = |i| format!("{{ prompt = \"case {i}\", gold = \" g\", paraphrases = [\"other {i}\"] }}");
        asks_the_same_under_nulls::<ParaphraseInvariance>(&list("cases", 6, case));
        let triple = |i| format!("{{ prompt = \"triple {i}\", chosen = \" yes\", rejected = \" no\" }}");
        asks_the_same_under_nulls::<PreferenceFlip>(&list("triples", 6, triple));
        asks_the_same_under_nulls::<ClusterKl>(&prompts(20));
        asks_the_same_under_nulls::<SectionInternalization>(&list("sections", 6, |i| format!("\"section {i}\"")));
    }

    #[test]
    fn every_calibrated_kind_is_among_those_whose_requests_are_compared() {
        let calibrated: Vec<&str> = KINDS.iter().filter(|kind| kind.calibrated.is_some()).map(|kind| kind.name).collect();
        assert_eq!(calibrated, ["delta_kl", "cluster_kl", "section_internalization", "paraphrase_invariance", "preference_flip"]);
    }

    #[test]
    fn z_compares_the_adapter_with_the_nulls_on_the_same_items() {
        let found = calibration(&[1, 2, 3], |r| {
            Ok(moved(if let View::Null(seed) = r.view { 0.01 * seed as f64 } else { 0.1 * number(r) }, 1.0))
        });
        assert_eq!(found.items, 2);
        assert!((found.raw - 0.25).abs() < 1e-12, "items 1 and 4 alone");
        let NullOutcome::Compared { mean, sd, z, .. } = found.outcome else { panic!("degenerate") };
        assert!((mean - 0.02).abs() < 1e-12 && (sd - 0.01).abs() < 1e-12 && (z - 23.0).abs() < 1e-9);
    }

    #[test]
    fn nulls_without_a_spread_and_too_few_nulls_are_degenerate() {
        let flat = calibration(&[1, 2, 3], |_| Ok(moved(0.1, 1.0)));
        assert!(matches!(flat.outcome, NullOutcome::Degenerate { .. }));
        let few = calibration(&[1, 2], |r| Ok(moved(if r.view == View::Null(1) { 0.1 } else { 0.2 }, 1.0)));
        assert!(matches!(few.outcome, NullOutcome::Degenerate { .. }));
    }

    #[test]
    fn a_null_that_can_not_be_measured_is_left_out() {
        let found = calibration(&[1, 2, 3, 4], |r| match r.view {
            View::Null(2) => Err(RequestError::EmptyPrompt),
            View::Null(seed) => Ok(moved(0.01 * seed as f64, 1.0)),
            _ => Ok(moved(0.3, 1.0)),
        });
        assert_eq!(found.draws, [0.01, 0.03, 0.04]);
    }
}

#[test]
fn an_item_without_an_answer_leaves_the_probe_without_a_verdict() {
    let course = course_of(&probe::<DeltaKl>(&prompts(8)), CoursePlan::default(), |r| {
        if number(r) > 6.0 { Err(RequestError::TooLong { tokens: 9, context: 4 }) } else { Ok(moved(0.3, 1.0)) }
    });
    let ending = course.judge(&Court::PLAIN);
    assert!(ending.judgement.is_none());
    assert_eq!((ending.failed, course.measured()), (1, 7));
    assert!(ending.errors[0].starts_with("item 8: the input has 9 tokens"), "{:?}", ending.errors);
}

#[test]
fn an_item_that_no_model_can_be_asked_is_told_before_one_is_loaded() {
    let empty: DeltaKl = probe("prompts = [\"a\", \"\"]");
    assert_eq!(empty.survey(&NoFiles).unwrap_err(), "item 2: `prompt` is empty");
    let none: DeltaKl = probe("prompts = []");
    assert_eq!(none.survey(&NoFiles).unwrap_err(), "there are no prompts");
}

mod paraphrase_invariance_on_answers {
    use super::*;

    fn cases(more: &str) -> ParaphraseInvariance {
        probe(&format!(
            "{more}\n{}",
            list("cases", 8, |i| format!(
                "{{ prompt = \"verbatim {i}\", gold = \" g\", paraphrases = [\"other {i}\", \"another {i}\"] }}"
            ))
        ))
    }

    /// `ft` gains `verbatim` nats per token on trained phrasings, and `other` on the rest.
    fn gains(verbatim: f64, other: f64) -> impl Fn(&Request) -> Answer {
        move |r| match r.view {
            View::Ft => logprob(-3.0 + 0.01 * number(r) + if r.op.subject().starts_with("verbatim") { verbatim } else { other }),
            _ => logprob(-3.0),
        }
    }

    #[test]
    fn what_comes_out_in_other_words_generalises() {
        let found = judged(&cases(""), gains(1.0, 0.9));
        assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
        assert!((found.criteria[1].estimate.value - 0.935 / 1.035).abs() < 1e-9);
    }

    #[test]
    fn a_phrasing_learned_by_heart_fails_and_is_named() {
        let found = judged(&cases(""), gains(1.0, 0.1));
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(found.message.contains("it learned the phrasing, not the fact"), "{}", found.message);
    }

    #[test]
    fn memorising_passes_where_it_is_meant() {
        assert_eq!(judged(&cases("intent = \"memorize\""), gains(1.0, 0.1)).verdict, Verdict::Pass);
        assert_eq!(judged(&cases("intent = \"memorize\""), gains(1.0, 0.9)).verdict, Verdict::Fail);
    }

    #[test]
    fn without_a_lift_there_is_no_ratio() {
        let found = judged(&cases(""), gains(0.0, 0.0));
        assert_eq!(found.verdict, Verdict::Fail);
        assert_eq!(found.criteria.len(), 1);
        assert!(found.message.contains("it did not learn them"), "{}", found.message);
    }
}

mod preference_flip_on_answers {
    use super::*;

    fn triples(count: usize) -> PreferenceFlip {
        probe(&list("triples", count, |i| format!("{{ prompt = \"p {i}\", chosen = \" yes\", rejected = \" no\" }}")))
    }

    fn is_chosen(request: &Request) -> bool {
        matches!(&request.op, Op::LogprobOf { completion, .. } if completion == " yes")
    }

    /// The margin of each triple under each view.
    fn margins(base: impl Fn(f64) -> f64, ft: impl Fn(f64) -> f64) -> impl Fn(&Request) -> Answer {
        move |r| {
            let margin = if r.view == View::Ft { ft(number(r)) } else { base(number(r)) };
            logprob(if is_chosen(r) { -2.0 + margin } else { -2.0 })
        }
    }

    #[test]
    fn the_share_is_of_the_triples_that_the_base_got_wrong() {
        let found = judged(
            &triples(30),
            margins(|i| if i < 20.0 { -1.0 } else { 1.0 }, |i| if (0.5..28.5).contains(&i) { 1.0 } else { -1.0 }),
        );
        assert_eq!(found.criteria[0].estimate.n, 20);
        assert!((found.criteria[0].estimate.value - 0.95).abs() < 1e-12);
        assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
        assert!(found.message.contains("it broke 1"), "{}", found.message);
    }

    #[test]
    fn one_wrong_triple_short_is_a_warning_about_the_margin() {
        let short = judged(&triples(12), margins(|i| if i < 2.0 { -1.0 } else { 1.0 }, |_| 2.0));
        assert_eq!(short.verdict, Verdict::Warn, "{}", short.message);
        let enough = judged(&triples(12), margins(|i| if i < 3.0 { -1.0 } else { 1.0 }, |_| 2.0));
        assert_eq!(enough.criteria[0].name, "flip_share");
    }

    #[test]
    fn a_margin_of_nothing_is_not_right() {
        let found = judged(&triples(10), margins(|_| 0.0, |_| 0.0));
        assert_eq!(found.verdict, Verdict::Fail, "{}", found.message);
    }
}

mod calibration_drift_on_answers {
    use super::*;

    fn facts(count: usize) -> CalibrationDrift {
        probe(&list("items", count, |i| format!("{{ prompt = \"fact {i}\", gold = \" g\" }}")))
    }

    fn losing(few: f64, loss: f64) -> impl Fn(&Request) -> Answer {
        move |r| logprob(if r.view == View::Ft && number(r) < few { -1.0 - loss } else { -1.0 })
    }

    #[test]
    fn what_is_kept_passes_and_what_is_lost_fails() {
        assert_eq!(judged(&facts(60), losing(0.0, 0.0)).verdict, Verdict::Pass);
        let lost = judged(&facts(60), losing(50.0, 3.0));
        assert_eq!(lost.verdict, Verdict::Fail);
        assert!(lost.message.starts_with("it forgot"), "{}", lost.message);
    }

    #[test]
    fn a_loss_of_exactly_one_nat_is_not_more_than_one() {
        assert_eq!(judged(&facts(40), losing(1.0, 1.0)).evidence["forgotten"], 0);
    }

    #[test]
    fn too_few_facts_say_how_many_would_do() {
        let few = judged(&facts(10), losing(0.0, 0.0));
        assert_eq!(few.verdict, Verdict::Inconclusive);
        assert!(few.message.contains("items would settle it"), "{}", few.message);
    }
}

mod adapter_ablation_on_answers {
    use super::*;

    /// A curve of the change over the dose.
    fn curve(change: impl Fn(f64) -> f64) -> Judgement {
        judged(&probe::<AdapterAblation>(&prompts(8)), |r| {
            let dose = match r.view {
                View::Scaled(scale) => scale.value(),
                _ => 1.0,
            };
            moved(0.1, change(dose) * (1.0 + 0.01 * number(r)))
        })
    }

    #[test]
    fn a_line_passes_saturation_fails_and_a_fall_fails() {
        assert_eq!(curve(|dose| 2.0 * dose).verdict, Verdict::Pass);
        let saturated = curve(|dose| (8.0 * dose).tanh());
        assert_eq!(saturated.verdict, Verdict::Fail);
        assert!(saturated.message.contains("saturation"), "{}", saturated.message);
        let falling = curve(|dose| if dose > 1.1 { 0.9 } else { dose });
        assert_eq!(falling.verdict, Verdict::Fail);
        assert!(falling.message.contains("more of the adapter changes less"), "{}", falling.message);
    }

    #[test]
    fn a_straight_line_of_next_to_nothing_is_a_warning() {
        let barely = curve(|dose| 0.01 * dose);
        assert_eq!(barely.verdict, Verdict::Warn);
        assert!(barely.message.contains("barely a perturbation"), "{}", barely.message);
    }
}

/// A kind that asks again about what it was told: the continuation becomes the next prompt.
#[derive(Clone, Debug, serde::Deserialize)]
struct Dialogue {
    prompts: Items<Prompt>,
}

impl Probe for Dialogue {
    const KIND: Kind = Kind {
        name: "dialogue",
        category: crate::record::Category::Adherence,
        summary: "",
        calibrated: None,
        values_of: "",
        asks_documents: false,
    };

    type Item = Prompt;
    type Measurement = Vec<String>;
    type Fold = Vec<String>;

    fn items(&self) -> &Items<Self::Item> {
        &self.prompts
    }

    fn ask(&self, item: &Self::Item, rounds: &[Vec<Answer>]) -> Vec<Request> {
        let prompt = match rounds {
            [] => item.clone(),
            [.., last] if rounds.len() < 3 => match last.as_slice() {
                [Answer::Generate(generation)] => generation.text.as_str().into(),
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        vec![Request::new(View::Ft, Op::Generate { prompt, max_new_tokens: 1, sampling: crate::request::Sampling::Greedy })]
    }

    fn measure(&self, _: &Self::Item, rounds: &[Vec<Answer>]) -> Option<Vec<String>> {
        rounds.iter().flatten().map(|answer| if let Answer::Generate(g) = answer { Some(g.text.clone()) } else { None }).collect()
    }

    fn fold(&self, fold: &mut Vec<String>, _: u64, told: Vec<String>) {
        fold.extend(told);
    }

    fn metric(&self, _: &Vec<String>) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Vec<String>, _: &Court<'_>) -> Judgement {
        Judgement::nothing(fold.join(" "), Vec::new())
    }
}

#[test]
fn an_item_may_look_at_an_answer_before_it_asks_again() {
    let found = judged(&probe::<Dialogue>("prompts = [\"a\", \"b\"]"), |request| text(&format!("{}+", request.op.subject())));
    assert_eq!(found.message, "a+ a++ a+++ b+ b++ b+++");
}
