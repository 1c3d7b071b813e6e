//! `adapter_ablation`: does the model's answer grow with the adapter's dose, or is it driven into saturation?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::bounds;
use super::verdict::{Rule, Side, all_of, items_for_mean, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe};
use crate::math::{Line, mean, sd};
use crate::record::{Category, Estimate, Measure, Verdict};
use crate::request::{Answer, Divergence, Op, Prompt, Request, Scale, View};

/// The change of the next-token log-probabilities as the update is scaled by λ.
///
/// The change is the RMS over the vocabulary of the centred log-probabilities' difference from λ = 0: unbounded, so it stays
/// linear while the update acts as a perturbation, where JS saturates at ln 2 and would call a strong healthy adapter degenerate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterAblation {
    prompts: Items<Prompt>,
    /// Least R² of a straight line through the curve.
    #[serde(default = "default_r_squared", deserialize_with = "bounds::share")]
    min_r_squared: f64,
    /// Least change at λ = 1.25 over the change at λ = 1.
    #[serde(default = "default_growth", deserialize_with = "bounds::growth")]
    min_growth: f64,
}

fn default_r_squared() -> f64 {
    0.9
}

fn default_growth() -> f64 {
    1.05
}

/// The doses that are asked; the change at λ = 0 is 0 by definition.
const DOSES: [f64; 5] = [0.25, 0.5, 0.75, 1.0, 1.25];
const FULL: usize = 3;
const OVER: usize = 4;

/// Above this R² with less than this change at λ = 1, the adapter is a perturbation too small to bend anything.
const STRAIGHT: f64 = 0.995;
const BARELY: f64 = 0.1;

fn view_at(dose: usize) -> View {
    if dose == FULL { View::Ft } else { View::Scaled(Scale::from_hundredths((DOSES[dose] * 100.0) as u16)) }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// One curve a prompt: RMS change at each dose.
    curves: [Vec<f64>; DOSES.len()],
    js: [f64; DOSES.len()],
    kl: [f64; DOSES.len()],
}

impl Fold {
    fn mean_curve(&self) -> Option<Vec<f64>> {
        self.curves.iter().map(|values| mean(values).ok()).collect()
    }
}

impl Probe for AdapterAblation {
    const KIND: Kind = Kind {
        name: "adapter_ablation",
        category: Category::Ablation,
        summary: "does the answer grow with the adapter's dose?",
        calibrated: None,
        values_of: "rms_change",
        asks_documents: false,
    };

    type Item = Prompt;
    type Measurement = [Divergence; DOSES.len()];
    type Fold = Fold;

    fn items(&self) -> &Items<Prompt> {
        &self.prompts
    }

    fn ask(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let ask = |view| Request::new(view, Op::NextTokenDist { prompt: prompt.clone(), top_k: 1, versus: Some(View::Base) });
        (0..DOSES.len()).map(|dose| ask(view_at(dose))).collect()
    }

    fn measure(&self, _: &Prompt, rounds: &[Vec<Answer>]) -> Option<[Divergence; DOSES.len()]> {
        let [answers] = rounds else { return None };
        let divergences: Option<Vec<Divergence>> = answers
            .iter()
            .map(|answer| match answer {
                Answer::NextTokenDist(dist) => dist.divergence,
                _ => None,
            })
            .collect();
        divergences?.try_into().ok()
    }

    fn fold(&self, fold: &mut Fold, _: u64, divergences: [Divergence; DOSES.len()]) {
        for (dose, divergence) in divergences.iter().enumerate() {
            fold.curves[dose].push(divergence.rms);
            fold.js[dose] += divergence.js;
            fold.kl[dose] += divergence.kl;
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn divergence(&self, fold: &Fold) -> Option<(Measure, f64)> {
        Some((Measure::Rms, mean(&fold.curves[FULL]).ok()?))
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let values = fold.curves[FULL].clone();
        let n = values.len();
        let Some(curve) = fold.mean_curve() else {
            return Judgement::nothing("no prompt was measured", values);
        };
        let doses: Vec<f64> = std::iter::once(0.0).chain(DOSES).collect();
        let changes: Vec<f64> = std::iter::once(0.0).chain(curve.iter().copied()).collect();
        let line = Line::fit(&doses, &changes).ok().and_then(|line| line.r_squared);
        let (Some(r_squared), Some(growth)) = (line, court.ratio(&fold.curves[OVER], &fold.curves[FULL])) else {
            return Judgement::nothing("the adapter changes nothing at any dose", values);
        };
        let line_rule = Rule { name: "r_squared", side: Side::Above, worst: 0.5, threshold: self.min_r_squared, best: 1.0 };
        let growth_rule = Rule { name: "growth", side: Side::Above, worst: 1.0, threshold: self.min_growth, best: 1.25 };
        // R² is a figure of the mean curve, not a mean over items: the point decides.
        let point = Court { decide: super::Decide::Point, ..*court };
        let scale = curve[FULL];
        let residuals: Vec<f64> =
            fold.curves[OVER].iter().zip(&fold.curves[FULL]).map(|(over, full)| (over - growth.value * full) / scale).collect();
        let ratio = growth.value;
        let criteria = vec![
            line_rule.decide(Estimate::bare(r_squared, n), |_| None, &point),
            growth_rule.decide(growth, |threshold| items_for_mean(ratio, sd(&residuals).ok()?, threshold), court),
        ];
        let falls = changes.windows(2).any(|pair| pair[1] < pair[0]);
        let barely = r_squared > STRAIGHT && curve[FULL] < BARELY;
        let verdict = match all_of(&criteria) {
            _ if falls && n >= court.min_items => Verdict::Fail,
            Verdict::Pass if barely => Verdict::Warn,
            verdict => verdict,
        };
        let found = format!(
            "the change grows with the dose along a line of R² {r_squared:.3}, and from λ = 1 to 1.25 by {} times",
            shown(&criteria[1].estimate)
        );
        let message = match verdict {
            Verdict::Fail if falls => format!("more of the adapter changes less: {found}"),
            Verdict::Fail if ratio > 1.25 => format!("the change outruns the dose, which no small update does: {found}"),
            Verdict::Fail => format!("the adapter drives the model into saturation: {found}"),
            Verdict::Warn => format!("barely a perturbation ({:.3} nats at λ = 1): {found}", curve[FULL]),
            Verdict::Pass => found,
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let average = |sums: &[f64]| sums.iter().map(|sum| sum / n as f64).collect::<Vec<_>>();
        let mut evidence = Map::new();
        evidence.insert("lambda".to_owned(), json!(DOSES));
        evidence.insert("rms_change".to_owned(), json!(curve));
        evidence.insert("js".to_owned(), json!(average(&fold.js)));
        evidence.insert("kl".to_owned(), json!(average(&fold.kl)));
        let score = line_rule.score(r_squared).min(growth_rule.score(ratio));
        Judgement { verdict, score: score_of(verdict, score), p_paired: None, criteria, message, evidence, values }
    }
}
