//! Probes: what each asks of an item, and what the answers mean.
//!
//! A probe is pure, and a fold over items. It never holds a model: it says which questions an item needs, turns the answers into
//! that item's measurement, folds measurements, and at the end judges. It is tested on hand-written answers.
//!
//! One file a kind. `course` takes a probe through its items; `verdict` holds the rules that the kinds share.

mod adapter_ablation;
mod adapter_revert;
mod base_invariance;
mod bounds;
mod calibration_drift;
mod chunk;
mod cluster_kl;
mod computations;
mod course;
mod decay;
mod delta_kl;
mod document;
mod external_perplexity;
mod fragility;
mod gradient_ghost;
mod items;
mod leakage;
mod loss_curve;
mod lot;
mod membership;
mod multi_turn_coherence_decay;
mod noise_floor;
mod null_adapter;
mod outside;
mod pack;
mod paraphrase_invariance;
mod perturbation;
mod pipeline;
mod posed;
mod preference_flip;
mod prompt_collapse;
mod section;
mod section_internalization;
mod shard;
#[cfg(test)]
mod simulated;
mod stuffing;
mod style;
mod style_fingerprint;
#[cfg(test)]
mod tests;
mod tool_call;
mod tool_use_fidelity;
mod training;
mod training_drift;
mod verdict;

pub use adapter_ablation::AdapterAblation;
pub use adapter_revert::AdapterRevert;
pub use base_invariance::BaseInvariance;
pub use calibration_drift::CalibrationDrift;
pub use cluster_kl::ClusterKl;
pub use computations::apart;
pub use course::{AnyProbe, ChatForm, Course, CoursePlan, Ending, Survey, TemplateEffect};
pub use delta_kl::DeltaKl;
pub use document::{Document, SectionSlots};
pub use external_perplexity::ExternalPerplexity;
pub use gradient_ghost::GradientGhost;
pub use items::{
    FileItems, Item, ItemRow, ItemRows, ItemStream, Items, OpenRows, RowMark, RowPlace, SourceItems, SourceRows, Streamed,
};
pub use leakage::Leakage;
pub use lot::Lot;
pub use multi_turn_coherence_decay::MultiTurnCoherenceDecay;
pub use noise_floor::NoiseFloorProbe;
pub use null_adapter::{NullAdapter, NullControl, NullDraw};
pub use outside::{AskedEndpoint, Outsiders, Spot};
pub use pack::Layout;
pub use paraphrase_invariance::ParaphraseInvariance;
pub use pipeline::Pipeline;
pub use preference_flip::PreferenceFlip;
pub use prompt_collapse::PromptCollapse;
pub use section::{Content, Score, Section};
pub use section_internalization::SectionInternalization;
pub use shard::Shard;
pub use style_fingerprint::StyleFingerprint;
pub use tool_use_fidelity::ToolUseFidelity;
pub use training::{LossPoint, OptimizerMemory, Place, SecondMoments, TrainedParameter, TrainingFile};
pub use training_drift::TrainingDrift;
pub use verdict::{Court, Decide, Judgement, MIN_ITEMS};

use std::ops::RangeInclusive;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::math::stream::{Sequential, StateFault};
use crate::record::{Category, Measure, NoiseFloor, ScoreRecord};
use crate::request::{Answer, Embedder, Request};

/// What `list-probes` tells of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub category: Category,
    /// What it asks, in one line.
    pub summary: &'static str,
    /// The figure that is held against null adapters, by name; `None` where there is none to compare.
    pub calibrated: Option<&'static str>,
    /// The figure that each item gives, by name.
    pub values_of: &'static str,
    /// What it asks after are pieces of a text that the model knows or not, which no chat template belongs around.
    pub asks_documents: bool,
}

/// All kinds, in the order in which they are listed.
pub const KINDS: &[Kind] = &[
    DeltaKl::KIND,
    AdapterRevert::KIND,
    PromptCollapse::KIND,
    ClusterKl::KIND,
    MultiTurnCoherenceDecay::KIND,
    Pipeline::KIND,
    SectionInternalization::KIND,
    ParaphraseInvariance::KIND,
    PreferenceFlip::KIND,
    ToolUseFidelity::KIND,
    StyleFingerprint::KIND,
    CalibrationDrift::KIND,
    Leakage::KIND,
    ExternalPerplexity::KIND,
    GradientGhost::KIND,
    TrainingDrift::KIND,
    AdapterAblation::KIND,
    NullAdapter::KIND,
    NoiseFloorProbe::KIND,
    BaseInvariance::KIND,
];

/// What a probe may know of the model before it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    pub has_chat_template: bool,
    pub has_adapter: bool,
    pub vocab_size: usize,
    /// Without the tokens that the adapter brings.
    pub base_vocab_size: usize,
}

/// Makes one fold of two.
pub type Merge<F> = fn(F, F) -> Result<F, StateFault>;

/// One kind of probe. The type itself holds the keys that a suite gives it.
pub trait Probe: DeserializeOwned + Clone + Send + 'static {
    const KIND: Kind;

    /// The calibrated metric can't be below zero, as a divergence: see [`crate::math::NullComparison::of_positive`].
    const METRIC_IS_POSITIVE: bool = false;

    /// A figure that is no finite number is among what it looks for; of other kinds it is an error.
    const FINDS_NOT_FINITE: bool = false;

    /// A question without an answer is an [`Answer::Failed`] to it; of other kinds the item fails.
    const TAKES_FAILURES: bool = false;

    /// Most items that are in flight at once; fewer where their answers are large.
    const IN_FLIGHT: usize = usize::MAX;

    /// An item is a row, and nothing of the rows before it: where items come from sources, reading may begin in their middle.
    const ITEMS_ARE_ROWS: bool = true;

    /// How the folds of parts of the items become the fold of all, to the last bit and whatever the parts; `None` where measurements
    /// must come in the items' order.
    const MERGE: Option<Merge<Self::Fold>> = None;

    /// One unit of inference: a prompt, a case, a section.
    type Item: Item;

    /// What one item measured. A run that is checkpointed, or split over machines, writes it down and reads it back as it was: figures
    /// that are not finite too, so JSON is no form for it.
    type Measurement: Serialize + DeserializeOwned + Send;

    /// What is kept of all measurements; written down and read back as these are.
    type Fold: Default + Serialize + DeserializeOwned + Send;

    fn items(&self) -> &Items<Self::Item>;

    /// All that it asks after, where that is more than [`Self::items`].
    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<Self::Item>, String> {
        self.items().open(rows)
    }

    /// Whether any of what it asks after, or needs beside, is in a file, and not in the suite.
    fn in_a_file(&self) -> bool {
        self.items().in_a_file()
    }

    /// Whether what it asks after lies beside the adapter, which may be named after the suite was read.
    fn beside_adapter(&self) -> bool {
        false
    }

    /// How many items it makes sense of; none, where it is told of other things.
    fn counts(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    /// What embeds texts for it, if anything does.
    fn embedder(&self) -> Option<&Embedder> {
        None
    }

    /// Where it keeps sections of the training document, if these are what it asks after.
    fn sections(&mut self) -> Option<SectionSlots<'_>> {
        None
    }

    /// Reads what the probe needs beside its items, before the first of them is drawn.
    fn read(&mut self, _rows: &dyn OpenRows) -> Result<(), String> {
        Ok(())
    }

    /// How it would have the suite's null adapters drawn; at most one probe of a suite may say.
    fn null_control(&self) -> Option<NullControl> {
        None
    }

    /// Whom it asks beside the model.
    fn outsiders(&self) -> Outsiders<'_> {
        Outsiders::default()
    }

    /// Takes in the seed of what it draws by chance.
    fn seed(&mut self, _seed: u64) {}

    /// Takes in what it needs to know of the model, before it asks.
    fn meet(&mut self, _model: ModelFacts) {}

    /// Why there is nothing to ask of this model; the probe is skipped then, and this is what its record says.
    fn nothing_to_ask(&self, _model: ModelFacts) -> Option<String> {
        None
    }

    /// Why the probe is skipped for want of a file that it may do without; an error where what there is can't be read.
    fn nothing_to_read(&self, _rows: &dyn OpenRows) -> Result<Option<String>, String> {
        Ok(None)
    }

    /// The questions that the item's next round needs, given the answers of its rounds so far. None: the item is complete.
    ///
    /// Most kinds need one round; one that must look at an answer before it asks again goes on.
    fn ask(&self, item: &Self::Item, rounds: &[Vec<Answer>]) -> Vec<Request>;

    /// Where the text belongs that a question of a round asks for, if it is one that is recorded. Both are counted from 0.
    fn spot(&self, _round: usize, _question: usize) -> Option<Spot> {
        None
    }

    /// In a round, an input was too long for the model's context: whether the item can go on with the answers to the questions
    /// before it. They are the round then, shorter than it was asked; else the item fails with what was too long.
    fn goes_on_with(&self, _rounds: &[Vec<Answer>], _answers: &[Answer]) -> bool {
        false
    }

    /// What is wrong with a complete item's answers, each of which is of its op: the item fails with it.
    fn flaw(&self, _item: &Self::Item, _rounds: &[Vec<Answer>]) -> Option<String> {
        None
    }

    /// Turns a complete item's answers into its measurement; `None` where an answer is not of the op that was asked.
    fn measure(&self, item: &Self::Item, rounds: &[Vec<Answer>]) -> Option<Self::Measurement>;

    /// The scores that a measurement is made of, where these are recorded; its item and the probe are not named yet.
    fn scores(&self, _measurement: &Self::Measurement) -> Vec<ScoreRecord> {
        Vec::new()
    }

    /// The test that may settle the verdict before the items end; `None` where the kind has none.
    fn test(&self) -> Option<Sequential> {
        None
    }

    /// What of a measurement is tested.
    fn tested(&self, _measurement: &Self::Measurement) -> Option<f64> {
        None
    }

    /// Adds a measurement; `index`: its item's place in the whole stream of the probe's items, from 0, whoever measured it. The item
    /// itself may be on another machine: what is told of it is in the measurement.
    fn fold(&self, fold: &mut Self::Fold, index: u64, measurement: Self::Measurement);

    /// The metric that the adapter is compared with null adapters on; `None` where there is nothing to compare.
    fn metric(&self, fold: &Self::Fold) -> Option<f64>;

    /// The divergence between next-token distributions that the finding stands on: the mean over the items, nats. What computing
    /// alone explains is set beside it, and a pass on less is none.
    fn divergence(&self, _fold: &Self::Fold) -> Option<(Measure, f64)> {
        None
    }

    /// What it found computing alone to change, for all probes' sake.
    fn noise_floor(&self, _fold: &Self::Fold) -> Option<NoiseFloor> {
        None
    }

    /// The verdict, with what it stands on.
    fn judge(&self, fold: &Self::Fold, court: &Court<'_>) -> Judgement;
}
