//! A probe on its way through its items.
//!
//! The runner draws items into flight, window by window, and carries questions and answers; a course keeps each item's rounds,
//! sends the calibrated ones under the null views too, and folds what is complete.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Court, Document, Item, ItemStream, Judgement, Kind, ModelFacts, NullControl, OpenRows, Outsiders, Probe, Spot};
use crate::math::NullComparison;
use crate::record::{Calibration, Measure, NoiseFloor, NullOutcome, RankedNulls, ScoreRecord};
use crate::request::{Answer, Embedder, Failure, Op, Prompt, Request, RequestError, Scale, View};

/// What is known of a probe's work before a model is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub items: usize,
    /// Requests of all items' first rounds.
    pub requests: usize,
    /// The first few prompts that are asked about.
    pub prompts: Vec<Prompt>,
}

/// How a probe's prompts reach the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatForm {
    /// A text as it stands, a conversation through the chat template.
    #[default]
    AsWritten,
    /// A text as a user's turn.
    UserTurns,
    /// As user turns, and all once more without the template, for what is reported beside it.
    Both,
}

impl ChatForm {
    pub fn of(self, prompt: Prompt) -> Prompt {
        match self {
            Self::AsWritten => prompt,
            Self::UserTurns | Self::Both => prompt.as_user_turn(),
        }
    }
}

/// How a course is run.
#[derive(Clone, Debug, Default)]
pub struct CoursePlan {
    /// Seeds of the null adapters.
    pub nulls: Vec<u64>,
    /// By how much their rank is multiplied beside, if at all.
    pub ranks: Vec<Scale>,
    /// Indices of the items that are also asked under the nulls.
    pub calibrated: BTreeSet<usize>,
    pub chat: ChatForm,
    /// Of what the probe draws by chance.
    pub seed: u64,
}

impl CoursePlan {
    /// The null views: those of the adapter's own rank, then those of each other.
    fn null_views(&self) -> Vec<View> {
        let of_rank = |&multiplier: &Scale| self.nulls.iter().map(move |&seed| View::NullOfRank { seed, multiplier });
        self.nulls.iter().map(|&seed| View::Null(seed)).chain(self.ranks.iter().flat_map(of_rank)).collect()
    }
}

/// A probe whose kind was forgotten.
pub trait AnyProbe: Send {
    fn kind(&self) -> Kind;

    /// Whether the items, or what else the probe needs, are in a file, and not in the suite.
    fn reads_a_file(&self) -> bool;

    /// Whether what it asks after lies beside the adapter.
    fn looks_beside_adapter(&self) -> bool;

    /// Gives it the suite's sections, where it asks after sections and has none of its own; `false` where it has none then either.
    fn take_sections(&mut self, document: &Document) -> bool;

    /// What embeds texts for it, if anything does.
    fn embedder(&self) -> Option<&Embedder>;

    /// Whom it asks beside the model.
    fn outsiders(&self) -> Outsiders<'_>;

    /// Reads all items once: what is wrong with any is told before a model is loaded.
    fn survey(&self, rows: &dyn OpenRows) -> Result<Survey, String>;

    /// Why the probe is skipped on this model; `None` where it is run.
    fn skip(&self, model: ModelFacts) -> Option<String>;

    /// Why it is skipped for want of a file.
    fn skip_without_file(&self, rows: &dyn OpenRows) -> Result<Option<String>, String>;

    /// How it would have the suite's null adapters drawn.
    fn controls_nulls(&self) -> Option<NullControl>;

    fn start(&self, rows: &dyn OpenRows, model: ModelFacts, plan: CoursePlan) -> Result<Box<dyn Course>, String>;
}

/// A probe under way.
pub trait Course: Send {
    /// Draws up to `count` more items into flight; gives how many there were.
    fn draw(&mut self, count: usize) -> usize;

    /// The questions that the items in flight ask next; none when all of them are complete.
    fn ask(&mut self) -> Vec<Request>;

    /// Of the last questions, where the texts belong that are recorded: the item, counted from 0, and the place in its course.
    fn spots(&self) -> Vec<Option<(usize, Spot)>>;

    /// The scores of the items that were completed since this was last asked.
    fn take_scores(&mut self) -> Vec<ScoreRecord>;

    /// The replies to the last questions, in their order.
    fn tell(&mut self, replies: Vec<Result<Answer, RequestError>>);

    /// How the nulls compare; `None` where the probe is not calibrated.
    fn calibration(&self) -> Option<Calibration>;

    /// Items measured so far.
    fn measured(&self) -> usize;

    /// Prompts asked as texts so far.
    fn asked_raw(&self) -> usize;

    /// What it found computing alone to change; `None` where it does not look at that.
    fn noise_floor(&self) -> Option<NoiseFloor>;

    fn judge(&self, court: &Court<'_>) -> Ending;
}

/// How a course ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// `None` where an item could not be measured: no verdict stands on the rest.
    pub judgement: Option<Judgement>,
    /// `item 3: …`, the first few.
    pub errors: Vec<String>,
    pub failed: usize,
    /// Of so many.
    pub items: usize,
    /// The metric with the chat template and without it, where both were asked for.
    pub template_effect: Option<TemplateEffect>,
    /// The divergence that the finding stands on.
    pub divergence: Option<(Measure, f64)>,
}

/// A probe's metric on the same items with the chat template and without it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemplateEffect {
    pub with: f64,
    pub without: f64,
}

/// Prompts that a survey keeps.
const SURVEYED_PROMPTS: usize = 4;

/// Errors told in words; the rest are counted.
const MOST_ERRORS: usize = 5;

impl<P: Probe> AnyProbe for P {
    fn kind(&self) -> Kind {
        P::KIND
    }

    fn reads_a_file(&self) -> bool {
        self.in_a_file()
    }

    fn looks_beside_adapter(&self) -> bool {
        self.beside_adapter()
    }

    fn take_sections(&mut self, document: &Document) -> bool {
        self.sections().is_none_or(|slots| slots.fill(document))
    }

    fn embedder(&self) -> Option<&Embedder> {
        Probe::embedder(self)
    }

    fn outsiders(&self) -> Outsiders<'_> {
        Probe::outsiders(self)
    }

    fn survey(&self, rows: &dyn OpenRows) -> Result<Survey, String> {
        self.clone().read(rows)?;
        let mut survey = Survey::default();
        for item in self.open(rows)? {
            survey.items += 1;
            let requests = self.ask(&item?, &[]);
            survey.requests += requests.len();
            if survey.prompts.len() < SURVEYED_PROMPTS {
                survey.prompts.extend(requests.first().map(|request| match &request.op {
                    Op::RollingLogprob { text } | Op::Embed { text, .. } => Prompt::from(text.as_str()),
                    op => op.prompt().cloned().unwrap_or_else(|| Prompt::from("")),
                }));
            }
        }
        let (counts, kind) = (self.counts(), P::KIND.name);
        if survey.items == 0 && !counts.contains(&0) {
            return Err(format!("there are no {}", P::Item::PLURAL));
        }
        if survey.items < *counts.start() {
            return Err(format!("{} {} are too few: {kind} needs {}", survey.items, P::Item::PLURAL, counts.start()));
        }
        if survey.items > *counts.end() {
            return Err(format!("{} {} are too many: {kind} takes at most {}", survey.items, P::Item::PLURAL, counts.end()));
        }
        Ok(survey)
    }

    fn skip(&self, model: ModelFacts) -> Option<String> {
        self.nothing_to_ask(model)
    }

    fn skip_without_file(&self, rows: &dyn OpenRows) -> Result<Option<String>, String> {
        self.nothing_to_read(rows)
    }

    fn controls_nulls(&self) -> Option<NullControl> {
        self.null_control()
    }

    fn start(&self, rows: &dyn OpenRows, model: ModelFacts, plan: CoursePlan) -> Result<Box<dyn Course>, String> {
        let mut probe = self.clone();
        probe.read(rows)?;
        probe.meet(model);
        probe.seed(plan.seed);
        let items = probe.open(rows)?;
        let null_views = plan.null_views();
        let nulls = null_views.iter().map(|_| OtherFold::default()).collect();
        Ok(Box::new(Run {
            probe,
            items,
            plan,
            drawn: 0,
            flights: Vec::new(),
            landed: Vec::new(),
            fold: P::Fold::default(),
            scores: Vec::new(),
            measured: 0,
            clusters: Vec::new(),
            asked_raw: 0,
            same_items: OtherFold::default(),
            plain: OtherFold::default(),
            null_views,
            nulls,
            errors: Vec::new(),
            failed: 0,
        }))
    }
}

/// Items whose figure is none: no mean, and no interval, would be one.
fn not_finite(values: &[f64]) -> Vec<usize> {
    values.iter().enumerate().filter(|(_, value)| !value.is_finite()).map(|(item, _)| item).collect()
}

/// A number for each group, and one for each item that names none; none at all where no item names one.
fn numbered(clusters: &[Option<String>]) -> Vec<usize> {
    if clusters.iter().all(Option::is_none) {
        return Vec::new();
    }
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut next = 0;
    let mut numbers = Vec::with_capacity(clusters.len());
    for cluster in clusters {
        let fresh = next;
        let number = cluster.as_deref().map_or(fresh, |name| *known.entry(name).or_insert(fresh));
        next += usize::from(number == fresh);
        numbers.push(number);
    }
    numbers
}

struct Run<P: Probe> {
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
    /// The group of each measured item, by name.
    clusters: Vec<Option<String>>,
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
            Lane::Plain => self.plain.add(probe, item, measurement),
            Lane::Adapter => {
                let of_item = |score| ScoreRecord { case: flight.index + 1, ..score };
                self.scores.extend(probe.scores(&measurement).into_iter().map(of_item));
                probe.fold(&mut self.fold, item, measurement);
                self.measured += 1;
                self.clusters.push(flight.cluster.clone());
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
    fn draw(&mut self, count: usize) -> usize {
        let count = count.min(P::IN_FLIGHT);
        for drawn in 0..count {
            let index = self.drawn;
            match self.items.next() {
                None => return drawn,
                Some(Err(message)) => self.record_error(index, &message),
                Some(Ok(mut item)) => {
                    let cluster = item.cluster().and_then(Option::take);
                    let item = Arc::new(item);
                    let nulls = if self.plan.calibrated.contains(&index) { self.null_views.len() } else { 0 };
                    let plain = (self.plan.chat == ChatForm::Both).then_some(Lane::Plain);
                    for lane in std::iter::once(Lane::Adapter).chain(plain).chain((0..nulls).map(Lane::Null)) {
                        let (item, cluster) = (Arc::clone(&item), cluster.clone());
                        self.flights.push(Flight { index, item, cluster, lane, rounds: Vec::new(), asked: 0 });
                    }
                }
            }
            self.drawn += 1;
        }
        count
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
                    Lane::Adapter | Lane::Null(_) => self.plan.chat.of(prompt.clone()),
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
        let clusters = numbered(&self.clusters);
        let court = Court { clusters: &clusters, ..*court };
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
