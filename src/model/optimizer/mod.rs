//! What an optimizer remembers of a training: `optimizer.pt` of the Hugging Face Trainer, `training_state.pt` of dlm, or anything else
//! that `torch.save` made of an Adam's `state_dict()`.
//!
//! Such a file is a pickle, and unpickling runs whatever the file names. Nothing is run here: `pickle` builds inert values, and what a
//! file may name is a short list (`global`); a file that names anything else is refused. Nor is anything believed: no size that a
//! file claims is allocated before that many bytes were seen, and the tensors are read in one pass, a buffer at a time.
//!
//! candle's own reader was tried first. It copies a value each time that the file refers to it, so a few hundred bytes can fill the memory;
//! it allocates texts by their claimed length, and drops nested values by recursion.

mod archive;
mod global;
mod moments;
mod pickle;
mod state;

use std::path::Path;

pub use moments::Moments;

use super::error::ModelError;
use crate::workspace::Workspace;
use archive::Archive;
use state::Budget;

/// What a file holds of the optimizer.
#[derive(Clone, Debug, PartialEq)]
pub enum OptimizerFile {
    /// Adam, or one of its kin that keeps first and second moments in full.
    Adam(OptimizerState),
    /// Another one, or one that keeps its moments in another form; what was found instead.
    Other(String),
}

/// An Adam's memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Those that were ever updated, in the order of the parameter groups.
    pub parameters: Vec<Parameter>,
    /// Those that the groups list and that have no state: no gradient ever reached them.
    pub never_updated: Vec<String>,
    /// `global_step` (or `step`) beside the state, where the file has one.
    pub global_step: Option<u64>,
}

/// What is remembered of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its number in the groups, or its name where the file has names.
    pub name: String,
    /// Of its second moments, which is its own.
    pub shape: Vec<u64>,
    /// Updates that it has had.
    pub step: Option<f64>,
    /// `exp_avg_sq`: the running mean of each value's squared gradient.
    pub second: Moments,
}

/// What is wrong with a file, before its path is added.
#[derive(Debug)]
enum Flaw {
    /// It is not what it says it is.
    Invalid(String),
    /// It is understood, and not read.
    Refused(String),
    Read(std::io::Error),
}

impl From<std::io::Error> for Flaw {
    fn from(error: std::io::Error) -> Self {
        // A file that ends early is a broken file, not a broken disk.
        if error.kind() == std::io::ErrorKind::UnexpectedEof { invalid("it ends too early") } else { Self::Read(error) }
    }
}

fn invalid(message: impl Into<String>) -> Flaw {
    Flaw::Invalid(message.into())
}

fn refused(message: impl Into<String>) -> Flaw {
    Flaw::Refused(message.into())
}

impl OptimizerFile {
    /// Reads an optimizer's state from a file of `torch.save`. Takes time in proportion to the file's length, and memory in proportion
    /// to that of its pickle, of which 16 MiB are read at most.
    ///
    /// # Errors
    /// A file that can't be read, is damaged, holds no optimizer's state, or is refused: it names what is not on the list of harmless
    /// names, is compressed, or is of torch's format from before 1.6.
    pub fn read(workspace: &Workspace, path: &Path) -> Result<Self, ModelError> {
        read(workspace, path).map_err(|flaw| match flaw {
            Flaw::Invalid(message) => ModelError::invalid(path, message),
            Flaw::Refused(message) => ModelError::refused(path, message),
            Flaw::Read(source) => ModelError::read(path, source),
        })
    }
}

fn read(workspace: &Workspace, path: &Path) -> Result<OptimizerFile, Flaw> {
    let mut archive = Archive::new(workspace.open(path)?)?;
    let text = archive.pickle()?;
    let pickle = pickle::read(&text)?;
    // The moments of a parameter lie beside one another, each read once: twice the file's length leaves room for shared storages.
    let budget = Budget { bytes: 2 * archive.len() };
    state::read(&pickle, &mut archive, budget)
}

#[cfg(test)]
mod tests;
