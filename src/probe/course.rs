//! A probe on its way through its items.
//!
//! The runner draws items into flight, window by window, and carries questions and answers; a course keeps each item's rounds,
//! sends the calibrated ones under the null views too, and folds what is complete.

mod any;
mod clusters;
mod flight;
mod kept;
mod run;
mod state;
mod supply;

use std::collections::BTreeSet;

use super::lot::Lot;
use super::{
    Court, Document, Item, Judgement, Kind, ModelFacts, NullControl, OpenRows, Outsiders, Probe, Shard, SourceItems, Spot,
};
use crate::record::{Calibration, Measure, NoiseFloor, ScoreRecord};
use crate::request::{Answer, Embedder, Prompt, Request, RequestError, Scale, View};

/// What is known of a probe's work before a model is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub items: usize,
    /// Whether these are all: items of sources are glanced at, and not counted before they are asked about.
    pub is_whole: bool,
    /// Requests of all items' first rounds.
    pub requests: usize,
    /// The first few prompts that are asked about.
    pub prompts: Vec<Prompt>,
}

/// How a probe's prompts reach the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatForm {
    /// A text as it stands, a conversation through the chat template.
    #[default]
    AsWritten,
    /// A text as a user's turn.
    UserTurns,
    /// As user turns, and all once more without the template, for what is reported beside it.
    Both,
}

impl ChatForm {
    pub fn of(self, prompt: Prompt) -> Prompt {
        match self {
            Self::AsWritten => prompt,
            Self::UserTurns | Self::Both => prompt.as_user_turn(),
        }
    }
}

/// How a course is run.
#[derive(Clone, Debug, Default)]
pub struct CoursePlan {
    /// Seeds of the null adapters.
    pub nulls: Vec<u64>,
    /// By how much their rank is multiplied beside, if at all.
    pub ranks: Vec<Scale>,
    /// Indices of the items that are also asked under the nulls.
    pub calibrated: BTreeSet<usize>,
    /// Which these are, where the items were not counted: they are asked once more at the end.
    pub lot: Option<Lot>,
    pub chat: ChatForm,
    /// Of what the probe draws by chance.
    pub seed: u64,
    /// Only a part of the items is asked about: the course has no verdict of its own.
    pub shard: Option<Shard>,
    /// It ends as soon as its verdict is settled, but not with fewer items than `min_items`.
    pub stops_early: bool,
    pub min_items: usize,
    /// Items that may be longer than the model's context: they are left out.
    pub max_too_long: usize,
    /// What a course came to before, which goes on with it: [`Course::state`].
    pub after: Option<Vec<u8>>,
}

impl CoursePlan {
    /// The null views: those of the adapter's own rank, then those of each other.
    fn null_views(&self) -> Vec<View> {
        let of_rank = |&multiplier: &Scale| self.nulls.iter().map(move |&seed| View::NullOfRank { seed, multiplier });
        self.nulls.iter().map(|&seed| View::Null(seed)).chain(self.ranks.iter().flat_map(of_rank)).collect()
    }
}

/// A probe whose kind was forgotten.
pub trait AnyProbe: Send {
    fn kind(&self) -> Kind;

    /// Whether the items, or what else the probe needs, are in a file, and not in the suite.
    fn reads_a_file(&self) -> bool;

    /// Whether what it asks after lies beside the adapter.
    fn looks_beside_adapter(&self) -> bool;

    /// Gives it the suite's sections, where it asks after sections and has none of its own; `false` where it has none then either.
    fn take_sections(&mut self, document: &Document) -> bool;

    /// What embeds texts for it, if anything does.
    fn embedder(&self) -> Option<&Embedder>;

    /// Whom it asks beside the model.
    fn outsiders(&self) -> Outsiders<'_>;

    /// The sources that its items come from, if they do.
    fn sources(&self) -> Option<&SourceItems>;

    /// Reads all items once, or glances at those of sources: what is wrong with any is told before a model is loaded.
    fn survey(&self, rows: &dyn OpenRows) -> Result<Survey, String>;

    /// Why the probe is skipped on this model; `None` where it is run.
    fn skip(&self, model: ModelFacts) -> Option<String>;

    /// Why it is skipped for want of a file.
    fn skip_without_file(&self, rows: &dyn OpenRows) -> Result<Option<String>, String>;

    /// Whether it has a test that can settle its verdict before the items end.
    fn can_stop_early(&self) -> bool;

    /// How it would have the suite's null adapters drawn.
    fn controls_nulls(&self) -> Option<NullControl>;

    fn start(&self, rows: &dyn OpenRows, model: ModelFacts, plan: CoursePlan) -> Result<Box<dyn Course>, String>;

    /// The course that one machine would have ended with, from what those of all parts came to.
    ///
    /// # Errors
    /// Parts that are not all there, or of which one is there twice; parts of other items.
    fn join(
        &self,
        rows: &dyn OpenRows,
        model: ModelFacts,
        plan: CoursePlan,
        parts: &[Vec<u8>],
    ) -> Result<Box<dyn Course>, String>;
}

/// A probe under way.
pub trait Course: Send {
    /// Draws up to `count` more items into flight; gives how many there were.
    ///
    /// # Errors
    /// Items that can't be had: where they come from a source, no verdict stands on those before.
    fn draw(&mut self, count: usize) -> Result<usize, String>;

    /// Whether there is no item left to draw.
    fn is_over(&self) -> bool;

    /// What it has come to, for another to go on with, or to be joined with others. Nothing is in flight.
    fn state(&mut self) -> Result<Vec<u8>, String>;

    /// Whether there are items in flight.
    fn is_under_way(&self) -> bool;

    /// The questions that the items in flight ask next; none when all of them are complete.
    fn ask(&mut self) -> Vec<Request>;

    /// Of the last questions, where the texts belong that are recorded: the item, counted from 0, and the place in its course.
    fn spots(&self) -> Vec<Option<(usize, Spot)>>;

    /// The scores of the items that were completed since this was last asked.
    fn take_scores(&mut self) -> Vec<ScoreRecord>;

    /// The replies to the last questions, in their order.
    fn tell(&mut self, replies: Vec<Result<Answer, RequestError>>);

    /// How the nulls compare; `None` where the probe is not calibrated.
    fn calibration(&self) -> Option<Calibration>;

    /// Items measured so far.
    fn measured(&self) -> usize;

    /// Prompts of measured items that were asked as texts.
    fn asked_raw(&self) -> usize;

    /// What it found computing alone to change; `None` where it does not look at that.
    fn noise_floor(&self) -> Option<NoiseFloor>;

    fn judge(&self, court: &Court<'_>) -> Ending;
}

/// How a course ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// `None` where an item could not be measured: no verdict stands on the rest.
    pub judgement: Option<Judgement>,
    /// `item 3: …`, the first few.
    pub errors: Vec<String>,
    pub failed: usize,
    /// Of so many.
    pub items: usize,
    /// Those with them that were left out, being longer than the model's context.
    pub too_long: usize,
    /// The metric with the chat template and without it, where both were asked for.
    pub template_effect: Option<TemplateEffect>,
    /// The divergence that the finding stands on.
    pub divergence: Option<(Measure, f64)>,
}

/// A probe's metric on the same items with the chat template and without it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemplateEffect {
    pub with: f64,
    pub without: f64,
}

/// Refuses fewer items than the kind makes sense of.
fn check_least<P: Probe>(probe: &P, items: usize) -> Result<(), String> {
    let (least, kind) = (*probe.counts().start(), P::KIND.name);
    match items {
        0 if least > 0 => {
            let of = probe.items().sources().map(|items| format!(" in the source `{}`", items.source.join("`, `")));
            Err(format!("there are no {}{}", P::Item::PLURAL, of.unwrap_or_default()))
        }
        _ if items < least => Err(format!("{items} {} are too few: {kind} needs {least}", P::Item::PLURAL)),
        _ => Ok(()),
    }
}

/// Refuses more items than the kind makes sense of.
fn check_most<P: Probe>(probe: &P, items: usize) -> Result<(), String> {
    let (most, kind) = (*probe.counts().end(), P::KIND.name);
    if items > most {
        return Err(format!("{items} {} are too many: {kind} takes at most {most}", P::Item::PLURAL));
    }
    Ok(())
}
