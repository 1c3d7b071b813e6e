//! Jobs that ask what the model makes of given tokens: their prefixes form a trie, and each pass answers what it completes.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use rayon::prelude::*;

use super::batch::{Batch, Done, Tell};
use super::busy::{Busy, Clock};
use super::crew::least;
use super::forward::{Forward, Hidden};
use super::job::{Job, Work};
use super::pages::Pages;
use super::plan::{Budget, Planned, Planner};
use super::readout::{Gathered, NotFinite, Side, States, Wanted, next_token};
use super::site::ViewUpdates;
use super::targets::Targets;
use super::{Model, effective};
use crate::request::{Answer, Embedding, RequestError, View};

/// Rows of one pass.
const ROWS: usize = 4096;

/// Bytes of keys and values that are kept between passes, at least.
const LEAST_KEPT_BYTES: usize = 48 << 20;

/// Logits of distributions that a thread is worth waking for.
const LOGITS_OF_A_THREAD: usize = 32 << 10;

/// What a call may hold: a byte is kept for every eight parameters, so that it is little beside the weights.
fn budget(model: &Model) -> Budget {
    Budget { rows: ROWS, kept_bytes: LEAST_KEPT_BYTES.max(model.base.parameters as usize / 8) }
}

/// What a node's state is wanted for.
#[derive(Clone, Copy)]
enum Read {
    /// The log-probability of the token after it: where it goes among its job's, and how many alternatives go with it.
    Target { scoring: usize, at: usize, token: u32, top: usize },
    /// One side of a distribution.
    Next { scoring: usize, side: Side },
    /// The state of the token at a position, for a mean.
    State { scoring: usize, position: usize },
}

/// A job under way.
struct Scoring<'a> {
    /// Among the jobs of the call.
    index: usize,
    job: &'a Job,
    /// Tokens that went through the model for it.
    tokens: u64,
    /// Reads that are still to come.
    left: usize,
    found: Found,
}

enum Found {
    Targets(Targets),
    /// States after the final norm.
    Next {
        own: Vec<f32>,
        versus: Vec<f32>,
    },
    Mean(MeanState),
}

/// The mean of hidden states, (hidden), on its way: in float64 and in the order of the tokens, so that its bits do not depend on which
/// pass a state comes from.
pub struct MeanState {
    sum: Vec<f64>,
    states: usize,
    /// The first position whose state is not finite.
    not_finite: Option<usize>,
}

impl MeanState {
    pub fn new(hidden: usize) -> Self {
        Self { sum: vec![0.0; hidden], states: 0, not_finite: None }
    }

    /// Adds the state of the next token.
    pub fn add(&mut self, state: impl Iterator<Item = f32>) {
        let mut finite = true;
        for (sum, value) in self.sum.iter_mut().zip(state) {
            finite &= value.is_finite();
            *sum += f64::from(value);
        }
        if !finite {
            self.not_finite.get_or_insert(self.states);
        }
        self.states += 1;
    }

    /// The answer of a job of this view.
    pub fn answer(&self, view: View) -> Result<Answer, RequestError> {
        if let Some(position) = self.not_finite {
            return Err(RequestError::NonFiniteState { view, position });
        }
        let embedding = self.sum.iter().map(|sum| (sum / self.states as f64) as f32).collect();
        Ok(Answer::Embedding(Embedding { embedding, num_tokens: self.states }))
    }
}

/// The scoring jobs of a call.
struct Scorings<'a> {
    jobs: Vec<Scoring<'a>>,
    /// By node.
    reads: HashMap<usize, Vec<Read>>,
    /// By path: whose it is.
    of_path: Vec<usize>,
    /// Those whose reads have all come, and that are not answered.
    ready: Vec<usize>,
}

/// Answers the scoring jobs among `jobs`, pass after pass.
pub fn run(model: &Model, jobs: &[Job], indices: &[usize], tell: &mut Tell<'_>) -> ControlFlow<()> {
    let mut planner = Planner::new(budget(model), model.shares_trunk());
    let mut scorings = Scorings::new(model, jobs, indices, &mut planner);
    let mut pages = Pages::new(model.decoder.shape.heads, model.decoder.layers.len());
    if !scorings.ready.is_empty() {
        let start = Instant::now();
        let answers = scorings.answers(model, &model.forward(&Clock::default()));
        tell.take(Batch { answers, wall: start.elapsed(), busy: Busy::default() })?;
    }
    loop {
        let start = Instant::now();
        let Some(planned) = planner.next_pass(&mut pages, usize::MAX) else { return ControlFlow::Continue(()) };
        let clock = Clock::default();
        let forward = model.forward(&clock);
        for &(path, tokens) in &planned.computed {
            scorings.jobs[scorings.of_path[path]].tokens += tokens as u64;
        }
        if !planned.rows.tokens.is_empty() {
            let updates = model.updates_of(&planned.rows.views);
            let hidden = forward.run(&planned.rows, planned.trunk.as_ref(), &updates, &mut pages);
            scorings.read(&forward, &planned, &hidden, &updates);
        }
        let answers = scorings.answers(model, &forward);
        let wall = start.elapsed();
        tell.take(Batch { answers, wall, busy: clock.busy(wall) })?;
    }
}

impl<'a> Scorings<'a> {
    fn new(model: &Model, jobs: &'a [Job], indices: &[usize], planner: &mut Planner) -> Self {
        let mut scorings =
            Self { jobs: Vec::with_capacity(indices.len()), reads: HashMap::new(), of_path: Vec::new(), ready: Vec::new() };
        for &index in indices {
            scorings.add(model, index, &jobs[index], planner);
        }
        planner.arrange();
        scorings
    }

    fn add(&mut self, model: &Model, index: usize, job: &'a Job, planner: &mut Planner) {
        let scoring = self.jobs.len();
        let long = model.is_long(job.tokens.len());
        let mut path = |view: View, tokens: &[u32], planner: &mut Planner| {
            self.of_path.push(scoring);
            planner.add(effective(view), long, tokens, false)
        };
        let (left, found) = match job.work {
            Work::Score { .. } | Work::Tokens { .. } => {
                let (from, top) = (job.work.first_scored(), job.work.alternatives());
                let targets = &job.tokens[from..];
                if !targets.is_empty() {
                    // Nobody asks what comes after the last token.
                    let path = path(job.view, &job.tokens[..job.tokens.len() - 1], planner);
                    for (at, &token) in targets.iter().enumerate() {
                        let node = planner.ask(path, from + at - 1);
                        self.reads.entry(node).or_default().push(Read::Target { scoring, at, token, top });
                    }
                }
                (targets.len(), Found::Targets(Targets::new(job)))
            }
            Work::Next { versus, .. } => {
                let sides = std::iter::once((job.view, Side::Own)).chain(versus.map(|view| (view, Side::Versus)));
                for (view, side) in sides {
                    let path = path(view, &job.tokens, planner);
                    let node = planner.ask(path, job.tokens.len() - 1);
                    self.reads.entry(node).or_default().push(Read::Next { scoring, side });
                }
                (1 + usize::from(versus.is_some()), Found::Next { own: Vec::new(), versus: Vec::new() })
            }
            Work::Embed => {
                let path = path(job.view, &job.tokens, planner);
                for position in 0..job.tokens.len() {
                    let node = planner.ask(path, position);
                    self.reads.entry(node).or_default().push(Read::State { scoring, position });
                }
                (job.tokens.len(), Found::Mean(MeanState::new(model.decoder.shape.hidden)))
            }
            Work::Generate { .. } | Work::Sentence { .. } => unreachable!("it is no scoring job"),
        };
        self.jobs.push(Scoring { index, job, tokens: 0, left, found });
        if left == 0 {
            // A text of one token: there is nothing to compute.
            self.ready.push(scoring);
        }
    }

    /// Reads what is wanted of the states of one pass.
    fn read(&mut self, forward: &Forward<'_>, planned: &Planned, hidden: &Hidden, updates: &ViewUpdates) {
        let places = (0..hidden.picked.rows.len()).filter(|&place| hidden.picked.rows[place].is_some());
        let mut wanted = Vec::new();
        let mut targets = Vec::new();
        for (place, node) in places.zip(&planned.asked) {
            for read in self.reads.remove(node).unwrap_or_default() {
                match read {
                    Read::Target { scoring, at, token, top } => {
                        wanted.push(Wanted { row: place, token, top });
                        targets.push((scoring, at));
                    }
                    Read::Next { scoring, side } => {
                        if let Found::Next { own, versus } = &mut self.jobs[scoring].found {
                            *(if side == Side::Own { own } else { versus }) = hidden.states.row(place).collect();
                        }
                        self.came(scoring);
                    }
                    Read::State { scoring, position } => {
                        if let Found::Mean(mean) = &mut self.jobs[scoring].found {
                            // A pass has a path's rows in their order, and no pass has one before those of its beginning.
                            debug_assert_eq!(mean.states, position);
                            mean.add(hidden.states.row(place));
                        }
                        self.came(scoring);
                    }
                }
            }
        }
        let states = States { picked: &hidden.picked, panels: &hidden.states, updates };
        for ((scoring, at), found) in targets.into_iter().zip(forward.logprobs(&states, &wanted)) {
            if let Found::Targets(targets) = &mut self.jobs[scoring].found {
                targets.found(at, found);
            }
            self.came(scoring);
        }
    }

    /// One more read of a job has come.
    fn came(&mut self, scoring: usize) {
        self.jobs[scoring].left -= 1;
        if self.jobs[scoring].left == 0 {
            self.ready.push(scoring);
        }
    }

    /// The answers of the jobs that are ready.
    fn answers(&mut self, model: &Model, forward: &Forward<'_>) -> Vec<(usize, Done)> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_unstable();
        let most = model.held_rows().div_ceil(2);
        let (next, rest): (Vec<usize>, Vec<usize>) =
            ready.into_iter().partition(|&scoring| matches!(self.jobs[scoring].found, Found::Next { .. }));
        let mut answers: Vec<(usize, Done)> = rest.into_iter().map(|scoring| self.jobs[scoring].done_alone(model)).collect();
        for some in next.chunks(most) {
            let jobs: Vec<&Scoring<'_>> = some.iter().map(|&scoring| &self.jobs[scoring]).collect();
            answers.extend(distributions(model, forward, &jobs));
        }
        answers.sort_by_key(|(index, _)| *index);
        answers
    }
}

/// The answers of jobs that ask for distributions, held whole side by side.
fn distributions(model: &Model, forward: &Forward<'_>, jobs: &[&Scoring<'_>]) -> Vec<(usize, Done)> {
    let mut sides: Vec<(View, usize, Side, &[f32])> = Vec::new();
    for (at, scoring) in jobs.iter().enumerate() {
        if let (Found::Next { own, versus: state }, Work::Next { versus, .. }) = (&scoring.found, scoring.job.work) {
            sides.push((effective(scoring.job.view), at, Side::Own, own));
            sides.extend(versus.map(|view| (effective(view), at, Side::Versus, state.as_slice())));
        }
    }
    sides.sort_by_key(|(view, ..)| *view);
    let mut gathered = Gathered::new(model.decoder.shape.hidden);
    let mut rows: Vec<[Option<usize>; 2]> = vec![[None; 2]; jobs.len()];
    for (view, at, side, state) in sides {
        rows[at][usize::from(side == Side::Versus)] = Some(gathered.push(view, state.iter().copied()));
    }
    let updates = model.updates_of(gathered.views());
    let logits = forward.logits(&gathered.states(&updates));
    let row = |place: Option<usize>| place.map(|place| logits.row(place).collect::<Vec<f32>>());
    let answer = |(scoring, [own, versus]): (&&Scoring<'_>, &[Option<usize>; 2])| {
        let Work::Next { top_k, versus: view } = scoring.job.work else { unreachable!("a distribution was asked for") };
        let versus = row(*versus);
        scoring.done(next_answer(scoring.job, top_k, &row(*own).unwrap_or_default(), view.zip(versus.as_deref())))
    };
    jobs.par_iter().zip(&rows).with_min_len(least(LOGITS_OF_A_THREAD / model.decoder.shape.vocab)).map(answer).collect()
}

impl Scoring<'_> {
    fn done(&self, answer: Result<Answer, RequestError>) -> (usize, Done) {
        (self.index, Done { answer, tokens: self.tokens })
    }

    /// The answer of a job that needs no logits held whole.
    fn done_alone(&self, model: &Model) -> (usize, Done) {
        let answer = match &self.found {
            Found::Targets(targets) => targets.answer(model, self.job),
            Found::Mean(mean) => mean.answer(self.job.view),
            Found::Next { .. } => unreachable!("its logits are held whole"),
        };
        self.done(answer)
    }
}

/// The answer of a job that asks for the distribution after its tokens, of these logits, compared with those of another view.
pub fn next_answer(job: &Job, top_k: usize, own: &[f32], versus: Option<(View, &[f32])>) -> Result<Answer, RequestError> {
    let dist = next_token(own, versus.map(|(_, logits)| logits), top_k);
    dist.map(Answer::NextTokenDist).map_err(|(side, NotFinite { token })| {
        let view = versus.map_or(job.view, |(view, _)| if side == Side::Own { job.view } else { view });
        RequestError::NonFinite { view, position: job.tokens.len() - 1, token }
    })
}
