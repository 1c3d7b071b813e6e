//! A probe under way: its items in flight, and what is kept of them.

use std::sync::Arc;

use super::flight::{Failed, Flight, Lane};
use super::kept::Kept;
use super::state::{Chosen, MOST_ERRORS, State};
use super::supply::Supply;
use super::{ChatForm, Course, CoursePlan, Ending, TemplateEffect, check_least, check_most};
use crate::math::NullComparison;
use crate::probe::lot::Draw;
use crate::probe::shard::item_hash;
use crate::probe::{Court, Item, Probe, Spot};
use crate::record::{Calibration, NoiseFloor, NullOutcome, RankedNulls, ScoreRecord};
use crate::request::{Answer, Failure, Prompt, Request, RequestError, View};

/// Items whose figure is none: no mean, and no interval, would be one.
fn not_finite(values: &[f64]) -> Vec<usize> {
    values.iter().enumerate().filter(|(_, value)| !value.is_finite()).map(|(item, _)| item).collect()
}

pub struct Run<P: Probe> {
    probe: P,
    items: Supply<P>,
    plan: CoursePlan,
    state: State<P>,
    null_views: Vec<View>,
    flights: Vec<Flight<P::Item>>,
    /// Those of them that ask no more.
    landed: Vec<Flight<P::Item>>,
    /// Items of this window that can't be measured, and why.
    failures: Vec<Failed>,
    /// Those that nobody took yet.
    scores: Vec<ScoreRecord>,
}

impl<P: Probe> Run<P> {
    /// A course from its first item on.
    pub fn new(probe: P, items: Supply<P>, plan: CoursePlan) -> Self {
        let kept = if plan.shard.is_some() { Kept::part } else { Kept::whole };
        let mut state = State::new(kept, plan.null_views().len());
        state.draw = plan.lot.map(Draw::new);
        state.test = probe.test().filter(|_| plan.stops_early);
        Self::after(state, probe, items, plan)
    }

    /// A course that goes on; `items` are those that are left.
    pub fn after(state: State<P>, probe: P, items: Supply<P>, plan: CoursePlan) -> Self {
        let null_views = plan.null_views();
        let (flights, landed, failures, scores) = Default::default();
        Self { probe, items, plan, state, null_views, flights, landed, failures, scores }
    }

    fn launch(&mut self, index: usize, mut item: P::Item) {
        let cluster = item.cluster().and_then(Option::take);
        let (item, place) = (Arc::new(item), self.items.place());
        let nulls = if self.plan.calibrated.contains(&index) { self.null_views.len() } else { 0 };
        let plain = (self.plan.chat == ChatForm::Both).then_some(Lane::Plain);
        for lane in std::iter::once(Lane::Adapter).chain(plain).chain((0..nulls).map(Lane::Null)) {
            self.flights.push(Flight::new(index, Arc::clone(&item), cluster.clone(), place.clone(), lane));
        }
    }

    /// Now that all items were measured, it is known which are asked under the nulls; gives how many these are.
    fn launch_chosen(&mut self) -> usize {
        let chosen = self.state.draw.take().map(Draw::chosen).unwrap_or_default();
        let mut count = 0;
        for (index, Chosen { item, cluster }) in chosen {
            let Some(item) = item else { continue };
            count += 1;
            for lane in std::iter::once(Lane::Again).chain((0..self.null_views.len()).map(Lane::Null)) {
                self.flights.push(Flight::new(index, Arc::clone(&item), cluster.clone(), None, lane));
            }
        }
        count
    }

    /// Whether an item is another machine's; notes that it was drawn.
    fn is_others(&mut self, index: usize, item: &P::Item) -> Result<bool, String> {
        let Some(shard) = self.plan.shard else { return Ok(false) };
        let hash = item_hash(&rmp_serde::to_vec_named(item).map_err(|error| format!("item {}: {error}", index + 1))?);
        self.state.note_seen(&hash);
        Ok(!shard.takes(&hash))
    }

    /// Whether the verdict was settled by the items so far, where that ends the course.
    fn is_settled(&self) -> bool {
        let decided = self.state.test.as_ref().is_some_and(|test| test.decision().is_some());
        decided && self.state.measured >= self.plan.min_items
    }

    fn complete(&mut self, flight: &Flight<P::Item>) {
        // What was asked beyond the item that settled it does not count: how many these are is a matter of the window.
        if matches!(flight.lane, Lane::Adapter | Lane::Plain) && self.is_settled_before(flight.index) {
            return;
        }
        let (probe, item) = (&self.probe, &flight.item);
        if let Some(flaw) = probe.flaw(item, &flight.rounds) {
            self.fail(flight, &flaw, false);
            return;
        }
        let Some(measurement) = probe.measure(item, &flight.rounds) else {
            self.fail(flight, "an answer was not of the op that was asked", false);
            return;
        };
        let (index, state) = (flight.index as u64, &mut self.state);
        match flight.lane {
            Lane::Null(null) => state.nulls[null].add(probe, index, measurement),
            Lane::Again => state.same_items.add(probe, index, measurement),
            Lane::Plain => state.plain.add(probe, index, measurement),
            Lane::Adapter => {
                if let (Some(test), Some(value)) = (&mut state.test, probe.tested(&measurement))
                    && let Err(fault) = test.push(index, value)
                {
                    let (index, place, why) = (flight.index, flight.place.clone(), fault.to_string());
                    self.failures.push(Failed { index, place, why, is_too_long: false });
                    return;
                }
                let of_item = |score| ScoreRecord { case: flight.index + 1, ..score };
                self.scores.extend(probe.scores(&measurement).into_iter().map(of_item));
                state.kept.add(probe, index, measurement);
                state.measured += 1;
                state.asked_raw += flight.asked_raw;
                state.clusters.add(index, flight.cluster.as_deref());
                if let Some(draw) = &mut state.draw {
                    draw.offer(flight.index, || Chosen { item: Some(Arc::clone(item)), cluster: flight.cluster.clone() });
                }
                if self.plan.calibrated.contains(&flight.index)
                    && let Some(measurement) = probe.measure(item, &flight.rounds)
                {
                    state.same_items.add(probe, index, measurement);
                }
            }
        }
    }

    /// Whether the verdict was settled by items before this one.
    fn is_settled_before(&self, index: usize) -> bool {
        self.is_settled() && self.state.measured <= index
    }

    /// What is in flight has landed, and is kept in the items' order: one may have taken more rounds than the next.
    fn land(&mut self) {
        let mut landed = std::mem::take(&mut self.landed);
        landed.sort_by_key(|flight| flight.index);
        for flight in &landed {
            self.complete(flight);
        }
        let mut failures = std::mem::take(&mut self.failures);
        failures.sort_by_key(|failed| failed.index);
        for Failed { index, place, why, is_too_long } in failures {
            if self.is_settled_before(index) {
                continue;
            }
            if is_too_long && self.state.too_long.len() < self.plan.max_too_long {
                self.state.too_long.insert(index as u64);
            } else {
                let hint = "; `max_too_long` of its source says how many may be left out";
                let hint = if is_too_long && place.is_some() { hint } else { "" };
                let why = why.lines().next().unwrap_or_default();
                self.state.note_error(index, place.as_ref(), &format!("{why}{hint}"));
            }
        }
    }

    /// `None` where the items without a template are not those with it.
    fn template_effect(&self) -> Option<TemplateEffect> {
        let State { kept, plain, .. } = &self.state;
        if plain.is_broken || plain.items != kept.items {
            return None;
        }
        Some(TemplateEffect { with: self.probe.metric(kept.fold()?)?, without: self.probe.metric(plain.fold()?)? })
    }

    fn fail(&mut self, flight: &Flight<P::Item>, message: &str, is_too_long: bool) {
        match flight.lane {
            Lane::Adapter => {
                let (index, place) = (flight.index, flight.place.clone());
                self.failures.push(Failed { index, place, why: message.to_owned(), is_too_long });
            }
            // The adapter's own is as long, and the item is left out.
            _ if is_too_long && self.plan.max_too_long > 0 => {}
            Lane::Again => self.state.same_items.is_broken = true,
            Lane::Plain => self.state.plain.is_broken = true,
            Lane::Null(null) => self.state.nulls[null].is_broken = true,
        }
    }
}

impl<P: Probe> Course for Run<P> {
    fn draw(&mut self, count: usize) -> Result<usize, String> {
        let is_streamed = self.probe.items().sources().is_some();
        let count = count.min(P::IN_FLIGHT);
        let mut launched = 0;
        self.state.is_over |= self.is_settled();
        while launched < count && !self.state.is_over {
            let index = self.state.drawn;
            match self.items.next() {
                None => {
                    self.state.is_over = true;
                    if is_streamed {
                        check_least(&self.probe, index)?;
                    }
                    break;
                }
                Some(Err(message)) if is_streamed => return Err(message),
                Some(Err(message)) => self.state.note_error(index, None, &message),
                Some(Ok(item)) if self.is_others(index, &item)? => {
                    if let Some(draw) = &mut self.state.draw {
                        draw.offer(index, || Chosen { item: None, cluster: None });
                    }
                }
                Some(Ok(item)) => {
                    self.launch(index, item);
                    launched += 1;
                }
            }
            self.state.drawn += 1;
            check_most(&self.probe, self.state.drawn)?;
        }
        // The last window's items are not measured before they have landed.
        Ok(if launched == 0 && self.state.is_over { self.launch_chosen() } else { launched })
    }

    fn is_over(&self) -> bool {
        self.state.is_over && self.state.draw.is_none()
    }

    fn state(&mut self) -> Result<Vec<u8>, String> {
        self.state.at = match &self.items {
            Supply::Rows(items) => Some(items.mark()),
            Supply::Others(_) => None,
        };
        rmp_serde::to_vec_named(&self.state).map_err(|error| error.to_string())
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
                flight.asked_raw += usize::from(matches!(prompt, Prompt::Text(_)));
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
            self.land();
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
                    self.fail(&flight, &error.to_string(), error.is_too_long());
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
        let State { same_items, nulls, .. } = &self.state;
        let raw = self.probe.metric(same_items.fold()?)?;
        let usable = |null: &&Kept<P>| !null.is_broken && null.items == same_items.items;
        let compared = if P::METRIC_IS_POSITIVE { NullComparison::of_positive } else { NullComparison::new };
        let mut by_rank = nulls.chunks(self.plan.nulls.len()).map(|nulls| {
            let draws: Vec<f64> = nulls.iter().filter(usable).filter_map(|null| self.probe.metric(null.fold()?)).collect();
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
            items: same_items.items,
            outcome,
            by_rank: by_rank.collect(),
        })
    }

    fn measured(&self) -> usize {
        self.state.measured
    }

    fn asked_raw(&self) -> usize {
        self.state.asked_raw
    }

    fn noise_floor(&self) -> Option<NoiseFloor> {
        self.probe.noise_floor(self.state.kept.fold()?)
    }

    fn judge(&self, court: &Court<'_>) -> Ending {
        let State { failed, measured, test, kept, too_long, .. } = &self.state;
        let clusters = self.state.clusters.numbers(*measured, too_long);
        let court = Court { clusters: &clusters, test: test.as_ref(), ..*court };
        let fold = kept.fold();
        let judgement = fold.filter(|_| *failed == 0).map(|fold| self.probe.judge(fold, &court));
        let looked_at = judgement.as_ref().filter(|_| !P::FINDS_NOT_FINITE);
        let not_finite = looked_at.map(|judgement| not_finite(&judgement.values)).unwrap_or_default();
        let errors =
            not_finite.iter().take(MOST_ERRORS).map(|item| format!("item {}: its figure is not a finite number", item + 1));
        Ending {
            judgement: judgement.filter(|_| not_finite.is_empty()),
            errors: self.state.errors.values().cloned().chain(errors).collect(),
            failed: failed + not_finite.len(),
            items: failed + measured + too_long.len(),
            too_long: too_long.len(),
            template_effect: self.template_effect(),
            divergence: fold.and_then(|fold| self.probe.divergence(fold)),
        }
    }
}
