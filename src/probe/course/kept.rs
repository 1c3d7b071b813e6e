//! What is kept of the measurements under one view.

use serde::{Deserialize, Serialize};

use crate::probe::Probe;

/// What is kept of the measurements under one view.
#[derive(Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Kept<P: Probe> {
    form: Form<P>,
    /// How many measurements these are.
    pub items: usize,
    /// An item failed under this view.
    pub is_broken: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "", rename_all = "snake_case")]
enum Form<P: Probe> {
    Folded(P::Fold),
    /// Each by itself, with its item's index: others have what belongs between them.
    Apart(Vec<(u64, P::Measurement)>),
}

impl<P: Probe> Kept<P> {
    /// Of all items that come.
    pub fn whole() -> Self {
        Self { form: Form::Folded(P::Fold::default()), items: 0, is_broken: false }
    }

    /// Of a part of them, to be merged with the other parts.
    pub fn part() -> Self {
        let form = if P::MERGE.is_some() { Form::Folded(P::Fold::default()) } else { Form::Apart(Vec::new()) };
        Self { form, items: 0, is_broken: false }
    }

    pub fn add(&mut self, probe: &P, index: u64, measurement: P::Measurement) {
        match &mut self.form {
            Form::Folded(fold) => probe.fold(fold, index, measurement),
            Form::Apart(measurements) => measurements.push((index, measurement)),
        }
        self.items += 1;
    }

    /// `None` of a part whose measurements are apart.
    pub fn fold(&self) -> Option<&P::Fold> {
        match &self.form {
            Form::Folded(fold) => Some(fold),
            Form::Apart(_) => None,
        }
    }

    /// What all parts hold, as one machine would have it.
    ///
    /// # Errors
    /// An item that is in two of them.
    pub fn merge(parts: Vec<Self>, probe: &P) -> Result<Self, String> {
        let mut whole = Self::whole();
        let mut apart = Vec::new();
        for part in parts {
            whole.items += part.items;
            whole.is_broken |= part.is_broken;
            match (part.form, P::MERGE, &mut whole.form) {
                (Form::Apart(measurements), _, _) => apart.extend(measurements),
                (Form::Folded(fold), Some(merge), Form::Folded(all)) => {
                    *all = merge(std::mem::take(all), fold).map_err(|fault| fault.to_string())?;
                }
                _ => return Err("its items were folded, which this kind can't merge: another sway wrote it".to_owned()),
            }
        }
        apart.sort_by_key(|(index, _)| *index);
        if let Some(twice) = apart.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("item {} is in two parts", twice[0].0 + 1));
        }
        if let Form::Folded(fold) = &mut whole.form {
            for (index, measurement) in apart {
                probe.fold(fold, index, measurement);
            }
        }
        Ok(whole)
    }
}
