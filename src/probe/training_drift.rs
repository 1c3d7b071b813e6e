//! `training_drift`: did the training go down smoothly, and far enough?

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::{Map, json};

use super::loss_curve::{FEWEST_POINTS, Shape, kept};
use super::training::{LossPoint, Place, TrainingFile, place, skipped};
use super::verdict::{Rule, Side, all_of, certain, number, score_of};
use super::{Court, Decide, ItemStream, Items, Judgement, Kind, OpenRows, Probe, bounds};
use crate::record::{Category, Criterion, Estimate, Verdict};
use crate::request::{Answer, Request};

/// The shape of the training's loss curve: how far it came down, how smoothly, and whether it was ever thrown back.
///
/// Asks no model. The losses are those of the Trainer's `trainer_state.json`, or JSON lines of `step` and `loss`; entries without a loss
/// are passed over. Where the steps go back the training was resumed, and what had been logged from there on is left out. A log of more
/// than 64 losses is averaged into 64 stretches.
///
/// - *final over initial*: medians of the first three points and of the last tenth (three at least).
/// - *smoothness*: 1 − s/|initial − final|, at least 0: how small the scatter s is beside what was learned. s is the standard deviation
///   of a point about the line between its neighbours, from the median of these distances.
/// - *spikes*: points, or runs of them, whose loss lies above the median of the eight before by more than `spike` times the median
///   step around them, and by more than half of initial − final, without which chance alone would make spikes of sound noise.
///
/// The curve is what it is, and no sample, so the figures have no interval, and the point decides; a figure at its threshold does not lie
/// beyond it. Fewer than ten losses are inconclusive. A loss that is not finite fails, however few there are, and so does one of exactly 0
/// with a gradient norm of NaN: that is what the Trainer logs for it unless `logging_nan_inf_filter` is off.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingDrift {
    /// The log, relative to the suite's file; where left out, `trainer_state.json` in the adapter's folder.
    file: Option<String>,
    /// What the final loss may be, as a share of the initial one.
    #[serde(default = "default_share", deserialize_with = "bounds::share")]
    max_final: f64,
    /// Least smoothness.
    #[serde(default = "default_share", deserialize_with = "bounds::share")]
    min_smoothness: f64,
    /// Local median steps that a spike is higher than.
    #[serde(default = "default_spike", deserialize_with = "bounds::positive")]
    spike: f64,
    /// Spikes that are allowed.
    #[serde(default)]
    max_spikes: u32,
}

fn default_share() -> f64 {
    0.7
}

fn default_spike() -> f64 {
    3.0
}

/// Where the items would be if they stood in a suite.
static NO_ITEMS: Items<LossPoint> = Items::Absent;

/// Spikes that are told of, and points of the curve that are shown.
const SHOWN_SPIKES: usize = 5;

impl Probe for TrainingDrift {
    const KIND: Kind = Kind {
        name: "training_drift",
        category: Category::Calibration,
        summary: "did the training's loss go down smoothly, and far enough?",
        calibrated: None,
        values_of: "loss",
        asks_documents: false,
    };

    const FINDS_NOT_FINITE: bool = true;

    const ITEMS_ARE_ROWS: bool = false;

    type Item = LossPoint;
    type Measurement = LossPoint;
    type Fold = Vec<LossPoint>;

    fn items(&self) -> &Items<LossPoint> {
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

    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<LossPoint>, String> {
        match place(rows, TrainingFile::Log, self.file.as_deref()) {
            Place::At(path) => Ok(Box::new(rows.losses(&path)?.into_iter().map(Ok))),
            Place::Nowhere(_) => Ok(Box::new(std::iter::empty())),
        }
    }

    fn nothing_to_read(&self, rows: &dyn OpenRows) -> Result<Option<String>, String> {
        Ok(match place(rows, TrainingFile::Log, self.file.as_deref()) {
            Place::At(_) => None,
            Place::Nowhere(why) => Some(skipped(TrainingFile::Log, &why)),
        })
    }

    fn ask(&self, _: &LossPoint, _: &[Vec<Answer>]) -> Vec<Request> {
        Vec::new()
    }

    fn measure(&self, point: &LossPoint, _: &[Vec<Answer>]) -> Option<LossPoint> {
        Some(*point)
    }

    fn fold(&self, fold: &mut Vec<LossPoint>, _: u64, point: LossPoint) {
        fold.push(point);
    }

    fn metric(&self, _: &Vec<LossPoint>) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Vec<LossPoint>, court: &Court<'_>) -> Judgement {
        let points = kept(fold);
        let values: Vec<f64> = points.iter().map(|point| point.loss).collect();
        if let Some(first) = points.iter().find(|point| point.is_broken()) {
            return broken(&points, first, values);
        }
        let Some(shape) = Shape::of(&points, self.spike) else {
            return Judgement::nothing(too_few(&points), values);
        };
        if shape.initial <= 0.0 {
            let message = format!("the loss begins at {}, and of what is not above 0 nothing is a share", number(shape.initial));
            return Judgement::nothing(message, values);
        }
        let figures = [
            (
                Rule { name: "final_over_initial", side: Side::Below, worst: 1.0, threshold: self.max_final, best: 0.3 },
                shape.last / shape.initial,
            ),
            (
                Rule { name: "smoothness", side: Side::Above, worst: 0.0, threshold: self.min_smoothness, best: 1.0 },
                shape.smoothness,
            ),
            spikes(f64::from(self.max_spikes), shape.spikes.len()),
        ];
        // The items are points of one curve: below the fewest of these there is no shape, and the suite may ask for more.
        let point = Court { decide: Decide::Point, ..*court };
        let n = points.len();
        let criteria: Vec<Criterion> =
            figures.iter().map(|(rule, value)| rule.decide(Estimate::bare(*value, n), |_| None, &point)).collect();
        let verdict = all_of(&criteria);
        let score = figures.iter().map(|(rule, value)| rule.score(*value)).fold(1.0, f64::min);
        let mut evidence = Map::new();
        evidence.insert("initial_loss".to_owned(), json!(shape.initial));
        evidence.insert("final_loss".to_owned(), json!(shape.last));
        evidence.insert("first_step".to_owned(), json!(points.first().map(|point| point.step)));
        evidence.insert("last_step".to_owned(), json!(points.last().map(|point| point.step)));
        evidence.insert("left_out".to_owned(), json!(fold.len() - n));
        let told = shape.spikes.iter().take(SHOWN_SPIKES);
        let told = told.map(|spike| json!({"step": spike.step, "loss": spike.loss, "level": spike.level}));
        evidence.insert("spikes".to_owned(), json!(told.collect::<Vec<_>>()));
        let message = finding(&shape, &criteria, n, court);
        Judgement { verdict, score: score_of(verdict, score), criteria, p_paired: None, message, evidence, values }
    }
}

/// A count as a criterion: below the first number that is too many.
fn spikes(allowed: f64, found: usize) -> (Rule, f64) {
    let threshold = allowed + 1.0;
    (Rule { name: "spikes", side: Side::Below, worst: threshold + 4.0, threshold, best: 0.0 }, found as f64)
}

fn too_few(points: &[LossPoint]) -> String {
    match points.len() {
        0 => "no loss was logged; evaluations alone do not tell how the training went".to_owned(),
        1 => format!("1 loss was logged, and a curve needs {FEWEST_POINTS}; log more often (`logging_steps`)"),
        n => format!("{n} losses were logged, and a curve needs {FEWEST_POINTS}; log more often (`logging_steps`)"),
    }
}

/// The finding of a loss that stopped being a number.
fn broken(points: &[LossPoint], first: &LossPoint, values: Vec<f64>) -> Judgement {
    let count = points.iter().filter(|point| point.is_broken()).count();
    let what = if first.loss.is_infinite() { "infinite" } else { "NaN" };
    let how = if first.loss.is_finite() { " (logged as 0, with a gradient norm of NaN, as the Trainer does)" } else { "" };
    let after = match points.last() {
        Some(last) if last.is_broken() => "and what was trained after that is no adapter to ship",
        _ => "and came back later, which no sound training needs",
    };
    let mut evidence = Map::new();
    evidence.insert("not_finite_from".to_owned(), json!(first.step));
    evidence.insert("last_step".to_owned(), json!(points.last().map(|point| point.step)));
    Judgement {
        verdict: Verdict::Fail,
        score: Some(0.0),
        criteria: vec![certain("not_finite", count, points.len())],
        p_paired: None,
        message: format!("the loss became {what} at step {}{how}, {after}", first.step),
        evidence,
        values,
    }
}

fn finding(shape: &Shape, criteria: &[Criterion], n: usize, court: &Court<'_>) -> String {
    let share = shape.last / shape.initial;
    let spikes = match shape.spikes.as_slice() {
        [] => "no spikes".to_owned(),
        [one] => format!("a spike at step {} ({} from {})", one.step, number(one.loss), number(one.level)),
        [first, ..] => {
            let count = shape.spikes.len();
            format!("{count} spikes, the first at step {} ({} from {})", first.step, number(first.loss), number(first.level))
        }
    };
    let found = format!(
        "the loss went from {} to {} ({share:.2} of it) over {n} logged points, with smoothness {:.2} and {spikes}",
        number(shape.initial),
        number(shape.last),
        shape.smoothness
    );
    let failed = |at: usize| criteria[at].verdict == Verdict::Fail;
    match (failed(0), failed(1), failed(2)) {
        _ if n < court.min_items => format!("{found}; {n} points are too few for a verdict, which needs {}", court.min_items),
        (true, ..) if share >= 1.0 => format!("the training did not learn: {found}"),
        (true, ..) => format!("the training learned little: {found}"),
        (_, _, true) => format!("the training was thrown back: {found}"),
        (_, true, _) => format!("the training was unsteady: {found}"),
        _ => found,
    }
}
