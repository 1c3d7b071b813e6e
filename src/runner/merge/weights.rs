//! What became of one tensor, from the sums over its values.

use crate::engine::{Compared, Outcome, Tally};
use crate::record::{MergeFinding, MergedModule};

/// How far off the line W + λ ΔW a tensor may be and still be said to lie on it: a share of ‖ΔW‖, beside what rounding does.
const OFF_THE_LINE: f64 = 0.03;

/// Where rounding does more than this share of ‖ΔW‖, it bends the line, and only a scale that was tried can be told.
pub const TOO_ROUNDED: f64 = 0.2;

/// A scale this close to 0 or 2 is that; rounding alone moves it by less, unless it swallows most of the update.
const NEAR: f64 = 0.1;

/// A scale this close to 1 is no other scale: rounding of `alpha / r` itself stays below.
const NEAR_ONE: f64 = 0.02;

/// A tensor's figures, and what they mean.
pub fn judge(compared: &Compared) -> MergedModule {
    let module = MergedModule { module: compared.module.clone(), finding: MergeFinding::Resized, ..empty() };
    let Outcome::Tally(tally) = &compared.outcome else { return module };
    let (base, update) = (tally.base.sqrt(), tally.update.sqrt());
    let against = if update > 0.0 { update } else { base };
    let share = |square: f64| (against > 0.0).then(|| square.sqrt() / against).filter(|share| share.is_finite());
    MergedModule {
        finding: finding(tally),
        adapted: tally.update > 0.0,
        values: tally.values,
        outside: tally.outside,
        update: (update > 0.0 && base > 0.0).then(|| update / base),
        distance: share(tally.distance),
        rounding: share(tally.rounding),
        scale: tally
            .nearest
            .or_else(|| (tally.update > 0.0).then(|| tally.along / tally.update))
            .filter(|scale| scale.is_finite()),
        ..module
    }
}

fn empty() -> MergedModule {
    MergedModule {
        module: String::new(),
        finding: MergeFinding::Same,
        adapted: false,
        values: 0,
        outside: 0,
        update: None,
        distance: None,
        rounding: None,
        scale: None,
    }
}

fn finding(tally: &Tally) -> MergeFinding {
    if tally.not_finite > 0 {
        return MergeFinding::NotFinite;
    }
    let updated = tally.update > 0.0;
    if tally.outside == 0 {
        return if updated && tally.telling == 0 { MergeFinding::Hidden } else { MergeFinding::Same };
    }
    if !updated {
        return MergeFinding::Changed;
    }
    if tally.moved_values == 0 {
        return MergeFinding::NotMerged;
    }
    let Some(scale) = scale(tally) else { return MergeFinding::Other };
    match scale {
        scale if scale.abs() <= NEAR => MergeFinding::NotMerged,
        scale if (scale - 1.0).abs() <= NEAR_ONE => MergeFinding::Imprecise,
        scale if (scale - 2.0).abs() <= NEAR => MergeFinding::MergedTwice,
        _ => MergeFinding::OtherScale,
    }
}

/// The λ for which the tensor is W + λ ΔW, if there is one.
fn scale(tally: &Tally) -> Option<f64> {
    let (update, rounding) = (tally.update.sqrt(), tally.rounding.sqrt());
    if rounding > TOO_ROUNDED * update {
        return tally.nearest;
    }
    // M − W along ΔW, and what is left of it beside.
    let scale = tally.along / tally.update;
    let beside = (tally.moved - scale * scale * tally.update).max(0.0).sqrt();
    (beside <= OFF_THE_LINE * scale.abs().max(1.0) * update + 2.0 * rounding).then_some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ΔW of length 1 beside a W of length 10, M at `scale` times ΔW and `beside` off it.
    fn merged(scale: f64, beside: f64) -> Tally {
        let moved = scale * scale + beside * beside;
        Tally {
            values: 100,
            outside: 60,
            telling: 90,
            corrected: 60,
            moved_values: 95,
            not_finite: 0,
            base: 100.0,
            update: 1.0,
            moved,
            along: scale,
            distance: (scale - 1.0).powi(2) + beside * beside,
            rounding: 1e-4,
            nearest: None,
        }
    }

    #[test]
    fn a_tensor_is_named_by_where_it_lies_on_the_line_from_the_base_through_the_merge() {
        for (scale, finding) in [
            (0.0, MergeFinding::NotMerged),
            (0.5, MergeFinding::OtherScale),
            (-1.0, MergeFinding::OtherScale),
            (1.001, MergeFinding::Imprecise),
            (1.5, MergeFinding::OtherScale),
            (2.0, MergeFinding::MergedTwice),
            (4.0, MergeFinding::OtherScale),
        ] {
            assert_eq!(super::finding(&merged(scale, 0.01)), finding, "{scale}");
            assert_eq!(super::finding(&merged(scale, 5.0)), MergeFinding::Other, "{scale}");
        }
    }

    #[test]
    fn where_rounding_is_as_large_as_the_update_a_scale_is_told_only_if_no_other_comes_near() {
        let rounded = Tally { rounding: 0.25, ..merged(0.4, 0.1) };
        assert_eq!(finding(&rounded), MergeFinding::Other);
        assert_eq!(finding(&Tally { nearest: Some(2.0), ..rounded }), MergeFinding::MergedTwice);
        assert_eq!(finding(&Tally { nearest: Some(0.5), ..rounded }), MergeFinding::OtherScale);
        assert_eq!(finding(&Tally { moved_values: 0, ..rounded }), MergeFinding::NotMerged);
    }

    #[test]
    fn what_rounding_explains_is_the_same_and_what_it_swallows_is_hidden() {
        let explained = Tally { outside: 0, ..merged(1.0, 0.0) };
        assert_eq!(finding(&explained), MergeFinding::Same);
        assert_eq!(finding(&Tally { telling: 0, ..explained }), MergeFinding::Hidden);
        assert_eq!(finding(&Tally { telling: 0, update: 0.0, ..explained }), MergeFinding::Same);
    }

    #[test]
    fn a_tensor_that_the_adapter_leaves_alone_has_no_scale() {
        let tally = Tally { update: 0.0, along: 0.0, ..merged(0.0, 0.5) };
        let module = judge(&Compared { module: "model.norm".to_owned(), outcome: Outcome::Tally(tally) });
        assert_eq!((module.finding, module.scale, module.update), (MergeFinding::Changed, None, None));
        assert_eq!(module.distance, Some(1.25f64.sqrt() / 10.0), "of ‖W‖");
    }

    #[test]
    fn a_value_that_is_not_finite_comes_before_all_else() {
        let tally = Tally { not_finite: 1, distance: f64::NAN, along: f64::NAN, moved: f64::NAN, ..merged(1.0, 0.0) };
        let module = judge(&Compared { module: "w".to_owned(), outcome: Outcome::Tally(tally) });
        assert_eq!((module.finding, module.distance, module.scale), (MergeFinding::NotFinite, None, None));
    }
}
