//! What was found of weights, answers and tokenizer, taken together.

use super::answers::shows_the_adapter;
use super::cause;
use crate::engine::{LoadedMerge, OwnFile};
use crate::record::{MergeFinding, MergedAnswer, MergedModule, Verdict};

/// Where rounding takes more than this share of the update away, what is left is not the adapter.
const MOST: f64 = 0.5;

/// All that was found.
pub struct Found<'a> {
    pub loaded: &'a LoadedMerge,
    pub modules: Vec<MergedModule>,
    pub answers: Vec<MergedAnswer>,
    /// Prompts of which the merged checkpoint's tokenizer makes other tokens.
    pub otherwise: usize,
    /// All prompts, asked about or not.
    pub prompts: usize,
}

impl Found<'_> {
    /// What is wrong, the gravest first.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = cause::of_weights(self.loaded, &self.modules);
        wrong.extend(cause::of_tokenizer(self.otherwise, self.prompts));
        wrong.extend(cause::of_answers(&self.answers));
        wrong
    }

    /// Why it can't be told, where nothing is wrong.
    pub fn in_doubt(&self) -> Option<String> {
        let dtype = self.loaded.info.merged_in;
        let adapted = self.adapted();
        if adapted == 0 {
            return Some("the adapter changes nothing, so there is nothing to have been merged".to_owned());
        }
        if self.hidden() == adapted {
            return Some(format!(
                "rounding to {dtype} swallows the whole update: in all {adapted} modules that the adapter changes, W + ΔW rounded is W rounded, and whether they were merged can't be told"
            ));
        }
        if let Some(rounding) = self.rounding().filter(|rounding| *rounding >= MOST && self.is_drowned()) {
            return Some(format!(
                "rounding to {dtype} takes {:.0} % of ΔW away: it is base + adapter rounded, and no answer of theirs is farther from the base's than rounding takes it; merge in a finer dtype, or keep the adapter beside its base",
                100.0 * rounding
            ));
        }
        let mut unanswered = self.answers.iter().filter(|answer| answer.within.is_none());
        let error = unanswered.find_map(|answer| answer.error.as_ref())?;
        Some(format!("base + adapter can't be asked: {error}"))
    }

    /// What a reader should know and no verdict depends on.
    pub fn notes(&self, verdict: Verdict) -> Vec<String> {
        let info = &self.loaded.info;
        let mut notes = Vec::new();
        if info.dtype != info.merged_in {
            let (dtype, merged_in) = (info.dtype, info.merged_in);
            notes.push(format!("it is stored in {dtype} and judged by the rounding of {merged_in}, in which it was merged"));
        }
        match self.loaded.tokenizer {
            OwnFile::Missing => notes.push("it brings no tokenizer.json; the base's was read".to_owned()),
            OwnFile::Other if self.otherwise == 0 => {
                let same = "its tokenizer.json is another file than the base's, and makes the same tokens of every prompt";
                notes.push(same.to_owned());
            }
            _ => {}
        }
        if let Some([base, own]) = &self.loaded.ends {
            let own = format!("its texts end at the tokens {own:?}, the base's at {base:?}");
            notes.push(format!("{own}: continuations may end elsewhere"));
        }
        let (hidden, adapted) = (self.hidden(), self.adapted());
        if hidden > 0 && hidden < adapted {
            notes.push(format!("rounding to {} swallows the whole update of {hidden} of {adapted} modules", info.merged_in));
        }
        if verdict == Verdict::Pass && self.is_drowned() {
            let drowned = "on no prompt does the adapter move an answer by more than the floor";
            notes.push(format!("{drowned}: ask about what it was trained on (--prompts)"));
        }
        notes
    }

    fn adapted(&self) -> usize {
        self.modules.iter().filter(|module| module.adapted).count()
    }

    fn hidden(&self) -> usize {
        self.modules.iter().filter(|module| module.finding == MergeFinding::Hidden).count()
    }

    /// Whether no prompt that was answered tells base + adapter from the base.
    fn is_drowned(&self) -> bool {
        !self.answers.is_empty() && !self.answers.iter().any(shows_the_adapter)
    }

    /// ‖R(W + ΔW) − (W + ΔW)‖ / ‖ΔW‖, the median over the modules that the adapter changes.
    fn rounding(&self) -> Option<f64> {
        let adapted = self.modules.iter().filter(|module| module.adapted);
        let mut values: Vec<f64> = adapted.filter_map(|module| module.rounding).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}
