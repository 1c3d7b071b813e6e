//! A criterion in words.

use crate::record::Criterion;

use super::number;

/// `above 0.02`: where the figure should lie.
pub(super) fn wanted(criterion: &Criterion) -> String {
    format!("{} {}", criterion.good_side, number::typed(criterion.threshold))
}

/// `> 0.02`.
pub(super) fn wanted_sign(criterion: &Criterion) -> String {
    let sign = if criterion.good_side == "below" { '<' } else { '>' };
    format!("{sign} {}", number::typed(criterion.threshold))
}

/// `ratio 0.22 [0.15, 0.31], wanted above 0.5: fail`.
pub(super) fn sentence(criterion: &Criterion) -> String {
    let settle = criterion
        .items_to_settle
        .map(|items| format!("; about {} would settle it", number::plural(items as u64, "item")))
        .unwrap_or_default();
    format!(
        "{} {}, wanted {}: {}{settle}",
        criterion.name,
        number::estimate_in_words(&criterion.estimate),
        wanted(criterion),
        criterion.verdict.name(),
    )
}
