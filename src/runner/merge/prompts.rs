//! The texts that both models are asked about.

use std::path::PathBuf;
use std::sync::Arc;

use crate::probe::{FileItems, Items, Layout};
use crate::request::Prompt;
use crate::runner::files::Files;
use crate::workspace::Workspace;

/// Where the prompts are.
#[derive(Clone, Debug)]
pub enum Prompts {
    /// Sixteen short texts of several kinds.
    BuiltIn,
    File {
        path: String,
        /// The field of a JSON row that holds the text.
        field: Option<String>,
        /// Take the first rows only.
        limit: Option<usize>,
    },
}

/// Prompts that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("{0}")]
    Read(String),
    #[error("{0} holds no prompt")]
    Empty(String),
}

/// Prose, dialogue, lists, code and other scripts: what a merge broke anywhere should move some of them.
const BUILT_IN: [&str; 16] = [
    "The capital of France is",
    "Once upon a time, in a village at the edge of the forest, there lived",
    "Question: How many minutes are there in three hours?\nAnswer:",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "Dear Sir or Madam,\n\nI am writing to ask whether",
    "The three primary colours are red, yellow and",
    "In 1969, the first human being set foot on",
    "User: Can you recommend a good book?\nAssistant:",
    "SELECT name, price FROM products WHERE",
    "To make bread you need flour, water, salt and",
    "The patient was admitted with a fever of 39.2 degrees and",
    "Die Hauptstadt von Deutschland ist",
    "El perro corre por el parque porque",
    "今日は天気が良いので、",
    "{\"name\": \"Ada\", \"age\": 36, \"city\":",
    "Water boils at a lower temperature on a mountain because",
];

impl Prompts {
    /// Reads all of them.
    ///
    /// # Errors
    /// A file that can't be read, holds nothing, or a row that is no prompt, with its line.
    pub fn read(&self) -> Result<Vec<String>, PromptError> {
        match self {
            Self::BuiltIn => Ok(BUILT_IN.map(str::to_owned).to_vec()),
            Self::File { path, field, limit } => {
                let items = Items::<Prompt>::File(FileItems {
                    file: path.clone(),
                    field: field.clone(),
                    limit: *limit,
                    layout: Layout::Rows,
                });
                let rows = items
                    .open(&Files { workspace: Workspace::default(), dir: PathBuf::new(), adapter: None, streams: Arc::default() })
                    .map_err(PromptError::Read)?;
                let prompts: Result<Vec<String>, String> =
                    rows.map(|prompt| prompt.map(|prompt| prompt.words().into_owned())).collect();
                let prompts = prompts.map_err(PromptError::Read)?;
                if prompts.is_empty() { Err(PromptError::Empty(path.clone())) } else { Ok(prompts) }
            }
        }
    }
}
