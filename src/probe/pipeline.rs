//! `pipeline`: is what the adapter writes better than what the base writes? `keys` reads it from a suite.

mod keys;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::items::Item;
use super::verdict::{Rule, Side, all_of, number, score_of, settle_clause, shown};
use super::{AskedEndpoint, Court, ItemStream, Items, Judgement, Kind, OpenRows, Outsiders, Probe, Spot, bounds};
use crate::math::{derive_seed, mean};
use crate::pipeline::{Case, Scene, Score, Scorer, Stage, Who};
use crate::record::{Category, Criterion, ScoreRecord, Verdict};
use crate::request::{Answer, Embedder, Prompt, Request, View};

/// Mean score of what `ft` writes less that of what `base` writes, paired by case.
///
/// Each case goes through the stages on both sides, `repeat` times with other seeds, the same on both. Scorers make a number in [0, 1]
/// of what the last stage wrote; a case's score is their weighted mean over its samples. A scorer that gave no score to some sample of a
/// case is left out of the case on both sides, so that the two are means of the same things.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "keys::Written")]
pub struct Pipeline {
    cases: Items<Case>,
    stages: Vec<Stage>,
    scorers: Vec<Scorer>,
    config: Map<String, Value>,
    gates: Gates,
    repeat: usize,
    max_failed: f64,
    /// Draws what is sampled.
    seed: u64,
}

/// What a verdict can hang on.
#[derive(Clone, Copy, Debug)]
struct Gates {
    /// Least mean gain of the score, `ft` − `base`.
    min_gain: Option<f64>,
    /// Most that the mean score may lose.
    max_drop: Option<f64>,
    /// Least mean score of `ft`.
    min_score: Option<f64>,
    /// A sample of `ft` passes from this score on.
    pass_score: f64,
    /// Cases of which at least one of the first k samples passes.
    pass_at_k: Option<PassGate>,
    /// Cases of which all of the first k samples pass.
    pass_hat_k: Option<PassGate>,
}

/// Least share of cases, with the samples that are looked at.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassGate {
    #[serde(deserialize_with = "bounds::at_least_one")]
    k: usize,
    #[serde(deserialize_with = "bounds::share")]
    min: f64,
}

impl Item for Case {
    const PLURAL: &'static str = "cases";
    const TEXT_FIELD: Option<&'static str> = None;

    fn cluster(&mut self) -> Option<&mut Option<String>> {
        Some(&mut self.cluster)
    }

    fn check(&self) -> Result<(), String> {
        if self.fields.is_empty() { Err("it has no fields".to_owned()) } else { Ok(()) }
    }
}

/// One side of a case, once.
struct Lane {
    view: View,
    sample: usize,
    /// What the last stage was asked, where a scorer reads it.
    prompt: Prompt,
    /// What the stages wrote.
    outputs: Vec<String>,
}

/// The sides that are compared, the adapter's first.
const SIDES: [View; 2] = [View::Ft, View::Base];

/// How far a case is.
enum Walk {
    /// In a stage: the question of each lane.
    Stage(Vec<Request>),
    /// Written; the scorers' questions, of each lane those of each scorer.
    Scoring(Vec<Lane>, Vec<Request>),
    Failed(Fault),
}

/// Why a case has no score.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault(String);

/// What a case gave.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Outcome {
    Failed(String),
    /// Of each lane the scores of each scorer.
    Scored {
        scores: Vec<Vec<Result<Score, String>>>,
        outputs: [String; 2],
    },
}

/// A case that was scored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scored {
    /// Counted from 1.
    case: usize,
    /// Mean over the samples of `ft`, and of `base`.
    means: [f64; 2],
    /// Whether each sample of `ft` passes.
    passes: Vec<bool>,
    /// What each side wrote first, shortened.
    outputs: [String; 2],
}

/// What became of a scorer's scores over all cases.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tally {
    /// Sums over the samples of each side, of cases in which it counts.
    sums: [f64; 2],
    samples: usize,
    errors: usize,
    first_error: Option<String>,
    clamped: usize,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    cases: usize,
    scored: Vec<Scored>,
    /// Whether each case was scored.
    kept: Vec<bool>,
    failed: usize,
    /// Cases of which a scorer gave no score.
    partial: usize,
    /// The first few causes, each with its case.
    faults: Vec<String>,
    tallies: Vec<Tally>,
}

/// Faults, and examples, that the evidence shows.
const MOST_SHOWN: usize = 5;

/// Characters of a text that the evidence shows.
const MOST_TEXT: usize = 300;

impl Pipeline {
    fn lanes(&self) -> Vec<Lane> {
        let of = |view| (0..self.repeat).map(move |sample| Lane { view, sample, prompt: Prompt::from(""), outputs: Vec::new() });
        SIDES.into_iter().flat_map(of).collect()
    }

    fn scene<'a>(&'a self, case: &'a Case, lane: &'a Lane) -> Scene<'a> {
        let is_over = lane.outputs.len() == self.stages.len();
        Scene { case, config: &self.config, outputs: &lane.outputs, is_over }
    }

    /// Follows a case through the rounds so far. A lane that fails ends its case: a score of one side is worth nothing.
    fn walk(&self, case: &Case, rounds: &[Vec<Answer>]) -> Walk {
        let mut lanes = self.lanes();
        for (index, stage) in self.stages.iter().enumerate() {
            let fault = |lane: &Lane, why: &str| {
                let of_sample = if self.repeat > 1 { format!(", sample {}", lane.sample) } else { String::new() };
                Fault(format!("stage {index} of {}{of_sample}: {why}", lane.view))
            };
            let ask = |lane: &Lane| {
                let seed = self.seed_of(case, index, lane.sample);
                stage.request(&self.scene(case, lane), lane.view, seed, lane.sample).map_err(|why| fault(lane, &why))
            };
            let Some(answers) = rounds.get(index) else {
                return lanes.iter().map(ask).collect::<Result<_, _>>().map_or_else(Walk::Failed, Walk::Stage);
            };
            if index + 1 == self.stages.len() && self.scorers.iter().any(Scorer::reads_the_prompt) {
                for lane in &mut lanes {
                    match ask(lane) {
                        Ok(request) => lane.prompt = request.op.prompt().cloned().unwrap_or_else(|| Prompt::from("")),
                        Err(fault) => return Walk::Failed(fault),
                    }
                }
            }
            for (lane, answer) in lanes.iter_mut().zip(answers) {
                match (answer, answer.text()) {
                    (_, Some(text)) => lane.outputs.push(stage.until_stop(text).to_owned()),
                    (Answer::Failed(failure), _) => return Walk::Failed(fault(lane, &failure.message)),
                    (_, None) => return Walk::Failed(fault(lane, "an answer was not of the op that was asked")),
                }
            }
        }
        let asked =
            lanes.iter().flat_map(|lane| self.scorers.iter().flat_map(|scorer| self.scorers_requests(case, lane, scorer)));
        let asked = asked.collect();
        Walk::Scoring(lanes, asked)
    }

    /// A scorer that can't ask tells why when it scores.
    fn scorers_requests(&self, case: &Case, lane: &Lane, scorer: &Scorer) -> Vec<Request> {
        scorer.requests(&self.scene(case, lane), &lane.prompt, output(lane)).unwrap_or_default()
    }

    /// The same for both sides, so that what is drawn by chance is drawn alike.
    fn seed_of(&self, case: &Case, stage: usize, sample: usize) -> u64 {
        derive_seed(self.seed, &[&case.identity(), &stage.to_string(), &sample.to_string()])
    }

    fn scores(&self, case: &Case, lanes: &[Lane], answers: &[Answer]) -> Vec<Vec<Result<Score, String>>> {
        let mut left = answers;
        let mut of_lane = |lane: &Lane| {
            let score = |scorer: &Scorer| {
                let scene = self.scene(case, lane);
                let asked = scorer.requests(&scene, &lane.prompt, output(lane))?.len();
                let (own, others) = left.split_at_checked(asked).ok_or("its questions were not answered")?;
                left = others;
                scorer.score(&scene, output(lane), own)
            };
            self.scorers.iter().map(score).collect()
        };
        lanes.iter().map(&mut of_lane).collect()
    }

    /// Adds a case of which every lane was scored by some scorer.
    fn add(&self, fold: &mut Fold, scores: &[Vec<Result<Score, String>>], outputs: [String; 2]) {
        fold.tallies.resize(self.scorers.len(), Tally::default());
        let counts = |scorer: &usize| scores.iter().all(|lane| lane[*scorer].is_ok());
        let counting: Vec<usize> = (0..self.scorers.len()).filter(counts).collect();
        for (index, tally) in fold.tallies.iter_mut().enumerate() {
            tally.add(scores.iter().map(|lane| &lane[index]), self.repeat, counting.contains(&index));
        }
        let weight: f64 = counting.iter().map(|&scorer| self.scorers[scorer].weight).sum();
        let missing = (0..self.scorers.len()).find(|scorer| !counting.contains(scorer));
        if let Some(missing) = missing {
            fold.partial += 1;
            let why = scores.iter().find_map(|lane| lane[missing].as_ref().err()).map_or("", String::as_str);
            fold.fault(&format!("scorer `{}`: {why}", self.scorers[missing].name));
        }
        if weight <= 0.0 {
            fold.kept.push(false);
            return;
        }
        let score = |lane: &Vec<Result<Score, String>>| {
            let weighted = counting
                .iter()
                .map(|&scorer| self.scorers[scorer].weight * lane[scorer].as_ref().map_or(0.0, |score| score.value));
            weighted.sum::<f64>() / weight
        };
        let samples: Vec<f64> = scores.iter().map(score).collect();
        let (ft, base) = samples.split_at(self.repeat);
        let mean_of = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
        fold.kept.push(true);
        fold.scored.push(Scored {
            case: fold.cases,
            means: [mean_of(ft), mean_of(base)],
            passes: ft.iter().map(|score| *score >= self.gates.pass_score).collect(),
            outputs,
        });
    }
}

fn output(lane: &Lane) -> &str {
    lane.outputs.last().map_or("", String::as_str)
}

impl Tally {
    fn add<'s>(&mut self, scores: impl Iterator<Item = &'s Result<Score, String>>, repeat: usize, counts: bool) {
        for (lane, score) in scores.enumerate() {
            match score {
                Ok(score) => {
                    self.clamped += usize::from(score.clamped.is_some());
                    if counts {
                        self.sums[lane / repeat] += score.value;
                    }
                }
                Err(error) => {
                    self.errors += 1;
                    self.first_error.get_or_insert_with(|| error.clone());
                }
            }
        }
        self.samples += if counts { repeat } else { 0 };
    }
}

impl Fold {
    fn fault(&mut self, why: &str) {
        if self.faults.len() < MOST_SHOWN {
            let why = why.lines().collect::<Vec<_>>().join(" ");
            self.faults.push(format!("case {}: {}", self.cases, shortened(&why)));
        }
    }
}

impl Probe for Pipeline {
    const KIND: Kind = Kind {
        name: "pipeline",
        category: Category::Adherence,
        summary: "is what it writes, stage by stage, better than what the base writes?",
        calibrated: None,
        values_of: "gain",
        asks_documents: false,
    };

    const TAKES_FAILURES: bool = true;

    const ITEMS_ARE_ROWS: bool = false;

    type Item = Case;
    type Measurement = Outcome;
    type Fold = Fold;

    fn items(&self) -> &Items<Case> {
        &self.cases
    }

    /// A case that the first stage can't be asked about is told before a model is loaded.
    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<Case>, String> {
        let probe = self.clone();
        let checked = move |(index, case): (usize, Result<Case, String>)| {
            let case = case?;
            match probe.walk(&case, &[]) {
                Walk::Failed(Fault(why)) => Err(format!("case {}: {why}", index + 1)),
                _ => Ok(case),
            }
        };
        Ok(Box::new(self.cases.open(rows)?.enumerate().map(checked)))
    }

    fn embedder(&self) -> Option<&Embedder> {
        self.scorers.iter().find_map(Scorer::embedder)
    }

    fn outsiders(&self) -> Outsiders<'_> {
        let stages = self.stages.iter().filter_map(|stage| match &stage.model {
            Who::Endpoint(name) => Some(AskedEndpoint { name, by_messages: stage.sends_messages() }),
            Who::View | Who::Base => None,
        });
        let judges = self.scorers.iter().filter_map(Scorer::endpoint).map(|name| AskedEndpoint { name, by_messages: true });
        let endpoints = stages.chain(judges).collect();
        Outsiders { endpoints, programs: self.scorers.iter().any(Scorer::runs_a_program) }
    }

    fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    fn ask(&self, case: &Case, rounds: &[Vec<Answer>]) -> Vec<Request> {
        match self.walk(case, rounds) {
            Walk::Stage(asked) => asked,
            Walk::Scoring(_, asked) if rounds.len() == self.stages.len() => asked,
            Walk::Scoring(..) | Walk::Failed(_) => Vec::new(),
        }
    }

    fn spot(&self, round: usize, question: usize) -> Option<Spot> {
        let spot = Spot { view: SIDES[question / self.repeat % SIDES.len()], sample: question % self.repeat, stage: round };
        (round < self.stages.len()).then_some(spot)
    }

    fn measure(&self, case: &Case, rounds: &[Vec<Answer>]) -> Option<Outcome> {
        match self.walk(case, rounds) {
            Walk::Stage(_) => None,
            Walk::Failed(Fault(why)) => Some(Outcome::Failed(why)),
            Walk::Scoring(lanes, _) => {
                let answers = rounds.get(self.stages.len()).map_or(&[][..], Vec::as_slice);
                let scores = self.scores(case, &lanes, answers);
                let first =
                    |side: usize| lanes[side * self.repeat].outputs.last().map_or_else(String::new, |text| shortened(text));
                Some(Outcome::Scored { scores, outputs: [first(0), first(1)] })
            }
        }
    }

    fn scores(&self, outcome: &Outcome) -> Vec<ScoreRecord> {
        let Outcome::Scored { scores, .. } = outcome else { return Vec::new() };
        let of_lane = |(lane, scores): (usize, &Vec<Result<Score, String>>)| {
            let record = |(index, (scorer, score)): (usize, (&Scorer, &Result<Score, String>))| ScoreRecord {
                view: SIDES[lane / self.repeat].to_string(),
                sample: lane % self.repeat,
                scorer: index,
                name: scorer.name.clone(),
                value: score.as_ref().ok().map(|score| score.value),
                clamped: score.as_ref().ok().and_then(|score| score.clamped),
                error: score.as_ref().err().cloned(),
                ..ScoreRecord::default()
            };
            self.scorers.iter().zip(scores).enumerate().map(record).collect::<Vec<_>>()
        };
        scores.iter().enumerate().flat_map(of_lane).collect()
    }

    fn fold(&self, fold: &mut Fold, _: u64, outcome: Outcome) {
        fold.cases += 1;
        match outcome {
            Outcome::Failed(why) => {
                fold.failed += 1;
                fold.kept.push(false);
                fold.fault(&why);
            }
            Outcome::Scored { scores, outputs } => self.add(fold, &scores, outputs),
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let gains: Vec<f64> = fold.scored.iter().map(|case| case.means[0] - case.means[1]).collect();
        let evidence = self.evidence(fold, &gains);
        let broken = fold.failed + fold.partial;
        let nothing = |message| Judgement { evidence: evidence.clone(), ..Judgement::nothing(message, gains.clone()) };
        let faults = || {
            let first = fold.faults.first().map_or("", String::as_str);
            format!("{broken} of {} cases could not be scored whole ({first})", fold.cases)
        };
        if broken as f64 > self.max_failed * fold.cases as f64 {
            return nothing(format!("{}, more than the {} % that `max_failed` allows", faults(), self.max_failed * 100.0));
        }
        let clusters = court.clusters_of(fold.kept.iter().copied());
        let court = Court { clusters: &clusters, ..*court };
        let Some(held) = self.hold(fold, &gains, &court) else { return nothing("no case was scored".to_owned()) };
        let (rules, criteria): (Vec<Rule>, Vec<Criterion>) = held.into_iter().unzip();
        let verdict = all_of(&criteria);
        let score = rules
            .iter()
            .zip(&criteria)
            .map(|(rule, criterion)| rule.score(criterion.estimate.value))
            .fold(PLAINLY_GOOD, f64::min);
        let mut message = criteria.iter().map(|criterion| self.finding(criterion)).collect::<Vec<_>>().join("; ");
        if verdict == Verdict::Inconclusive {
            message.push_str(&settle_clause(&criteria, &court));
        }
        if broken > 0 {
            message = format!("{message}; {}", faults());
        }
        let p_paired = court.paired_p(&gains, 0.0);
        Judgement { verdict, score: score_of(verdict, score), criteria, p_paired, message, evidence, values: gains }
    }
}

impl Pipeline {
    /// Every gate of the suite, held; `None` where there is nothing to hold.
    fn hold(&self, fold: &Fold, gains: &[f64], court: &Court<'_>) -> Option<Vec<(Rule, Criterion)>> {
        let Gates { min_gain, max_drop, min_score, pass_at_k, pass_hat_k, .. } = self.gates;
        let mut held = Vec::new();
        if let Some(threshold) = min_gain {
            let reach = threshold.max(NEAR);
            let rule = Rule { name: "gain", side: Side::Above, worst: threshold - reach, threshold, best: threshold + reach };
            held.push((rule, court.decide_bounded_mean(rule, gains, [-1.0, 1.0])?));
        }
        if let Some(threshold) = max_drop {
            let reach = threshold.max(NEAR);
            let rule = Rule { name: "drop", side: Side::Below, worst: threshold + reach, threshold, best: threshold - reach };
            let drops: Vec<f64> = gains.iter().map(|gain| -gain).collect();
            held.push((rule, court.decide_bounded_mean(rule, &drops, [-1.0, 1.0])?));
        }
        if let Some(threshold) = min_score {
            let rule = Rule { name: "score", side: Side::Above, worst: 0.0, threshold, best: threshold.midpoint(1.0) };
            let scores: Vec<f64> = fold.scored.iter().map(|case| case.means[0]).collect();
            held.push((rule, court.decide_bounded_mean(rule, &scores, [0.0, 1.0])?));
        }
        let mut hold_share = |name, gate: Option<PassGate>, passes: fn(&[bool]) -> bool| {
            let Some(PassGate { k, min: threshold }) = gate else { return Some(()) };
            let rule = Rule { name, side: Side::Above, worst: 0.0, threshold, best: threshold.midpoint(1.0) };
            let hits = fold.scored.iter().map(|case| Some(passes(&case.passes[..k])));
            held.push((rule, court.decide_share(rule, hits)?));
            Some(())
        };
        hold_share("pass_at_k", pass_at_k, |samples| samples.contains(&true))?;
        hold_share("pass_hat_k", pass_hat_k, |samples| !samples.contains(&false))?;
        Some(held)
    }

    /// A criterion in words.
    fn finding(&self, criterion: &Criterion) -> String {
        let (figure, threshold) = (shown(&criterion.estimate), number(criterion.threshold));
        let k = |gate: Option<PassGate>| gate.map_or(0, |gate| gate.k);
        let what = match criterion.name.as_str() {
            "gain" => format!("its score is {figure} above the base's"),
            "drop" => format!("it loses {figure} of the base's score"),
            "score" => format!("its score is {figure}"),
            "pass_at_k" => format!("one of {} samples passes in {figure} of the cases", k(self.gates.pass_at_k)),
            _ => format!("all of {} samples pass in {figure} of the cases", k(self.gates.pass_hat_k)),
        };
        let asked = if criterion.good_side == "below" { "at most" } else { "at least" };
        match criterion.verdict {
            Verdict::Pass => what,
            Verdict::Fail => format!("{what}, where {asked} {threshold} is asked for"),
            _ => format!("{what}, which does not settle whether it is {asked} {threshold}"),
        }
    }

    fn evidence(&self, fold: &Fold, gains: &[f64]) -> Map<String, Value> {
        let mut evidence = Map::new();
        evidence.insert("cases".to_owned(), json!(fold.cases));
        evidence.insert("failed_cases".to_owned(), json!(fold.failed));
        evidence.insert("cases_without_a_score".to_owned(), json!(fold.partial));
        for (side, view) in SIDES.iter().enumerate() {
            let scores: Vec<f64> = fold.scored.iter().map(|case| case.means[side]).collect();
            if let Ok(mean) = mean(&scores) {
                evidence.insert(format!("mean_score_{view}"), json!(mean));
            }
        }
        let scorers = self.scorers.iter().zip(&fold.tallies).map(|(scorer, tally)| {
            let [ft, base] = tally.sums.map(|sum| (tally.samples > 0).then(|| sum / tally.samples as f64));
            json!({
                "scorer": scorer.name, "ft": ft, "base": base, "errors": tally.errors, "clamped": tally.clamped,
                "first_error": tally.first_error,
            })
        });
        evidence.insert("scorers".to_owned(), scorers.collect());
        if !fold.faults.is_empty() {
            evidence.insert("faults".to_owned(), json!(fold.faults));
        }
        let mut by_gain: Vec<(&Scored, f64)> = fold.scored.iter().zip(gains.iter().copied()).collect();
        by_gain.sort_by(|a, b| a.1.total_cmp(&b.1));
        let lowest = by_gain.iter().take(MOST_SHOWN).map(|(scored, gain)| {
            let [ft, base] = &scored.outputs;
            json!({"case": scored.case, "gain": gain, "ft": ft, "base": base})
        });
        evidence.insert("lowest_gains".to_owned(), lowest.collect());
        evidence
    }
}

/// The best score: nothing that is written is too good to be true. (The healthy band ends a little above.)
const PLAINLY_GOOD: f64 = 0.84;

/// How far around a threshold of almost nothing a score runs from 0 to what is plainly good.
const NEAR: f64 = 0.1;

fn shortened(text: &str) -> String {
    let shown: String = text.chars().take(MOST_TEXT).collect();
    if shown.len() < text.len() { shown + "…" } else { shown }
}
