//! Continuations of many prompts under many views in one continuous batch: finished ones leave, waiting ones enter, and so do those
//! that are asked for while others are under way.
//!
//! Prompts are planned like any other paths, so that a prefix which several share is computed and kept once. What a continuation
//! adds stands in pages of its own.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use super::batch::{Batch, Done, Later, Tell};
use super::busy::Clock;
use super::continuation::Continuation;
use super::error::ModelError;
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
struct Active {
    /// Among the jobs of the call.
    index: usize,
    continuation: Continuation,
    wave: usize,
    /// Of its wave.
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

/// Prompts that were asked for together. Those that come later are another wave: paths are planned once all of them are known.
struct Wave {
    /// Counted over the call.
    number: usize,
    planner: Planner,
    /// By path: the job's index in the call, and the job.
    jobs: Vec<(usize, Job)>,
    /// By node: states that prompts ended with, for the paths that are not complete.
    states: HashMap<usize, Vec<f32>>,
    /// By path: rows computed for the prompt.
    computed: Vec<u64>,
}

impl Wave {
    fn new(model: &Model, number: usize, jobs: Vec<(usize, Job)>) -> Self {
        let mut planner = Planner::new(BUDGET, model.shares_trunk());
        for (_, job) in &jobs {
            let path = planner.add(effective(job.view), model.is_long(job.tokens.len()), &job.tokens, true);
            planner.ask(path, job.tokens.len() - 1);
        }
        planner.arrange();
        Self { number, planner, computed: vec![0; jobs.len()], jobs, states: HashMap::new() }
    }
}

/// Answers the generation jobs among `jobs`, and whatever jobs come meanwhile.
///
/// # Errors
/// As [`Model::answer_at_once`] has for those that come.
pub fn run(model: &Model, jobs: &[Job], indices: &[usize], tell: &mut Tell<'_>) -> Result<ControlFlow<()>, ModelError> {
    let mut batch = Generating {
        model,
        pages: Pages::new(model.decoder.shape.heads, model.decoder.layers.len()),
        waves: Vec::new(),
        active: Vec::new(),
        known: jobs.len(),
        waves_so_far: 0,
    };
    batch.begin_wave(indices.iter().map(|&index| (index, jobs[index].clone())).collect());
    while !batch.is_done() {
        if batch.admit(tell)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        batch.leave(|one| tell.is_wanted(one.index));
        let start = Instant::now();
        let clock = Clock::default();
        let forward = model.forward(&clock);
        let first = if let Some(wave) = batch.entering() {
            let first = batch.active.len();
            batch.enter(wave, &forward);
            first
        } else {
            batch.step(&forward);
            0
        };
        let answers = batch.choose(&forward, first);
        let wall = start.elapsed();
        batch.tell_followers(first, tell);
        batch.leave(|one| answers.iter().all(|(index, _)| *index != one.index));
        if tell.take(Batch { answers, wall, busy: clock.busy(wall) }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The generations of a call.
struct Generating<'a> {
    model: &'a Model,
    pages: Pages,
    /// Those of which some path is not complete, or not released.
    waves: Vec<Wave>,
    active: Vec<Active>,
    /// Jobs of the call so far.
    known: usize,
    waves_so_far: usize,
}

impl Generating<'_> {
    fn is_done(&self) -> bool {
        self.active.is_empty() && self.waves.iter().all(|wave| wave.planner.is_done())
    }

    fn begin_wave(&mut self, jobs: Vec<(usize, Job)>) {
        if !jobs.is_empty() {
            self.waves.push(Wave::new(self.model, self.waves_so_far, jobs));
            self.waves_so_far += 1;
        }
    }

    /// Takes in what came meanwhile. What is no continuation is answered at once: it takes little beside one, and nobody waits in vain.
    fn admit(&mut self, tell: &mut Tell<'_>) -> Result<ControlFlow<()>, ModelError> {
        let arrived = tell.arrivals();
        if arrived.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let after = self.known;
        self.known += arrived.len();
        let flow = self.model.answer_at_once(&arrived, &mut Later { desk: tell, after })?;
        let generations = arrived.into_iter().enumerate().filter(|(_, job)| matches!(job.work, Work::Generate { .. }));
        self.begin_wave(generations.map(|(at, job)| (after + at, job)).collect());
        Ok(flow)
    }

    /// The wave whose prompts are to enter next, if there is room.
    fn entering(&self) -> Option<usize> {
        let waiting = self.waves.iter().position(|wave| !wave.planner.is_done());
        waiting.filter(|_| self.active.len() < MOST_ACTIVE)
    }

    /// One pass over waiting prompts; those that are complete become active.
    fn enter(&mut self, wave: usize, forward: &Forward<'_>) {
        let room = MOST_ACTIVE - self.active.len();
        let wave = &mut self.waves[wave];
        let Some(planned) = wave.planner.next_pass(&mut self.pages, room) else { return };
        for &(path, tokens) in &planned.computed {
            wave.computed[path] += tokens as u64;
        }
        if !planned.rows.tokens.is_empty() {
            let updates = self.model.updates_of(&planned.rows.views);
            let hidden = forward.run(&planned.rows, planned.trunk.as_ref(), &updates, &mut self.pages);
            let places = (0..hidden.picked.rows.len()).filter(|&place| hidden.picked.rows[place].is_some());
            for (place, node) in places.zip(&planned.asked) {
                wave.states.insert(*node, hidden.states.row(place).collect());
            }
        }
        for path in planned.complete {
            let (index, job) = &wave.jobs[path];
            let Work::Generate { max_new_tokens, sampling } = job.work else { continue };
            let end = wave.planner.node(path, job.tokens.len() - 1);
            self.active.push(Active {
                index: *index,
                continuation: Continuation::new(job, max_new_tokens, sampling),
                wave: wave.number,
                path,
                runs: wave.planner.trie.runs(Some(end)),
                pages: Vec::new(),
                long: self.model.is_long(job.tokens.len()),
                computed: wave.computed[path],
                // Another path may end at the same node, later.
                state: wave.states.get(&end).cloned().unwrap_or_default(),
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
        answers
    }

    /// Tells those who follow continuations from `first` on how far they have come.
    fn tell_followers(&self, first: usize, tell: &mut Tell<'_>) {
        for one in &self.active[first..] {
            if tell.is_followed(one.index)
                && let Ok(so_far) = one.continuation.so_far(self.model)
            {
                tell.follow(one.index, &so_far);
            }
        }
    }

    /// Keeps the continuations that stay, and gives back the pages of the others.
    fn leave(&mut self, mut stays: impl FnMut(&Active) -> bool) {
        let Self { active, waves, pages, .. } = self;
        active.retain(|one| {
            let stays = stays(one);
            if !stays {
                one.pages.iter().for_each(|page| pages.give_back(*page));
                if let Some(wave) = waves.iter_mut().find(|wave| wave.number == one.wave) {
                    wave.planner.release(one.path);
                }
            }
            stays
        });
        waves.retain_mut(|wave| {
            let stays = !wave.planner.is_done() || active.iter().any(|one| one.wave == wave.number);
            if !stays {
                wave.planner.give_up(pages);
            }
            stays
        });
    }
}

impl Active {
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
