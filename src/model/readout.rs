//! From hidden states to numbers: the vocabulary projection of the rows that are asked about, block by block.
//!
//! What is wanted of a row (its log-sum-exp, a token's logit, the largest) is folded as the blocks pass. Only a distribution that
//! is compared or sampled from is held whole, a few rows at a time.

use std::ops::Range;

use rayon::prelude::*;

use super::crew::{least, threads};
use super::forward::Forward;
use super::group::{Grouping, is_worth_dividing};
use super::kernel::add::scale;
use super::kernel::fold::Fold;
use super::kernel::panels::Panels;
use super::kernel::product::BLOCK;
use super::kernel::tanh::soft_cap;
use super::kernel::{LANES, panels};
use super::linear::{Function, Input, Sink, Target};
use super::rows::{Picked, ViewPanels};
use super::site::ViewUpdates;
use super::top::Tops;
use crate::math::Distribution;
use crate::request::{Divergence, NextTokenDist, View};

/// A logit that is not finite: the token that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite {
    pub token: usize,
}

/// States after the final norm, in panels by view.
pub struct States<'a> {
    pub picked: &'a Picked,
    pub panels: &'a Panels,
    pub updates: &'a ViewUpdates,
}

/// A token whose log-probability after a row is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Among the picked rows.
    pub row: usize,
    pub token: u32,
    /// How many of the most probable tokens after the row are wanted beside it.
    pub top: usize,
}

/// What is found of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Nats.
    pub logprob: f64,
    /// The most probable tokens in its place, with their log-probabilities: of the logits and the sum that its own is of.
    pub top: Vec<(u32, f32)>,
}

/// Tokens of one fold: a whole number of blocks. Folds begin at multiples of this, whatever the batch.
const FOLD: usize = 16 * BLOCK;

impl Forward<'_> {
    /// Log-probabilities, one for each that is wanted. No row is held whole, and no bit of a token's depends on what else is wanted.
    pub fn logprobs(&self, states: &States<'_>, wanted: &[Wanted]) -> Vec<Result<Scored, NotFinite>> {
        let tops = Tops::new(states.picked.panels(), wanted.iter().map(|wanted| (wanted.row, wanted.top)));
        let mut logits = vec![0f32; wanted.len()];
        // By panel, in order of tokens: a block's are then together.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|&at| (wanted[at].row / LANES, wanted[at].token));
        let folds = self.folds(states, |panel, tokens, block| {
            tops.see(panel, &tokens, block);
            let first = order.partition_point(|&at| (wanted[at].row / LANES, wanted[at].token as usize) < (panel, tokens.start));
            let here = order[first..]
                .iter()
                .take_while(|&&at| wanted[at].row / LANES == panel && (wanted[at].token as usize) < tokens.end);
            here.map(|&at| {
                let Wanted { row, token, .. } = wanted[at];
                (at, block[(token as usize - tokens.start) * LANES + row % LANES])
            })
            .collect()
        });
        for (at, logit) in folds.found {
            logits[at] = logit;
        }
        let of = |(wanted, logit): (&Wanted, &f32)| match folds.by_panel[wanted.row / LANES].log_sum_exp(wanted.row % LANES) {
            Some(log_sum_exp) => {
                Ok(Scored { logprob: f64::from(*logit) - log_sum_exp, top: tops.logprobs(wanted.row, wanted.top, log_sum_exp) })
            }
            None => Err(self.not_finite(states, wanted.row)),
        };
        wanted.iter().zip(&logits).map(of).collect()
    }

    /// The most probable token of every row; the lower id where two are equal.
    pub fn most_probable(&self, states: &States<'_>) -> Vec<Result<u32, NotFinite>> {
        let folds = self.folds(states, |_, _, _| Vec::new());
        let of = |row: usize| {
            let (fold, lane) = (&folds.by_panel[row / LANES], row % LANES);
            if fold.is_finite(lane) { Ok(fold.token[lane]) } else { Err(self.not_finite(states, row)) }
        };
        let exists = |row: &usize| states.picked.rows[*row].is_some();
        (0..states.picked.rows.len()).map(|row| if exists(&row) { of(row) } else { Ok(0) }).collect()
    }

    /// Folds the logits of all rows. `find` may take what it wants of a panel's logits of some tokens, `(tokens, LANES)`.
    fn folds(&self, states: &States<'_>, find: impl Fn(usize, Range<usize>, &[f32]) -> Vec<Found> + Sync) -> Folds {
        let head = &self.decoder.head;
        let grouping = Grouping::new(states.picked, head.size());
        let products = self.products(states.updates, grouping.divided);
        let stride = states.panels.stride();
        let vocab = head.weight.rows;
        let work = grouping.groups.iter().map(|group| {
            let x = &states.panels.values()[group.panels.start * stride..group.panels.end * stride];
            let input = Input::new(&products, group, x);
            let lows = products.lows(Function::Linear(head), &input);
            (group, input, lows)
        });
        let work: Vec<_> = work.collect();
        let folds = vocab.div_ceil(FOLD);
        let tasks: Vec<(usize, usize)> = (0..work.len()).flat_map(|group| (0..folds).map(move |fold| (group, fold))).collect();
        // A task is a group's fold, so that a few rows are divided among threads by tokens and many by rows.
        let parts: Vec<(Vec<Fold>, Vec<Found>)> = tasks
            .par_iter()
            .with_min_len(if is_worth_dividing(states.picked.panels(), head.size()) { least(1) } else { usize::MAX })
            .map(|&(group, fold)| {
                let (group, input, lows) = &work[group];
                let mut parts = vec![Fold::default(); group.panels.len()];
                let mut found = Vec::new();
                let mut take = |panel: usize, first: usize, block: &mut [f32]| {
                    self.finish_logits(block);
                    parts[panel].add(first, block);
                    found.extend(find(group.panels.start + panel, first..first + block.len() / LANES, block));
                };
                let tokens = fold * FOLD..vocab.min((fold + 1) * FOLD);
                let mut sink = Sink::Fold(&mut take);
                self.pool.with(|scratch| products.blocks(Function::Linear(head), lows, input, tokens, scratch, &mut sink));
                (parts, found)
            })
            .collect();
        let mut by_panel = vec![Fold::default(); states.picked.panels()];
        let mut found = Vec::new();
        for ((group, _), (parts, some)) in tasks.iter().zip(parts) {
            for (panel, part) in work[*group].0.panels.clone().zip(&parts) {
                by_panel[panel].merge(part);
            }
            found.extend(some);
        }
        Folds { by_panel, found }
    }

    /// The logits of every row, whole: `(panels, vocabulary, LANES)`. For few rows.
    pub fn logits(&self, states: &States<'_>) -> Panels {
        let head = &self.decoder.head;
        let grouping = Grouping::new(states.picked, head.size());
        let products = self.products(states.updates, threads() > 1 && is_worth_dividing(states.picked.panels(), head.size()));
        let mut logits = Panels::new(states.picked.panels(), head.weight.rows);
        let (stride, out) = (states.panels.stride(), logits.stride());
        for group in &grouping.groups {
            let x = &states.panels.values()[group.panels.start * stride..group.panels.end * stride];
            let input = Input::new(&products, group, x);
            let values = &mut logits.values_mut()[group.panels.start * out..group.panels.end * out];
            let target = Target { values, features: head.weight.rows, offset: 0, add: false };
            self.pool.with(|scratch| products.apply(Function::Linear(head), &input, target, scratch));
        }
        self.finish_logits(logits.values_mut());
        logits
    }

    /// What comes after the vocabulary projection.
    fn finish_logits(&self, logits: &mut [f32]) {
        let shape = &self.decoder.shape;
        if let Some(multiplier) = shape.multipliers.logits {
            scale(logits, multiplier);
        }
        if let Some(cap) = shape.soft_cap {
            soft_cap(logits, cap);
        }
    }

    /// Finds the token whose logit is not finite, after a fold found that there is one.
    fn not_finite(&self, states: &States<'_>, row: usize) -> NotFinite {
        let view = states.picked.views.iter().position(|view| view.panels.contains(&(row / LANES))).unwrap_or(0);
        let mut alone = Gathered::new(self.decoder.shape.hidden);
        alone.push(states.picked.views[view].view, states.panels.row(row));
        let updates = ViewUpdates { views: vec![states.updates.views[view].clone()] };
        let logits = self.logits(&alone.states(&updates));
        NotFinite { token: logits.row(0).position(|logit| !logit.is_finite()).unwrap_or(0) }
    }
}

/// A logit that somebody wants, by its place among those that are wanted.
type Found = (usize, f32);

/// What [`Forward::folds`] found.
struct Folds {
    by_panel: Vec<Fold>,
    found: Vec<Found>,
}

/// States of rows of several passes, gathered to be read together. Those of a view must come in turn.
pub struct Gathered {
    picked: Picked,
    states: Vec<Vec<f32>>,
    panels: Panels,
    hidden: usize,
}

impl Gathered {
    pub fn new(hidden: usize) -> Self {
        Self { picked: Picked::default(), states: Vec::new(), panels: Panels::default(), hidden }
    }

    /// Adds a row; gives its place.
    pub fn push(&mut self, view: View, state: impl Iterator<Item = f32>) -> usize {
        if self.picked.views.last().is_none_or(|last| last.view != view) {
            let rows = self.picked.rows.len().next_multiple_of(LANES);
            self.picked.rows.resize(rows, None);
            self.picked.views.push(ViewPanels { view, long: false, panels: rows / LANES..rows / LANES });
        }
        let place = self.picked.rows.len();
        self.picked.rows.push(Some(place));
        self.states.resize(place, Vec::new());
        self.states.push(state.collect());
        if let Some(last) = self.picked.views.last_mut() {
            last.panels.end = panels::panels_of(place + 1);
        }
        place
    }

    pub fn views(&self) -> &[ViewPanels] {
        &self.picked.views
    }

    pub fn states<'a>(&'a mut self, updates: &'a ViewUpdates) -> States<'a> {
        let rows = self.picked.rows.len().next_multiple_of(LANES);
        self.picked.rows.resize(rows, None);
        self.panels.reset(rows / LANES, self.hidden);
        for (place, state) in self.states.iter().enumerate() {
            self.panels.set_row(place, state.iter().copied());
        }
        States { picked: &self.picked, panels: &self.panels, updates }
    }
}
/// The `top_k` most probable tokens (the lower id first where two are equal), the mass of the rest, and the entropy.
fn next_token_dist(logits: &[f32], distribution: &Distribution<'_>, top_k: usize) -> NextTokenDist {
    let by_rank = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if top_k < ids.len() {
        ids.select_nth_unstable_by(top_k - 1, by_rank);
    }
    let mut rest = ids.split_off(top_k.min(ids.len()));
    ids.sort_unstable_by(by_rank);
    // Summed over the tail itself, in the order of ids: 1 − Σ top would cancel.
    rest.sort_unstable();
    let log_sum_exp = distribution.log_sum_exp();
    let tail: f64 = rest.iter().map(|&id| (f64::from(logits[id as usize]) - log_sum_exp).exp()).sum();
    NextTokenDist {
        logprobs: ids.iter().map(|&id| (f64::from(logits[id as usize]) - log_sum_exp) as f32).collect(),
        token_ids: ids,
        // A tail that underflows to nothing has no logarithm that JSON can hold.
        tail_logprob: (!rest.is_empty()).then(|| tail.max(f64::MIN_POSITIVE).ln()),
        vocab_size: logits.len(),
        entropy: distribution.entropy(),
        divergence: None,
    }
}

/// How far p is from q; `None` for vocabularies of different sizes, which one model does not have.
fn divergence(p_logits: &[f32], p: &Distribution<'_>, q_logits: &[f32], q: &Distribution<'_>) -> Option<Divergence> {
    let (p_top, q_top) = (argmax(p_logits), argmax(q_logits));
    let size = p_logits.len() as f64;
    let mean: f64 = p_logits.iter().zip(q_logits).map(|(p, q)| f64::from(*p) - f64::from(*q)).sum::<f64>() / size;
    let max_change = p_logits.iter().zip(q_logits).map(|(p, q)| (f64::from(*p) - f64::from(*q) - mean).abs()).fold(0.0, f64::max);
    let probability = |logits: &[f32], d: &Distribution<'_>| (f64::from(logits[q_top]) - d.log_sum_exp()).exp();
    Some(Divergence {
        js: p.js(q).ok()?,
        kl: p.kl(q).ok()?,
        kl_reverse: q.kl(p).ok()?,
        rms: p.rms_change(q).ok()?,
        max_change,
        same_top: p_top == q_top,
        top_probability_change: probability(p_logits, p) - probability(q_logits, q),
    })
}

/// The most probable token; the lower id where two are equal.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best
}

/// A row's distribution, and how far it is from another.
pub fn next_token(logits: &[f32], versus: Option<&[f32]>, top_k: usize) -> Result<NextTokenDist, (Side, NotFinite)> {
    let of = |side, logits: &'_ [f32]| -> Result<(), (Side, NotFinite)> {
        match logits.iter().position(|logit| !logit.is_finite()) {
            Some(token) => Err((side, NotFinite { token })),
            None => Ok(()),
        }
    };
    of(Side::Own, logits)?;
    versus.map_or(Ok(()), |versus| of(Side::Versus, versus))?;
    let lost = |_| (Side::Own, NotFinite { token: 0 });
    let p = Distribution::new(logits).map_err(lost)?;
    let mut dist = next_token_dist(logits, &p, top_k);
    if let Some(versus) = versus {
        let q = Distribution::new(versus).map_err(lost)?;
        dist.divergence = divergence(logits, &p, versus, &q);
    }
    Ok(dist)
}

/// Which of two compared rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Own,
    Versus,
}
