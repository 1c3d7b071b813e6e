//! A whole model in the place of an adapter: a full fine-tune of the base, or a merged one.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::change::{Change, Dense, EmbeddingChange};
use super::{Adapter, Changes};
use crate::model::architecture::{self, Shape};
use crate::model::config::Fields;
use crate::model::decoder::Decoder;
use crate::model::error::ModelError;
use crate::model::matrix::{Matrix, Precision};
use crate::model::memory::Need;
use crate::model::weights::{Keep, Tensors, Weight};

/// Reads a model of the base's shape, and keeps what differs from the base.
///
/// Where it has more tokens, the base grows by as many: see [`super::vocabulary`].
pub fn load(dir: &Path, base: &mut Arc<Decoder>, precision: Precision, keep: Keep) -> Result<Adapter, ModelError> {
    let config = dir.join("config.json");
    let (_, shape) = architecture::read(Fields::read(&config)?)?;
    if shape.vocab > base.shape.vocab && difference(&Shape { vocab: shape.vocab, ..base.shape.clone() }, &shape).is_none() {
        Arc::make_mut(base).grow(shape.vocab, None, None, precision);
    }
    if let Some(difference) = difference(&base.shape, &shape) {
        return Err(ModelError::refused(
            &config,
            format!(
                "it is a whole model of another shape than the base's: {difference}\nhint: name the model that it was trained from as the base"
            ),
        ));
    }
    let mut tensors = Tensors::open_model(dir, keep)?;
    let own = Decoder::load(shape, &mut tensors, precision)?;
    let changes = changes(base, &own).map_err(|what| ModelError::refused(&tensors.path, what))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(tensors.digest().as_bytes());
    hasher.update(&std::fs::read(&config).map_err(|e| ModelError::read(&config, e))?);
    Ok(Adapter {
        kind: "FULL",
        tensors: tensors.len(),
        parameters: tensors.parameters(),
        bytes: Need::of_tensors(&tensors, precision).weights(),
        digest: hasher.finalize().to_hex().to_string(),
        changes,
    })
}

/// The first field in which two shapes differ.
fn difference(base: &architecture::Shape, own: &architecture::Shape) -> Option<String> {
    let (base, own) = (format!("{base:#?}"), format!("{own:#?}"));
    let differs = base.lines().zip(own.lines()).find(|(base, own)| base != own);
    let tidy = |line: &str| line.trim().trim_end_matches(',').to_owned();
    match differs {
        Some((base, own)) => Some(format!("`{}` here, `{}` in the base", tidy(own), tidy(base))),
        None => (base != own).then(|| "the number of layers".to_owned()),
    }
}

fn changes(base: &Decoder, own: &Decoder) -> Result<Changes, String> {
    let mut changes = Changes::default();
    let sites: Vec<Option<Change>> = base
        .weights
        .par_iter()
        .zip(&own.weights)
        .map(|(base, own)| {
            let weight = !own.weight.same_values(&base.weight);
            let dense = weight.then(|| Dense { matrix: own.weight.clone(), base: 0.0, factor: 1.0 });
            let bias = bias(base.bias.as_ref(), own.bias.as_ref());
            (dense.is_some() || bias.is_some()).then(|| Change { dense, bias, ..Change::default() })
        })
        .collect();
    changes.sites = sites.into_iter().enumerate().filter_map(|(site, change)| Some((site, change?))).collect();
    for (slot, (base, own)) in base.norms.iter().zip(&own.norms).enumerate() {
        if base != own {
            changes.norms.insert(slot, own.clone());
        }
    }
    let table = |base: &Matrix, own: &Matrix| {
        let own = (!own.same_values(base)).then(|| (own.clone(), 1.0));
        own.map(|own| EmbeddingChange { own: Some(own), ..EmbeddingChange::default() })
    };
    changes.embedding = table(&base.embedding, &own.embedding);
    changes.positions = base.positions.as_ref().zip(own.positions.as_ref()).and_then(|(base, own)| table(base, own));
    let experts = base.layers.iter().zip(&own.layers).position(|(base, own)| !base.feed_forward.same_experts(&own.feed_forward));
    match experts {
        Some(layer) => Err(format!(
            "the experts of layer {layer} differ from the base's, and sway compares models whose experts are the same"
        )),
        None => Ok(changes),
    }
}

fn bias(base: Option<&Weight>, own: Option<&Weight>) -> Option<Weight> {
    let (base, own) = (base?.as_slice(), own?.as_slice());
    (base != own).then(|| Weight::owned(1, own.len(), own.iter().zip(base).map(|(own, base)| own - base).collect()))
}
