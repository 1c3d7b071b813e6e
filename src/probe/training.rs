//! What a training left behind: its log, and the memory of its optimizer.
//!
//! The kinds that ask after these ask no model. Their items are points of a curve, or parameters.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Item, OpenRows};

/// A file that a training leaves beside the adapter that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingFile {
    Log,
    Optimizer,
}

impl TrainingFile {
    /// The names that it has, in the order in which they are looked for.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Log => &["trainer_state.json"],
            // The Trainer's and dlm's.
            Self::Optimizer => &["optimizer.pt", "training_state.pt"],
        }
    }
}

/// Where such a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    At(PathBuf),
    /// Nowhere that was looked, and why.
    Nowhere(String),
}

/// The loss that was logged at a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossPoint {
    pub step: u64,
    /// Not finite where the training wrote it so.
    pub loss: f64,
    pub grad_norm: Option<f64>,
}

impl LossPoint {
    /// Whether the loss was no number.
    ///
    /// Unless it is told not to, the Hugging Face Trainer takes the mean of what it logged before for a loss that is NaN. Of losses that are
    /// all NaN that mean is 0, so that its log has a loss of exactly 0 with a gradient norm of NaN.
    pub fn is_broken(&self) -> bool {
        let hidden = self.loss == 0.0 && self.grad_norm.is_some_and(f64::is_nan);
        !self.loss.is_finite() || hidden
    }
}

/// What an optimizer of the Adam kind remembers of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedParameter {
    /// Its number, or its name.
    pub name: String,
    pub shape: Vec<u64>,
    /// `None` where no gradient ever reached it.
    pub memory: Option<SecondMoments>,
}

/// Figures of a parameter's second moments: running means of its squared gradients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondMoments {
    /// Updates of the parameter.
    pub step: Option<f64>,
    pub values: u64,
    pub not_finite: u64,
    pub zeros: u64,
    /// Mean of those that are finite.
    pub mean: f64,
}

impl SecondMoments {
    /// All are exactly zero though there was time for another value. In the first step A's gradient is zero, since B is.
    pub fn are_zero(&self) -> bool {
        self.zeros == self.values && self.step.is_none_or(|step| step > 1.0)
    }
}

/// An optimizer's memory, as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum OptimizerMemory {
    Adam {
        parameters: Vec<TrainedParameter>,
        /// Steps of the training, as the file or the log beside it has them.
        global_step: Option<u64>,
    },
    /// Of another optimizer, or in a form that is not read; what was found instead.
    Other(String),
}

impl Item for LossPoint {
    const PLURAL: &'static str = "losses";
    const TEXT_FIELD: Option<&'static str> = None;

    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Item for TrainedParameter {
    const PLURAL: &'static str = "parameters";
    const TEXT_FIELD: Option<&'static str> = None;

    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Where the file is that a probe reads: the one that it names, or one beside the adapter.
pub(super) fn place(rows: &dyn OpenRows, what: TrainingFile, named: Option<&str>) -> Place {
    match named {
        Some(file) => Place::At(rows.named(file)),
        None => rows.beside_adapter(what),
    }
}

/// Why a probe is skipped that found nothing to read.
pub(super) fn skipped(what: TrainingFile, why: &str) -> String {
    format!("there is no {} to read: {why}; `file = \"…\"` in the probe names one", what.names().join(" or "))
}
