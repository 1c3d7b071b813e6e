//! `multi_turn_coherence_decay`: does the adapter's effect last over the turns of a conversation?

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value, json};

use super::decay::{self, Curve};
use super::items::Item;
use super::verdict::{score_of, shown};
use super::{Court, Items, Judgement, Kind, ModelFacts, Probe, bounds};
use crate::math::mean;
use crate::record::{Category, Measure, Verdict};
use crate::request::{Answer, Generation, Op, Prompt, Request, Sampling, View, turn};

/// How fast KL(base ‖ ft) at the first token of a reply decays from turn to turn of one conversation.
///
/// `ft` answers the item's prompt and, turn by turn, follow-ups that fit any conversation; both views are asked what comes next
/// after the same history, that of `ft`. Model of an item: `kl(t) = kl(2) · 2^(−(t − 2)/h)` with t the turn and h the half-life.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiTurnCoherenceDecay {
    prompts: Items<Opening>,
    /// Turns of the user, the prompt's among them.
    #[serde(default = "default_turns", deserialize_with = "turns")]
    turns: usize,
    /// Turns.
    #[serde(default = "default_half_life", deserialize_with = "bounds::positive")]
    min_half_life: f64,
    /// Longest reply, in tokens.
    #[serde(default = "default_tokens", deserialize_with = "bounds::at_least_one")]
    max_new_tokens: usize,
}

fn default_turns() -> usize {
    4
}

fn default_half_life() -> f64 {
    2.0
}

fn default_tokens() -> usize {
    64
}

/// Turns after the first that a slope needs.
const FEWEST: usize = 2;

fn turns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let turns = usize::deserialize(deserializer)?;
    if turns > FEWEST { Ok(turns) } else { Err(de::Error::custom("must be at least 3: the second and the third are compared")) }
}

/// What the user says from turn 2 on, whatever was said before; after the last the first comes again.
const FOLLOW_UPS: [&str; 8] = [
    "Could you say a little more about that?",
    "Please give me an example.",
    "What makes you think so?",
    "How would you put it to somebody who has never heard of it?",
    "Is there anything that speaks against it?",
    "Which part of it matters most?",
    "What should I ask about next?",
    "Please sum up in a few words what you have told me.",
];

/// What a conversation begins with: a text as a user's turn, or messages of which the last is a user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Opening(Prompt);

impl Item for Opening {
    const PLURAL: &'static str = "prompts";
    const TEXT_FIELD: Option<&'static str> = Some("prompt");

    fn check(&self) -> Result<(), String> {
        self.0.check()?;
        match &self.0 {
            Prompt::Chat(chat) if chat.messages.last().and_then(|last| last.get("role")?.as_str()) != Some("user") => {
                Err("the last message must be a user's: its reply is the first turn".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self, String> {
        Prompt::from_fields(fields).map(Self)
    }
}

impl Opening {
    /// The conversation so far, up to where the next reply begins.
    fn history(&self, replies: &[&str]) -> Prompt {
        let mut prompt = self.0.clone().as_user_turn();
        if let Prompt::Chat(chat) = &mut prompt {
            chat.add_generation_prompt = true;
            for (reply, follow_up) in replies.iter().zip(FOLLOW_UPS.iter().cycle()) {
                chat.messages.extend([turn("assistant", reply), turn("user", follow_up)]);
            }
        }
        prompt
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    curves: Vec<Curve>,
}

impl MultiTurnCoherenceDecay {
    /// What the next token is at this history, and, if another turn follows, the reply.
    fn questions(&self, history: Prompt, turn: usize) -> Vec<Request> {
        let reply = |prompt| {
            let op = Op::Generate { prompt, max_new_tokens: self.max_new_tokens, sampling: Sampling::Greedy };
            Request::new(View::Ft, op)
        };
        let divergence = |prompt| Request::new(View::Ft, Op::NextTokenDist { prompt, top_k: 1, versus: Some(View::Base) });
        match turn {
            1 => vec![reply(history)],
            last if last >= self.turns => vec![divergence(history)],
            _ => vec![divergence(history.clone()), reply(history)],
        }
    }

    /// In how many conversations the context was full before the last turn, as the end of a finding.
    fn note(&self, fold: &Fold) -> String {
        let cut = fold.curves.iter().filter(|curve| curve.at.len() + 1 < self.turns).count();
        if cut == 0 {
            return String::new();
        }
        format!("; in {cut} of {} conversations the model's context was full before turn {}", fold.curves.len(), self.turns)
    }
}

/// KL at every turn of every conversation.
fn all_turns(fold: &Fold) -> Vec<f64> {
    fold.curves.iter().flat_map(|curve| curve.divergence.iter().copied()).collect()
}

/// The replies of all rounds; `None` where one has none, and the conversation has ended.
fn replies(rounds: &[Vec<Answer>]) -> Option<Vec<&str>> {
    rounds
        .iter()
        .map(|round| match round.last() {
            Some(Answer::Generate(Generation { text, .. })) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

impl Probe for MultiTurnCoherenceDecay {
    const KIND: Kind = Kind {
        name: "multi_turn_coherence_decay",
        category: Category::Adherence,
        summary: "does its effect last over the turns of a conversation?",
        calibrated: None,
        values_of: "halvings",
        asks_documents: false,
    };

    type Item = Opening;
    type Measurement = Curve;
    type Fold = Fold;

    fn items(&self) -> &Items<Opening> {
        &self.prompts
    }

    fn nothing_to_ask(&self, model: ModelFacts) -> Option<String> {
        (!model.has_chat_template).then(|| "the tokenizer has no chat template, so there are no turns".to_owned())
    }

    fn ask(&self, opening: &Opening, rounds: &[Vec<Answer>]) -> Vec<Request> {
        match replies(rounds) {
            Some(replies) if rounds.len() < self.turns => self.questions(opening.history(&replies), rounds.len() + 1),
            _ => Vec::new(),
        }
    }

    /// Where the history outgrows the context, the turns before it count if they make a slope.
    fn goes_on_with(&self, rounds: &[Vec<Answer>], answers: &[Answer]) -> bool {
        rounds.len().saturating_sub(1) + answers.len().min(1) >= FEWEST
    }

    fn measure(&self, _: &Opening, rounds: &[Vec<Answer>]) -> Option<Curve> {
        let later = rounds.iter().enumerate().skip(1).filter_map(|(round, answers)| Some((round + 1, answers.first()?)));
        let mut curve = Curve::default();
        for (turn, answer) in later {
            let Answer::NextTokenDist(dist) = answer else { return None };
            curve.at.push(turn as f64);
            // The view that was asked is `ft`, and the one it is compared with `base`.
            curve.divergence.push(dist.divergence?.kl_reverse);
        }
        Some(curve)
    }

    fn fold(&self, fold: &mut Fold, _: u64, curve: Curve) {
        fold.curves.push(curve);
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn divergence(&self, fold: &Fold) -> Option<(Measure, f64)> {
        Some((Measure::Kl, mean(&all_turns(fold)).ok()?))
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let n = fold.curves.len();
        let rates: Option<Vec<f64>> = fold.curves.iter().map(|curve| curve.halvings(self.min_half_life)).collect();
        let all = all_turns(fold);
        let (Some(values), Ok(average)) = (rates, mean(&all)) else {
            return Judgement::nothing("no conversation was measured", Vec::new());
        };
        let note = self.note(fold);
        let mut evidence = Map::new();
        let kl = decay::mean_curve(&fold.curves);
        evidence.insert("turn".to_owned(), json!((2..kl.len() + 2).collect::<Vec<_>>()));
        evidence.insert("mean_kl".to_owned(), json!(kl));
        let nothing = |verdict, message| Judgement {
            verdict,
            score: score_of(verdict, 0.0),
            evidence: evidence.clone(),
            ..Judgement::nothing(message, values.clone())
        };
        if n < court.min_items {
            let message = format!("{n} conversations are too few for a verdict, which needs {}{note}", court.min_items);
            return nothing(Verdict::Inconclusive, message);
        }
        if average < decay::LEAST {
            let message = format!(
                "the adapter probably does nothing: after the same history it moves the next token's distribution by {average:.1e} nats of KL{note}"
            );
            return nothing(Verdict::Fail, message);
        }
        let is_moved = |curve: &Curve| curve.divergence.iter().any(|kl| *kl >= decay::LEAST);
        let moved: Vec<f64> =
            values.iter().zip(&fold.curves).filter(|(_, curve)| is_moved(curve)).map(|(halvings, _)| *halvings).collect();
        let Some(criterion) = decay::decide(&moved, court) else {
            return nothing(Verdict::Inconclusive, format!("no conversation was moved{note}"));
        };
        let halvings = &criterion.estimate;
        evidence.insert("moved".to_owned(), json!(moved.len()));
        evidence.insert("half_life_turns".to_owned(), decay::half_life_evidence(halvings, self.min_half_life));
        let found = format!(
            "from turn 2 to {}, the half-life of KL(base ‖ ft) is {} turns ({} halvings within {})",
            kl.len() + 1,
            decay::shown_half_life(halvings, self.min_half_life),
            shown(halvings),
            self.min_half_life
        );
        let beside = decay::unmoved(moved.len(), n, "conversations") + &note;
        let grows = halvings.interval.is_some_and(|[_, high]| high < 0.0);
        let (verdict, message) = if criterion.verdict == Verdict::Pass && grows {
            let message = format!("the adapter drives the conversation further from the base with every turn: {found}{beside}");
            (Verdict::Warn, message)
        } else {
            (criterion.verdict, decay::message(&criterion, &found, &beside, court))
        };
        let score = score_of(verdict, decay::rule().score(criterion.estimate.value));
        Judgement { verdict, score, p_paired: None, criteria: vec![criterion], message, evidence, values }
    }
}
