//! Continuations of many prompts under many views in one continuous batch: finished ones leave, waiting ones enter.
//!
//! Prompts are planned like any other paths, so that a prefix which several share is computed and kept once. What a continuation
//! adds stands in pages of its own.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use super::batch::{Batch, Done, Tell};
use super::busy::Clock;
use super::continuation::Continuation;
use super::forward::Forward;
use super::job::{Job, Work};
use super::pages::Pages;
use super::plan::{Budget, Planner};
use super::readout::{Gathered, NotFinite};
use super::rows::{Keep, Rows, Run, Segment};
use super::{Model, effective};

/// Continuations under way at once: bounds the memory of their keys and values.
const MOST_ACTIVE: usize = 64;

/// Rows of a pass in which prompts enter. What the active continuations need is kept whatever it takes.
const BUDGET: Budget = Budget { rows: 2048, kept_bytes: usize::MAX };

/// One continuation under way.
struct Active<'a> {
    /// Among the jobs of the call.
    index: usize,
    continuation: Continuation<'a>,
    path: usize,
    /// Keys and values of the prompt, then of what was added.
    runs: Vec<Run>,
    /// Pages of its own, filled in turn.
    pages: Vec<usize>,
    /// Has the angles of a long text, to its end.
    long: bool,
    computed: u64,
    /// The state after its last token.
    state: Vec<f32>,
}

/// Answers the generation jobs among `jobs`, pass after pass.
pub fn run(model: &Model, jobs: &[Job], indices: &[usize], tell: &mut Tell<'_>) -> ControlFlow<()> {
    let mut planner = Planner::new(BUDGET, model.shares_trunk());
    for &index in indices {
        let job = &jobs[index];
        let path = planner.add(effective(job.view), model.is_long(job.tokens.len()), &job.tokens, true);
        planner.ask(path, job.tokens.len() - 1);
    }
    planner.arrange();
    let mut batch = Generating {
        model,
        jobs,
        indices,
        planner,
        pages: Pages::new(model.decoder.shape.heads, model.decoder.layers.len()),
        states: HashMap::new(),
        computed: vec![0; indices.len()],
        active: Vec::new(),
    };
    while !(batch.planner.is_done() && batch.active.is_empty()) {
        let start = Instant::now();
        let clock = Clock::default();
        let forward = model.forward(&clock);
        let entering = !batch.planner.is_done() && batch.active.len() < MOST_ACTIVE;
        let first = if entering {
            let first = batch.active.len();
            batch.enter(&forward);
            first
        } else {
            batch.step(&forward);
            0
        };
        let answers = batch.choose(&forward, first);
        let wall = start.elapsed();
        tell(Batch { answers, wall, busy: clock.busy(wall) })?;
    }
    ControlFlow::Continue(())
}

/// The generations of a call.
struct Generating<'a> {
    model: &'a Model,
    jobs: &'a [Job],
    /// By path: the job's index.
    indices: &'a [usize],
    planner: Planner,
    pages: Pages,
    /// By node: states that prompts ended with, for the paths that are not complete.
    states: HashMap<usize, Vec<f32>>,
    /// By path: rows computed for the prompt.
    computed: Vec<u64>,
    active: Vec<Active<'a>>,
}

impl Generating<'_> {
    /// One pass over waiting prompts; those that are complete become active.
    fn enter(&mut self, forward: &Forward<'_>) {
        let room = MOST_ACTIVE - self.active.len();
        let Some(planned) = self.planner.next_pass(&mut self.pages, room) else { return };
        for &(path, tokens) in &planned.computed {
            self.computed[path] += tokens as u64;
        }
        if !planned.rows.tokens.is_empty() {
            let updates = self.model.updates_of(&planned.rows.views);
            let hidden = forward.run(&planned.rows, planned.trunk.as_ref(), &updates, &mut self.pages);
            let places = (0..hidden.picked.rows.len()).filter(|&place| hidden.picked.rows[place].is_some());
            for (place, node) in places.zip(&planned.asked) {
                self.states.insert(*node, hidden.states.row(place).collect());
            }
        }
        for path in planned.complete {
            let index = self.indices[path];
            let job = &self.jobs[index];
            let Work::Generate { max_new_tokens, sampling } = job.work else { continue };
            let continuation = Continuation::new(job, max_new_tokens, sampling);
            let end = self.planner.node(path, job.tokens.len() - 1);
            self.active.push(Active {
                index,
                continuation,
                path,
                runs: self.planner.trie.runs(Some(end)),
                pages: Vec::new(),
                long: self.model.is_long(job.tokens.len()),
                computed: self.computed[path],
                // Another path may end at the same node, later.
                state: self.states.get(&end).cloned().unwrap_or_default(),
            });
        }
    }

    /// One pass with the last token of each active continuation.
    fn step(&mut self, forward: &Forward<'_>) {
        self.active.sort_by_key(|one| (effective(one.continuation.view()), one.long, one.index));
        let mut rows = Rows::default();
        for one in &mut self.active {
            let view = effective(one.continuation.view());
            if rows.views.last().is_none_or(|last| (last.view, last.long) != (view, one.long)) {
                rows.begin_view(view, one.long);
            }
            let (token, position) = one.continuation.last();
            let row = rows.push(token, position);
            rows.segments.push(Segment { rows: row..row + 1, path: one.runs.clone() });
            rows.asked.push(row);
            rows.keep.push(one.slot(&mut self.pages, row));
        }
        rows.finish();
        let updates = self.model.updates_of(&rows.views);
        let hidden = forward.run(&rows, None, &updates, &mut self.pages);
        let places = (0..hidden.picked.rows.len()).filter(|&place| hidden.picked.rows[place].is_some());
        for (one, place) in self.active.iter_mut().zip(places) {
            one.state = hidden.states.row(place).collect();
            one.computed += 1;
        }
    }

    /// Chooses a token for each active continuation from `first` on; those that end leave.
    fn choose(&mut self, forward: &Forward<'_>, first: usize) -> Vec<(usize, Done)> {
        let mut chosen: Vec<Option<Result<u32, NotFinite>>> = vec![None; self.active.len()];
        for greedy in [true, false] {
            let mut some: Vec<usize> =
                (first..self.active.len()).filter(|&at| self.active[at].continuation.sampler.is_greedy() == greedy).collect();
            some.sort_by_key(|&at| effective(self.active[at].continuation.view()));
            // Distributions are held whole; what is most probable is folded.
            for some in some.chunks(if greedy { usize::MAX } else { self.model.held_rows() }) {
                let mut gathered = Gathered::new(self.model.decoder.shape.hidden);
                let places: Vec<usize> = some
                    .iter()
                    .map(|&at| {
                        gathered.push(effective(self.active[at].continuation.view()), self.active[at].state.iter().copied())
                    })
                    .collect();
                let updates = self.model.updates_of(gathered.views());
                let states = gathered.states(&updates);
                if greedy {
                    let tokens = forward.most_probable(&states);
                    places.iter().zip(some).for_each(|(&place, &at)| chosen[at] = Some(tokens[place]));
                } else {
                    let logits = forward.logits(&states);
                    for (&place, &at) in places.iter().zip(some) {
                        chosen[at] = Some(self.active[at].continuation.sampler.choose(&logits.row(place).collect::<Vec<f32>>()));
                    }
                }
            }
        }
        let mut answers = Vec::new();
        for (at, token) in chosen.into_iter().enumerate() {
            if let Some(answer) = token.and_then(|token| self.active[at].continuation.take(self.model, token)) {
                answers.push((self.active[at].index, Done { answer, tokens: self.active[at].computed }));
            }
        }
        let (planner, pages) = (&mut self.planner, &mut self.pages);
        self.active.retain(|one| {
            let stays = !answers.iter().any(|(index, _)| *index == one.index);
            if !stays {
                planner.release(one.path);
                one.pages.iter().for_each(|page| pages.give_back(*page));
            }
            stays
        });
        answers
    }
}

impl Active<'_> {
    /// Where the keys and values of its next row go, once the pass has run.
    fn slot(&mut self, pages: &mut Pages, row: usize) -> Keep {
        let slot = (self.continuation.chosen() - 1) % Pages::POSITIONS;
        if slot == 0 {
            self.pages.push(pages.take());
        }
        let page = self.pages.last().copied().unwrap_or_default();
        match self.runs.last_mut() {
            Some(Run::Page { page: last, positions }) if slot > 0 && *last == page => *positions = slot + 1,
            _ => self.runs.push(Run::Page { page, positions: 1 }),
        }
        Keep { row, page, slot }
    }
}
