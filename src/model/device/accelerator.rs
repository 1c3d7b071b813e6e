//! A device that holds a model.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Result, Tensor};
use lru::LruCache;

use super::changes::{Changes, own_matrix};
use super::name::Device;
use super::pass::{Pass, Text};
use super::resident::Resident;
use super::{generate, score};
use crate::model::Model;
use crate::model::batch::Tell;
use crate::model::decoder::Decoder;
use crate::model::error::ModelError;
use crate::model::job::Job;
use crate::model::matrix::Precision;
use crate::request::View;

/// A device with a model's weights, and with what the views asked for last change of them.
pub struct Accelerator {
    name: Device,
    device: candle_core::Device,
    resident: Arc<Resident>,
    precision: Precision,
    views: Mutex<LruCache<View, Option<Arc<Changes>>>>,
    /// By site: the matrix that the adapter has of its own, which its views share.
    own: Mutex<HashMap<usize, Tensor>>,
}

impl Accelerator {
    /// Takes a decoder to a device; `None` for the CPU.
    ///
    /// # Errors
    /// A device that the build lacks, that is not there, or that has too little memory.
    pub fn open(name: Device, decoder: &Decoder, precision: Precision) -> std::result::Result<Option<Self>, ModelError> {
        let Some(device) = name.open()? else { return Ok(None) };
        let resident = Resident::new(decoder, precision, &device).map_err(|error| ModelError::device(name, &error))?;
        let views = Mutex::new(LruCache::new(NonZeroUsize::MIN));
        Ok(Some(Self { name, device, resident: Arc::new(resident), precision, views, own: Mutex::default() }))
    }

    /// The same weights for another adapter, of which at most `views` views are held there.
    pub fn beside(&self, views: NonZeroUsize) -> Self {
        let Self { name, device, resident, precision, .. } = self;
        Self {
            name: *name,
            device: device.clone(),
            resident: Arc::clone(resident),
            precision: *precision,
            views: Mutex::new(LruCache::new(views)),
            own: Mutex::default(),
        }
    }

    pub fn name(&self) -> Device {
        self.name
    }

    /// Lets go of all that views change there.
    pub fn forget_views(&self) {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Answers the scoring jobs among `jobs`.
    pub fn score(
        &self,
        model: &Model,
        jobs: &[Job],
        scorings: &[usize],
        tell: &mut Tell<'_>,
    ) -> std::result::Result<ControlFlow<()>, ModelError> {
        score::run(self, model, jobs, scorings, tell).map_err(|error| ModelError::device(self.name, &error))
    }

    /// Answers the generation jobs among `jobs`.
    pub fn generate(
        &self,
        model: &Model,
        jobs: &[Job],
        generations: &[usize],
        tell: &mut Tell<'_>,
    ) -> std::result::Result<ControlFlow<()>, ModelError> {
        generate::run(self, model, jobs, generations, tell).map_err(|error| ModelError::device(self.name, &error))
    }

    /// The states of the next tokens of a text, `(tokens, hidden)`, after the final norm.
    pub(super) fn states(&self, model: &Model, text: &mut Text, tokens: &[u32]) -> Result<Tensor> {
        let decoder = &model.decoder;
        let updates = model.updates(text.view);
        let embed = |(position, &token)| decoder.embed(token, position, updates.as_deref(), self.precision);
        let embedded: Vec<f32> = (text.positions() as u32..).zip(tokens).flat_map(embed).collect();
        let x = Tensor::from_vec(embedded, (tokens.len(), decoder.shape.hidden), &self.device)?;
        let changes = self.changes(model, text.view)?;
        self.pass(decoder, changes.as_deref()).run(x, text)
    }

    /// The logits after states under a view, `(rows, vocabulary)`.
    pub(super) fn logits(&self, model: &Model, view: View, states: &Tensor) -> Result<Vec<Vec<f32>>> {
        let changes = self.changes(model, view)?;
        self.pass(&model.decoder, changes.as_deref()).logits(states)
    }

    fn pass<'a>(&'a self, decoder: &'a Decoder, changes: Option<&'a Changes>) -> Pass<'a> {
        Pass { decoder, resident: &self.resident, changes, precision: self.precision, device: &self.device }
    }

    fn changes(&self, model: &Model, view: View) -> Result<Option<Arc<Changes>>> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let Some(weights) = model.updates(view) else { return Ok(None) };
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            let mut dense = |site: usize, dense: &_| match own.entry(site) {
                Entry::Occupied(known) => Ok(known.get().clone()),
                Entry::Vacant(new) => Ok(new.insert(own_matrix(dense, self.precision, &self.device)?).clone()),
            };
            Ok(Some(Arc::new(Changes::new(&weights, &self.device, &mut dense)?)))
        };
        views.try_get_or_insert(view, make).cloned()
    }
}
