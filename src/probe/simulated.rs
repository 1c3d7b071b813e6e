//! How often intervals hold the truth, and how often a gate cries wolf: counted on simulated items, and held against the tables of
//! `benches/README.md`.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Binomial, Distribution, Exp1, LogNormal, StandardNormal, StudentT};
use rayon::prelude::*;

use super::Court;
use super::verdict::{Rule, Side};
use crate::math::{NullComparison, benjamini_hochberg, clustered_share, mean, mean_interval, mean_interval_by};
use crate::record::{Calibration, NullOutcome, Verdict};

const DOC: &str = include_str!("../../benches/README.md");

/// What items may give.
#[derive(Clone, Copy)]
enum Items {
    /// Changes of log-probability that lean to neither side.
    Normal,
    /// The same with heavy tails.
    Student5,
    /// Divergences: between 0 and 1, most of them small.
    Divergence,
    /// Waiting times, lifts: lopsided without an upper end.
    Exponential,
    /// Ratios: half a unit of spread in the logarithm.
    LogNormal,
    /// Shares of eight words that were recited.
    Recall,
    /// A few items lose much, and the rest nothing.
    FewLose,
}

const ITEMS: [(Items, &str); 7] = [
    (Items::Normal, "normal"),
    (Items::Student5, "Student's t, 5 degrees"),
    (Items::Divergence, "beta(0.5, 3): divergences"),
    (Items::Exponential, "exponential"),
    (Items::LogNormal, "log-normal, 0.5"),
    (Items::Recall, "binomial(8, 0.3)/8: recall"),
    (Items::FewLose, "1 in 5 loses about 1"),
];

impl Items {
    fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Normal => StandardNormal.sample(rng),
            Self::Student5 => StudentT::new(5.0).unwrap().sample(rng),
            Self::Divergence => Beta::new(0.5, 3.0).unwrap().sample(rng),
            Self::Exponential => Exp1.sample(rng),
            Self::LogNormal => LogNormal::new(0.0, 0.5).unwrap().sample(rng),
            Self::Recall => Binomial::new(8, 0.3).unwrap().sample(rng) as f64 / 8.0,
            Self::FewLose => {
                let change: f64 = StandardNormal.sample(rng);
                if rng.random_bool(0.2) { -1.0 + 0.3 * change } else { 0.05 * change }
            }
        }
    }

    fn mean(self) -> f64 {
        match self {
            Self::Normal | Self::Student5 => 0.0,
            Self::Divergence => 0.5 / 3.5,
            Self::Exponential => 1.0,
            Self::LogNormal => 0.125_f64.exp(),
            Self::Recall => 0.3,
            Self::FewLose => -0.2,
        }
    }

    fn sample(self, n: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| self.draw(&mut rng)).collect()
    }
}

const COUNTS: [usize; 6] = [8, 12, 20, 50, 100, 200];

/// Samples of each kind and size; the standard error of a share near 95 % is 0.5 %.
const SAMPLES: u64 = 2000;

/// Share of samples whose interval holds the true mean, in percent.
fn coverage(items: Items, n: usize) -> f64 {
    let covers = |sample: &u64| mean_interval(&items.sample(n, *sample)).is_ok_and(|interval| interval.contains(items.mean()));
    100.0 * (0..SAMPLES).into_par_iter().filter(covers).count() as f64 / SAMPLES as f64
}

/// The row of a table of the docs that begins with these words: its figures.
fn documented(row: &str) -> Vec<f64> {
    let line = DOC.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap_or_default();
    line.split('|').skip(2).filter_map(|cell| cell.trim().trim_end_matches(" %").parse().ok()).collect()
}

/// Other floating-point libraries may put a few samples on the other side.
const SAME: f64 = 0.25;

/// What does not hold, as the row that the docs should have.
fn wrong(row: &str, found: &[f64]) -> Option<String> {
    let known = documented(row);
    let same = known.len() == found.len() && known.iter().zip(found).all(|(known, found)| (known - found).abs() <= SAME);
    let shown: Vec<String> = found.iter().map(|share| format!("{share:.1} %")).collect();
    (!same).then(|| format!("| {row} | {} |", shown.join(" | ")))
}

#[track_caller]
fn hold(wrong: &[String]) {
    assert!(wrong.is_empty(), "benches/README.md should say\n{}", wrong.join("\n"));
}

#[test]
fn intervals_hold_the_true_mean_as_often_as_the_table_says() {
    let mut rows = Vec::new();
    for (items, name) in ITEMS {
        let found = COUNTS.map(|n| coverage(items, n));
        rows.extend(wrong(name, &found));
        for (n, share) in COUNTS.into_iter().zip(found) {
            // 93 to 97 %, and two standard errors. Eight or twelve items may show none of the few that lose.
            let blind = matches!(items, Items::FewLose) && n < 20;
            assert!(blind || (92.0..=98.0).contains(&share), "{name}, {n} items: {share} %");
        }
    }
    hold(&rows);
}

const GROUPS: [usize; 5] = [8, 12, 20, 50, 100];

/// Items in groups.
#[derive(Default)]
struct Grouped {
    values: Vec<f64>,
    hits: Vec<bool>,
    clusters: Vec<usize>,
}

/// Groups of one to eight items each, and of each item what its group has in common (exponential) with a spread of its own; and whether it
/// hits, with a chance of its group's own (beta(2, 6)).
fn grouped(groups: usize, seed: u64) -> Grouped {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut sample = Grouped::default();
    for group in 0..groups {
        let common: f64 = Exp1.sample(&mut rng);
        let chance: f64 = Beta::new(2.0, 6.0).unwrap().sample(&mut rng);
        for _ in 0..rng.random_range(1..=8) {
            let own: f64 = StandardNormal.sample(&mut rng);
            sample.values.push(common + 0.5 * own);
            sample.hits.push(rng.random_bool(chance));
            sample.clusters.push(group);
        }
    }
    sample
}

#[test]
fn intervals_of_items_in_groups_hold_the_truth_as_often_as_the_table_says() {
    let count = |groups: usize, holds: fn(Grouped) -> bool| {
        let held = (0..SAMPLES).into_par_iter().filter(|sample| holds(grouped(groups, *sample))).count();
        100.0 * held as f64 / SAMPLES as f64
    };
    let mean = GROUPS.map(|groups| {
        count(groups, |of| mean_interval_by(&of.values, &of.clusters).is_ok_and(|interval| interval.contains(1.0)))
    });
    let alone = GROUPS.map(|groups| count(groups, |of| mean_interval(&of.values).is_ok_and(|interval| interval.contains(1.0))));
    let share = GROUPS.map(|groups| {
        count(groups, |of| clustered_share(&of.hits, &of.clusters).is_ok_and(|found| found.interval.contains(0.25)))
    });
    let rows = [("mean, by groups", mean), ("mean, as if each item stood for itself", alone), ("share, by groups", share)];
    hold(&rows.iter().filter_map(|(row, found)| wrong(row, found)).collect::<Vec<_>>());
    assert!(mean[1..].iter().all(|held| (92.0..=98.0).contains(held)), "{mean:?}");
    // As exact intervals do, it holds the share more often than it must.
    assert!(share.iter().all(|held| *held >= 93.0), "{share:?}");
    assert!(alone.iter().all(|held| *held < 90.0), "what groups have in common is not to be overlooked: {alone:?}");
}

fn court(calibration: Option<&Calibration>, q: Option<f64>) -> Court<'_> {
    Court { calibration, q, ..Court::PLAIN }
}

/// Probes of a suite.
const PROBES: u64 = 4;

/// Seeds of one suite's draws do not meet those of another.
fn seed_of(suite: u64, probe: u64, draw: u64) -> u64 {
    (suite * PROBES + probe) * 100 + draw
}

/// Whether any of a suite's effect probes passes, of an adapter that does no more than a random one: its items and those of its
/// eight nulls are drawn alike.
fn effect_alarm(items: Items, n: usize, suite: u64) -> bool {
    let calibrations: Vec<(Vec<f64>, Calibration)> = (0..PROBES)
        .map(|probe| {
            let of = |draw: u64| items.sample(n, seed_of(suite, probe, draw)).iter().map(|x| x.abs()).collect::<Vec<f64>>();
            let (own, draws) = (of(0), (1..=8).map(|draw| mean(&of(draw)).unwrap()).collect::<Vec<f64>>());
            let raw = mean(&own).unwrap();
            let NullComparison { mean, sd, z, p, .. } = NullComparison::of_positive(raw, &draws).unwrap();
            let outcome = NullOutcome::Compared { mean, sd, z, p };
            (own, Calibration { metric: "m".to_owned(), raw, draws, drawn: 8, items: n, outcome, by_rank: Vec::new() })
        })
        .collect();
    let p = |calibration: &Calibration| match calibration.outcome {
        NullOutcome::Compared { p, .. } => p,
        NullOutcome::Degenerate { .. } => 1.0,
    };
    let q = benjamini_hochberg(&calibrations.iter().map(|(_, calibration)| p(calibration)).collect::<Vec<f64>>()).unwrap();
    // A threshold that everything exceeds: the nulls alone stand against a pass.
    let rule = Rule { name: "moved", side: Side::Above, worst: -2.0, threshold: -1.0, best: 1.0 };
    calibrations.iter().zip(q).any(|((own, calibration), q)| {
        let court = court(Some(calibration), Some(q));
        let criteria: Vec<_> = court.decide_mean(rule, own).into_iter().collect();
        court.effect(&criteria) == Verdict::Pass
    })
}

/// Whether a suite of harm probes gives this verdict anywhere, of changes whose true mean is `mean`, against a margin of −0.5.
fn harm_verdict(items: Items, n: usize, suite: u64, probes: u64, mean: f64, verdict: Verdict) -> bool {
    let rule = Rule { name: "change", side: Side::Above, worst: -3.0, threshold: -0.5, best: 0.0 };
    (0..probes).any(|probe| {
        let changes: Vec<f64> =
            items.sample(n, seed_of(suite, probe, 0)).iter().map(|change| change - items.mean() + mean).collect();
        court(None, None).decide_mean(rule, &changes).is_some_and(|criterion| criterion.verdict == verdict)
    })
}

/// The standard error of a share near 5 % is 0.7 %.
const SUITES: u64 = 1000;

fn share(happens: impl Fn(u64) -> bool + Sync) -> f64 {
    100.0 * (0..SUITES).into_par_iter().filter(|suite| happens(*suite)).count() as f64 / SUITES as f64
}

#[test]
fn a_gate_cries_wolf_as_seldom_as_the_table_says() {
    let (mut worst, mut rows) = (0.0_f64, Vec::new());
    for (items, name) in ITEMS {
        let found = [
            share(|suite| effect_alarm(items, 16, suite)),
            share(|suite| harm_verdict(items, 40, suite, PROBES, 0.0, Verdict::Fail)),
            share(|suite| harm_verdict(items, 40, suite, 1, -0.5, Verdict::Pass)),
            share(|suite| harm_verdict(items, 40, suite, 1, -0.5, Verdict::Fail)),
        ];
        rows.extend(wrong(&format!("alarms: {name}"), &found));
        worst = found[..2].iter().fold(worst, |worst, share| worst.max(*share));
        // 2.5 %, as a two-sided interval of 95 % errs on either side, and three standard errors.
        assert!(found[2..].iter().all(|share| *share <= 4.0), "{name}: {found:?}");
    }
    hold(&rows);
    // Two standard errors above 5 %.
    assert!(worst <= 6.4, "{worst} %");
}
