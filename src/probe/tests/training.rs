//! `training_drift` and `gradient_ghost` on hand-written curves and parameters.

use std::path::{Path, PathBuf};

use super::*;
use crate::record::Estimate;

/// A training's leavings: under whatever name they are asked for, or nowhere.
#[derive(Default)]
pub(super) struct Left {
    pub(super) losses: Vec<LossPoint>,
    pub(super) parameters: Vec<TrainedParameter>,
    pub(super) global_step: Option<u64>,
    pub(super) other: Option<String>,
    pub(super) nowhere: bool,
}

impl OpenRows for Left {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
        Err(format!("{} was opened", items.file))
    }

    fn beside_adapter(&self, what: TrainingFile) -> Place {
        if self.nowhere { Place::Nowhere("looked in x".to_owned()) } else { Place::At(PathBuf::from(what.names()[0])) }
    }

    fn losses(&self, _: &Path) -> Result<Vec<LossPoint>, String> {
        Ok(self.losses.clone())
    }

    fn optimizer(&self, _: &Path) -> Result<OptimizerMemory, String> {
        Ok(match &self.other {
            Some(other) => OptimizerMemory::Other(other.clone()),
            None => OptimizerMemory::Adam { parameters: self.parameters.clone(), global_step: self.global_step },
        })
    }
}

/// What a probe finds in it, asking no model.
fn found<P: Probe>(toml: &str, left: &Left, court: &Court<'_>) -> Judgement {
    let probe: P = probe(toml);
    let mut course = probe.start(left, MODEL, CoursePlan::default()).unwrap();
    while course.draw(7).unwrap() > 0 {
        assert!(course.ask().is_empty());
    }
    course.judge(court).judgement.unwrap()
}

fn curve(losses: &[f64]) -> Left {
    let losses = losses.iter().zip(1..).map(|(loss, step)| LossPoint { step: 10 * step, loss: *loss, grad_norm: Some(1.0) });
    Left { losses: losses.collect(), ..Left::default() }
}

fn drift(losses: &[f64]) -> Judgement {
    found::<TrainingDrift>("", &curve(losses), &Court::PLAIN)
}

/// Falls from 2 to this share of it, in twenty equal steps, after which it lasts for as many: the ends' medians are those.
fn falling_to(share: f64) -> Vec<f64> {
    let fall = (0..=20).map(|i| 2.0 - 2.0 * (1.0 - share) * f64::from(i) / 20.0);
    [2.0; 3].into_iter().chain(fall).chain([2.0 * share; 20]).collect()
}

fn verdicts(found: &Judgement) -> Vec<Verdict> {
    found.criteria.iter().map(|criterion| criterion.verdict).collect()
}

#[test]
fn a_training_that_learned_smoothly_passes() {
    let found = drift(&falling_to(0.4));
    assert_eq!(found.verdict, Verdict::Pass);
    assert_eq!(
        found.message,
        "the loss went from 2.000 to 0.800 (0.40 of it) over 44 logged points, with smoothness 1.00 and no spikes"
    );
    assert_eq!((found.values.len(), &found.evidence["last_step"]), (44, &440.into()));
    assert!(found.score.unwrap() > 0.7);
}

#[test]
fn a_final_loss_at_the_threshold_is_not_below_it() {
    let verdict = |share: f64| found::<TrainingDrift>("max_final = 0.75", &curve(&falling_to(share)), &Court::PLAIN).verdict;
    assert_eq!((verdict(0.75), verdict(0.749)), (Verdict::Fail, Verdict::Pass));
    assert!(drift(&falling_to(0.8)).message.starts_with("the training learned little: "));
    let rising: Vec<f64> = (0..20).map(|i| 1.0 + 0.1 * f64::from(i)).collect();
    assert!(drift(&rising).message.starts_with("the training did not learn: "));
}

#[test]
fn a_flat_loss_is_smooth_and_fails() {
    let found = drift(&[2.0; 12]);
    assert_eq!((found.verdict, verdicts(&found)), (Verdict::Fail, vec![Verdict::Fail, Verdict::Pass, Verdict::Pass]));
}

#[test]
fn a_loss_that_scatters_is_unsteady() {
    let wild: Vec<f64> = (0..40).map(|i| 4.0 - 0.07 * f64::from(i) + if i % 2 == 0 { 1.2 } else { 0.0 }).collect();
    let found = drift(&wild);
    assert_eq!(verdicts(&found), [Verdict::Pass, Verdict::Fail, Verdict::Pass], "{}", found.message);
    assert!(found.message.starts_with("the training was unsteady: "));
    assert!(found.score.unwrap() < 0.5);
}

#[test]
fn one_spike_fails_and_as_many_as_are_allowed_do_not() {
    let mut losses = falling_to(0.4);
    losses[30] = 1.9;
    let once = drift(&losses);
    assert_eq!((once.verdict, once.criteria[2].estimate.value, once.score), (Verdict::Fail, 1.0, Some(0.5)));
    assert!(
        once.message.contains("thrown back") && once.message.ends_with("a spike at step 310 (1.900 from 0.800)"),
        "{}",
        once.message
    );
    assert_eq!(found::<TrainingDrift>("max_spikes = 1", &curve(&losses), &Court::PLAIN).verdict, Verdict::Pass);
    losses[38] = 1.9;
    assert!(drift(&losses).message.contains("2 spikes, the first at step 310"));
    assert_eq!(found::<TrainingDrift>("max_spikes = 1", &curve(&losses), &Court::PLAIN).verdict, Verdict::Fail);
}

#[test]
fn too_few_losses_settle_nothing() {
    assert_eq!(drift(&[]).message, "no loss was logged; evaluations alone do not tell how the training went");
    for few in [0, 1, 2, 9] {
        let found = drift(&falling_to(0.4)[..few]);
        assert_eq!((found.verdict, found.score), (Verdict::Inconclusive, None));
    }
    assert!(drift(&[1.0; 9]).message.starts_with("9 losses were logged, and a curve needs 10"));
    let strict = Court { min_items: 45, ..Court::PLAIN };
    let open = found::<TrainingDrift>("", &curve(&falling_to(0.4)), &strict);
    assert_eq!(open.verdict, Verdict::Inconclusive);
    assert!(open.message.ends_with("44 points are too few for a verdict, which needs 45"), "{}", open.message);
}

#[test]
fn a_loss_that_is_no_number_fails_however_few_there_are() {
    for (loss, what) in [(f64::NAN, "NaN"), (f64::INFINITY, "infinite")] {
        let found = drift(&[2.0, loss]);
        assert_eq!((found.verdict, found.score), (Verdict::Fail, Some(0.0)));
        let expected = format!("the loss became {what} at step 20, and what was trained after that is no adapter to ship");
        assert_eq!(found.message, expected);
    }
    let mut back = falling_to(0.4);
    back[7] = f64::NAN;
    assert!(drift(&back).message.ends_with("at step 80, and came back later, which no sound training needs"));
}

#[test]
fn a_loss_of_zero_with_a_gradient_of_nan_is_what_the_trainer_makes_of_nan() {
    let mut left = curve(&[2.0, 1.5, 0.0]);
    assert_eq!(found::<TrainingDrift>("", &left, &Court::PLAIN).verdict, Verdict::Inconclusive);
    left.losses[2].grad_norm = Some(f64::NAN);
    let hidden = found::<TrainingDrift>("", &left, &Court::PLAIN);
    assert!(
        hidden.message.starts_with("the loss became NaN at step 30 (logged as 0, with a gradient norm of NaN"),
        "{}",
        hidden.message
    );
    // One gradient that is no number, and a loss that is: mixed precision passes over such steps.
    left.losses[2].loss = 1.0;
    assert_eq!(found::<TrainingDrift>("", &left, &Court::PLAIN).verdict, Verdict::Inconclusive);
}

#[test]
fn what_a_resumed_training_logged_before_is_left_out() {
    let mut left = curve(&falling_to(0.4));
    let mut wrong = left.losses.clone();
    wrong[43].loss = f64::NAN;
    left.losses.splice(0..0, wrong.split_off(30));
    let again = found::<TrainingDrift>("", &left, &Court::PLAIN);
    assert_eq!((again.verdict, &again.evidence["left_out"]), (Verdict::Pass, &14.into()));
}

#[test]
fn a_loss_that_begins_at_nothing_or_below_has_no_share() {
    let found = drift(&[-0.5; 12]);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.message.starts_with("the loss begins at −0.500"), "{}", found.message);
}

fn moments(step: f64, mean: f64) -> SecondMoments {
    SecondMoments { step: Some(step), values: 16, not_finite: 0, zeros: if mean == 0.0 { 16 } else { 0 }, mean }
}

/// Pairs of A and B: these are the mean second moments of both.
fn pairs(means: &[(f64, f64)], step: f64) -> Left {
    let parameter = |shape: [u64; 2], mean| (shape.to_vec(), moments(step, mean));
    let both = means.iter().flat_map(|(a, b)| [parameter([2, 8], *a), parameter([8, 2], *b)]);
    let parameters = both.enumerate().map(|(number, (shape, memory))| TrainedParameter {
        name: number.to_string(),
        shape,
        memory: Some(memory),
    });
    Left { parameters: parameters.collect(), ..Left::default() }
}

fn ghost(left: &Left) -> Judgement {
    found::<GradientGhost>("", left, &Court::PLAIN)
}

/// B's moments are far above A's, and each like the others.
const SOUND: [(f64, f64); 3] = [(1e-6, 1e-2), (2e-6, 3e-2), (5e-6, 9e-2)];

#[test]
fn a_training_that_reached_all_passes_though_b_is_far_above_a() {
    let found = ghost(&pairs(&SOUND, 80.0));
    assert_eq!(found.verdict, Verdict::Pass);
    assert_eq!(found.message, "the training took 80 steps over 6 parameters, and a gradient of the usual size reached every one");
    assert!((found.criteria[2].estimate.value - 3.0).abs() < 1e-9);
    assert_eq!(found.values.len(), 6);
}

#[test]
fn fifty_steps_are_enough_and_forty_nine_are_not() {
    assert_eq!(ghost(&pairs(&SOUND, 50.0)).verdict, Verdict::Pass);
    let short = ghost(&pairs(&SOUND, 49.0));
    assert_eq!((short.verdict, short.score), (Verdict::Fail, Some(0.5)));
    assert_eq!(short.message, "the training took 49 steps over 6 parameters, and 50 are the least");
    assert_eq!(found::<GradientGhost>("min_steps = 10", &pairs(&SOUND, 10.0), &Court::PLAIN).verdict, Verdict::Pass);
    // The log knows better than the optimizer, which may have been made anew.
    assert_eq!(ghost(&Left { global_step: Some(500), ..pairs(&SOUND, 12.0) }).verdict, Verdict::Pass);
    assert_eq!(ghost(&Left { global_step: Some(12), ..pairs(&SOUND, 500.0) }).verdict, Verdict::Fail);
}

#[test]
fn a_parameter_a_thousand_times_its_like_is_lopsided_and_just_below_is_not() {
    let ratio = |times: f64| ghost(&pairs(&[(1e-6, 1e-2), (1e-6, 1e-2), (1e-6 * times, 1e-2)], 80.0));
    assert_eq!((ratio(999.0).verdict, ratio(1001.0).verdict), (Verdict::Pass, Verdict::Fail));
    assert_eq!((ratio(1.0 / 999.0).verdict, ratio(1.0 / 1001.0).verdict), (Verdict::Pass, Verdict::Fail));
    assert_eq!((ratio(1.0).criteria[2].estimate.value, ratio(1.0).verdict), (1.0, Verdict::Pass));
    let said = ratio(1e5).message;
    assert!(
        said.starts_with("the mean second moment of parameter 4 (A, 2 × 8) lies 100000 times above the median of its like"),
        "{said}"
    );
}

#[test]
fn what_is_no_pair_is_held_against_its_shape() {
    let parameter = |name: &str, shape: &[u64], mean| TrainedParameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        memory: Some(moments(80.0, mean)),
    };
    let mixed = |mean| Left {
        parameters: vec![
            parameter("a", &[8], 1.0),
            parameter("b", &[64, 64], 1e-9),
            parameter("c", &[8], 1.0),
            parameter("d", &[8], mean),
        ],
        ..Left::default()
    };
    assert_eq!(ghost(&mixed(1.0)).verdict, Verdict::Pass);
    let odd = ghost(&mixed(1e-9));
    assert!(odd.message.contains("parameter d (8) lies") && odd.message.contains("below"), "{}", odd.message);
}

#[test]
fn parameters_that_learned_nothing_or_nonsense_fail_by_name() {
    let mut left = pairs(&SOUND, 80.0);
    left.parameters[1].memory = None;
    let never = ghost(&left);
    assert_eq!(never.verdict, Verdict::Fail);
    assert!(never.message.starts_with("1 of 6 parameters never had a gradient (1); the training took"), "{}", never.message);
    left.parameters[2].memory.as_mut().unwrap().not_finite = 1;
    left.parameters[3].memory = Some(moments(80.0, 0.0));
    let all = ghost(&left);
    assert_eq!(all.criteria[1].estimate, Estimate::bare(3.0, 6));
    assert!(all.message.starts_with("1 of 6 parameters has second moments that are not finite (2), 1 of"), "{}", all.message);
    assert_eq!(all.evidence["all_zero"], serde_json::json!(["3"]));
    // In the first step A has no gradient yet.
    let first = found::<GradientGhost>("min_steps = 1", &pairs(&[(0.0, 1e-2); 3], 1.0), &Court::PLAIN);
    assert_eq!(first.verdict, Verdict::Pass, "{}", first.message);
}

#[test]
fn no_parameter_one_and_two() {
    assert_eq!(ghost(&Left::default()).message, "the optimizer's state has no parameters");
    let single = Left { parameters: pairs(&SOUND, 80.0).parameters[..1].to_vec(), ..Left::default() };
    let single = ghost(&single);
    assert_eq!((single.verdict, single.criteria[2].estimate.value), (Verdict::Pass, 1.0));
    assert_eq!(ghost(&pairs(&SOUND[..1], 80.0)).verdict, Verdict::Pass);
    let mut timeless = pairs(&SOUND, 80.0);
    timeless.parameters.iter_mut().for_each(|parameter| parameter.memory.as_mut().unwrap().step = None);
    assert_eq!(ghost(&timeless).verdict, Verdict::Inconclusive);
}

#[test]
fn without_a_file_both_are_skipped_and_say_how_to_name_one() {
    let nowhere = Left { nowhere: true, ..Left::default() };
    let skip = |probe: &dyn AnyProbe, left: &Left| probe.skip_without_file(left).unwrap();
    assert_eq!(
        skip(&probe::<TrainingDrift>(""), &nowhere).unwrap(),
        "there is no trainer_state.json to read: looked in x; `file = \"…\"` in the probe names one"
    );
    let ghost: GradientGhost = probe("");
    assert!(skip(&ghost, &nowhere).unwrap().starts_with("there is no optimizer.pt or training_state.pt to read: looked in x; "));
    assert_eq!(ghost.survey(&nowhere).unwrap().items, 0);
    assert_eq!(skip(&ghost, &pairs(&SOUND, 80.0)), None);
    assert_eq!(probe::<TrainingDrift>("").survey(&curve(&[1.0; 12])).unwrap().items, 12);
}

#[test]
fn another_optimizer_is_a_skip_where_it_was_found_and_an_error_where_it_was_named() {
    let left = Left { other: Some("8-bit moments".to_owned()), ..Left::default() };
    let found: GradientGhost = probe("");
    assert_eq!(found.survey(&left).unwrap().items, 0);
    let said = found.skip_without_file(&left).unwrap().unwrap();
    assert_eq!(said, "optimizer.pt has 8-bit moments, and this probe reads Adam's in full");
    let named: GradientGhost = probe("file = \"state.pt\"");
    assert_eq!(named.survey(&left).unwrap_err(), "state.pt has 8-bit moments, and this probe reads Adam's in full");
}

#[test]
fn keys_that_no_training_could_meet_are_refused() {
    for keys in ["max_final = 1.0", "min_smoothness = 1.0", "spike = 0.0", "max_spikes = -1", "steps = 3"] {
        assert!(toml::from_str::<TrainingDrift>(keys).is_err(), "{keys}");
    }
    for keys in ["min_steps = 0", "max_ratio = 1.0", "global_step = 3"] {
        assert!(toml::from_str::<GradientGhost>(keys).is_err(), "{keys}");
    }
}
