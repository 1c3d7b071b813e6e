//! Does a merged checkpoint answer as base + adapter does, within the noise floor of its dtype?
//!
//! Two comparisons, for each tells what the other can't. **Weights** (`weights`): every tensor is held against W + ΔW; what a
//! rounding to the dtype explains is no difference, and what it does not explain names the module and the probable cause
//! (`cause`). **Answers** (`answers`): the merged model's log-probabilities are held against those of base + adapter; the floor is
//! measured on W + ΔW rounded once to the dtype, computed by sway itself.

mod answers;
mod cause;
mod found;
mod prompts;
mod weights;

pub use answers::FLOOR_FACTOR;
pub use prompts::{PromptError, Prompts};

use crate::engine::{EngineError, LoadedMerge};
use crate::record::{MERGE_SCHEMA_VERSION, MergeRecord, Verdict};
use found::Found;

/// Asks both models, and judges what was found of weights and answers.
///
/// # Errors
/// [`EngineError::Interrupted`], or a fault of the engine.
pub fn verify(loaded: &mut LoadedMerge, prompts: &[String]) -> Result<MergeRecord, EngineError> {
    let answers = answers::ask(loaded, prompts)?;
    let modules = loaded.modules.iter().map(weights::judge).collect();
    let otherwise = prompts.iter().filter(|prompt| loaded.tokenizes_otherwise(prompt)).count();
    let found = Found { loaded, modules, answers, otherwise, prompts: prompts.len() };
    let mut findings = found.wrong();
    let (verdict, message) = match (findings.is_empty(), found.in_doubt()) {
        (false, _) => (Verdict::Fail, findings.remove(0)),
        (true, Some(why)) => (Verdict::Inconclusive, why),
        (true, None) => {
            let message = format!("it is base + adapter rounded to {}, and answers as they do", found.loaded.info.merged_in);
            (Verdict::Pass, message)
        }
    };
    let notes = found.notes(verdict);
    let Found { modules, answers, .. } = found;
    Ok(MergeRecord {
        schema_version: MERGE_SCHEMA_VERSION,
        sway_version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict,
        message,
        findings,
        notes,
        base: loaded.base.clone(),
        adapter: loaded.adapter.clone(),
        merged: loaded.info.clone(),
        modules,
        floor_factor: FLOOR_FACTOR,
        answers,
    })
}
