//! A training's losses as a curve, and what its shape comes to.

use super::training::LossPoint;
use crate::math::{mean, median};

/// Most points of a curve. A longer log is averaged into so many stretches, so that one of each step says the same as one of each tenth,
/// and chance has no more points to make a spike of.
pub(super) const MOST_POINTS: usize = 64;

/// Fewer logged losses than this have no shape.
pub(super) const FEWEST_POINTS: usize = 10;

/// Points whose median is the initial loss; the final one is that of the last tenth, or of as many as these.
const END_POINTS: usize = 3;

/// Points before one that are its level, and steps on either side of it that are its surroundings.
const SURROUNDINGS: usize = 8;

/// A spike throws back at least this share of what was learned; less is a ripple, however calm its surroundings.
const THROWN_BACK: f64 = 0.5;

/// MAD to standard deviation, of a normal distribution.
const MAD_TO_SD: f64 = 1.4826;

/// The losses of the weights that the training ended with.
///
/// Where the steps of a log go back, the training was resumed from a checkpoint: what had been logged from that step on is of weights that
/// are no more, and is left out. A step that is logged twice counts as it was logged last.
pub(super) fn kept(logged: &[LossPoint]) -> Vec<LossPoint> {
    let mut kept: Vec<LossPoint> = Vec::with_capacity(logged.len());
    for point in logged {
        let before = kept.partition_point(|other| other.step < point.step);
        kept.truncate(before);
        kept.push(*point);
    }
    kept
}

/// A loss that rose far above its surroundings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spike {
    /// Where it is highest.
    pub(super) step: u64,
    pub(super) loss: f64,
    /// The median of the losses before it.
    pub(super) level: f64,
}

/// The shape of a curve.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) initial: f64,
    /// The final loss.
    pub(super) last: f64,
    /// In [0, 1]: see [`Shape::of`].
    pub(super) smoothness: f64,
    pub(super) spikes: Vec<Spike>,
}

impl Shape {
    /// The shape of losses in the order of their steps, all of them finite.
    ///
    /// *Initial* and *final* are medians, of the curve's first three points and of its last tenth (three at least): a single batch says
    /// little.
    ///
    /// *Smoothness* is 1 − s/|initial − final|, and 0 where that is negative: how small the scatter s is beside what was learned. s is the
    /// standard deviation of a point about the line between its neighbours, 1.4826 · median |xᵢ − (xᵢ₋₁ + xᵢ₊₁)/2| / √1.5, which a trend
    /// does not enter, and of which a few spikes move nothing. (1 − var(Δ)/var(x), which others take, falls with every step that a training
    /// spends on its plateau, and with every spike, which is counted already.) A curve without scatter has 1.
    ///
    /// A *spike* is a point, or several on end, whose loss lies above its level, the median of the eight points before it, by more than
    /// `steepness` times the local median step (the median of |Δ| in the eight steps on either side, the two that touch the point left
    /// out), and by more than half of what was learned, initial − final. The second condition is there for chance: of normal noise
    /// one step in fifty is three times the median one, so that without it most sound trainings would have spikes.
    ///
    /// `None` of fewer than [`FEWEST_POINTS`].
    pub(super) fn of(losses: &[LossPoint], steepness: f64) -> Option<Self> {
        if losses.len() < FEWEST_POINTS {
            return None;
        }
        let stretches = losses.len().min(MOST_POINTS);
        let stretch = |k: usize| &losses[k * losses.len() / stretches..(k + 1) * losses.len() / stretches];
        let curve: Vec<f64> = (0..stretches)
            .map(|k| mean(&stretch(k).iter().map(|point| point.loss).collect::<Vec<_>>()).ok())
            .collect::<Option<_>>()?;
        let end = (curve.len() / 10).max(END_POINTS);
        let (initial, last) = (median(&curve[..END_POINTS]).ok()?, median(&curve[curve.len() - end..]).ok()?);
        let about: Vec<f64> = curve.windows(3).map(|x| (x[1] - f64::midpoint(x[0], x[2])).abs()).collect();
        let scatter = MAD_TO_SD * median(&about).ok()? / 1.5_f64.sqrt();
        let smoothness = if scatter == 0.0 { 1.0 } else { (1.0 - scatter / (initial - last).abs()).max(0.0) };
        let least = THROWN_BACK * (initial - last).max(0.0);
        let mut spikes: Vec<Spike> = Vec::new();
        let mut before = None;
        for (point, level) in risen(&curve, steepness, least) {
            let worst = stretch(point).iter().max_by(|a, b| a.loss.total_cmp(&b.loss))?;
            let spike = Spike { step: worst.step, loss: worst.loss, level };
            // Points on end are one event, which is known by its highest.
            match spikes.last_mut() {
                Some(known) if before == point.checked_sub(1) => {
                    if spike.loss > known.loss {
                        *known = Spike { level: known.level, ..spike };
                    }
                }
                _ => spikes.push(spike),
            }
            before = Some(point);
        }
        Some(Self { initial, last, smoothness, spikes })
    }
}

/// The points that lie above their level by more than `steepness` local steps and by more than `least`, each with its level.
fn risen(curve: &[f64], steepness: f64, least: f64) -> Vec<(usize, f64)> {
    let steps: Vec<f64> = curve.windows(2).map(|x| (x[1] - x[0]).abs()).collect();
    let of_point = |point: usize| {
        let level = median(&curve[point.saturating_sub(SURROUNDINGS)..point]).ok()?;
        // steps[point - 1] leads to the point, steps[point] away from it.
        let before = &steps[(point - 1).saturating_sub(SURROUNDINGS)..point - 1];
        let after = &steps[(point + 1).min(steps.len())..(point + 1 + SURROUNDINGS).min(steps.len())];
        let step = median(&[before, after].concat()).ok()?;
        let rise = curve[point] - level;
        (rise > steepness * step && rise > least).then_some((point, level))
    };
    (END_POINTS..curve.len()).filter_map(of_point).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(losses: &[f64]) -> Vec<LossPoint> {
        losses.iter().zip(1..).map(|(loss, step)| LossPoint { step, loss: *loss, grad_norm: None }).collect()
    }

    fn shape(losses: &[f64]) -> Shape {
        Shape::of(&points(losses), 3.0).unwrap()
    }

    #[test]
    fn fewer_than_ten_losses_have_no_shape() {
        for few in [0, 1, 2, 9] {
            assert_eq!(Shape::of(&points(&vec![1.0; few]), 3.0), None);
        }
        let flat = shape(&[1.0; 10]);
        assert_eq!((flat.initial, flat.last, flat.smoothness, flat.spikes.len()), (1.0, 1.0, 1.0, 0));
    }

    #[test]
    fn the_ends_are_medians_and_one_odd_point_moves_neither() {
        let mut losses: Vec<f64> = (0..20).map(|i| 2.0 - 0.05 * f64::from(i)).collect();
        let calm = shape(&losses);
        assert_eq!((calm.initial, calm.last), (1.95, 1.1));
        assert!(calm.smoothness > 1.0 - 1e-9);
        losses[0] = 90.0;
        losses[19] = 0.0;
        assert_eq!((shape(&losses).initial, shape(&losses).last), (1.95, 1.1));
    }

    #[test]
    fn smoothness_is_the_scatter_beside_what_was_learned() {
        // A line that falls by 0.1, and every other point higher by 0.06: each lies 0.06 off the line between its neighbours.
        let losses: Vec<f64> = (0..40).map(|i| 5.0 - 0.1 * f64::from(i) + if i % 2 == 0 { 0.06 } else { 0.0 }).collect();
        let found = shape(&losses);
        let expected = 1.0 - 1.4826 * 0.06 / 1.5_f64.sqrt() / (found.initial - found.last);
        assert!((found.smoothness - expected).abs() < 1e-9);
        // Noise and nothing learned.
        let noise: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 2.0 } else { 2.6 }).collect();
        assert!(shape(&noise).smoothness <= 0.0);
    }

    /// Falls from 3 to 2 in steps of 1/32, but for one point, which lies this far above the median of the eight before it.
    fn with_a_rise(rise: f64) -> Vec<f64> {
        let mut losses: Vec<f64> = (0..33).map(|i| 3.0 - f64::from(i) / 32.0).collect();
        losses[20] = 3.0 - 15.5 / 32.0 + rise;
        losses
    }

    #[test]
    fn a_spike_throws_back_half_of_what_was_learned() {
        // Medians of the ends: 3 − 1/32 and 2 + 1/32.
        let half = 0.5 * (1.0 - 2.0 / 32.0);
        assert_eq!(shape(&with_a_rise(half)).spikes, []);
        let found = shape(&with_a_rise(half + 1e-9)).spikes;
        assert_eq!((found.len(), found[0].step, found[0].level), (1, 21, 3.0 - 15.5 / 32.0));
    }

    #[test]
    fn a_spike_is_steeper_than_three_of_the_steps_around_it() {
        let spikes = |steepness: f64| Shape::of(&points(&with_a_rise(0.75)), steepness).unwrap().spikes.len();
        // 0.75 are 24 steps of 1/32.
        assert_eq!((spikes(24.0), spikes(23.9)), (0, 1));
        // As far, among steps as large.
        let wild: Vec<f64> = (0..33).map(|i| 3.0 - f64::from(i) / 32.0 + if i % 2 == 0 { 0.6 } else { 0.0 }).collect();
        assert_eq!(shape(&wild).spikes, []);
    }

    #[test]
    fn a_loss_that_rises_and_stays_is_one_event() {
        let mut losses: Vec<f64> = (0..40).map(|i| 3.0 - 0.05 * f64::from(i)).collect();
        losses[25..].iter_mut().for_each(|loss| *loss += 3.0);
        let found = shape(&losses).spikes;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].step, found[0].loss), (26, 4.75));
    }

    #[test]
    fn where_steps_go_back_the_training_was_resumed() {
        let at = |step, loss| LossPoint { step, loss, grad_norm: None };
        let logged = [at(10, 3.0), at(20, 2.0), at(30, 9.0), at(20, 2.5), at(25, 2.4), at(25, 2.3)];
        assert_eq!(kept(&logged), [at(10, 3.0), at(20, 2.5), at(25, 2.3)]);
        assert_eq!(kept(&[]), []);
    }

    #[test]
    fn a_log_of_each_step_says_what_one_of_each_tenth_says() {
        let each: Vec<f64> =
            (0..640).map(|i| 1.0 + 2.0 * (-f64::from(i) / 100.0).exp() + 0.02 * f64::from(i * 7919 % 11)).collect();
        let tenth: Vec<f64> = each.chunks(10).map(|ten| ten.iter().sum::<f64>() / 10.0).collect();
        let (each, tenth) = (shape(&each), shape(&tenth));
        assert!((each.smoothness - tenth.smoothness).abs() < 1e-9 && (each.last - tenth.last).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_curve_has_a_shape_and_scale_does_not_matter(losses in proptest::collection::vec(0.1f64..9.0, 10..200)) {
            let found = shape(&losses);
            prop_assert!((0.0..=1.0).contains(&found.smoothness));
            let twice = shape(&losses.iter().map(|loss| 2.0 * loss).collect::<Vec<_>>());
            prop_assert!((found.smoothness - twice.smoothness).abs() < 1e-9);
            prop_assert_eq!(found.spikes.len(), twice.spikes.len());
        }
    }
}
