//! `gradient_ghost`: does the optimizer's memory tell of a training that was long enough, and reached every layer?

use std::collections::BTreeMap;

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::{Map, json};

use super::training::{OptimizerMemory, Place, TrainedParameter, TrainingFile, place, skipped};
use super::verdict::{Rule, Side, all_of, number, score_of};
use super::{Court, Decide, ItemStream, Items, Judgement, Kind, OpenRows, Probe, bounds};
use crate::math::median;
use crate::record::{Category, Criterion, Estimate, Verdict};
use crate::request::{Answer, Request};

/// What an Adam's second moments (`exp_avg_sq`, running means of squared gradients) tell of the training that they come from.
///
/// Asks no model. Three things are looked at:
///
/// - how many steps the training took: `global_step` of the `trainer_state.json` beside the file, or of the file itself; else the most
///   updates that any parameter had;
/// - parameters that learned nothing or nonsense: no gradient ever reached them, their second moments are all zero after more
///   than one step, or hold a value that is not finite;
/// - *lopsidedness*: the mean second moment of each parameter, held against the median of its like; the largest ratio either way, over
///   all of them. Like is compared with like: A matrices of a LoRA with A matrices and B with B (A's gradient is zero as long as B is, so
///   B's moments are larger by nature), what is no pair of matrices with what has the same shape. Which is which is told by the shapes:
///   PEFT registers A, (r × in), before B, (out × r).
///
/// Among adapters that were trained soundly (ranks 1 to 16, all modules or some, 12 to 300 steps) the ratio was at most 18; a thousand is a
/// gradient 30 times as large, or as small, as the usual one. The state is what it is, and no sample: the point decides, and
/// `min_items` is not asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientGhost {
    /// The optimizer's state, relative to the suite's file; where left out, `optimizer.pt` or `training_state.pt` in the adapter's folder.
    file: Option<String>,
    /// Fewest steps of a training.
    #[serde(default = "default_steps", deserialize_with = "bounds::at_least_one")]
    min_steps: usize,
    /// What lopsidedness must lie below.
    #[serde(default = "default_ratio", deserialize_with = "bounds::above_one")]
    max_ratio: f64,
    /// Steps of the training, as the files have them.
    #[serde(skip)]
    global_step: Option<u64>,
}

fn default_steps() -> usize {
    50
}

fn default_ratio() -> f64 {
    1000.0
}

static NO_ITEMS: Items<TrainedParameter> = Items::Absent;

/// Parameters that are named in a finding.
const NAMED: usize = 3;

/// Parameters whose second moments are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Like<'a> {
    A,
    B,
    Shape(&'a [u64]),
}

impl Like<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::A => "A, ",
            Self::B => "B, ",
            Self::Shape(_) => "",
        }
    }
}

/// What each parameter is like. A pair is (r × in) before (out × r), where r is no larger than the other sides.
fn likes(parameters: &[TrainedParameter]) -> Vec<Like<'_>> {
    let mut likes = Vec::with_capacity(parameters.len());
    while let Some(parameter) = parameters.get(likes.len()) {
        let next = parameters.get(likes.len() + 1);
        let like = match (parameter.shape.as_slice(), next.map(|next| next.shape.as_slice())) {
            ([rank, within], Some([out, other])) if rank == other && rank <= within && rank <= out => {
                likes.push(Like::A);
                Like::B
            }
            (shape, _) => Like::Shape(shape),
        };
        likes.push(like);
    }
    likes
}

/// The parameter that is least like its like.
struct Odd<'a> {
    parameter: &'a TrainedParameter,
    like: Like<'a>,
    mean: f64,
    median: f64,
    /// At least 1.
    ratio: f64,
}

fn oddest(parameters: &[TrainedParameter]) -> Option<Odd<'_>> {
    let mut groups: BTreeMap<Like<'_>, Vec<(&TrainedParameter, f64)>> = BTreeMap::new();
    for (parameter, like) in parameters.iter().zip(likes(parameters)) {
        let mean = parameter.memory.as_ref().map(|memory| memory.mean).filter(|mean| *mean > 0.0 && mean.is_finite());
        groups.entry(like).or_default().extend(mean.map(|mean| (parameter, mean)));
    }
    let odd = groups.into_iter().flat_map(|(like, group)| {
        let means: Vec<f64> = group.iter().map(|(_, mean)| *mean).collect();
        // A group of none has no median, and nobody to hold against it.
        let median = median(&means).unwrap_or(f64::NAN);
        let odd =
            move |(parameter, mean): (_, f64)| Odd { parameter, like, mean, median, ratio: (mean / median).max(median / mean) };
        group.into_iter().map(odd)
    });
    odd.max_by(|a, b| a.ratio.total_cmp(&b.ratio))
}

/// Parameters that learned nothing, or nonsense.
struct Lost<'a> {
    never_updated: Vec<&'a str>,
    zero: Vec<&'a str>,
    not_finite: Vec<&'a str>,
}

impl<'a> Lost<'a> {
    fn of(parameters: &'a [TrainedParameter]) -> Self {
        let named = |is: &dyn Fn(&TrainedParameter) -> bool| {
            parameters.iter().filter(|parameter| is(parameter)).map(|parameter| parameter.name.as_str()).collect()
        };
        Self {
            never_updated: named(&|parameter| parameter.memory.is_none()),
            zero: named(&|parameter| parameter.memory.is_some_and(|memory| memory.are_zero() && memory.values > 0)),
            not_finite: named(&|parameter| parameter.memory.is_some_and(|memory| memory.not_finite > 0)),
        }
    }

    fn count(&self) -> usize {
        self.never_updated.len() + self.zero.len() + self.not_finite.len()
    }

    /// What is wrong with them, worst first; `None` where nothing is.
    fn told(&self, of: usize) -> Option<String> {
        let all = [
            (&self.not_finite, "second moments that are not finite"),
            (&self.never_updated, "never had a gradient"),
            (&self.zero, "second moments that are all zero"),
        ];
        let told = all.iter().filter(|(names, _)| !names.is_empty()).map(|(names, what)| {
            let verb = if what.starts_with("never") {
                ""
            } else if names.len() == 1 {
                "has "
            } else {
                "have "
            };
            format!("{} of {of} parameters {verb}{what} ({})", names.len(), listed(names))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED { format!("{shown}, …") } else { shown }
}

impl Probe for GradientGhost {
    const KIND: Kind = Kind {
        name: "gradient_ghost",
        category: Category::Calibration,
        summary: "was the training long enough, and did it reach every layer?",
        calibrated: None,
        values_of: "second_moment",
        asks_documents: false,
    };

    const FINDS_NOT_FINITE: bool = true;

    const ITEMS_ARE_ROWS: bool = false;

    type Item = TrainedParameter;
    type Measurement = TrainedParameter;
    type Fold = Vec<TrainedParameter>;

    fn items(&self) -> &Items<TrainedParameter> {
        &NO_ITEMS
    }

    fn counts(&self) -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    fn in_a_file(&self) -> bool {
        self.file.is_some()
    }

    fn beside_adapter(&self) -> bool {
        self.file.is_none()
    }

    fn read(&mut self, rows: &dyn OpenRows) -> Result<(), String> {
        if let Place::At(path) = place(rows, TrainingFile::Optimizer, self.file.as_deref())
            && let OptimizerMemory::Adam { global_step, .. } = rows.optimizer(&path)?
        {
            self.global_step = global_step;
        }
        Ok(())
    }

    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<TrainedParameter>, String> {
        let Place::At(path) = place(rows, TrainingFile::Optimizer, self.file.as_deref()) else {
            return Ok(Box::new(std::iter::empty()));
        };
        match rows.optimizer(&path)? {
            OptimizerMemory::Adam { parameters, .. } => Ok(Box::new(parameters.into_iter().map(Ok))),
            // Found by chance it is no reason to end a run, but for one that was named.
            OptimizerMemory::Other(_) if self.file.is_none() => Ok(Box::new(std::iter::empty())),
            OptimizerMemory::Other(what) => Err(format!("{} has {what}, and this probe reads Adam's in full", path.display())),
        }
    }

    fn nothing_to_read(&self, rows: &dyn OpenRows) -> Result<Option<String>, String> {
        Ok(match place(rows, TrainingFile::Optimizer, self.file.as_deref()) {
            Place::Nowhere(why) => Some(skipped(TrainingFile::Optimizer, &why)),
            Place::At(path) => match rows.optimizer(&path)? {
                OptimizerMemory::Adam { .. } => None,
                OptimizerMemory::Other(what) => {
                    Some(format!("{} has {what}, and this probe reads Adam's in full", path.display()))
                }
            },
        })
    }

    fn ask(&self, _: &TrainedParameter, _: &[Vec<Answer>]) -> Vec<Request> {
        Vec::new()
    }

    fn measure(&self, parameter: &TrainedParameter, _: &[Vec<Answer>]) -> Option<TrainedParameter> {
        Some(parameter.clone())
    }

    fn fold(&self, fold: &mut Vec<TrainedParameter>, _: u64, parameter: TrainedParameter) {
        fold.push(parameter);
    }

    fn metric(&self, _: &Vec<TrainedParameter>) -> Option<f64> {
        None
    }

    fn judge(&self, parameters: &Vec<TrainedParameter>, court: &Court<'_>) -> Judgement {
        let mean = |parameter: &TrainedParameter| parameter.memory.map_or(0.0, |memory| memory.mean);
        let values: Vec<f64> = parameters.iter().map(mean).collect();
        let n = parameters.len();
        let updates = parameters
            .iter()
            .filter_map(|parameter| parameter.memory?.step)
            .fold(None, |most: Option<f64>, step| Some(most.map_or(step, |most| most.max(step))));
        let steps = self.global_step.map(|step| step as f64).or(updates);
        let (Some(steps), true) = (steps.filter(|steps| steps.is_finite()), n > 0) else {
            let what =
                if n == 0 { "the optimizer's state has no parameters" } else { "the optimizer's state does not tell its steps" };
            return Judgement::nothing(what, values);
        };
        let lost = Lost::of(parameters);
        let odd = oddest(parameters);
        let least = self.min_steps as f64;
        let ratio = odd.as_ref().map_or(1.0, |odd| odd.ratio);
        let figures = [
            (Rule { name: "steps", side: Side::Above, worst: 0.0, threshold: least - 1.0, best: 10.0 * least }, steps),
            (Rule { name: "lost_parameters", side: Side::Below, worst: 2.0, threshold: 1.0, best: 0.0 }, lost.count() as f64),
            (
                Rule {
                    name: "lopsidedness",
                    side: Side::Below,
                    worst: 1000.0 * self.max_ratio,
                    threshold: self.max_ratio,
                    best: 1.0,
                },
                ratio,
            ),
        ];
        let point = Court { decide: Decide::Point, min_items: 1, ..*court };
        let criteria: Vec<Criterion> =
            figures.iter().map(|(rule, value)| rule.decide(Estimate::bare(*value, n), |_| None, &point)).collect();
        let verdict = all_of(&criteria);
        let score = figures.iter().map(|(rule, value)| rule.score(*value)).fold(1.0, f64::min);
        let mut evidence = Map::new();
        evidence.insert("global_step".to_owned(), json!(self.global_step));
        evidence.insert("updates".to_owned(), json!(updates));
        evidence.insert("never_updated".to_owned(), json!(lost.never_updated));
        evidence.insert("all_zero".to_owned(), json!(lost.zero));
        evidence.insert("not_finite".to_owned(), json!(lost.not_finite));
        if let Some(odd) = &odd {
            let told =
                json!({"parameter": odd.parameter.name, "second_moment": odd.mean, "median": odd.median, "ratio": odd.ratio});
            evidence.insert("oddest".to_owned(), told);
        }
        let message = finding(steps, least, &lost, odd.as_ref().filter(|_| criteria[2].verdict == Verdict::Fail), n);
        Judgement { verdict, score: score_of(verdict, score), criteria, p_paired: None, message, evidence, values }
    }
}

/// odd: where it is too odd.
fn finding(steps: f64, least: f64, lost: &Lost<'_>, odd: Option<&Odd<'_>>, n: usize) -> String {
    let mut wrong = Vec::new();
    wrong.extend(lost.told(n));
    if let Some(Odd { parameter, like, mean, median, ratio }) = odd {
        let side = if mean > median { "above" } else { "below" };
        let shape: Vec<String> = parameter.shape.iter().map(ToString::to_string).collect();
        wrong.push(format!(
            "the mean second moment of parameter {} ({}{}) lies {:.0} times {side} the median of its like ({} and {}): its gradients were of another size",
            parameter.name,
            like.name(),
            shape.join(" × "),
            ratio,
            number(*mean),
            number(*median)
        ));
    }
    let plural = if n == 1 { "" } else { "s" };
    let length = format!("the training took {steps} steps over {n} parameter{plural}");
    match (steps < least, wrong.is_empty()) {
        (true, true) => format!("{length}, and {least} are the least"),
        (true, false) => format!("{length}, and {least} are the least; {}", wrong.join("; ")),
        (false, true) => format!("{length}, and a gradient of the usual size reached every one"),
        (false, false) => format!("{}; {length}", wrong.join("; ")),
    }
}
