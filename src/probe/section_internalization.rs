//! `section_internalization`: which sections of its training document did the adapter take in?

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::section::{Section, SectionKind};
use super::verdict::{Rule, Side, number, score_of, settle_clause, shown};
use super::{Court, ItemStream, Items, Judgement, Kind, OpenRows, Probe, SectionSlots, bounds, document};
use crate::math::mean;
use crate::record::{Category, Verdict};
use crate::request::{Answer, Request, View};

/// Share of the sections that the adapter learned by more than it learned the others.
///
/// A section's own lift is `(nll_base − nll_ft)/nll_base`, of nats per token: of prose the text's own, else that of the answer, or the
/// chosen one, after its prompt. Its effective lift is that minus the mean own lift of the *other* sections; where the suite has
/// sections that were held out of the training, these are the others, for all.
///
/// Without any held out, effective lifts sum to nothing: of sections that were learned equally well none stands out, and the probe
/// fails, whose finding then says so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionInternalization {
    /// The suite's, where this is left out.
    #[serde(default)]
    sections: Items<Section>,
    /// Texts like the sections that the adapter was not trained on; the suite's, where this is left out.
    #[serde(default)]
    held_out: Items<Section>,
    /// A section with at least this effective lift, and an own lift above 0, clears it.
    #[serde(default = "default_lift", deserialize_with = "bounds::positive")]
    min_lift: f64,
    /// Least share of sections that clear it.
    #[serde(default = "default_share", deserialize_with = "bounds::share")]
    min_share: f64,
    /// Prose of more words is scored in chunks of at most so many, each without what stands before it.
    #[serde(default = "default_chunk", deserialize_with = "bounds::at_least_sixteen")]
    chunk_words: usize,
}

fn default_lift() -> f64 {
    0.05
}

fn default_share() -> f64 {
    0.5
}

fn default_chunk() -> usize {
    256
}

/// What one section measured.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    held_out: bool,
    learned: Learned,
}

/// One section with its own lift.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Learned {
    label: String,
    kind: SectionKind,
    lift: f64,
    nll_ft: f64,
    nll_base: f64,
    tokens: usize,
}

impl Learned {
    fn row(&self) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("section".to_owned(), json!(self.label));
        row.insert("kind".to_owned(), json!(self.kind.name()));
        row.insert("own_lift".to_owned(), json!(self.lift));
        row.insert("nll_base".to_owned(), json!(self.nll_base));
        row.insert("nll_ft".to_owned(), json!(self.nll_ft));
        row.insert("tokens".to_owned(), json!(self.tokens));
        row
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    trained: Vec<Learned>,
    held_out: Vec<Learned>,
}

impl Fold {
    fn lifts(&self) -> Vec<f64> {
        self.trained.iter().map(|section| section.lift).collect()
    }

    fn held_out_lift(&self) -> Option<f64> {
        mean(&self.held_out.iter().map(|section| section.lift).collect::<Vec<_>>()).ok()
    }

    /// Effective lifts, in the sections' order; `None` where there is nothing to compare with.
    fn effective(&self) -> Option<Vec<f64>> {
        let lifts = self.lifts();
        if !self.held_out.is_empty() {
            let others = self.held_out_lift()?;
            return Some(lifts.iter().map(|lift| lift - others).collect());
        }
        let others = lifts.len().checked_sub(1).filter(|others| *others > 0)? as f64;
        let sum: f64 = lifts.iter().sum();
        Some(lifts.iter().map(|lift| lift - (sum - lift) / others).collect())
    }

    /// Sections of which the lift is no number: the base is so sure of them that nothing was left to learn.
    fn without_a_lift(&self) -> Vec<&str> {
        let all = self.trained.iter().chain(&self.held_out);
        all.filter(|section| !section.lift.is_finite()).map(|section| section.label.as_str()).collect()
    }
}

impl SectionInternalization {
    /// Whether a section counts as taken in. One that the adapter made worse does not, though it made the others worse still.
    fn clears(&self, section: &Learned, effective: f64) -> bool {
        section.lift > 0.0 && effective >= self.min_lift
    }

    /// The sections as rows of a table; those that were held out come last.
    fn table(&self, fold: &Fold, effective: &[f64]) -> Vec<Value> {
        let trained = fold.trained.iter().zip(effective).map(|(section, effective)| {
            let mut row = section.row();
            row.insert("effective_lift".to_owned(), json!(effective));
            row.insert("clears".to_owned(), json!(self.clears(section, *effective)));
            Value::Object(row)
        });
        let held_out = fold.held_out.iter().map(|section| {
            let mut row = section.row();
            row.insert("held_out".to_owned(), json!(true));
            Value::Object(row)
        });
        trained.chain(held_out).collect()
    }

    /// What is to be known where most sections were learned, and too few stand out.
    fn all_alike(&self, fold: &Fold) -> Option<String> {
        let lifts = fold.lifts();
        let learned = lifts.iter().filter(|lift| **lift >= self.min_lift).count();
        let own = Court::mean(&lifts)?;
        if (learned as f64) < self.min_share * lifts.len() as f64 {
            return None;
        }
        let alone = format!("{learned} have an own lift of that much (mean {})", shown(&own));
        Some(match fold.held_out_lift() {
            Some(held_out) => format!(
                "{alone}, but so has what was held out (mean {}): what the adapter learned is common to all such texts",
                number(held_out)
            ),
            None => format!(
                "{alone}, so they were learned, but about as well as one another, and only what was learned better than the rest \
                 stands out: give texts like them that it was not trained on as `held_out`, to compare with"
            ),
        })
    }
}

impl Probe for SectionInternalization {
    /// The mean own lift is what random adapters are compared on: effective lifts have a mean of nothing whatever the adapter does,
    /// and the share that clears is nothing under nearly every null, without a spread to measure by.
    const KIND: Kind = Kind {
        name: "section_internalization",
        category: Category::Attribution,
        summary: "which sections of its training text did it take in?",
        calibrated: Some("mean_own_lift"),
        values_of: "effective_lift",
        // Prose has no prompt that a template could be put around; the prompts of instructions are prompts.
        asks_documents: false,
    };

    const ITEMS_ARE_ROWS: bool = false;

    type Item = Section;
    type Measurement = Measured;
    type Fold = Fold;

    fn items(&self) -> &Items<Section> {
        &self.sections
    }

    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<Section>, String> {
        document::open(&self.sections, &self.held_out, rows)
    }

    fn in_a_file(&self) -> bool {
        self.sections.in_a_file() || self.held_out.in_a_file()
    }

    fn sections(&mut self) -> Option<SectionSlots<'_>> {
        Some(SectionSlots { sections: &mut self.sections, held_out: &mut self.held_out })
    }

    fn ask(&self, section: &Section, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        [View::Ft, View::Base].into_iter().flat_map(|view| section.questions(view, self.chunk_words)).collect()
    }

    fn measure(&self, section: &Section, rounds: &[Vec<Answer>]) -> Option<Measured> {
        let [answers] = rounds else { return None };
        let (ft, base) = answers.split_at(answers.len() / 2);
        let (ft, base) = (Section::score(ft)?, Section::score(base)?);
        let learned = Learned {
            label: section.label(),
            kind: section.kind(),
            lift: (base.nll() - ft.nll()) / base.nll(),
            nll_ft: ft.nll(),
            nll_base: base.nll(),
            tokens: ft.tokens,
        };
        Some(Measured { held_out: section.held_out, learned })
    }

    fn fold(&self, fold: &mut Fold, _: u64, Measured { held_out, learned }: Measured) {
        if held_out { &mut fold.held_out } else { &mut fold.trained }.push(learned);
    }

    fn metric(&self, fold: &Fold) -> Option<f64> {
        mean(&fold.lifts()).ok()
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let without = fold.without_a_lift();
        if let [first, rest @ ..] = without.as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let message = format!("the base foresees every token of `{first}`{more} with certainty, so no lift can be told");
            return Judgement { verdict: Verdict::Error, ..Judgement::nothing(message, Vec::new()) };
        }
        let Some(effective) = fold.effective() else {
            let message = match fold.trained.as_slice() {
                [] => "no section was measured".to_owned(),
                [one, ..] => format!(
                    "the only section has an own lift of {}, and there is no other to compare it with; give more sections, or `held_out`",
                    number(one.lift)
                ),
            };
            return Judgement { evidence: self.evidence(fold, &[]), ..Judgement::nothing(message, fold.lifts()) };
        };
        let n = effective.len();
        let clear = fold.trained.iter().zip(&effective).filter(|(section, lift)| self.clears(section, **lift)).count();
        let rule = Rule { name: "cleared_share", side: Side::Above, worst: 0.0, threshold: self.min_share, best: 1.0 };
        let Some(criterion) = court.decide_count(rule, clear, n) else {
            return Judgement::nothing("no section was measured", effective);
        };
        let criteria = vec![criterion];
        let verdict = court.effect(&criteria);
        let others = if fold.held_out.is_empty() { "the others" } else { "what was held out" };
        let found = format!(
            "{clear} of {n} sections have an effective lift, above {others}, of {} or more ({})",
            self.min_lift,
            shown(&criteria[0].estimate)
        );
        let alike = || self.all_alike(fold).filter(|_| criteria[0].estimate.value < self.min_share);
        let message = match verdict {
            Verdict::Fail if !court.only_drowned(&criteria) => match alike() {
                Some(alike) => format!("{found}; {alike}"),
                None => format!("{found}, short of the share of {} asked for{}", self.min_share, weakest(fold, &effective)),
            },
            Verdict::Pass | Verdict::Fail => format!("{found}{}", court.null_clause("the mean own lift")),
            _ => {
                let alike = alike().map(|alike| format!("; {alike}")).unwrap_or_default();
                format!("{found}, which does not settle it{}{alike}", settle_clause(&criteria, court))
            }
        };
        Judgement {
            verdict,
            score: score_of(verdict, rule.score(criteria[0].estimate.value)),
            p_paired: court.paired_p(&fold.lifts(), 0.0),
            criteria,
            message,
            evidence: self.evidence(fold, &effective),
            values: effective,
        }
    }
}

impl SectionInternalization {
    fn evidence(&self, fold: &Fold, effective: &[f64]) -> Map<String, Value> {
        let mut evidence = Map::new();
        if let Ok(lift) = mean(&fold.lifts()) {
            evidence.insert("mean_own_lift".to_owned(), json!(lift));
        }
        if let Some(lift) = fold.held_out_lift() {
            evidence.insert("mean_held_out_lift".to_owned(), json!(lift));
        }
        evidence.insert("sections".to_owned(), json!(self.table(fold, effective)));
        evidence
    }
}

/// The section that was learned least, as the end of a finding.
fn weakest(fold: &Fold, effective: &[f64]) -> String {
    let pairs = fold.trained.iter().zip(effective);
    match pairs.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((section, _)) => format!("; least of all `{}` (own lift {})", section.label, number(section.lift)),
        None => String::new(),
    }
}
