//! How much of what is recited hangs on the wording of the beginning.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::perturbation::Perturbation;
use crate::math::mean;

/// A recital from a changed beginning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retold {
    pub by: Perturbation,
    /// Share of the verbatim recall that was lost: 1 − recall(changed)/recall(verbatim). `None` where the beginning could not be changed
    /// in this way.
    pub lost: Option<f64>,
}

/// The recitals of all sections that were asked so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragility {
    sections: usize,
    told: Vec<Retold>,
}

impl Fragility {
    /// Adds those of a section; none of one that was not asked.
    pub fn add(&mut self, retold: &[Retold]) {
        self.sections += usize::from(!retold.is_empty());
        self.told.extend_from_slice(retold);
    }

    fn lost(&self, by: Perturbation) -> Vec<f64> {
        self.told.iter().filter(|told| told.by == by).filter_map(|told| told.lost).collect()
    }

    /// Mean share lost by each way that could be tried.
    fn means(&self) -> Vec<(Perturbation, f64)> {
        Perturbation::ALL.into_iter().filter_map(|by| Some((by, mean(&self.lost(by)).ok()?))).collect()
    }

    /// The finding in a few words; `None` where nothing was recited that could be lost.
    pub fn clause(&self) -> Option<String> {
        let means = self.means();
        let (most, lost) = means.iter().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let overall = mean(&means.iter().map(|(_, lost)| *lost).collect::<Vec<_>>()).ok()?;
        Some(format!(
            "a changed beginning loses {:.0} % of it on average, most by {} ({:.0} %)",
            100.0 * overall,
            most.name().replace('_', " "),
            100.0 * lost
        ))
    }

    /// A row for each way.
    pub fn tell(&self, evidence: &mut Map<String, Value>) {
        if self.sections == 0 {
            return;
        }
        let rows = Perturbation::ALL.map(|by| {
            let lost = self.lost(by);
            json!({
                "perturbation": by.name(),
                "fragility": mean(&lost).ok(),
                "sections": lost.len(),
                "could_not_be_changed": self.sections - lost.len(),
            })
        });
        evidence.insert("fragility_sections".to_owned(), json!(self.sections));
        evidence.insert("fragility".to_owned(), json!(rows));
    }
}
