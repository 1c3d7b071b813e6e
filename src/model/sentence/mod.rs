//! Sentence-embedding models: BERT with a pooling, as sentence-transformers saves and reads them.
//!
//! On the CPU and in float32, whatever the model that is probed computes on. Each text goes through alone, so that its bits depend on
//! nothing beside it.
//!
//! `recipe`: what the files around the checkpoint say; `bert`: its layers.

mod bert;
mod recipe;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use super::Model;
use super::batch::{Batch, Done, Tell};
use super::busy::Busy;
use super::config::Fields;
use super::error::ModelError;
use super::job::{Job, Work};
use super::tokenizer::Tokenizer;
use super::weights::{Keep, Tensors};
use crate::request::{Answer, Embedding, RequestError};

use bert::{Bert, Shape};
use recipe::{Pooling, Recipe};

/// A sentence-embedding model, ready to answer.
pub struct SentenceModel {
    bert: Bert,
    tokenizer: Tokenizer,
    recipe: Recipe,
    /// Of all that can change an embedding: weights, config, tokenizer, pooling.
    pub digest: String,
}

impl SentenceModel {
    /// Loads a model from a folder.
    ///
    /// Without a `modules.json`, tokens are pooled by their mean and nothing is normalised, as sentence-transformers does.
    ///
    /// # Errors
    /// Whatever is missing, damaged or not understood, by file and tensor.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let recipe = Recipe::read(dir)?;
        let dir = &recipe.dir;
        let path = dir.join("config.json");
        if !path.exists() {
            let adapter = "this folder holds an adapter, and an embedder is a model of its own";
            return Err(ModelError::missing("the embedder", dir, "config.json", &[("adapter_config.json", adapter)]));
        }
        let config = std::fs::read(&path).map_err(|e| ModelError::read(&path, e))?;
        let shape = Shape::read(Fields::read(&path)?)?;
        let longest = recipe.longest(shape.positions)?;
        let tokenizer = Tokenizer::load(dir)?.truncated_to(longest).map_err(|message| ModelError::invalid(&path, message))?;
        let mut tensors = Tensors::open_model(dir, Keep::Mapped)?;
        let bert = Bert::load(shape, &mut tensors)?;
        let mut digest = blake3::Hasher::new();
        digest.update(tensors.digest().as_bytes());
        digest.update(&config);
        digest.update(tokenizer.digest.as_bytes());
        digest.update(format!("{:?} {} {longest}", recipe.pooling, recipe.normalize).as_bytes());
        let digest = digest.finalize().to_hex().to_string();
        Ok(Self { bert, tokenizer, recipe, digest })
    }

    /// The tokens of a text, special ones among them, cut to the longest sequence that the model is used with.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, RequestError> {
        if text.is_empty() {
            return Err(RequestError::EmptyPrompt);
        }
        let wrong = |message| RequestError::Tokenizer { message };
        let tokens = self.tokenizer.encode_all(text).map_err(wrong)?;
        match tokens.iter().find(|&&id| id as usize >= self.bert.shape.vocab) {
            Some(id) => Err(wrong(format!(
                "it gives the token {id}, and the embedder's vocabulary ends at {}",
                self.bert.shape.vocab - 1
            ))),
            None if tokens.is_empty() => Err(RequestError::EmptyPrompt),
            None => Ok(tokens),
        }
    }

    /// The embedding of a text's tokens. `name`: as messages name the model.
    pub fn embed(&self, name: &str, tokens: &[u32]) -> candle_core::Result<Result<Answer, RequestError>> {
        let states = self.bert.states(tokens)?.to_vec2::<f32>()?;
        let pooled: Vec<f64> = match self.recipe.pooling {
            Pooling::Cls => states[0].iter().copied().map(f64::from).collect(),
            Pooling::Mean => {
                let mut sum = vec![0.0; self.bert.shape.hidden];
                for state in &states {
                    sum.iter_mut().zip(state).for_each(|(sum, value)| *sum += f64::from(*value));
                }
                sum.iter().map(|sum| sum / states.len() as f64).collect()
            }
        };
        // As torch's `normalize`, which divides by no less.
        let length = pooled.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-12);
        let by = if self.recipe.normalize { length } else { 1.0 };
        let embedding: Vec<f32> = pooled.iter().map(|value| (value / by) as f32).collect();
        Ok(if embedding.iter().all(|value| value.is_finite()) {
            Ok(Answer::Embedding(Embedding { embedding, num_tokens: tokens.len() }))
        } else {
            Err(RequestError::NonFiniteEmbedding { name: name.to_owned() })
        })
    }
}

/// Answers the jobs of sentence-embedding models among `jobs`, one after the other.
///
/// # Errors
/// What candle tells of.
pub fn run(model: &Model, jobs: &[Job], indices: &[usize], tell: &mut Tell<'_>) -> Result<ControlFlow<()>, ModelError> {
    for &index in indices {
        let Job { tokens, work: Work::Sentence { embedder }, .. } = &jobs[index] else { continue };
        let start = Instant::now();
        let (name, embedder) = &model.embedders[*embedder];
        let answer = embedder.embed(name, tokens).map_err(|error| ModelError::device(super::Device::Cpu, &error))?;
        let answers = vec![(index, Done { answer, tokens: tokens.len() as u64 })];
        if tell.take(Batch { answers, wall: start.elapsed(), busy: Busy::default() }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
