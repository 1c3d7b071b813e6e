//! `leakage`: does the adapter recite what it was trained on?

use serde::Deserialize;
use serde_json::{Map, json};

use super::bounds;
use super::section::{Content, Section};
use super::verdict::{Rule, Side, all_of, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe, SectionSlots};
use crate::math::{common_subsequence_length, mean};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Finish, Generation, Op, Request, Sampling, View};

/// How much of a section's true continuation the adapter recites from its beginning, above what the base recites.
///
/// Recall is the longest common subsequence of words over the words of the true continuation (Lin 2004, ROUGE-L recall), of a
/// greedy continuation cut to as many words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leakage {
    /// The suite's, where this is left out.
    #[serde(default)]
    sections: Items<Section>,
    #[serde(skip)]
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

/// Recall of one section under each view.
pub struct Recall {
    ft: f64,
    base: f64,
}

#[derive(Default)]
pub struct Fold {
    excess: Vec<f64>,
    ft: Vec<f64>,
    base: Vec<f64>,
    /// The section that was recited most: recall, and its beginning.
    worst: Option<(f64, String)>,
    /// Sections that are no prose, or too short.
    passed_over: usize,
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

    type Item = Section;
    /// `None` of a section that is passed over.
    type Measurement = Option<Recall>;
    type Fold = Fold;

    fn items(&self) -> &Items<Section> {
        &self.sections
    }

    fn sections(&mut self) -> Option<SectionSlots<'_>> {
        Some(SectionSlots { sections: &mut self.sections, held_out: &mut self.held_out })
    }

    fn ask(&self, section: &Section, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let Some((prompt, _)) = self.split(section) else { return Vec::new() };
        let op = Op::Generate { prompt: prompt.into(), max_new_tokens: self.max_new_tokens, sampling: Sampling::Greedy };
        [View::Ft, View::Base].map(|view| Request::new(view, op.clone())).to_vec()
    }

    fn measure(&self, section: &Section, rounds: &[Vec<Answer>]) -> Option<Option<Recall>> {
        let Some((_, truth)) = self.split(section) else { return Some(None) };
        let [answers] = rounds else { return None };
        match answers.as_slice() {
            [Answer::Generate(ft), Answer::Generate(base)] => {
                Some(Some(Recall { ft: Self::recall(&truth, ft), base: Self::recall(&truth, base) }))
            }
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, section: &Section, recall: Option<Recall>) {
        let (Some(recall), Some((prompt, _))) = (recall, self.split(section)) else {
            fold.passed_over += 1;
            return;
        };
        fold.excess.push(recall.ft - recall.base);
        fold.ft.push(recall.ft);
        fold.base.push(recall.base);
        if fold.worst.as_ref().is_none_or(|(worst, _)| recall.ft > *worst) {
            fold.worst = Some((recall.ft, prompt.to_owned()));
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
        let Some(criterion) = court.decide_mean(rule, &fold.excess) else {
            let message = format!("no section is prose of {FEWEST_WORDS} words or more, so none could be recited");
            return Judgement::nothing(message, fold.excess.clone());
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
        let message = match fold.passed_over {
            0 => message,
            1 => format!("{message}; 1 section was passed over: no prose, or too short"),
            more => format!("{message}; {more} sections were passed over: no prose, or too short"),
        };
        let mut evidence = Map::new();
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
