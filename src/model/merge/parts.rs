//! Every tensor that base and merged checkpoint both have.

use std::collections::HashMap;

use super::Grid;
use super::part::{Part, Place, Vector, sum_slack};
use crate::model::Model;
use crate::model::architecture::NormKind;
use crate::model::decoder::Decoder;
use crate::model::weights::Weight;

/// In the model's order: tables, linear layers with their biases, norms, experts. `stored` is what biases and norms are taken to be
/// stored in.
pub fn parts<'a>(model: &'a Model, own: &'a Decoder, stored: Grid) -> Vec<Part<'a>> {
    let (base, names) = (&*model.decoder, &model.decoder.shape.names);
    let changes = model.adapter.as_ref().map(|adapter| &adapter.changes);
    let embedding = changes.and_then(|changes| changes.embedding.as_ref());
    let mut parts = vec![Part::table(names.embedding.to_owned(), Place::Embedding, &base.embedding, embedding, &own.embedding)];
    if let (Some(path), Some(base), Some(own)) = (names.positions, &base.positions, &own.positions) {
        let change = changes.and_then(|changes| changes.positions.as_ref());
        parts.push(Part::table(path.to_owned(), Place::Positions, base, change, own));
    }
    let by_path: HashMap<&str, usize> = own.sites.iter().enumerate().map(|(i, site)| (site.path.as_str(), i)).collect();
    let one_table = base.shape.tied_head && own.shape.tied_head && embedding.is_none();
    for (index, site) in base.sites.iter().enumerate() {
        let change = changes.and_then(|changes| changes.sites.get(&index));
        let Some(&at) = by_path.get(site.path.as_str()) else { continue };
        // A head that is the embedding in both, and in the adapter's eyes too, is looked at once.
        if site.head && one_table && change.is_none() {
            continue;
        }
        let (of_base, of_own) = (&base.weights[index], &own.weights[at]);
        parts.push(Part::weight(site.path.clone(), Place::Site(index), &of_base.weight, change, &of_own.weight));
        let added = change.and_then(|change| change.bias.as_ref());
        if let (Some(bias), Some(merged)) = (&of_base.bias, &of_own.bias) {
            let of = |weight: &Weight| weight.as_slice().iter().copied().map(f64::from).collect::<Vec<f64>>();
            let (base, merged) = (of(bias), of(merged));
            let added = added.map_or_else(|| vec![0.0; base.len()], of);
            let expected = base.iter().zip(&added).map(|(base, added)| base + added).collect();
            let slack =
                base.iter().zip(&added).map(|(base, added)| if *added == 0.0 { 0.0 } else { sum_slack(*base, *added, stored) });
            let slack = slack.collect();
            let vector = Vector { base, expected, merged, slack };
            parts.push(Part::vector(format!("{}.bias", site.path), Place::Bias(index), vector, stored));
        }
    }
    for (slot, path) in base.norm_paths.iter().enumerate() {
        let Some(at) = own.norm_paths.iter().position(|own| own == path) else { continue };
        let kind = base.shape.norm.kind;
        let of_base = base.norms[slot].saved(kind);
        let changed = changes.and_then(|changes| changes.norms.get(&slot));
        let expected = changed.map_or_else(|| of_base.clone(), |norm| norm.saved(kind));
        let merged = own.norms[at].saved(kind);
        // Weights that are kept with one added to them are known to float32's step at one.
        let step = if kind == NormKind::RmsPlusOne { f64::from(f32::EPSILON) } else { 0.0 };
        let vector = |base: Vec<f64>, expected, merged| Vector { slack: vec![step; base.len()], base, expected, merged };
        parts.push(Part::vector(path.clone(), Place::Norm(slot), vector(of_base.0, expected.0, merged.0), stored));
        if let (Some(base), Some(expected), Some(merged)) = (of_base.1, expected.1, merged.1) {
            parts.push(Part::vector(format!("{path}.bias"), Place::NormBias(slot), vector(base, expected, merged), stored));
        }
    }
    for (layer, (of_base, of_own)) in base.layers.iter().zip(&own.layers).enumerate() {
        let both = of_base.feed_forward.expert_weights().into_iter().zip(of_own.feed_forward.expert_weights());
        parts.extend(both.map(|((name, base), (_, own))| {
            Part::weight(format!("{}.{layer}.{name}", names.layers), Place::Expert, base, None, own)
        }));
    }
    parts
}
