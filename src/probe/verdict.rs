//! How a verdict is reached: the rules that all kinds share.
//!
//! Two families ask opposite questions. An *effect* must lie beyond its threshold and stand out from the null adapters; a
//! *harm* must lie inside its margin, and no null is asked: an adapter that does no harm must not fail for being no better than
//! noise.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::math::stream::{self, Sequential, Values};
use crate::math::{
    Bootstrap, Endpoints, Interval, PairedShares, Permutation, SignFlip, clopper_pearson, clustered_share, derive_seed,
    items_to_settle, mean, mean_interval, mean_interval_by, mean_variance_by, ratio_interval, ratio_interval_by, sd,
};
use crate::record::{Calibration, Criterion, Estimate, NullOutcome, Verdict};

/// What a verdict goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decide {
    /// The whole 95 % interval must lie on one side of the threshold.
    #[default]
    Interval,
    /// The estimate alone.
    Point,
}

/// Means over fewer items are inconclusive whatever the numbers.
pub const MIN_ITEMS: usize = 5;

/// What a probe is judged with.
#[derive(Clone, Copy, Debug)]
pub struct Court<'a> {
    /// The probe's name: each probe draws its own numbers.
    pub name: &'a str,
    pub seed: u64,
    pub decide: Decide,
    pub min_items: usize,
    pub fdr: f64,
    pub calibration: Option<&'a Calibration>,
    /// The null p after Benjamini–Hochberg over the suite.
    pub q: Option<f64>,
    /// The group of each measured item, in their order, where items come in groups: these are the units of inference then. Empty where
    /// each item stands for itself.
    pub clusters: &'a [usize],
    /// Where the probe ends with its verdict and not with its items: what settles it.
    pub test: Option<&'a Sequential>,
    /// The calibrations of the suite's probes, by name: what a probe that controls the nulls reports.
    pub calibrations: &'a [(&'a str, &'a Calibration)],
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// In [0, 1], 0.5 at the threshold; `None` without a verdict to score.
    pub score: Option<f64>,
    /// The first is the probe's own metric.
    pub criteria: Vec<Criterion>,
    pub p_paired: Option<Permutation>,
    pub message: String,
    pub evidence: Map<String, Value>,
    /// The metric of each item; of very many, that of a seeded sample.
    pub values: Vec<f64>,
}

/// The upper end of the healthy band: what is as good as it can plainly be scores this, and only what is better than that looks
/// too good.
const SOUND: f64 = 0.85;

/// Where a figure should lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    pub name: &'static str,
    /// The good side of the threshold. Said, not read off the figures below: a threshold beyond the best must not turn the rule
    /// around.
    pub side: Side,
    /// The figure that scores 0.
    pub worst: f64,
    /// The figure that scores 0.5.
    pub threshold: f64,
    /// The figure that scores [`SOUND`]: plainly good, on the good side of the threshold.
    pub best: f64,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

impl Rule {
    fn is_good(&self, value: f64) -> bool {
        match self.side {
            Side::Above => value > self.threshold,
            Side::Below => value < self.threshold,
        }
    }

    /// Monotone in the figure: 0 at the worst, 0.5 at the threshold, [`SOUND`] at the best, straight lines between; beyond the
    /// best it nears 1.
    pub fn score(&self, value: f64) -> f64 {
        // A scale of no length, or one that runs the other way, is passed in one step.
        let along = |from: f64, to: f64| {
            let forward = if self.side == Side::Above { to > from } else { to < from };
            if forward { ((value - from) / (to - from)).max(0.0) } else { 1.0 }
        };
        if !self.is_good(value) {
            return 0.5 * along(self.worst, self.threshold).min(1.0);
        }
        let good = along(self.threshold, self.best);
        if good <= 1.0 { 0.5 + (SOUND - 0.5) * good } else { SOUND + (1.0 - SOUND) * (1.0 - (1.0 - good).exp()) }
    }

    /// Holds an estimate against the threshold; `settle` tells how many items would settle an open verdict.
    pub fn decide(&self, estimate: Estimate, settle: impl FnOnce(f64) -> Option<usize>, court: &Court<'_>) -> Criterion {
        let verdict = if estimate.units() < court.min_items {
            Verdict::Inconclusive
        } else {
            match (court.decide, estimate.interval) {
                (Decide::Point, _) if self.is_good(estimate.value) => Verdict::Pass,
                (Decide::Point, _) => Verdict::Fail,
                (Decide::Interval, None) => Verdict::Inconclusive,
                (Decide::Interval, Some([low, high])) => match (self.is_good(low), self.is_good(high)) {
                    (true, true) => Verdict::Pass,
                    (false, false) => Verdict::Fail,
                    _ => Verdict::Inconclusive,
                },
            }
        };
        let items_to_settle = if verdict == Verdict::Inconclusive {
            settle(self.threshold).map(|items| items.max(court.min_items)).filter(|&items| items > estimate.n)
        } else {
            None
        };
        Criterion {
            name: self.name.to_owned(),
            threshold: self.threshold,
            good_side: self.side.name().to_owned(),
            verdict,
            items_to_settle,
            estimate,
        }
    }
}

#[cfg(test)]
impl Court<'static> {
    /// What the tests judge with: the defaults, and no nulls.
    pub const PLAIN: Self = Self {
        name: "t",
        seed: 0,
        decide: Decide::Interval,
        min_items: MIN_ITEMS,
        fdr: 0.05,
        calibration: None,
        q: None,
        clusters: &[],
        test: None,
        calibrations: &[],
    };
}

impl Court<'_> {
    /// A seed of the probe's own for one purpose.
    pub fn seed_for(&self, purpose: &str) -> u64 {
        derive_seed(self.seed, &[self.name, purpose])
    }

    /// The groups of some of the measured items.
    pub fn clusters_of(&self, kept: impl Iterator<Item = bool>) -> Vec<usize> {
        self.clusters.iter().zip(kept).filter(|(_, kept)| *kept).map(|(cluster, _)| *cluster).collect()
    }

    /// How many units of inference so many items are.
    pub fn units_of(&self, items: usize) -> usize {
        if self.clusters.is_empty() { items } else { distinct(self.clusters) }
    }

    /// Mean of values that each stand for themselves, with its interval.
    pub fn mean(values: &[f64]) -> Option<Estimate> {
        let interval = mean_interval(values).ok();
        Some(Estimate { interval: interval.map(ends), ..Estimate::bare(mean(values).ok()?, values.len()) })
    }

    /// Mean of the items' values, one each, with its interval.
    fn mean_of_items(&self, values: &[f64]) -> Option<Estimate> {
        if self.clusters.is_empty() {
            return Self::mean(values);
        }
        let interval = mean_interval_by(values, self.clusters).ok();
        Some(Estimate {
            interval: interval.map(ends),
            clusters: Some(distinct(self.clusters)),
            ..Estimate::bare(mean(values).ok()?, values.len())
        })
    }

    /// Ratio of two means over paired values, one pair an item, with its interval.
    pub fn ratio(&self, numerators: &[f64], denominators: &[f64]) -> Option<Estimate> {
        let value = mean(numerators).ok()? / mean(denominators).ok()?;
        let estimate = Estimate::bare(value, numerators.len());
        let (interval, clusters) = if self.clusters.is_empty() {
            (ratio_interval(numerators, denominators), None)
        } else {
            (ratio_interval_by(numerators, denominators, self.clusters), Some(distinct(self.clusters)))
        };
        value.is_finite().then(|| Estimate { interval: interval.ok().map(ends), clusters, ..estimate })
    }

    /// Any figure of n items with its bootstrap interval: [`Bootstrap::statistic`].
    pub fn statistic(&self, purpose: &str, value: f64, n: usize, of: impl Fn(&[usize]) -> Option<f64>) -> Estimate {
        let bootstrap = Bootstrap::seeded(self.seed_for(purpose)).with_endpoints(Endpoints::Expanded);
        let interval = bootstrap.statistic(n, of).ok();
        Estimate { interval: interval.map(ends), ..Estimate::bare(value, n) }
    }

    /// p of "the mean is above `threshold`", by sign flips of the paired differences, one an item; groups are flipped as wholes.
    pub fn paired_p(&self, values: &[f64], threshold: f64) -> Option<Permutation> {
        let shifted: Vec<f64> = values.iter().map(|value| value - threshold).collect();
        let flips = SignFlip::seeded(self.seed_for("sign flip"));
        let test = if self.clusters.is_empty() { flips.test(&shifted) } else { flips.test_by(&shifted, self.clusters) };
        test.ok()
    }

    /// Holds a mean of the items' values, one each, against a rule.
    pub fn decide_mean(&self, rule: Rule, values: &[f64]) -> Option<Criterion> {
        let estimate = self.mean_of_items(values)?;
        let value = estimate.value;
        let spread = self.spread(values);
        Some(rule.decide(estimate, |threshold| items_for_mean(value, spread?, threshold), self))
    }

    /// As [`Self::decide_mean`], of values of which only figures are held once there are many. Groups of so many items have none.
    pub fn decide_values(&self, rule: Rule, values: &Values) -> Option<Criterion> {
        if let Some(test) = self.test {
            return self.decide_tested(rule, test, values);
        }
        if values.is_whole() {
            return self.decide_mean(rule, &values.sample());
        }
        let mean = values.mean().ok().filter(|_| self.clusters.is_empty())?;
        let interval = values.interval().ok().map(ends);
        let estimate = Estimate { interval, ..Estimate::bare(mean, usize::try_from(values.len()).ok()?) };
        let spread = values.sd().ok();
        Some(rule.decide(estimate, |threshold| items_for_mean(mean, spread?, threshold), self))
    }

    /// As [`Self::decide_values`], by a test that looked after every item: whoever looks so often can't go by an interval that is meant
    /// for one look. Its own interval holds at every number of items at once, and is cut at the threshold where the test has told on which
    /// side the mean lies.
    fn decide_tested(&self, rule: Rule, test: &Sequential, values: &Values) -> Option<Criterion> {
        let mean = values.mean().ok().filter(|_| self.clusters.is_empty())?;
        let decided = test.decision().map(|decision| decision.side).filter(|_| values.len() >= self.min_items as u64);
        let interval = test.interval().map(|found| match decided {
            Some(stream::Side::Above) => [found.low.max(rule.threshold), found.high],
            Some(stream::Side::Below) => [found.low, found.high.min(rule.threshold)],
            None => ends(found),
        });
        let estimate = Estimate { interval, ..Estimate::bare(mean, usize::try_from(values.len()).ok()?) };
        let verdict = match (decided, rule.side) {
            (None, _) => Verdict::Inconclusive,
            (Some(stream::Side::Above), Side::Above) | (Some(stream::Side::Below), Side::Below) => Verdict::Pass,
            _ => Verdict::Fail,
        };
        Some(Criterion { verdict, items_to_settle: None, ..rule.decide(estimate, |_| None, self) })
    }

    /// As [`Self::decide_mean`], of values that lie within bounds. Where all of them are the same, resampling finds no spread, and how
    /// few they are would not show: the interval then allows for as large a share of other values as may go unseen (the exact bound of
    /// a share of which none was found), each as far out as can be.
    pub fn decide_bounded_mean(&self, rule: Rule, values: &[f64], [lowest, highest]: [f64; 2]) -> Option<Criterion> {
        let first = *values.first()?;
        let mut estimate = self.mean_of_items(values)?;
        if values.iter().any(|value| value.to_bits() != first.to_bits()) {
            // No mean lies where no value can.
            estimate.interval = estimate.interval.map(|ends| ends.map(|end| end.clamp(lowest, highest)));
            let (value, spread) = (estimate.value, self.spread(values));
            return Some(rule.decide(estimate, |threshold| items_for_mean(value, spread?, threshold), self));
        }
        let unseen = clopper_pearson(0, estimate.units() as u64).ok()?.high;
        let interval = Some([first - unseen * (first - lowest), first + unseen * (highest - first)]);
        let units = estimate.units();
        let settle = |threshold: f64| {
            let room =
                if threshold < first { (first - threshold) / (first - lowest) } else { (threshold - first) / (highest - first) };
            (units..1_000_000).find(|&items| clopper_pearson(0, items as u64).is_ok_and(|share| share.high < room))
        };
        Some(rule.decide(Estimate { interval, ..estimate }, settle, self))
    }

    /// The standard deviation of items that each stand for themselves and would give the interval that these give in their groups.
    fn spread(&self, values: &[f64]) -> Option<f64> {
        if self.clusters.is_empty() {
            return sd(values).ok();
        }
        mean_variance_by(values, self.clusters).ok().map(|variance| (variance * values.len() as f64).sqrt())
    }

    /// Holds a share of the items with its exact (Clopper–Pearson) interval against a rule; `hits` has one for each measured item, `None`
    /// for those that are not among them.
    ///
    /// Where items come in groups, the interval is that of as many independent items as say as much (Korn and Graubard 1998).
    pub fn decide_share(&self, rule: Rule, hits: impl Iterator<Item = Option<bool>>) -> Option<Criterion> {
        let among: Vec<(usize, bool)> = hits.enumerate().filter_map(|(item, hit)| Some((item, hit?))).collect();
        let (count, total) = (among.iter().filter(|(_, hit)| *hit).count(), among.len());
        if self.clusters.is_empty() {
            return self.decide_count(rule, count, total);
        }
        let (hits, clusters): (Vec<bool>, Vec<usize>) =
            among.into_iter().filter_map(|(item, hit)| Some((hit, *self.clusters.get(item)?))).unzip();
        let found = clustered_share(&hits, &clusters).ok()?;
        let share = count as f64 / total as f64;
        let estimate = Estimate {
            interval: Some(ends(found.interval)),
            clusters: Some(distinct(&clusters)),
            ..Estimate::bare(share, total)
        };
        let settle = |threshold| {
            let independent = items_for_share(share, found.effective.round() as usize, threshold)?;
            Some((independent as f64 * total as f64 / found.effective).ceil() as usize)
        };
        Some(rule.decide(estimate, settle, self))
    }

    /// As [`Self::decide_share`], of things that are no items, each for itself.
    pub fn decide_count(&self, rule: Rule, count: usize, total: usize) -> Option<Criterion> {
        let interval = clopper_pearson(count as u64, total as u64).ok()?;
        let estimate = Estimate { interval: Some(ends(interval)), ..Estimate::bare(count as f64 / total as f64, total) };
        let value = estimate.value;
        Some(rule.decide(estimate, |threshold| items_for_share(value, total, threshold), self))
    }

    /// Holds the difference of two shares of the same cases, with Newcombe's interval, against a rule. (A bootstrap of cases that do
    /// not differ has no width, however few they are.)
    pub fn decide_paired_shares(&self, rule: Rule, pairs: PairedShares) -> Option<Criterion> {
        let interval = pairs.interval().ok()?;
        let estimate =
            Estimate { interval: Some(ends(interval)), ..Estimate::bare(pairs.difference().ok()?, pairs.total() as usize) };
        Some(rule.decide(estimate, |threshold| items_for_pairs(pairs, threshold), self))
    }

    /// The verdict of an effect: its criteria, and whether it stands out from the nulls.
    ///
    /// An effect that is no larger than the nulls' fails whatever its interval, except where there are too few items to say
    /// anything. Nulls that were asked for and can't calibrate leave a pass open.
    pub fn effect(&self, criteria: &[Criterion]) -> Verdict {
        let own = all_of(criteria);
        let too_few = criteria.iter().any(|criterion| criterion.estimate.units() < self.min_items);
        let degenerate = matches!(self.calibration, Some(Calibration { outcome: NullOutcome::Degenerate { .. }, .. }));
        match own {
            _ if !too_few && self.drowned() => Verdict::Fail,
            Verdict::Pass if degenerate => Verdict::Inconclusive,
            own => own,
        }
    }

    /// Whether the nulls move the metric as much as the adapter does.
    fn drowned(&self) -> bool {
        self.q.is_some_and(|q| q > self.fdr)
    }

    /// Whether the nulls alone are what makes an effect fail: the criteria themselves would let it pass.
    pub fn only_drowned(&self, criteria: &[Criterion]) -> bool {
        self.drowned() && all_of(criteria) != Verdict::Fail
    }

    /// What the nulls say, as the end of a finding; `figure` names what was compared where it is not the finding's own.
    pub fn null_clause(&self, figure: &str) -> String {
        let Some(Calibration { outcome, draws, drawn, .. }) = self.calibration else { return String::new() };
        let figure = if figure.is_empty() { String::new() } else { format!("{figure}: ") };
        let lost = if draws.len() < *drawn { format!(" ({} of {drawn} could be measured)", draws.len()) } else { String::new() };
        match (outcome, self.q) {
            (NullOutcome::Compared { z, .. }, Some(q)) if q > self.fdr => {
                format!("; {figure}random adapters of the same size do as much{lost} (z = {z:.1}, q = {q:.2})")
            }
            (NullOutcome::Compared { z, .. }, _) => {
                format!("; {figure}{z:.1} standard deviations from random adapters of the same size{lost}")
            }
            (NullOutcome::Degenerate { degenerate }, _) => format!("; the null adapters can't calibrate it{lost}: {degenerate}"),
        }
    }
}

/// Both ends of an interval.
fn ends(interval: Interval) -> [f64; 2] {
    [interval.low, interval.high]
}

fn distinct(clusters: &[usize]) -> usize {
    clusters.iter().collect::<BTreeSet<_>>().len()
}

/// How many items of this mean and spread would put the whole interval on one side of a threshold.
pub fn items_for_mean(mean: f64, sd: f64, threshold: f64) -> Option<usize> {
    items_to_settle(mean, sd, threshold).map(|items| items as usize)
}

/// How many items of this share would put the whole exact interval on one side of a threshold; `None` beyond a million.
fn items_for_share(share: f64, total: usize, threshold: f64) -> Option<usize> {
    const MOST: usize = 1_000_000;
    let settles = |interval: &Interval| interval.is_above(threshold) || interval.is_below(threshold);
    let mut items = total;
    while items <= MOST {
        let count = (share * items as f64).round() as u64;
        if clopper_pearson(count, items as u64).is_ok_and(|interval| settles(&interval)) {
            return Some(items);
        }
        items += (items / 20).max(1);
    }
    None
}

/// How many cases that fall together as these do would put the whole interval on one side of a threshold; `None` beyond a million.
fn items_for_pairs(pairs: PairedShares, threshold: f64) -> Option<usize> {
    const MOST: usize = 1_000_000;
    let total = pairs.total() as usize;
    let mut items = total;
    while items <= MOST {
        let scaled = |count: u64| (count as f64 * items as f64 / total as f64).round() as u64;
        let (both, first, second) = (scaled(pairs.both), scaled(pairs.first), scaled(pairs.second));
        let neither = (items as u64).saturating_sub(both + first + second);
        let interval = PairedShares { both, first, second, neither }.interval().ok()?;
        if interval.is_above(threshold) || interval.is_below(threshold) {
            return Some(items);
        }
        items += (items / 20).max(1);
    }
    None
}

/// A count out of some that may only be none, and that nothing is estimated from: the verdict is certain however few there are.
pub fn certain(name: &str, count: usize, of: usize) -> Criterion {
    Criterion {
        name: name.to_owned(),
        estimate: Estimate::bare(count as f64, of),
        threshold: 1.0,
        good_side: Side::Below.name().to_owned(),
        verdict: if count == 0 { Verdict::Pass } else { Verdict::Fail },
        items_to_settle: None,
    }
}

/// The verdict that several criteria give together: any that fails fails, any that is open leaves it open.
pub fn all_of(criteria: &[Criterion]) -> Verdict {
    let has = |verdict| criteria.iter().any(|criterion| criterion.verdict == verdict);
    if criteria.is_empty() || has(Verdict::Inconclusive) && !has(Verdict::Fail) {
        Verdict::Inconclusive
    } else if has(Verdict::Fail) {
        Verdict::Fail
    } else {
        Verdict::Pass
    }
}

/// What would settle an open verdict, as the end of a finding.
pub fn settle_clause(criteria: &[Criterion], court: &Court<'_>) -> String {
    let open: Vec<&Criterion> = criteria.iter().filter(|criterion| criterion.verdict == Verdict::Inconclusive).collect();
    if let Some(few) = open.iter().find(|criterion| criterion.estimate.units() < court.min_items) {
        let units = if few.estimate.clusters.is_some() { "cluster" } else { "item" };
        let few = match few.estimate.units() {
            1 => format!("1 {units} is"),
            n => format!("{n} {units}s are"),
        };
        return format!("; {few} too few for a verdict, which needs {}", court.min_items);
    }
    match open.iter().filter_map(|criterion| criterion.items_to_settle).max() {
        Some(items) => format!("; about {items} items would settle it"),
        None if open.is_empty() => String::new(),
        None => "; more items may settle it".to_owned(),
    }
}

impl Judgement {
    /// No item gave a figure that could be judged.
    pub fn nothing(message: impl Into<String>, values: Vec<f64>) -> Self {
        Self {
            verdict: Verdict::Inconclusive,
            score: None,
            criteria: Vec::new(),
            p_paired: None,
            message: message.into(),
            evidence: Map::new(),
            values,
        }
    }
}

/// A score goes only with a verdict, and what failed scores no more than the threshold, whatever else it reached.
pub fn score_of(verdict: Verdict, score: f64) -> Option<f64> {
    match verdict {
        Verdict::Pass | Verdict::Warn => Some(score),
        Verdict::Fail => Some(score.min(0.5)),
        Verdict::Skip | Verdict::Error | Verdict::Inconclusive => None,
    }
}

/// An estimate with its interval, for findings: `0.31 [0.26, 0.36]`, and the groups that it stands on, where there are some.
pub fn shown(estimate: &Estimate) -> String {
    let groups = estimate.clusters.map(|groups| format!(" over {groups} clusters")).unwrap_or_default();
    match estimate.interval {
        Some([low, high]) => format!("{} [{}, {}]{groups}", number(estimate.value), number(low), number(high)),
        None => format!("{}{groups}", number(estimate.value)),
    }
}

/// Three decimals, or two digits where these would all be zero; with a real minus sign, and none before a zero.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let digits = if size > 0.0 && size < 0.0005 { format!("{size:.1e}") } else { format!("{size:.3}") };
    if value < 0.0 { format!("−{digits}") } else { digits }
}

/// So many decimals, with a real minus sign.
pub fn signed(value: f64, digits: usize) -> String {
    format!("{value:.digits$}").replace('-', "−")
}

#[cfg(test)]
mod tests;
