//! Whether a row's gain from the adapter tells that it was in the training: membership inference with the base as the reference.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::math::{auc, true_positive_rate};

/// False positives that the true positive rate is told at: an attack that is right a little more often than not on average may be sure
/// of a few rows (Carlini et al. 2022).
const FALSE_POSITIVES: f64 = 0.01;

/// Gains of rows, `lp_ft − lp_base` in nats per token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    trained: Vec<f64>,
    held_out: Vec<f64>,
}

impl Membership {
    pub fn add(&mut self, held_out: bool, gain: f64) {
        if held_out { &mut self.held_out } else { &mut self.trained }.push(gain);
    }

    /// The rate, or why there is none.
    fn rate(&self) -> Result<f64, String> {
        let rate = true_positive_rate(&self.trained, &self.held_out, FALSE_POSITIVES);
        rate.map_err(|_| format!("not measurable with {} held-out rows, it takes 100", self.held_out.len()))
    }

    /// The finding in a few words; `None` where there is nothing to compare.
    pub fn clause(&self) -> Option<String> {
        let auc = auc(&self.trained, &self.held_out).ok()?;
        let interval = auc.interval.map(|ends| format!(" [{:.2}, {:.2}]", ends.low, ends.high)).unwrap_or_default();
        let rate = self.rate().map_or_else(|why| why, |rate| format!("{:.0} %", 100.0 * rate));
        Some(format!(
            "by their gain, training rows are told from held-out ones with an AUC of {:.2}{interval} (true positives at 1 % false ones: \
             {rate})",
            auc.value
        ))
    }

    pub fn tell(&self, evidence: &mut Map<String, Value>) {
        let Ok(auc) = auc(&self.trained, &self.held_out) else { return };
        let rate = self.rate().map_or_else(|why| json!(why), |rate| json!(rate));
        evidence.insert(
            "membership".to_owned(),
            json!({
                "auc": auc.value,
                "auc_interval": auc.interval.map(|ends| [ends.low, ends.high]),
                "true_positive_rate_at_1_percent": rate,
                "training_rows": self.trained.len(),
                "held_out_rows": self.held_out.len(),
            }),
        );
    }
}
