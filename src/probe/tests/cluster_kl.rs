use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;
use crate::request::{Embedder, Embedding};

/// Five subjects in turn, far apart, each prompt a little off its subject.
fn subject(item: usize) -> Vec<f32> {
    (0..6).map(|axis| if axis == item % 5 { 10.0 } else { ((7 * item + 3 * axis) % 11) as f32 / 20.0 }).collect()
}

fn embedding(embedding: Vec<f32>) -> Answer {
    Answer::Embedding(Embedding { embedding, num_tokens: 3 })
}

/// A number in [0, 1) that has nothing to do with a subject.
fn noise(item: usize, salt: usize) -> f64 {
    ((item * 7919 + salt * 104_729 + item * item * 31) % 1009) as f64 / 1009.0
}

fn answer(request: &Request, js: impl Fn(usize, View) -> f64, place: impl Fn(usize) -> Vec<f32>) -> Answer {
    let item = number(request) as usize;
    match &request.op {
        Op::Embed { embedder: Embedder::States, .. } if request.view == View::Base => embedding(place(item)),
        Op::NextTokenDist { .. } => moved(js(item, request.view), 1.0),
        other => panic!("{other:?}"),
    }
}

fn found(keys: &str, js: impl Fn(usize) -> f64, place: impl Fn(usize) -> Vec<f32>) -> Judgement {
    judged(&probe::<ClusterKl>(keys), |request| answer(request, |item, _| js(item), &place))
}

/// Much on the first subject, little on the others.
fn specific(item: usize) -> f64 {
    0.02 + if item.is_multiple_of(5) { 0.4 } else { 0.0 } + 0.02 * noise(item, 1)
}

#[test]
fn who_moves_one_subject_passes_and_who_moves_prompts_at_random_fails() {
    let one = found(&prompts(40), specific, subject);
    assert_eq!(one.verdict, Verdict::Pass, "{}", one.message);
    assert_eq!(one.criteria[0].name, "specificity");
    assert!(one.criteria[0].estimate.value > 0.98 && one.score > Some(0.9), "{one:?}");
    assert!(one.message.contains("most where 8 prompts are as “prompt 0”"), "{}", one.message);
    let clusters = one.evidence["clusters"].as_array().unwrap();
    assert_eq!((clusters.len(), &clusters[0]["n"]), (5, &8.into()));
    assert_eq!(clusters[0]["prompts"].as_array().unwrap().len(), 3);
    assert!(one.evidence["permutation_p"].as_f64() < Some(0.01));
    assert_eq!(one.values.len(), 40);

    let any = found(&prompts(60), |item| 0.1 + 0.2 * noise(item, 2), subject);
    assert_eq!(any.verdict, Verdict::Fail, "{}", any.message);
    assert!(any.score <= Some(0.5) && any.criteria[0].estimate.value < 0.3, "{any:?}");
    assert!(any.message.contains("short of the 0.6 asked for"), "{}", any.message);
}

#[test]
fn the_share_is_less_than_the_plain_one_by_what_chance_makes_of_that() {
    let any = found(&prompts(20), |item| 0.1 + 0.2 * noise(item, 3), subject);
    let (eta, epsilon) = (any.evidence["eta_squared"].as_f64().unwrap(), any.criteria[0].estimate.value);
    // ε² = η² − (1 − η²)(k − 1)/(n − k).
    assert!((epsilon - (eta - (1.0 - eta) * 4.0 / 15.0)).abs() < 1e-12, "{eta} {epsilon}");
}

#[test]
fn a_share_at_the_threshold_is_open() {
    // Two clusters, whose prompts are as far from each other as the clusters are: in between of everything.
    let keys = format!("{}\nclusters = 2", prompts(24));
    let place = |item: usize| vec![if item.is_multiple_of(2) { 0.0 } else { 9.0 }, noise(item, 5) as f32];
    let open = found(&keys, |item| (if item.is_multiple_of(2) { 0.1 } else { 0.3 }) + 0.27 * noise(item, 4), place);
    let interval = open.criteria[0].estimate.interval.unwrap();
    assert!(interval[0] < 0.6 && interval[1] > 0.6, "{open:?}");
    assert_eq!((open.verdict, open.score), (Verdict::Inconclusive, None));
    assert!(open.message.contains("does not settle it"), "{}", open.message);
    let point = Court { decide: Decide::Point, ..Court::PLAIN };
    let decided = course_of(&probe::<ClusterKl>(&keys), CoursePlan::default(), |request| {
        Ok(answer(request, |item, _| (if item.is_multiple_of(2) { 0.1 } else { 0.3 }) + 0.27 * noise(item, 4), place))
    });
    assert_ne!(decided.judge(&point).judgement.unwrap().verdict, Verdict::Inconclusive);
}

#[test]
fn what_does_not_move_or_moves_alike_is_not_specific() {
    let still = found(&prompts(20), |_| 1e-9, subject);
    assert_eq!((still.verdict, still.score), (Verdict::Fail, Some(0.0)));
    assert!(still.message.starts_with("the adapter probably does nothing"), "{}", still.message);
    let alike = found(&prompts(20), |_| 0.3, subject);
    assert_eq!((alike.verdict, alike.score), (Verdict::Fail, Some(0.0)));
    assert_eq!(alike.message, "it moves all prompts by the same 0.300 nats of JS, whatever they are about");
}

#[test]
fn prompts_in_one_place_have_no_clusters() {
    let one = found(&prompts(20), specific, |_| vec![1.0, 2.0]);
    assert_eq!(one.verdict, Verdict::Inconclusive);
    assert!(one.message.contains("can't be told apart"), "{}", one.message);
    // In two places, there are two clusters, however many are wanted.
    let two = found(&prompts(20), specific, |item| vec![(item % 2) as f32]);
    assert_eq!(two.evidence["clusters"].as_array().unwrap().len(), 2);
}

#[test]
fn one_prompt_that_stands_out_is_no_subject() {
    let outlier = |item: usize| if item == 7 { vec![50.0; 6] } else { subject(item) };
    let one = found(&prompts(20), |item| if item == 7 { 0.6 } else { 0.01 + 0.001 * noise(item, 1) }, outlier);
    assert_ne!(one.verdict, Verdict::Pass, "{}", one.message);
}

#[test]
fn fewer_prompts_than_make_clusters_are_a_mistake_of_the_suite() {
    let survey = |keys: &str| probe::<ClusterKl>(keys).survey(&NoFiles);
    assert_eq!(survey(&prompts(19)).unwrap_err(), "19 prompts are too few: cluster_kl needs 20");
    let twenty = survey(&prompts(20)).unwrap();
    assert_eq!((twenty.items, twenty.requests), (20, 40));
    assert_eq!(survey(&format!("{}\nclusters = 8", prompts(31))).unwrap_err(), "31 prompts are too few: cluster_kl needs 32");
    assert!(survey(&prompts(5001)).unwrap_err().contains("too many: cluster_kl takes at most 5000"));
    for bad in ["clusters = 1", "threshold = 1.0", "embedder = \"\""] {
        assert!(toml::from_str::<ClusterKl>(&format!("{}\n{bad}", prompts(20))).is_err(), "{bad}");
    }
}

#[test]
fn an_answer_of_another_op_or_an_error_is_the_items() {
    let course = course_of(&probe::<ClusterKl>(&prompts(20)), CoursePlan::default(), |request| match number(request) as usize {
        3 => Ok(text("no distribution")),
        item => Ok(answer(request, |_, _| 0.1, |_| subject(item))),
    });
    let ending = course.judge(&Court::PLAIN);
    assert_eq!((ending.failed, ending.judgement), (1, None));
}

fn calibrated(js: impl Fn(usize, View) -> f64) -> Box<dyn Course> {
    let plan = CoursePlan { nulls: (1..=8).collect(), calibrated: (0..32).step_by(2).collect(), ..CoursePlan::default() };
    course_of(&probe::<ClusterKl>(&prompts(40)), plan, |request| Ok(answer(request, &js, subject)))
}

fn judged_with(course: &dyn Course) -> Judgement {
    let calibration = course.calibration().unwrap();
    let NullOutcome::Compared { p, .. } = calibration.outcome else { panic!("{calibration:?}") };
    course.judge(&Court { calibration: Some(&calibration), q: Some(p), ..Court::PLAIN }).judgement.unwrap()
}

#[test]
fn nulls_are_held_against_the_adapter_on_the_same_prompts_in_the_same_clusters() {
    let seed = |view: View| if let View::Null(seed) = view { seed as usize } else { 0 };
    let course = calibrated(|item, view| if view == View::Ft { specific(item) } else { 0.2 + 0.2 * noise(item, seed(view)) });
    let calibration = course.calibration().unwrap();
    assert_eq!((calibration.metric.as_str(), calibration.items, calibration.draws.len()), ("specificity", 16, 8));
    assert!(calibration.raw > 0.9, "{calibration:?}");
    let found = judged_with(&*course);
    assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
    assert!(found.message.contains("standard deviations from random adapters"), "{}", found.message);

    // A random adapter that moves the same subject most says that this subject is easily moved.
    let course = calibrated(|item, view| specific(item) * (1.0 + 0.3 * noise(item, 10 + seed(view))));
    let drowned = judged_with(&*course);
    assert_eq!(drowned.verdict, Verdict::Fail, "{}", drowned.message);
    assert!(drowned.message.contains("random adapters of the same size do as much"), "{}", drowned.message);
}

/// How often the verdict is this, over samples of normal values of which clusters of equal size explain a share of the variance.
fn rate(share: f64, n: usize, verdict: Verdict) -> f64 {
    const SAMPLES: u64 = 300;
    // Their variance is 1.
    let means = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|mean: f64| mean / 2.0_f64.sqrt());
    let keys = prompts(n);
    let count = (0..SAMPLES).filter(|sample| {
        let mut rng = ChaCha8Rng::seed_from_u64(*sample);
        let values: Vec<f64> = (0..n)
            .map(|item| {
                let own: f64 = StandardNormal.sample(&mut rng);
                10.0 + share.sqrt() * means[item % 5] + (1.0 - share).sqrt() * own
            })
            .collect();
        found(&keys, |item| values[item], subject).verdict == verdict
    });
    100.0 * count.count() as f64 / SAMPLES as f64
}

/// 2.5 % on either side, as of an interval of 95 %, and three standard errors.
#[test]
fn clusters_that_explain_just_the_threshold_seldom_pass_and_seldom_fail() {
    for n in [20, 40] {
        let (pass, fail) = (rate(0.6, n, Verdict::Pass), rate(0.6, n, Verdict::Fail));
        assert!(pass <= 5.2 && fail <= 5.2, "{n} prompts: {pass} % pass, {fail} % fail");
    }
    assert!(rate(0.0, 20, Verdict::Pass) == 0.0, "clusters that explain nothing");
    assert!(rate(0.95, 40, Verdict::Pass) > 90.0, "clusters that explain nearly all");
}
