//! An adapter matched against the model's sites: every tensor consumed, every targeted site filled, or refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::change::{EmbeddingChange, LowRank};
use super::config::{BiasesSaved, Config, Kind, PEFT_TYPES};
use super::keys::{Keys, Part, Parts, by_module};
use super::kinds::{Module, Target, check_finite, check_finite_matrix, check_same};
use super::{Adapter, Changes, vocabulary, whole};
use crate::model::decoder::Decoder;
use crate::model::error::{ModelError, some_of};
use crate::model::matrix::Precision;
use crate::model::weights::{Keep, Tensors, Weight};

impl Adapter {
    /// Reads an adapter, or a whole model of the base's architecture, from a folder.
    ///
    /// Where tokens were added, the base grows by their rows: see [`vocabulary`].
    pub fn load(dir: &Path, decoder: &mut Arc<Decoder>, precision: Precision, keep: Keep) -> Result<Self, ModelError> {
        let config_path = dir.join("adapter_config.json");
        if !config_path.exists() && dir.join("config.json").exists() {
            return whole::load(dir, decoder, precision, keep);
        }
        let config = read_config(dir)?;
        let mut tensors = open_tensors(dir, keep)?;
        let keys = by_module(&tensors)?;
        vocabulary::grow_for_peft(decoder, &config, &mut tensors, &keys.modules, precision)?;
        let changes = Plan { decoder, config: &config, tensors: &mut tensors }.changes(keys)?;
        tensors.finish("belong to no module of the base")?;
        Ok(Self {
            kind: name_of(config.kind),
            tensors: tensors.len(),
            parameters: tensors.parameters(),
            bytes: tensors.sizes().map(|(_, bytes)| bytes).sum(),
            digest: digest(&config_path, &tensors)?,
            changes,
        })
    }
}

/// The config of the adapter in a folder.
pub fn read_config(dir: &Path) -> Result<Config, ModelError> {
    let path = dir.join("adapter_config.json");
    if !path.exists() {
        return Err(ModelError::missing("the adapter", dir, "adapter_config.json", &[]));
    }
    Config::read(&path)
}

/// Its weights.
pub fn open_tensors(dir: &Path, keep: Keep) -> Result<Tensors, ModelError> {
    let weights = dir.join("adapter_model.safetensors");
    if !weights.exists() {
        let pickle = "adapter_model.bin is a pickle, which can run code when read; save the adapter with `save_pretrained(…, safe_serialization=True)`";
        return Err(ModelError::missing("the adapter", dir, "adapter_model.safetensors", &[("adapter_model.bin", pickle)]));
    }
    Tensors::open_file(&weights, keep)
}

/// Content digest of weights and config.
pub fn digest(config: &Path, tensors: &Tensors) -> Result<String, ModelError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tensors.digest().as_bytes());
    hasher.update(&std::fs::read(config).map_err(|e| ModelError::read(config, e))?);
    Ok(hasher.finalize().to_hex().to_string())
}

/// peft's name for a kind.
pub fn name_of(kind: Kind) -> &'static str {
    PEFT_TYPES.iter().find(|(_, known, _)| *known == kind).map_or("", |(name, ..)| name)
}

/// An adapter's tensors on their way to the base's modules.
struct Plan<'a> {
    decoder: &'a Decoder,
    config: &'a Config,
    tensors: &'a mut Tensors,
}

impl Plan<'_> {
    fn changes(&mut self, keys: Keys) -> Result<Changes, ModelError> {
        if self.tensors.len() == 0 {
            return Err(ModelError::refused(&self.tensors.path, "it holds no tensor at all"));
        }
        let (decoder, names) = (self.decoder, &self.decoder.shape.names);
        let Keys { mut modules, strange, mut copies } = keys;
        // The rows of a tied head are its embedding's.
        let tokens = |modules: &BTreeMap<String, Parts>| modules.get(names.embedding)?.get(&Part::Tokens).cloned();
        if let (true, Some(tokens)) = (decoder.shape.tied_head, tokens(&modules))
            && let Some(copy) = modules.get_mut(names.head).and_then(|parts| parts.remove(&Part::Tokens))
        {
            copies.push((tokens, copy));
        }
        let sites: BTreeMap<&str, usize> = decoder.sites.iter().enumerate().map(|(i, site)| (site.path.as_str(), i)).collect();
        let norms: BTreeMap<&str, usize> = decoder.norm_paths.iter().enumerate().map(|(i, path)| (path.as_str(), i)).collect();
        let known = |path: &str, parts: &Parts| {
            sites.contains_key(path) || norms.contains_key(path) || path == names.embedding || parts.contains_key(&Part::Shared)
        };
        let lost = modules.iter().filter(|(path, parts)| !known(path, parts)).flat_map(|(_, parts)| parts.values());
        let unmatched: Vec<&String> = strange.iter().chain(lost).collect();
        self.check_matched(&unmatched)?;
        self.check_vocabulary(&modules)?;
        self.check_pairs(&modules, &sites)?;
        self.check_targets(&modules, &sites, &norms)?;
        self.check_whole(&modules)?;
        self.check_copies(&copies)?;
        let mut changes = Changes::default();
        for (path, parts) in &modules {
            if let Some(&site) = sites.get(path.as_str()) {
                let target = Target {
                    site: &decoder.sites[site],
                    weight: &decoder.weights[site].weight,
                    bias: decoder.weights[site].bias.as_ref(),
                };
                let change = Module { tensors: self.tensors, config: self.config, parts, target }.change()?;
                changes.sites.insert(site, change);
            } else if let Some(&norm) = norms.get(path.as_str()) {
                let mut take = |part: Part| -> Result<Option<Weight>, ModelError> {
                    let Some(name) = parts.get(&part) else { return Ok(None) };
                    let taken = self.tensors.take(name, &[decoder.norms[norm].size()])?;
                    check_finite(self.tensors, name, &taken)?;
                    Ok(Some(taken))
                };
                let (weight, bias) = (take(Part::Weight)?, take(Part::Bias)?);
                changes.norms.insert(norm, decoder.norms[norm].with(weight, bias, decoder.shape.norm.kind));
            } else if *path == names.embedding {
                changes.embedding = self.embedding(parts)?;
            }
        }
        if !self.config.tokens.is_empty() {
            self.tie_tokens(&mut changes);
        }
        self.check_tying(&changes)?;
        Ok(changes)
    }

    /// What was written twice must be the same twice.
    fn check_copies(&mut self, copies: &[(String, String)]) -> Result<(), ModelError> {
        for (read, copy) in copies {
            let shape: Vec<usize> = self.tensors.shape(read).unwrap_or_default().to_vec();
            if self.tensors.take(read, &shape)?.as_slice() != self.tensors.take(copy, &shape)?.as_slice() {
                let message = format!("`{copy}` differs from `{read}`, and both are weights of one module");
                return Err(ModelError::refused(&self.tensors.path, message));
            }
        }
        Ok(())
    }

    fn check_matched(&self, unmatched: &[&String]) -> Result<(), ModelError> {
        if unmatched.is_empty() {
            return Ok(());
        }
        let sites = &self.decoder.sites;
        let hint = if unmatched.iter().any(|name| name.contains(".experts.")) {
            "\nhint: sway does not read adapters of experts".to_owned()
        } else {
            sites.first().map_or(String::new(), |site| {
                format!("\nhint: sway looks for names such as `base_model.model.{}.lora_A.weight`", site.path)
            })
        };
        Err(ModelError::refused(
            &self.tensors.path,
            format!(
                "{} of its {} tensors match no linear layer of the base: {}{}{hint}",
                unmatched.len(),
                self.tensors.len(),
                some_of(unmatched),
                self.config.made_for()
            ),
        ))
    }

    /// Halves of pairs come together.
    fn check_pairs(&self, modules: &BTreeMap<String, Parts>, sites: &BTreeMap<&str, usize>) -> Result<(), ModelError> {
        let alone = |parts: &Parts| -> Option<String> {
            let half = |one: Part, other: Part| match (parts.get(&one), parts.get(&other)) {
                (Some(name), None) | (None, Some(name)) => Some(name.clone()),
                _ => None,
            };
            half(Part::LoraA, Part::LoraB).or_else(|| half(Part::EmbeddingA, Part::EmbeddingB))
        };
        let mut halves: Vec<(Option<&usize>, String)> =
            modules.iter().filter_map(|(path, parts)| Some((sites.get(path.as_str()), alone(parts)?))).collect();
        halves.sort();
        let halves: Vec<String> = halves.into_iter().map(|(_, name)| name).collect();
        if halves.is_empty() {
            return Ok(());
        }
        Err(ModelError::refused(
            &self.tensors.path,
            format!("{} tensors lack the other half of their lora_A/lora_B pair: {}", halves.len(), some_of(&halves)),
        ))
    }

    /// Holds the tensors against `target_modules`: what the config names must be there, and nothing else.
    fn check_targets(
        &self,
        modules: &BTreeMap<String, Parts>,
        sites: &BTreeMap<&str, usize>,
        norms: &BTreeMap<&str, usize>,
    ) -> Result<(), ModelError> {
        let (config, embedding) = (self.config, self.decoder.shape.names.embedding);
        let head = |path: &str| sites.get(path).is_some_and(|&site| self.decoder.sites[site].head);
        let paths: Vec<&str> = if config.kind == Kind::LnTuning {
            norms.keys().copied().collect()
        } else {
            sites.keys().copied().chain([embedding].into_iter().filter(|path| config.names(path))).collect()
        };
        let targeted: BTreeSet<&str> = paths.into_iter().filter(|path| config.targets(path, head(path))).collect();
        let whole = [Part::Weight, Part::Bias, Part::BaseWeight, Part::Tokens];
        let adapts = |parts: &Parts| {
            parts.keys().any(|part| if config.kind == Kind::LnTuning { *part == Part::Weight } else { !whole.contains(part) })
        };
        let present: BTreeSet<&str> = modules
            .iter()
            .filter(|(_, parts)| !parts.contains_key(&Part::Shared) && adapts(parts))
            .map(|(path, _)| path.as_str())
            .collect();
        let mut missing: Vec<&str> = targeted.difference(&present).copied().filter(|path| !config.is_whole(path)).collect();
        missing.sort_by_key(|path| sites.get(path));
        if !missing.is_empty() {
            return Err(ModelError::refused(
                &self.tensors.path,
                format!(
                    "adapter_config.json names {} linear layers, and {} of them have no tensors: {}\nhint: the file is incomplete; save the adapter again",
                    targeted.len(),
                    missing.len(),
                    some_of(&missing)
                ),
            ));
        }
        // A tied head is adapted with its embedding.
        let tied = self.decoder.shape.tied_head && targeted.contains(embedding);
        let extra = present.difference(&targeted).filter(|path| !(tied && head(path)));
        let mut extra: Vec<&String> = extra.flat_map(|path| modules[*path].values()).collect();
        // What stands in the place of the base's own must be named too.
        for (path, parts) in modules.iter().filter(|_| config.kind != Kind::LnTuning) {
            let bias = match config.biases {
                BiasesSaved::All => true,
                BiasesSaved::OfTargets => targeted.contains(path.as_str()),
                BiasesSaved::None => false,
            };
            let vocabulary = path == embedding || head(path);
            let weight = config.is_whole(path) || vocabulary;
            extra.extend(parts.get(&Part::Weight).filter(|_| !weight));
            extra.extend(parts.get(&Part::Bias).filter(|_| !bias && !config.is_whole(path)));
            extra.extend(parts.get(&Part::Tokens).filter(|_| config.tokens.is_empty()));
        }
        if extra.is_empty() {
            return Ok(());
        }
        Err(ModelError::refused(
            &self.tensors.path,
            format!(
                "{} tensors are for layers that adapter_config.json does not name: {}\nhint: peft would leave them out",
                extra.len(),
                some_of(&extra)
            ),
        ))
    }

    /// What `modules_to_save`, `bias` and `trainable_token_indices` name must be in the file: peft loads it without a word where it is
    /// not, and half the adapter is gone.
    fn check_whole(&self, modules: &BTreeMap<String, Parts>) -> Result<(), ModelError> {
        let (config, decoder) = (self.config, self.decoder);
        let embedding = decoder.shape.names.embedding;
        let has = |path: &str, part: Part| modules.get(path).is_some_and(|parts| parts.contains_key(&part));
        let sites = decoder.sites.iter().zip(&decoder.weights);
        let sites =
            sites.map(|(site, weight)| (site.path.as_str(), weight.bias.is_some(), config.targets(&site.path, site.head)));
        let norms = decoder.norm_paths.iter().zip(&decoder.norms).map(|(path, norm)| (path.as_str(), norm.has_bias(), false));
        let mut missing = Vec::new();
        for (path, biased, targeted) in sites.chain(norms).chain([(embedding, false, false)]) {
            let whole = config.is_whole(path);
            let bias = match config.biases {
                BiasesSaved::All => true,
                BiasesSaved::OfTargets => targeted,
                BiasesSaved::None => false,
            };
            if whole && !has(path, Part::Weight) {
                missing.push(format!("{path}.weight"));
            }
            if biased && (whole || bias) && !has(path, Part::Bias) {
                missing.push(format!("{path}.bias"));
            }
        }
        if !config.tokens.is_empty() && !has(embedding, Part::Tokens) {
            missing.push(format!("{embedding}.token_adapter.trainable_tokens_delta"));
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(ModelError::refused(
            &self.tensors.path,
            format!(
                "adapter_config.json says that it brings {} tensors which it lacks: {}\nhint: the file is incomplete; save the adapter again",
                missing.len(),
                some_of(&missing)
            ),
        ))
    }

    /// An embedding whose head is said to follow it, in a file that does not hold the head.
    fn check_tying(&self, changes: &Changes) -> Result<(), ModelError> {
        let head = self.decoder.sites.len() - 1;
        let alone = changes.embedding.is_some() && !changes.sites.contains_key(&head);
        if self.config.tying && self.decoder.shape.tied_head && alone {
            let message = "`ensure_weight_tying` is on, and of the tied embedding and head the file changes the embedding alone\nhint: merge it into its base with peft's `merge_and_unload`, save the model, and name that as the adapter";
            return Err(ModelError::refused(&self.tensors.path, message));
        }
        Ok(())
    }

    fn embedding(&mut self, parts: &Parts) -> Result<Option<EmbeddingChange>, ModelError> {
        let (vocab, hidden) = (self.decoder.embedding.rows, self.decoder.embedding.cols);
        let mut change = EmbeddingChange::default();
        for part in [Part::BaseWeight, Part::Weight] {
            let Some(name) = parts.get(&part) else { continue };
            let matrix = self.tensors.take_matrix(name, [vocab, hidden], Precision::F32)?;
            if part == Part::BaseWeight {
                check_same(self.tensors, name, &matrix, &self.decoder.embedding)?;
            } else {
                check_finite_matrix(self.tensors, name, &matrix)?;
                change.own = Some((matrix, 1.0));
            }
        }
        if let (Some(a), Some(b)) = (parts.get(&Part::EmbeddingA), parts.get(&Part::EmbeddingB)) {
            let rank = self.config.rank_of(self.decoder.shape.names.embedding);
            let low = LowRank {
                a: self.tensors.take(a, &[rank.rank, vocab])?,
                b: self.tensors.take(b, &[hidden, rank.rank])?,
                scale: rank.scale,
            };
            check_finite(self.tensors, a, &low.a)?;
            check_finite(self.tensors, b, &low.b)?;
            change.low = Some(low);
        }
        if let Some(name) = parts.get(&Part::Tokens) {
            let tokens = &self.config.tokens;
            if let Some(beyond) = tokens.iter().find(|token| **token as usize >= vocab) {
                let message = format!("`trainable_token_indices` names the token {beyond}, and the base has {vocab}");
                return Err(ModelError::refused(&self.tensors.path, message));
            }
            let rows = self.tensors.take(name, &[tokens.len(), hidden])?;
            check_finite(self.tensors, name, &rows)?;
            for (token, row) in tokens.iter().zip(rows.as_slice().chunks(hidden)) {
                let mut scratch = Vec::new();
                let at = *token as usize;
                let base = self.decoder.embedding.rows(at..at + 1, Precision::F32, &mut scratch);
                change.rows.insert(*token, row.iter().zip(base).map(|(own, base)| own - base).collect());
            }
        }
        Ok(Some(change))
    }

    /// A smaller vocabulary is another model's.
    fn check_vocabulary(&self, modules: &BTreeMap<String, Parts>) -> Result<(), ModelError> {
        let (names, vocab) = (&self.decoder.shape.names, self.decoder.shape.vocab);
        for path in [names.embedding, names.head] {
            let parts =
                modules.get(path).into_iter().flat_map(|parts| [Part::Weight, Part::BaseWeight].map(|part| parts.get(&part)));
            for name in parts.flatten() {
                let Some(&[rows, _]) = self.tensors.shape(name).filter(|shape| shape.len() == 2 && shape[0] != vocab) else {
                    continue;
                };
                return Err(ModelError::refused(
                    &self.tensors.path,
                    format!(
                        "`{name}` has {rows} rows, and the base's vocabulary has {vocab}: it was cut before the training\nhint: cut the base as the training did (`model.resize_token_embeddings({rows})`), save it with the adapter's tokenizer, and name that as the base"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Where the head is the embedding, trained tokens are its rows too: ΔW = B·A with the differences in A, and a one in B for each.
    fn tie_tokens(&self, changes: &mut Changes) {
        let Some(embedding) = changes.embedding.as_ref().filter(|_| self.decoder.shape.tied_head) else { return };
        let (vocab, rank) = (self.decoder.embedding.rows, embedding.rows.len());
        let mut b = vec![0.0; vocab * rank];
        for (index, token) in embedding.rows.keys().enumerate() {
            b[*token as usize * rank + index] = 1.0;
        }
        let a = Weight::owned(rank, self.decoder.embedding.cols, embedding.rows.values().flatten().copied().collect());
        let low = LowRank { a, b: Weight::owned(vocab, rank, b), scale: 1.0 };
        changes.sites.insert(self.decoder.sites.len() - 1, low.into());
    }
}
