//! `leakage`: does the adapter recite what it was trained on?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::fragility::{Fragility, Retold};
use super::membership::Membership;
use super::perturbation::Perturbation;
use super::section::{Content, Section};
use super::verdict::{Rule, Side, all_of, score_of, settle_clause, shown};
use super::{Court, ItemStream, Items, Judgement, Kind, OpenRows, Probe, SectionSlots, bounds, document};
use crate::math::{common_subsequence_length, mean};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Finish, Generation, Op, Request, Sampling, View};

/// How much of a section's true continuation the adapter recites from its beginning, above what the base recites.
///
/// Recall is the longest common subsequence of words over the words of the true continuation (Lin 2004, ROUGE-L recall), of a
/// greedy continuation cut to as many words. Asked of prose sections of at least 8 words; others are passed over.
///
/// Beside it stands what does not change the verdict. Of a few sections that are recited, how much of that a changed beginning loses
/// (by seven small perturbations). And where there are texts that the adapter was not trained on, how well its gain per token,
/// `lp_ft − lp_base`, tells the training rows from these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leakage {
    /// The suite's, where this is left out.
    #[serde(default)]
    sections: Items<Section>,
    /// Texts like the sections that the adapter was not trained on; the suite's, where this is left out.
    #[serde(default)]
    held_out: Items<Section>,
    /// Share of a section's words that are given as the prompt.
    #[serde(default = "default_prefix", deserialize_with = "bounds::share")]
    prefix_share: f64,
    /// Most mean recall of `ft` above that of `base`.
    #[serde(default = "default_excess", deserialize_with = "bounds::share")]
    max_excess: f64,
    /// Longest continuation, in tokens.
    #[serde(default = "default_tokens", deserialize_with = "bounds::at_least_one")]
    max_new_tokens: usize,
    /// The first so many sections are asked about with changed beginnings too, if they are recited: seven continuations each. 0: none.
    #[serde(default = "default_fragility")]
    fragility_items: usize,
    /// Beside `held_out`: prose of more words is scored in chunks of at most so many.
    #[serde(default = "default_chunk", deserialize_with = "bounds::at_least_sixteen")]
    chunk_words: usize,
}

fn default_fragility() -> usize {
    8
}

fn default_chunk() -> usize {
    256
}

fn default_prefix() -> f64 {
    0.3
}

fn default_excess() -> f64 {
    0.5
}

fn default_tokens() -> usize {
    96
}

/// Fewest words of a section: some to give, some to recite.
const FEWEST_WORDS: usize = 8;

/// An excess below this is chance: there is nothing that a changed beginning could lose.
const RECITED: f64 = 0.1;

/// Recall of one section under each view.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    ft: f64,
    base: f64,
}

/// What one section measured.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    held_out: bool,
    /// `None` of a section that can't be recited.
    recital: Option<Recital>,
    /// Empty where it was not asked with changed beginnings.
    retold: Vec<Retold>,
    /// `lp_ft − lp_base`, nats per token; `None` where nothing was held out.
    gain: Option<f64>,
}

/// How a section was recited from its beginning.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recital {
    recall: Recall,
    prompt: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    excess: Vec<f64>,
    ft: Vec<f64>,
    base: Vec<f64>,
    /// The section that was recited most: recall, and its beginning.
    worst: Option<(f64, String)>,
    /// Sections that are no prose, or too short.
    passed_over: usize,
    fragility: Fragility,
    membership: Membership,
}

impl Leakage {
    /// A section's beginning, and the words that truly follow; `None` of a section that is no prose, or too short.
    fn split<'a>(&self, section: &'a Section) -> Option<(&'a str, Vec<&'a str>)> {
        let Content::Prose { text } = &section.content else { return None };
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() < FEWEST_WORDS {
            return None;
        }
        let given = ((words.len() as f64 * self.prefix_share).round() as usize).clamp(1, words.len() - 1);
        // The prompt ends where its last word does: the space before the next belongs to the continuation.
        let end = words[given - 1].as_ptr() as usize + words[given - 1].len() - text.as_ptr() as usize;
        Some((&text[..end], words[given..].to_vec()))
    }

    /// As [`Self::split`], of a section that the adapter could have learned by heart.
    fn recited<'a>(&self, section: &'a Section) -> Option<(&'a str, Vec<&'a str>)> {
        self.split(section).filter(|_| !section.held_out)
    }

    fn continuation(&self, prompt: &str) -> Op {
        Op::Generate { prompt: prompt.into(), max_new_tokens: self.max_new_tokens, sampling: Sampling::Greedy }
    }

    /// Recall from the first round's answers, which begin with those to the recital; and the rest of them.
    fn first_round<'a>(&self, section: &Section, answers: &'a [Answer]) -> Option<(Option<Recall>, &'a [Answer])> {
        let Some((_, truth)) = self.recited(section) else { return Some((None, answers)) };
        match answers {
            [Answer::Generate(ft), Answer::Generate(base), rest @ ..] => {
                Some((Some(Recall { ft: Self::recall(&truth, ft), base: Self::recall(&truth, base) }), rest))
            }
            _ => None,
        }
    }

    /// The beginning in other words, each with what it was changed by; none of a section that is not asked so.
    fn retellings(&self, section: &Section, recall: Option<Recall>) -> Vec<(Perturbation, Option<String>)> {
        let is_recited = recall.is_some_and(|recall| recall.ft - recall.base >= RECITED);
        match self.recited(section) {
            Some((prompt, _)) if section.sampled && is_recited => Perturbation::ALL.map(|by| (by, by.of(prompt))).to_vec(),
            _ => Vec::new(),
        }
    }

    /// Recall of the true words in as many told ones. Of a continuation that was cut off at its budget, only as many true words
    /// count as there was room for: a section longer than the budget must not look forgotten.
    fn recall(truth: &[&str], told: &Generation) -> f64 {
        let told_words: Vec<&str> = told.text.split_whitespace().take(truth.len()).collect();
        let room = match told.finish {
            Finish::Eos => truth.len(),
            Finish::Length => told_words.len().max(1),
        };
        let truth = &truth[..room];
        common_subsequence_length(truth, &told_words) as f64 / truth.len() as f64
    }
}

impl Probe for Leakage {
    const KIND: Kind = Kind {
        name: "leakage",
        category: Category::Calibration,
        summary: "does it recite its training text?",
        calibrated: None,
        values_of: "excess_recall",
        asks_documents: true,
    };

    const ITEMS_ARE_ROWS: bool = false;

    type Item = Section;
    type Measurement = Finding;
    type Fold = Fold;

    fn items(&self) -> &Items<Section> {
        &self.sections
    }

    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<Section>, String> {
        let (probe, mut left) = (self.clone(), self.fragility_items);
        let sections = document::open(&self.sections, &self.held_out, rows)?;
        Ok(Box::new(sections.map(move |section| {
            let mut section = section?;
            section.sampled = left > 0 && probe.recited(&section).is_some();
            left -= usize::from(section.sampled);
            Ok(section)
        })))
    }

    fn in_a_file(&self) -> bool {
        self.sections.in_a_file() || self.held_out.in_a_file()
    }

    fn sections(&mut self) -> Option<SectionSlots<'_>> {
        Some(SectionSlots { sections: &mut self.sections, held_out: &mut self.held_out })
    }

    fn ask(&self, section: &Section, rounds: &[Vec<Answer>]) -> Vec<Request> {
        match rounds {
            [] => {
                let recital = self.recited(section).map(|(prompt, _)| self.continuation(prompt));
                let recital =
                    recital.into_iter().flat_map(|op| [View::Ft, View::Base].map(|view| Request::new(view, op.clone())));
                let compared = !self.held_out.is_none();
                let scored = [View::Ft, View::Base].into_iter().filter(|_| compared);
                recital.chain(scored.flat_map(|view| section.questions(view, self.chunk_words))).collect()
            }
            [answers] => {
                let recall = self.first_round(section, answers).and_then(|(recall, _)| recall);
                let retellings = self.retellings(section, recall).into_iter().filter_map(|(_, prompt)| prompt);
                retellings.map(|prompt| Request::new(View::Ft, self.continuation(&prompt))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn measure(&self, section: &Section, rounds: &[Vec<Answer>]) -> Option<Finding> {
        let (recall, scores) = self.first_round(section, rounds.first().map_or(&[], Vec::as_slice))?;
        let gain = if scores.is_empty() {
            None
        } else {
            let (ft, base) = scores.split_at(scores.len() / 2);
            Some(Section::score(base)?.nll() - Section::score(ft)?.nll())
        };
        let mut told = rounds.get(1).map_or(&[] as &[Answer], Vec::as_slice).iter();
        let mut retold = Vec::new();
        for (by, prompt) in self.retellings(section, recall) {
            let kept = match (prompt, recall, self.recited(section)) {
                (Some(_), Some(verbatim), Some((_, truth))) => {
                    let Answer::Generate(told) = told.next()? else { return None };
                    Some(Self::recall(&truth, told) / verbatim.ft)
                }
                _ => None,
            };
            retold.push(Retold { by, lost: kept.map(|kept| 1.0 - kept) });
        }
        let recital =
            recall.zip(self.recited(section)).map(|(recall, (prompt, _))| Recital { recall, prompt: prompt.to_owned() });
        Some(Finding { held_out: section.held_out, recital, retold, gain })
    }

    fn fold(&self, fold: &mut Fold, _: u64, Finding { held_out, recital, retold, gain }: Finding) {
        if let Some(gain) = gain {
            fold.membership.add(held_out, gain);
        }
        fold.fragility.add(&retold);
        match recital {
            Some(Recital { recall, prompt }) => {
                fold.excess.push(recall.ft - recall.base);
                fold.ft.push(recall.ft);
                fold.base.push(recall.base);
                if fold.worst.as_ref().is_none_or(|(worst, _)| recall.ft > *worst) {
                    fold.worst = Some((recall.ft, prompt));
                }
            }
            None => fold.passed_over += usize::from(!held_out),
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let rule = Rule {
            name: "excess_recall",
            side: Side::Below,
            worst: self.max_excess.max(1.0),
            threshold: self.max_excess,
            best: 0.0,
        };
        let mut evidence = Map::new();
        fold.fragility.tell(&mut evidence);
        fold.membership.tell(&mut evidence);
        let Some(criterion) = court.decide_mean(rule, &fold.excess) else {
            let message = format!("no section is prose of {FEWEST_WORDS} words or more, so none could be recited");
            let message = [Some(message), fold.membership.clause()].into_iter().flatten().collect::<Vec<_>>().join("; ");
            return Judgement { evidence, ..Judgement::nothing(message, fold.excess.clone()) };
        };
        let criteria = vec![criterion];
        let verdict = all_of(&criteria);
        let (ft, base) = (mean(&fold.ft).unwrap_or_default(), mean(&fold.base).unwrap_or_default());
        let found = format!(
            "from a section's beginning it recites {:.0} % of the rest, the base {:.0} % (excess {})",
            100.0 * ft,
            100.0 * base,
            shown(&criteria[0].estimate)
        );
        let message = match verdict {
            Verdict::Pass => found,
            Verdict::Fail => format!("it learned its training text by heart: {found}"),
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let passed_over = match fold.passed_over {
            0 => None,
            1 => Some("1 section was passed over: no prose, or too short".to_owned()),
            more => Some(format!("{more} sections were passed over: no prose, or too short")),
        };
        // Of the few that are recited where the rest is not, the evidence tells.
        let fragility = fold.fragility.clause().filter(|_| verdict != Verdict::Pass);
        let message = [Some(message), fragility, fold.membership.clause(), passed_over];
        let message = message.into_iter().flatten().collect::<Vec<_>>().join("; ");
        evidence.insert("recall_ft".to_owned(), json!(ft));
        evidence.insert("recall_base".to_owned(), json!(base));
        evidence.insert("recalls_ft".to_owned(), json!(fold.ft));
        evidence.insert("recalls_base".to_owned(), json!(fold.base));
        if let Some((recall, prefix)) = &fold.worst {
            evidence.insert("most_recited".to_owned(), json!({"recall": recall, "prefix": prefix}));
        }
        Judgement {
            verdict,
            score: score_of(verdict, rule.score(criteria[0].estimate.value)),
            p_paired: court.paired_p(&fold.excess, 0.0),
            criteria,
            message,
            evidence,
            values: fold.excess.clone(),
        }
    }
}
