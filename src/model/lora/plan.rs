//! An adapter matched against the model's sites: every tensor consumed, every targeted site filled, or refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{LoraConfig, Update};
use crate::model::error::{ModelError, some_of};
use crate::model::site::Site;
use crate::model::weights::{Tensors, Weight};

/// A loaded adapter: an update for each site that it adapts.
pub struct Adapter {
    pub tensors: usize,
    pub parameters: u64,
    pub digest: String,
    /// By the site's index in the model's registry.
    pub updates: BTreeMap<usize, Update>,
}

/// Which half of a pair a tensor is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Half {
    A,
    B,
}

impl Adapter {
    pub fn load(dir: &Path, sites: &[Site]) -> Result<Self, ModelError> {
        let config_path = dir.join("adapter_config.json");
        if !config_path.exists() {
            let whole = "this folder holds a whole model; sway compares a base with a PEFT adapter of it";
            return Err(ModelError::missing("the adapter", dir, "adapter_config.json", &[("config.json", whole)]));
        }
        let config = LoraConfig::read(&config_path)?;
        let weights = dir.join("adapter_model.safetensors");
        if !weights.exists() {
            let pickle = "adapter_model.bin is a pickle, which can run code when read; save the adapter with `save_pretrained(…, safe_serialization=True)`";
            return Err(ModelError::missing("the adapter", dir, "adapter_model.safetensors", &[("adapter_model.bin", pickle)]));
        }
        let mut tensors = Tensors::open_file(&weights)?;
        let pairs = pair(&tensors, sites, &config)?;
        check_targets(&config, &tensors.path, &pairs, sites)?;
        let mut updates = BTreeMap::new();
        for (site, names) in pairs {
            let place = &sites[site];
            let rank = config.rank_of(&place.path);
            let (a_shape, b_shape) = ([rank.rank, place.inputs], [place.outputs, rank.rank]);
            check_shape(&tensors, &names[&Half::A], a_shape, &config, place)?;
            check_shape(&tensors, &names[&Half::B], b_shape, &config, place)?;
            let a = tensors.take(&names[&Half::A], &a_shape)?;
            let b = tensors.take(&names[&Half::B], &b_shape)?;
            for (name, weight) in [(&names[&Half::A], &a), (&names[&Half::B], &b)] {
                check_finite(&tensors.path, name, weight)?;
            }
            updates.insert(site, Update { a, b, scale: rank.scale });
        }
        tensors.finish("belong to no site")?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(tensors.digest().as_bytes());
        hasher.update(&std::fs::read(&config_path).map_err(|e| ModelError::read(&config_path, e))?);
        Ok(Self {
            tensors: tensors.len(),
            parameters: tensors.parameters(),
            digest: hasher.finalize().to_hex().to_string(),
            updates,
        })
    }
}

/// Sorts the adapter's tensors into pairs by site. Refuses names that are no half of a pair, and sites that do not exist.
fn pair(tensors: &Tensors, sites: &[Site], config: &LoraConfig) -> Result<BTreeMap<usize, BTreeMap<Half, String>>, ModelError> {
    let by_path: BTreeMap<&str, usize> = sites.iter().enumerate().map(|(index, site)| (site.path.as_str(), index)).collect();
    let mut pairs: BTreeMap<usize, BTreeMap<Half, String>> = BTreeMap::new();
    let mut unmatched = Vec::new();
    for name in tensors.names() {
        match split(name).and_then(|(path, half)| Some((*by_path.get(path)?, half))) {
            Some((site, half)) => {
                if let Some(twin) = pairs.entry(site).or_default().insert(half, name.to_owned()) {
                    return Err(ModelError::refused(
                        &tensors.path,
                        format!("the tensors `{twin}` and `{name}` are the same half of one pair"),
                    ));
                }
            }
            None => unmatched.push(name),
        }
    }
    if !unmatched.is_empty() {
        let example = sites.first().map_or(String::new(), |site| {
            format!("\nhint: sway looks for names such as `base_model.model.{}.lora_A.weight`", site.path)
        });
        return Err(ModelError::refused(
            &tensors.path,
            format!(
                "{} of its {} tensors match no linear layer of the base: {}{}{example}",
                unmatched.len(),
                tensors.len(),
                some_of(&unmatched),
                config.made_for()
            ),
        ));
    }
    let halves: Vec<&String> = pairs.values().filter(|names| names.len() == 1).flat_map(BTreeMap::values).collect();
    if !halves.is_empty() {
        return Err(ModelError::refused(
            &tensors.path,
            format!("{} tensors lack the other half of their lora_A/lora_B pair: {}", halves.len(), some_of(&halves)),
        ));
    }
    if pairs.is_empty() {
        return Err(ModelError::refused(&tensors.path, "it holds no tensor at all"));
    }
    Ok(pairs)
}

/// Splits `base_model.model.<path>.lora_A[.<adapter name>].weight`.
fn split(name: &str) -> Option<(&str, Half)> {
    let rest = name.strip_prefix("base_model.model.")?.strip_suffix(".weight")?;
    let rest = rest.strip_suffix(".default").unwrap_or(rest);
    if let Some(path) = rest.strip_suffix(".lora_A") {
        Some((path, Half::A))
    } else {
        Some((rest.strip_suffix(".lora_B")?, Half::B))
    }
}

/// Holds the tensors against `target_modules`: what the config names must be there, and nothing else.
fn check_targets(
    config: &LoraConfig,
    path: &Path,
    pairs: &BTreeMap<usize, BTreeMap<Half, String>>,
    sites: &[Site],
) -> Result<(), ModelError> {
    let targeted: BTreeSet<usize> =
        sites.iter().enumerate().filter(|(_, site)| config.targets(&site.path, site.head)).map(|(index, _)| index).collect();
    let present: BTreeSet<usize> = pairs.keys().copied().collect();
    let missing: Vec<&str> = targeted.difference(&present).map(|&site| sites[site].path.as_str()).collect();
    if !missing.is_empty() {
        return Err(ModelError::refused(
            path,
            format!(
                "adapter_config.json names {} linear layers, and {} of them have no tensors: {}\nhint: the file is incomplete; save the adapter again",
                targeted.len(),
                missing.len(),
                some_of(&missing)
            ),
        ));
    }
    let extra: Vec<&String> = present.difference(&targeted).flat_map(|site| pairs[site].values()).collect();
    if !extra.is_empty() {
        return Err(ModelError::refused(
            path,
            format!(
                "{} tensors are for layers that adapter_config.json does not name: {}\nhint: peft would leave them out",
                extra.len(),
                some_of(&extra)
            ),
        ));
    }
    Ok(())
}

/// A shape that does not fit most often means another base; one that fits with another rank, another `adapter_config.json`.
fn check_shape(tensors: &Tensors, name: &str, expected: [usize; 2], config: &LoraConfig, site: &Site) -> Result<(), ModelError> {
    let Some(shape) = tensors.shape(name).filter(|shape| *shape != expected) else { return Ok(()) };
    let rank = config.rank_of(&site.path).rank;
    let why = if shape.len() == 2 && (shape[1] == site.inputs || shape[0] == site.outputs) {
        format!("adapter_config.json gives `{}` the rank {rank}", site.path)
    } else {
        format!("`{}` of this base is ({}, {}){}", site.path, site.outputs, site.inputs, config.made_for())
    };
    Err(ModelError::refused(
        &tensors.path,
        format!("the tensor `{name}` has the shape {shape:?}, and {expected:?} was expected: {why}"),
    ))
}

fn check_finite(path: &Path, name: &str, weight: &Weight) -> Result<(), ModelError> {
    match weight.as_slice().iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(ModelError::refused(
            path,
            format!(
                "the tensor `{name}` holds {} at index {at}\nhint: the training diverged; no number can be trusted",
                weight.as_slice()[at]
            ),
        )),
    }
}
