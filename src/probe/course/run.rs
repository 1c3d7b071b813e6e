//! A probe under way: its items in flight, and what is folded of them.

use std::sync::Arc;

use super::clusters::Clusters;
use super::{ChatForm, Course, CoursePlan, Ending, TemplateEffect, check_least, check_most};
use crate::math::NullComparison;
use crate::probe::lot::Draw;
use crate::probe::{Court, Item, ItemStream, Probe, Spot};
use crate::record::{Calibration, NoiseFloor, NullOutcome, RankedNulls, ScoreRecord};
use crate::request::{Answer, Failure, Prompt, Request, RequestError, View};

/// Errors told in words; the rest are counted.
const MOST_ERRORS: usize = 5;

/// Items whose figure is none: no mean, and no interval, would be one.
fn not_finite(values: &[f64]) -> Vec<usize> {
    values.iter().enumerate().filter(|(_, value)| !value.is_finite()).map(|(item, _)| item).collect()
}

/// An item that is kept to be asked again.
type Chosen<I> = (Arc<I>, Option<String>);

pub struct Run<P: Probe> {
    probe: P,
    items: ItemStream<P::Item>,
    plan: CoursePlan,
    drawn: usize,
    flights: Vec<Flight<P::Item>>,
    /// Those of them that ask no more.
    landed: Vec<Flight<P::Item>>,
    fold: P::Fold,
    /// Those that nobody took yet.
    scores: Vec<ScoreRecord>,
    measured: usize,
    clusters: Clusters,
    /// Where the items were not counted, those to ask under the nulls as far as it can be told.
    draw: Option<Draw<Chosen<P::Item>>>,
    is_over: bool,
    /// The adapter itself on the calibrated items.
    same_items: OtherFold<P>,
    /// The adapter without the chat template.
    plain: OtherFold<P>,
    null_views: Vec<View>,
    nulls: Vec<OtherFold<P>>,
    asked_raw: usize,
    errors: Vec<String>,
    failed: usize,
}

/// A fold beside the probe's own: over some of its items, or of other questions.
struct OtherFold<P: Probe> {
    fold: P::Fold,
    items: usize,
    /// An item failed under this view: the draw is not used.
    broken: bool,
}

impl<P: Probe> Default for OtherFold<P> {
    fn default() -> Self {
        Self { fold: P::Fold::default(), items: 0, broken: false }
    }
}

impl<P: Probe> OtherFold<P> {
    fn add(&mut self, probe: &P, item: &P::Item, measurement: P::Measurement) {
        probe.fold(&mut self.fold, item, measurement);
        self.items += 1;
    }
}

/// Whose answers a flight collects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Adapter,
    /// The adapter again, on an item that is asked under the nulls too.
    Again,
    /// Asked without the chat template.
    Plain,
    /// Index into the null views.
    Null(usize),
}

/// An item in flight.
struct Flight<I> {
    index: usize,
    item: Arc<I>,
    /// The group that it belongs to, by name.
    cluster: Option<String>,
    lane: Lane,
    rounds: Vec<Vec<Answer>>,
    /// Questions of the round under way.
    asked: usize,
}

impl<P: Probe> Run<P> {
    pub fn new(probe: P, items: ItemStream<P::Item>, plan: CoursePlan) -> Self {
        let null_views = plan.null_views();
        let nulls = null_views.iter().map(|_| OtherFold::default()).collect();
        let draw = plan.lot.map(Draw::new);
        Self {
            probe,
            items,
            plan,
            drawn: 0,
            flights: Vec::new(),
            landed: Vec::new(),
            fold: P::Fold::default(),
            scores: Vec::new(),
            measured: 0,
            clusters: Clusters::default(),
            draw,
            is_over: false,
            asked_raw: 0,
            same_items: OtherFold::default(),
            plain: OtherFold::default(),
            null_views,
            nulls,
            errors: Vec::new(),
            failed: 0,
        }
    }

    fn launch(&mut self, index: usize, mut item: P::Item) {
        let cluster = item.cluster().and_then(Option::take);
        let item = Arc::new(item);
        let nulls = if self.plan.calibrated.contains(&index) { self.null_views.len() } else { 0 };
        let plain = (self.plan.chat == ChatForm::Both).then_some(Lane::Plain);
        for lane in std::iter::once(Lane::Adapter).chain(plain).chain((0..nulls).map(Lane::Null)) {
            let (item, cluster) = (Arc::clone(&item), cluster.clone());
            self.flights.push(Flight { index, item, cluster, lane, rounds: Vec::new(), asked: 0 });
        }
        if let Some(draw) = &mut self.draw {
            draw.offer(index, || (item, cluster));
        }
    }

    /// Now that all items came, it is known which are asked under the nulls; gives how many these are.
    fn launch_chosen(&mut self) -> usize {
        let chosen = self.draw.take().map(Draw::chosen).unwrap_or_default();
        let count = chosen.len();
        for (index, (item, cluster)) in chosen {
            for lane in std::iter::once(Lane::Again).chain((0..self.null_views.len()).map(Lane::Null)) {
                let (item, cluster) = (Arc::clone(&item), cluster.clone());
                self.flights.push(Flight { index, item, cluster, lane, rounds: Vec::new(), asked: 0 });
            }
        }
        count
    }

    fn complete(&mut self, flight: &Flight<P::Item>) {
        let (probe, item) = (&self.probe, &flight.item);
        if let Some(flaw) = probe.flaw(item, &flight.rounds) {
            self.fail(flight, &flaw);
            return;
        }
        let Some(measurement) = probe.measure(item, &flight.rounds) else {
            self.fail(flight, "an answer was not of the op that was asked");
            return;
        };
        match flight.lane {
            Lane::Null(null) => self.nulls[null].add(probe, item, measurement),
            Lane::Again => self.same_items.add(probe, item, measurement),
            Lane::Plain => self.plain.add(probe, item, measurement),
            Lane::Adapter => {
                let of_item = |score| ScoreRecord { case: flight.index + 1, ..score };
                self.scores.extend(probe.scores(&measurement).into_iter().map(of_item));
                probe.fold(&mut self.fold, item, measurement);
                self.measured += 1;
                self.clusters.add(flight.cluster.as_deref());
                if self.plan.calibrated.contains(&flight.index)
                    && let Some(measurement) = probe.measure(item, &flight.rounds)
                {
                    self.same_items.add(probe, item, measurement);
                }
            }
        }
    }

    /// `None` where the items without a template are not those with it.
    fn template_effect(&self) -> Option<TemplateEffect> {
        if self.plain.broken || self.plain.items != self.measured {
            return None;
        }
        Some(TemplateEffect { with: self.probe.metric(&self.fold)?, without: self.probe.metric(&self.plain.fold)? })
    }

    fn fail(&mut self, flight: &Flight<P::Item>, message: &str) {
        match flight.lane {
            Lane::Adapter => self.record_error(flight.index, message),
            Lane::Again => self.same_items.broken = true,
            Lane::Plain => self.plain.broken = true,
            Lane::Null(null) => self.nulls[null].broken = true,
        }
    }

    fn record_error(&mut self, index: usize, message: &str) {
        self.failed += 1;
        if self.errors.len() < MOST_ERRORS {
            let first_line = message.lines().next().unwrap_or_default();
            self.errors.push(format!("item {}: {first_line}", index + 1));
        }
    }
}

impl<P: Probe> Course for Run<P> {
    fn draw(&mut self, count: usize) -> Result<usize, String> {
        let is_streamed = self.probe.items().sources().is_some();
        let count = count.min(P::IN_FLIGHT);
        for drawn in 0..count {
            let index = self.drawn;
            match self.items.next() {
                None if self.is_over => return Ok(drawn),
                None => {
                    self.is_over = true;
                    if is_streamed {
                        check_least(&self.probe, self.drawn)?;
                    }
                    return Ok(drawn + self.launch_chosen());
                }
                Some(Err(message)) if is_streamed => return Err(message),
                Some(Err(message)) => self.record_error(index, &message),
                Some(Ok(item)) => self.launch(index, item),
            }
            self.drawn += 1;
            check_most(&self.probe, self.drawn)?;
        }
        Ok(count)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn is_under_way(&self) -> bool {
        !self.flights.is_empty() || !self.landed.is_empty()
    }

    fn ask(&mut self) -> Vec<Request> {
        let mut questions = Vec::new();
        let mut still = Vec::with_capacity(self.flights.len());
        for mut flight in std::mem::take(&mut self.flights) {
            let mut asked = self.probe.ask(&flight.item, &flight.rounds);
            if asked.is_empty() {
                self.landed.push(flight);
                continue;
            }
            flight.asked = asked.len();
            let of_model = asked.iter_mut().filter(|request| !P::KIND.asks_documents && !request.op.is_outside());
            for prompt in of_model.filter_map(|request| request.op.prompt_mut()) {
                *prompt = match flight.lane {
                    Lane::Plain => Prompt::Text(prompt.words().into_owned()),
                    Lane::Adapter | Lane::Again | Lane::Null(_) => self.plan.chat.of(prompt.clone()),
                };
                self.asked_raw += usize::from(flight.lane == Lane::Adapter && matches!(prompt, Prompt::Text(_)));
            }
            if let Lane::Null(null) = flight.lane {
                let view = self.null_views[null];
                questions.extend(asked.iter().map(|request| request.with_view_replaced(View::Ft, view)));
            } else {
                questions.extend(asked);
            }
            still.push(flight);
        }
        self.flights = still;
        if self.flights.is_empty() {
            // One item may have taken more rounds than the next: they are folded in their order all the same.
            let mut landed = std::mem::take(&mut self.landed);
            landed.sort_by_key(|flight| flight.index);
            for flight in &landed {
                self.complete(flight);
            }
        }
        questions
    }

    fn spots(&self) -> Vec<Option<(usize, Spot)>> {
        let of = |flight: &Flight<P::Item>| {
            let (index, lane, round, asked) = (flight.index, flight.lane, flight.rounds.len(), flight.asked);
            (0..asked).map(move |question| {
                let spot = self.probe.spot(round, question).filter(|_| lane == Lane::Adapter);
                spot.map(|spot| (index, spot))
            })
        };
        self.flights.iter().flat_map(of).collect()
    }

    fn take_scores(&mut self) -> Vec<ScoreRecord> {
        std::mem::take(&mut self.scores)
    }

    fn tell(&mut self, replies: Vec<Result<Answer, RequestError>>) {
        let mut replies = replies.into_iter();
        for mut flight in std::mem::take(&mut self.flights) {
            let mut answers = Vec::with_capacity(flight.asked);
            let mut error = None;
            for reply in replies.by_ref().take(flight.asked) {
                match reply {
                    Ok(answer) if error.is_none() => answers.push(answer),
                    Ok(_) => {}
                    Err(failed) if P::TAKES_FAILURES => answers.push(Answer::Failed(Failure::from(&failed))),
                    // What was too long may be done without, unless something else is wrong too.
                    Err(other) => {
                        if error.as_ref().is_none_or(|first: &RequestError| first.is_too_long() && !other.is_too_long()) {
                            error = Some(other);
                        }
                    }
                }
            }
            match error {
                Some(error) if !error.is_too_long() || !self.probe.goes_on_with(&flight.rounds, &answers) => {
                    self.fail(&flight, &error.to_string());
                }
                _ => {
                    flight.rounds.push(answers);
                    self.flights.push(flight);
                }
            }
        }
    }

    fn calibration(&self) -> Option<Calibration> {
        let metric = P::KIND.calibrated.filter(|_| !self.plan.nulls.is_empty())?;
        let raw = self.probe.metric(&self.same_items.fold)?;
        let usable = |null: &&OtherFold<P>| !null.broken && null.items == self.same_items.items;
        let compared = if P::METRIC_IS_POSITIVE { NullComparison::of_positive } else { NullComparison::new };
        let mut by_rank = self.nulls.chunks(self.plan.nulls.len()).map(|nulls| {
            let draws: Vec<f64> = nulls.iter().filter(usable).filter_map(|null| self.probe.metric(&null.fold)).collect();
            let outcome = match compared(raw, &draws) {
                Ok(compared) => NullOutcome::Compared { mean: compared.mean, sd: compared.sd, z: compared.z, p: compared.p },
                Err(reason) => NullOutcome::Degenerate { degenerate: reason.to_string() },
            };
            (draws, outcome)
        });
        let (draws, outcome) = by_rank.next()?;
        let by_rank = by_rank.zip(&self.plan.ranks).map(|((draws, outcome), multiplier)| RankedNulls {
            rank_multiplier: multiplier.value(),
            draws,
            outcome,
        });
        Some(Calibration {
            metric: metric.to_owned(),
            raw,
            draws,
            drawn: self.plan.nulls.len(),
            items: self.same_items.items,
            outcome,
            by_rank: by_rank.collect(),
        })
    }

    fn measured(&self) -> usize {
        self.measured
    }

    fn asked_raw(&self) -> usize {
        self.asked_raw
    }

    fn noise_floor(&self) -> Option<NoiseFloor> {
        self.probe.noise_floor(&self.fold)
    }

    fn judge(&self, court: &Court<'_>) -> Ending {
        let court = Court { clusters: &self.clusters.numbers, ..*court };
        let judgement = (self.failed == 0).then(|| self.probe.judge(&self.fold, &court));
        let looked_at = judgement.as_ref().filter(|_| !P::FINDS_NOT_FINITE);
        let not_finite = looked_at.map(|judgement| not_finite(&judgement.values)).unwrap_or_default();
        let errors =
            not_finite.iter().take(MOST_ERRORS).map(|item| format!("item {}: its figure is not a finite number", item + 1));
        Ending {
            judgement: judgement.filter(|_| not_finite.is_empty()),
            errors: self.errors.iter().cloned().chain(errors).collect(),
            failed: self.failed + not_finite.len(),
            items: self.failed + self.measured,
            template_effect: self.template_effect(),
            divergence: self.probe.divergence(&self.fold),
        }
    }
}
