//! How a divergence of the adapter from the base wears off with what stands before the question.
//!
//! Each item gives a rate of its own, how often its divergence halves on the way that the half-life should at least be, and the
//! rates are judged as any figure of items is: the summary-measure analysis of serial measurements (Matthews, Altman, Campbell
//! and Royston 1990). Where all items have the same points, the mean rate is that of the geometric mean of their curves.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Court;
use super::verdict::{Rule, Side, settle_clause};
use crate::math::{halvings_per_unit, mean};
use crate::record::{Criterion, Estimate, Verdict};

/// Divergences are taken to be at least this, in nats, when their logarithm is. Log-probabilities that are off by δ nats make a
/// JS of at most δ²/8 and a KL of at most δ²/2 (to second order); the goldens are off by less than 1e-4, this is 4e-4 and more.
pub const FLOOR: f64 = 1e-7;

/// Below this, in nats, there is nothing to decay: it must be able to halve six times before it reaches [`FLOOR`], or the floor
/// would look like a halt.
pub const LEAST: f64 = 1e-5;

/// One item's divergence at each distance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Ascending: tokens, or turns.
    pub at: Vec<f64>,
    /// Nats, as many.
    pub divergence: Vec<f64>,
}

impl Curve {
    /// How often the divergence halves within a distance; `None` where the points determine no line.
    pub fn halvings(&self, within: f64) -> Option<f64> {
        halvings_per_unit(&self.at, &self.divergence, FLOOR).ok().map(|rate| rate * within)
    }
}

/// Holds the mean of the halvings within the shortest half-life against one halving.
pub fn decide(halvings: &[f64], court: &Court<'_>) -> Option<Criterion> {
    let rule = rule();
    court.decide_mean(rule, halvings)
}

/// One halving within the shortest half-life is the threshold; four, a half-life of a quarter of it, score nothing.
pub fn rule() -> Rule {
    Rule { name: "halvings", side: Side::Below, worst: 4.0, threshold: 1.0, best: 0.0 }
}

/// The half-life that a number of halvings within a distance makes; `None` where nothing decays.
fn half_life(halvings: f64, within: f64) -> Option<f64> {
    (halvings > 0.0).then(|| within / halvings)
}

/// Halvings as a half-life with its interval, in words: `810 [640, 1105]`; ∞ where there is no decay.
pub fn shown_half_life(halvings: &Estimate, within: f64) -> String {
    let shown = |halvings: f64| match half_life(halvings, within) {
        // Tokens are whole, turns are few.
        Some(long) if long >= 100.0 => format!("{long:.0}"),
        Some(short) => format!("{short:.1}"),
        None => "∞".to_owned(),
    };
    match halvings.interval {
        Some([low, high]) => format!("{} [{}, {}]", shown(halvings.value), shown(high), shown(low)),
        None => shown(halvings.value),
    }
}

/// The same for evidence: `[half-life, low, high]` of which `null` is without end.
pub fn half_life_evidence(halvings: &Estimate, within: f64) -> Value {
    let [low, high] = halvings.interval.unwrap_or([halvings.value; 2]);
    json!({
        "half_life": half_life(halvings.value, within),
        "low": half_life(high, within),
        "high": half_life(low, within),
    })
}

/// Whether the interval reaches to where nothing decays.
pub fn is_held(halvings: &Estimate) -> bool {
    halvings.interval.map_or(halvings.value, |[low, _]| low) <= 0.0
}

/// What became of the effect, as a finding; `beside` is what is to be known of single items.
pub fn message(criterion: &Criterion, found: &str, beside: &str, court: &Court<'_>) -> String {
    match criterion.verdict {
        Verdict::Pass if is_held(&criterion.estimate) => format!("the adapter's effect held: {found}{beside}"),
        Verdict::Pass => format!("the adapter's effect lasts: {found}{beside}"),
        Verdict::Fail => format!("the adapter's effect wears off: {found}{beside}"),
        _ => {
            let settle = settle_clause(std::slice::from_ref(criterion), court);
            format!("{found}, which does not settle it{beside}{settle}")
        }
    }
}

/// How many items of a probe are not moved at all, as the end of a finding.
pub fn unmoved(moved: usize, n: usize, items: &str) -> String {
    if moved < n { format!("; {} of {n} {items} are not moved at all", n - moved) } else { String::new() }
}

/// Mean divergence at the n-th point, over the items that have one; one figure for each point that any item has.
pub fn mean_curve(curves: &[Curve]) -> Vec<f64> {
    let longest = curves.iter().map(|curve| curve.divergence.len()).max().unwrap_or(0);
    let at = |point: usize| curves.iter().filter_map(|curve| curve.divergence.get(point).copied()).collect::<Vec<f64>>();
    (0..longest).filter_map(|point| mean(&at(point)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, interval: Some([low, high]), n: 9, clusters: None }
    }

    #[test]
    fn a_half_life_is_the_inverse_of_the_halvings_and_so_are_its_ends() {
        assert_eq!(shown_half_life(&estimate(1.0, 0.5, 2.0), 512.0), "512 [256, 1024]");
        assert_eq!(shown_half_life(&estimate(0.5, -0.5, 1.0), 2.0), "4.0 [2.0, ∞]");
        assert_eq!(shown_half_life(&estimate(-0.1, -0.5, 0.0), 512.0), "∞ [∞, ∞]");
        let evidence = half_life_evidence(&estimate(0.5, -0.5, 1.0), 2.0);
        assert_eq!(evidence, json!({"half_life": 4.0, "low": 2.0, "high": null}));
    }

    #[test]
    fn an_interval_that_ends_at_no_decay_is_held() {
        assert!(is_held(&estimate(0.1, 0.0, 0.2)) && is_held(&estimate(-0.2, -0.3, -0.1)));
        assert!(!is_held(&estimate(0.1, 1e-9, 0.2)));
    }

    #[test]
    fn points_that_an_item_lacks_do_not_count() {
        let curve = |divergence: &[f64]| Curve { at: Vec::new(), divergence: divergence.to_vec() };
        assert_eq!(mean_curve(&[curve(&[1.0, 3.0]), curve(&[2.0])]), [1.5, 3.0]);
        assert!(mean_curve(&[]).is_empty());
    }
}
