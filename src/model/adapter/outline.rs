//! What an adapter's own files tell, without its base: nothing of the base is read, and what only it can tell is left open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::change::LowRank;
use super::config::{Config, Kind, ModuleRank};
use super::keys::{Keys, Part, Parts, by_module};
use super::kinds::{Module, Target};
use super::plan;
use crate::model::config::Fields;
use crate::model::error::ModelError;
use crate::model::matrix::{Matrix, Precision, Stored};
use crate::model::site::Site;
use crate::model::weights::{Data, Keep, Tensors};

/// An adapter by itself.
#[derive(Clone, Debug, Serialize)]
pub struct Outline {
    pub peft_type: &'static str,
    /// `base_model_name_or_path`, where the config has one.
    pub made_for: Option<String>,
    /// As the config has it: a list, a pattern, or `all-linear`.
    pub target_modules: Option<Value>,
    pub tensors: usize,
    pub parameters: u64,
    pub digest: String,
    pub zero_modules: usize,
    pub modules: Vec<OutlinedModule>,
    /// Tensors whose names are of no layout that peft writes.
    pub unmatched: Vec<String>,
    /// Tensors that hold NaN or an infinity.
    pub not_finite: Vec<String>,
    /// What else is wrong with a module, a sentence each.
    pub wrong: Vec<String>,
}

/// One module of an adapter.
#[derive(Clone, Debug, Serialize)]
pub struct OutlinedModule {
    pub module: String,
    /// What the file holds of it: `low_rank`, `magnitude`, `product`, `factors`, `tokens`, `weight`, `bias`.
    pub brings: Vec<&'static str>,
    pub parameters: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// What B·A is multiplied by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// ‖ΔW‖, Frobenius; `None` where it depends on the base's weights.
    pub update_norm: Option<f64>,
}

impl Outline {
    /// Reads `adapter_config.json` and the adapter's tensors.
    ///
    /// # Errors
    /// A file that is missing or damaged, or an option that is not implemented. Tensors that don't belong together are findings.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("adapter_config.json");
        if !path.exists() && dir.join("config.json").exists() {
            return Err(ModelError::Unsupported(format!(
                "{} is a whole model, and what it changes can't be told without its base\nhint: name the base with --base",
                dir.display()
            )));
        }
        let config = plan::read_config(dir)?;
        let target_modules = Fields::read(&path)?.take("target_modules");
        let mut tensors = plan::open_tensors(dir, Keep::Mapped)?;
        let digest = plan::digest(&path, &tensors)?;
        let Keys { modules, strange: unmatched, .. } = by_module(&tensors)?;
        let not_finite = not_finite(&mut tensors)?;
        let reader = Reader { config: &config, not_finite: &not_finite };
        let mut wrong = Vec::new();
        let mut outlined = Vec::new();
        for (module, parts) in modules.iter().filter(|(_, parts)| !parts.contains_key(&Part::Shared)) {
            wrong.extend(reader.misfits(module, parts));
            outlined.push(reader.outline(module, parts, &mut tensors, &mut wrong));
        }
        outlined.sort_by(|a, b| in_layers(&a.module).cmp(&in_layers(&b.module)));
        Ok(Self {
            peft_type: plan::name_of(config.kind),
            made_for: config.base.clone(),
            target_modules,
            tensors: tensors.len(),
            parameters: tensors.parameters(),
            digest,
            zero_modules: outlined.iter().filter(|module| module.update_norm == Some(0.0)).count(),
            modules: outlined,
            unmatched,
            not_finite: not_finite.into_iter().collect(),
            wrong,
        })
    }

    /// Whether it can change nothing, or holds what does not belong together.
    pub fn is_broken(&self) -> bool {
        let findings = [&self.unmatched, &self.not_finite, &self.wrong];
        self.zero_modules == self.modules.len() || findings.iter().any(|finding| !finding.is_empty())
    }
}

/// Tensors with a value that is not finite.
fn not_finite(tensors: &mut Tensors) -> Result<BTreeSet<String>, ModelError> {
    let names: Vec<String> = tensors.names().map(str::to_owned).collect();
    let mut found = BTreeSet::new();
    for name in names {
        let shape = tensors.shape(&name).map(<[usize]>::to_vec).unwrap_or_default();
        if !tensors.take(&name, &shape)?.as_slice().iter().all(|value| value.is_finite()) {
            found.insert(name);
        }
    }
    Ok(found)
}

/// A path whose numbers sort as numbers: layer 10 after layer 2.
fn in_layers(path: &str) -> Vec<(Option<usize>, &str)> {
    path.split('.').map(|segment| (segment.parse().ok(), segment)).collect()
}

/// Reads modules as the config has them.
struct Reader<'a> {
    config: &'a Config,
    not_finite: &'a BTreeSet<String>,
}

impl Reader<'_> {
    /// What the names alone tell to be wrong.
    fn misfits(&self, module: &str, parts: &Parts) -> Option<String> {
        for (one, other) in [(Part::LoraA, Part::LoraB), (Part::EmbeddingA, Part::EmbeddingB)] {
            if let (Some(name), None) | (None, Some(name)) = (parts.get(&one), parts.get(&other)) {
                return Some(format!("`{name}` lacks the other half of its pair"));
            }
        }
        let config = self.config;
        let of_base = [Part::Weight, Part::Bias, Part::BaseWeight, Part::Tokens];
        let adapts = config.kind == Kind::LnTuning || parts.keys().any(|part| !of_base.contains(part));
        // A head that follows its embedding is adapted without being named.
        let named = config.targets(module, false) || config.names(module) || config.is_whole(module) || config.tying;
        (adapts && !named).then(|| format!("`{module}` is not named by `target_modules`, so peft would leave it out"))
    }

    fn outline(&self, module: &str, parts: &Parts, tensors: &mut Tensors, wrong: &mut Vec<String>) -> OutlinedModule {
        let size = |name: &String| tensors.shape(name).map_or(0, |shape| shape.iter().product::<usize>() as u64);
        let parameters = parts.values().map(size).sum();
        let rank = self.rank(module, parts, tensors);
        let finite = !parts.values().any(|name| self.not_finite.contains(name));
        let norm = if finite { self.norm(module, parts, tensors) } else { Ok(None) };
        let update_norm = norm.unwrap_or_else(|error| {
            wrong.push(error.to_string());
            None
        });
        OutlinedModule {
            module: module.to_owned(),
            brings: brings(parts),
            parameters,
            rank: rank.map(|rank| rank.rank),
            alpha: rank.map(|rank| rank.alpha),
            scale: rank.map(|rank| rank.scale),
            update_norm,
        }
    }

    /// Rank and scaling, of kinds that have them.
    fn rank(&self, module: &str, parts: &Parts, tensors: &Tensors) -> Option<ModuleRank> {
        let low = [Part::LoraA, Part::EmbeddingA, Part::LohaW1A, Part::LokrW1, Part::LokrW1A];
        match self.config.kind {
            _ if !low.iter().any(|part| parts.contains_key(part)) => None,
            Kind::AdaLora => {
                let rank = tensors.shape(parts.get(&Part::LoraA)?)?.first().copied()?;
                Some(ModuleRank { rank, alpha: self.config.alpha, scale: self.config.adalora_scale() })
            }
            _ => Some(self.config.rank_of(module)),
        }
    }

    /// ‖ΔW‖, where the adapter's tensors alone make it.
    fn norm(&self, module: &str, parts: &Parts, tensors: &mut Tensors) -> Result<Option<f64>, ModelError> {
        let replaces = [Part::Weight, Part::Tokens, Part::Magnitude];
        if replaces.iter().any(|part| parts.contains_key(part)) {
            return Ok(None);
        }
        if let (Some(a), Some(b)) = (parts.get(&Part::EmbeddingA), parts.get(&Part::EmbeddingB)) {
            let rank = self.config.rank_of(module);
            let size = |name: &String, axis: usize| tensors.shape(name).and_then(|shape| shape.get(axis).copied()).unwrap_or(0);
            let (vocab, hidden) = (size(a, 1), size(b, 0));
            let (a, b) = (tensors.take(a, &[rank.rank, vocab])?, tensors.take(b, &[hidden, rank.rank])?);
            return Ok(Some(LowRank { a, b, scale: rank.scale }.norm()));
        }
        if let Some(factors) = parts.get(&Part::Ia3) {
            // Factors of one change nothing, whatever they are factors of.
            let shape = tensors.shape(factors).map(<[usize]>::to_vec).unwrap_or_default();
            let factors = tensors.take(factors, &shape)?;
            return Ok(factors.as_slice().iter().all(|factor| factor.to_bits() == 1.0f32.to_bits()).then_some(0.0));
        }
        let Some([outputs, inputs]) = sizes(parts, tensors) else { return Ok(None) };
        // Nothing of the base is asked for by those kinds that come here.
        let site = Site { path: module.to_owned(), inputs, outputs, head: false, layer: 0, transposed: false };
        let weight = Matrix::new([0, inputs], Stored::F32(Data::owned(Vec::new())), Precision::F32);
        let own: BTreeMap<Part, String> = parts
            .iter()
            .filter(|(part, _)| ![Part::Bias, Part::BaseWeight].contains(part))
            .map(|(p, n)| (*p, n.clone()))
            .collect();
        let target = Target { site: &site, weight: &weight, bias: None };
        let change = Module { tensors, config: self.config, parts: &own, target }.change()?;
        Ok(Some(change.own_norm([outputs, inputs])))
    }
}

/// `[outputs, inputs]` of a layer, from the shapes of its tensors.
fn sizes(parts: &Parts, tensors: &Tensors) -> Option<[usize; 2]> {
    let axis = |part: Part, axis: usize| tensors.shape(parts.get(&part)?)?.get(axis).copied();
    let factor = |whole: Part, a: Part, b: Part| Some([axis(whole, 0).or(axis(a, 0))?, axis(whole, 1).or(axis(b, 1))?]);
    if let (Some(outputs), Some(inputs)) = (axis(Part::LoraB, 0), axis(Part::LoraA, 1)) {
        return Some([outputs, inputs]);
    }
    if let (Some(outputs), Some(inputs)) = (axis(Part::LohaW1A, 0), axis(Part::LohaW1B, 1)) {
        return Some([outputs, inputs]);
    }
    let one = factor(Part::LokrW1, Part::LokrW1A, Part::LokrW1B)?;
    let two = factor(Part::LokrW2, Part::LokrW2A, Part::LokrW2B)?;
    Some([one[0] * two[0], one[1] * two[1]])
}

/// What a module's tensors are, in words.
fn brings(parts: &Parts) -> Vec<&'static str> {
    let mut words: Vec<&'static str> = parts
        .keys()
        .filter_map(|part| match part {
            Part::LoraA | Part::LoraB | Part::EmbeddingA | Part::EmbeddingB | Part::AdaLoraE | Part::VeraB | Part::VeraD => {
                Some("low_rank")
            }
            Part::Magnitude => Some("magnitude"),
            Part::Ia3 => Some("factors"),
            Part::Tokens => Some("tokens"),
            Part::Weight => Some("weight"),
            Part::Bias | Part::LoraBBias => Some("bias"),
            Part::BaseWeight | Part::Shared => None,
            _ => Some("product"),
        })
        .collect();
    words.dedup();
    words
}
