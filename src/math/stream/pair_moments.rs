use serde::{Deserialize, Serialize};

use super::Refused;
use super::dyadic::Dyadic;
use super::lean::{self, Lean};
use super::wide::{First, Second, Third};
use crate::math::degenerate::in_range;
use crate::math::{Degenerate, Interval};

/// What the ratio of two means needs of pairs (x, y): the exact sums of all products of up to three of them.
///
/// What is left of a pair at a ratio r is x − r y; its squares and cubes around their mean follow from those of the pairs, for example
/// `Σd² = Cxx − 2 r Cxy + r² Cyy`. Where x and y go together that is a small difference of large numbers, so it is reckoned exactly for
/// each r, and only its result is rounded.
///
/// 5.4 kB in memory. In JSON at most 13 kB, and some 700 bytes for a million pairs of like size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairMoments {
    n: u64,
    x: First,
    y: First,
    xx: Second,
    xy: Second,
    yy: Second,
    xxx: Third,
    xxy: Third,
    xyy: Third,
    yyy: Third,
    #[serde(default, skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

impl PairMoments {
    /// Adds an item's pair. One with a number that is not finite is refused, and leaves no figure.
    #[inline]
    pub fn push(&mut self, index: u64, numerator: f64, denominator: f64) {
        let (x, y) = (numerator, denominator);
        if self.refused.takes(index, if x.is_finite() { y } else { x }) {
            return;
        }
        self.n += 1;
        self.x.add(x);
        self.y.add(y);
        self.xx.add(x, x);
        self.xy.add(x, y);
        self.yy.add(y, y);
        self.xxx.add(x, x, x);
        self.xxy.add(x, x, y);
        self.xyy.add(x, y, y);
        self.yyy.add(y, y, y);
    }

    /// Adds all that other moments hold.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.x.merge(&other.x);
        self.y.merge(&other.y);
        self.xx.merge(&other.xx);
        self.xy.merge(&other.xy);
        self.yy.merge(&other.yy);
        self.xxx.merge(&other.xxx);
        self.xxy.merge(&other.xxy);
        self.xyy.merge(&other.xyy);
        self.yyy.merge(&other.yyy);
        self.refused.merge(&other.refused);
    }

    /// How many pairs were added, those refused not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Was no pair added?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The pairs that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// mean(numerators)/mean(denominators), the double nearest to it.
    ///
    /// # Errors
    /// No pair; a pair that was refused; [`Degenerate::DenominatorNearZero`] where the denominators add up to zero.
    pub fn ratio(&self) -> Result<f64, Degenerate> {
        self.at_least(1)?;
        let whole = self.y.exact();
        if whole.signum() == 0.0 {
            return Err(Degenerate::DenominatorNearZero);
        }
        in_range(self.x.exact().over(&whole))
    }

    /// 95 % interval of the ratio: what [`crate::math::ratio_interval`] gives for up to 4096 pairs. Beyond, that pools them.
    ///
    /// # Errors
    /// As [`crate::math::ratio_interval`].
    pub fn interval(&self) -> Result<Interval, Degenerate> {
        self.at_least(2)?;
        let estimate = self.ratio()?;
        let sums = Sums::of(self);
        let (spread, _) = sums.around_mean(estimate);
        let n = Dyadic::of(self.n as f64);
        let (variance, exponent) = spread.scaled_over(&n.times(&n.minus(&Dyadic::of(1.0))));
        let sd = variance.sqrt() * 2.0_f64.powi((exponent / 2) as i32);
        let step = sd * (self.n as f64).sqrt() / sums.y.rounded().abs();
        // Exactly proportional pairs leave nothing at their ratio, though the double nearest to it leaves a rounding.
        if self.is_proportional(&sums) {
            return Ok(Interval { low: estimate, high: estimate });
        }
        lean::interval(estimate, self.n, step, |offset| {
            let ratio = estimate + offset;
            if !ratio.is_finite() {
                return f64::NAN;
            }
            let (spread, lean) = sums.around_mean(ratio);
            Lean::new(self.n, &spread, &lean).leaning(sums.mean_left(ratio))
        })
    }

    fn at_least(&self, needed: usize) -> Result<(), Degenerate> {
        self.refused.none()?;
        if self.n < needed as u64 {
            return Err(Degenerate::TooFew { needed, found: self.n as usize });
        }
        Ok(())
    }

    /// Is each numerator the same multiple of its denominator? Then `Σx² (Σy)² − 2 Σxy Σx Σy + Σy² (Σx)²`, the sum of the squares of
    /// `x Σy − y Σx`, is zero.
    fn is_proportional(&self, sums: &Sums) -> bool {
        let (xx, xy, yy) = (self.xx.exact(), self.xy.exact(), self.yy.exact());
        let square = |one: &Dyadic| one.times(one);
        let left = xx.times(&square(&sums.y)).plus(&yy.times(&square(&sums.x)));
        left.minus(&xy.times(&sums.x).times(&sums.y).by(2)).signum() == 0.0
    }
}

/// Exact sums, and products around the means: `n Σ` of two, `n² Σ` of three.
struct Sums {
    n: Dyadic,
    x: Dyadic,
    y: Dyadic,
    two: [Dyadic; 3],
    three: [Dyadic; 4],
}

impl Sums {
    fn of(of: &PairMoments) -> Self {
        let (x, y, n) = (of.x.exact(), of.y.exact(), of.n);
        let (xx, xy, yy) = (of.xx.exact(), of.xy.exact(), of.yy.exact());
        let two = |product: &Dyadic, a: &Dyadic, b: &Dyadic| product.by(n).minus(&a.times(b));
        // Σ(a − ā)(b − b̄)(c − c̄) n² = n² Sabc − n (Sab Sc + Sac Sb + Sbc Sa) + 2 Sa Sb Sc.
        let three = |product: &Dyadic, pairs: [(&Dyadic, &Dyadic); 3], sums: [&Dyadic; 3]| {
            let [i, j, k] = pairs.map(|(pair, sum)| pair.times(sum));
            let whole = sums[0].times(sums[1]).times(sums[2]).by(2);
            product.by(n).by(n).minus(&i.plus(&j).plus(&k).by(n)).plus(&whole)
        };
        Self {
            two: [two(&xx, &x, &x), two(&xy, &x, &y), two(&yy, &y, &y)],
            three: [
                three(&of.xxx.exact(), [(&xx, &x); 3], [&x; 3]),
                three(&of.xxy.exact(), [(&xx, &y), (&xy, &x), (&xy, &x)], [&x, &x, &y]),
                three(&of.xyy.exact(), [(&yy, &x), (&xy, &y), (&xy, &y)], [&x, &y, &y]),
                three(&of.yyy.exact(), [(&yy, &y); 3], [&y; 3]),
            ],
            n: Dyadic::of(n as f64),
            x,
            y,
        }
    }

    /// The mean of what is left at a ratio, in the sign of the whole denominator.
    fn mean_left(&self, ratio: f64) -> f64 {
        self.y.signum() * self.x.minus(&self.y.times(&Dyadic::of(ratio))).over(&self.n)
    }

    /// `n Σd²` and `n² Σd³` of what is left at a ratio, in the sign of the whole denominator.
    fn around_mean(&self, ratio: f64) -> (Dyadic, Dyadic) {
        let r = Dyadic::of(ratio);
        let ([xx, xy, yy], [xxx, xxy, xyy, yyy]) = (&self.two, &self.three);
        // By Horner: xx − r (2 xy − r yy), and xxx − r (3 xxy − r (3 xyy − r yyy)).
        let squares = xx.minus(&r.times(&xy.by(2).minus(&r.times(yy))));
        let cubes = xxx.minus(&r.times(&xxy.by(3).minus(&r.times(&xyy.by(3).minus(&r.times(yyy))))));
        (squares, cubes.times(&Dyadic::of(self.y.signum())))
    }
}
