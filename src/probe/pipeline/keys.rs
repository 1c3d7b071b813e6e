//! A pipeline as the suite writes it, and what no pipeline can be.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Map, Value};

use super::{Gates, PassGate, Pipeline};
use crate::pipeline::{Case, Scorer, Stage, Who};
use crate::probe::{Items, bounds};
use crate::request::Embedder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    cases: Items<Case>,
    #[serde(default)]
    stage: Vec<Stage>,
    #[serde(default)]
    scorer: Vec<Scorer>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default, deserialize_with = "below_one")]
    min_gain: Option<f64>,
    #[serde(default, deserialize_with = "above_zero")]
    max_drop: Option<f64>,
    #[serde(default, deserialize_with = "below_one")]
    min_score: Option<f64>,
    #[serde(default, deserialize_with = "above_zero")]
    pass_score: Option<f64>,
    pass_at_k: Option<PassGate>,
    pass_hat_k: Option<PassGate>,
    #[serde(default = "one", deserialize_with = "bounds::at_least_one")]
    repeat: usize,
    #[serde(default = "default_max_failed", deserialize_with = "share_that_leaves_some")]
    max_failed: f64,
}

fn one() -> usize {
    1
}

fn default_max_failed() -> f64 {
    0.05
}

/// What a mean can lie above: none lies above 1.
fn below_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    share_that_leaves_some(deserializer).map(Some)
}

/// What a loss can lie below, and a score can reach.
fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("must lie above 0, and be at most 1, not {value}"));
    if value > 0.0 && value <= 1.0 { Ok(Some(value)) } else { Err(wrong()) }
}

fn share_that_leaves_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if (0.0..1.0).contains(&value) {
        Ok(value)
    } else {
        Err(D::Error::custom(format!("must be 0 or more, and below 1, not {value}")))
    }
}

impl TryFrom<Written> for Pipeline {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { cases, stage: stages, scorer: scorers, config, repeat, max_failed, .. } = &written;
        let gates = written.gates()?;
        if stages.is_empty() {
            return Err("a pipeline needs a stage\nhint: write `[[probe.stage]]`, and under it `prompt`".to_owned());
        }
        if scorers.is_empty() {
            return Err("a pipeline needs a scorer\nhint: write `[[probe.scorer]]`, and under it its `kind`".to_owned());
        }
        if !stages.iter().any(|stage| stage.model == Who::View) {
            return Err("no stage asks the view under test, so the adapter has no part in it\nhint: leave `model` out of one of the stages".to_owned());
        }
        if scorers.iter().all(|scorer| scorer.weight == 0.0) {
            return Err("all scorers have the weight 0, so there is no score".to_owned());
        }
        if *repeat > 1 && stages.iter().all(|stage| stage.is_greedy() && !matches!(stage.model, Who::Endpoint(_))) {
            return Err(format!(
                "`repeat` is {repeat}, and every stage is greedy: all samples would be the same\nhint: params = {{ temperature = 0.7 }} in a stage"
            ));
        }
        let embedders: BTreeSet<&Embedder> = scorers.iter().filter_map(Scorer::embedder).collect();
        if embedders.len() > 1 {
            return Err("its scorers name several embedders: a probe has one".to_owned());
        }
        check_templates(stages, scorers, config)?;
        let (cases, stages, scorers, config) = (cases.clone(), stages.clone(), scorers.clone(), config.clone());
        Ok(Self { cases, stages, scorers, config, gates, repeat: *repeat, max_failed: *max_failed, seed: 0 })
    }
}

impl Written {
    fn gates(&self) -> Result<Gates, String> {
        let Self { min_gain, max_drop, min_score, pass_score, pass_at_k, pass_hat_k, repeat, .. } = *self;
        if [min_gain, max_drop, min_score].iter().all(Option::is_none) && pass_at_k.is_none() && pass_hat_k.is_none() {
            return Err(
                "there is nothing to judge by\nhint: give `min_gain`, `max_drop`, `min_score`, `pass_at_k` or `pass_hat_k`"
                    .to_owned(),
            );
        }
        for (name, gate) in [("pass_at_k", pass_at_k), ("pass_hat_k", pass_hat_k)] {
            let Some(PassGate { k, .. }) = gate else { continue };
            if k > repeat {
                return Err(format!("`{name}` looks at {k} samples of a case, and `repeat` is {repeat}"));
            }
            if pass_score.is_none() {
                return Err(format!("`{name}` needs `pass_score`: from which score on a sample passes"));
            }
        }
        let pass_score = pass_score.unwrap_or(1.0);
        Ok(Gates { min_gain, max_drop, min_score, pass_score, pass_at_k, pass_hat_k })
    }
}

/// Refuses names that can't exist where they stand.
fn check_templates(stages: &[Stage], scorers: &[Scorer], config: &Map<String, Value>) -> Result<(), String> {
    let of_stages = stages.iter().enumerate().flat_map(|(index, stage)| {
        let known: &[&str] = match index {
            0 => &["input", "case", "config", "stages", "stage_index"],
            _ => &["input", "case", "config", "stages", "stage_index", "prev_output"],
        };
        stage.templates().map(move |template| (format!("stage {index}"), template, known))
    });
    let of_scorers = scorers.iter().flat_map(|scorer| {
        let known: &[&str] = &["input", "case", "config", "stages", "output"];
        scorer.templates().into_iter().map(move |template| (format!("scorer `{}`", scorer.name), template, known))
    });
    for (whose, template, known) in of_stages.chain(of_scorers) {
        let checked =
            template.check_names(known).and_then(|()| template.check_attributes("config", |name| config.contains_key(name)));
        checked.map_err(|error| format!("{whose}: {error}"))?;
    }
    Ok(())
}
