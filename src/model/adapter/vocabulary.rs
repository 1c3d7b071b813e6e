//! Adapters for which tokens were added: the base gets their rows too, so that all views speak of one vocabulary.
//!
//! What the base's new rows are, no checkpoint of the base can say. In this order:
//! - what the file holds as the base's own (`base_layer`, `original_module`), as the training started from it;
//! - the adapter's rows, where they are saved without being named as trained: both views of peft have them;
//! - the mean of the base's rows, as `resize_token_embeddings` of transformers fills them (but for a noise of 1e-9).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Config;
use super::keys::{Part, Parts};
use crate::model::decoder::Decoder;
use crate::model::error::ModelError;
use crate::model::matrix::{Matrix, Precision};
use crate::model::weights::Tensors;

/// Grows the base to the vocabulary of a PEFT file.
pub fn grow_for_peft(
    decoder: &mut Arc<Decoder>,
    config: &Config,
    tensors: &mut Tensors,
    modules: &BTreeMap<String, Parts>,
    precision: Precision,
) -> Result<(), ModelError> {
    let (vocab, hidden) = (decoder.shape.vocab, decoder.shape.hidden);
    let paths = [decoder.shape.names.embedding, decoder.shape.names.head];
    let rows_of = |tensors: &Tensors, name: &str| match tensors.shape(name) {
        Some(&[rows, cols]) if cols == hidden => rows,
        _ => 0,
    };
    let mut grown = vocab;
    let mut found: [Option<Matrix>; 2] = [None, None];
    for (path, found) in paths.into_iter().zip(&mut found) {
        let Some(parts) = modules.get(path) else { continue };
        for part in [Part::Weight, Part::BaseWeight] {
            let Some(name) = parts.get(&part) else { continue };
            let rows = rows_of(tensors, name);
            if rows <= vocab {
                continue;
            }
            grown = grown.max(rows);
            if part == Part::BaseWeight || !config.is_whole(path) {
                *found = Some(tensors.take_matrix(name, [rows, hidden], Precision::F32)?);
            }
        }
    }
    if grown > vocab {
        // A table of yet another size is told by its shape when it is read.
        let [embedding, head] = found.map(|table| table.filter(|table| table.rows == grown));
        Arc::make_mut(decoder).grow(grown, embedding.as_ref(), head.as_ref(), precision);
    }
    Ok(())
}
