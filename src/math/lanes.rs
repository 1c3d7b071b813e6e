/// Independent partial sums: enough to fill two AVX-512 registers, and a fixed order of addition on every machine.
const LANES: usize = 16;

/// `Σ term(x)`, in double precision.
#[inline]
pub(super) fn sum<T>(xs: &[T], term: impl Fn(&T) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = xs.as_chunks::<LANES>();
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane += term(x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += term(x);
    }
    lanes.iter().sum()
}

/// `Σ term(a, b)` over two lists read side by side, in double precision. The longer is cut to the shorter.
#[inline]
pub(super) fn sum_pairs<A, B>(left: &[A], right: &[B], term: impl Fn(&A, &B) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let length = left.len().min(right.len());
    let (left_blocks, left_rest) = left[..length].as_chunks::<LANES>();
    let (right_blocks, right_rest) = right[..length].as_chunks::<LANES>();
    for (left_block, right_block) in left_blocks.iter().zip(right_blocks) {
        for ((lane, a), b) in lanes.iter_mut().zip(left_block).zip(right_block) {
            *lane += term(a, b);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(left_rest).zip(right_rest) {
        *lane += term(a, b);
    }
    lanes.iter().sum()
}

/// `Σ term((x, p), (y, q))` over two pairs of lists, all of one length, in double precision.
#[inline]
pub(super) fn sum_quads(
    (xs, ps): (&[f32], &[f64]),
    (ys, qs): (&[f32], &[f64]),
    term: impl Fn((f32, f64), (f32, f64)) -> f64,
) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((x_blocks, x_rest), (p_blocks, p_rest)) = (xs.as_chunks::<LANES>(), ps.as_chunks::<LANES>());
    let ((y_blocks, y_rest), (q_blocks, q_rest)) = (ys.as_chunks::<LANES>(), qs.as_chunks::<LANES>());
    for (((x, p), y), q) in x_blocks.iter().zip(p_blocks).zip(y_blocks).zip(q_blocks) {
        for i in 0..LANES {
            lanes[i] += term((x[i], p[i]), (y[i], q[i]));
        }
    }
    for ((((lane, &x), &p), &y), &q) in lanes.iter_mut().zip(x_rest).zip(p_rest).zip(y_rest).zip(q_rest) {
        *lane += term((x, p), (y, q));
    }
    lanes.iter().sum()
}

/// The largest value, or `None` where a value is NaN or infinite, or there is none.
#[inline]
pub(super) fn finite_max(xs: &[f32]) -> Option<f32> {
    // Without its sign bit, a float orders like an integer, and everything from infinity on is not finite.
    const SIGNLESS: u32 = 0x7fff_ffff;
    let mut largest = [f32::NEG_INFINITY; LANES];
    let mut magnitude = [0_u32; LANES];
    let (blocks, rest) = xs.as_chunks::<LANES>();
    for block in blocks.iter().map(<[f32; LANES]>::as_slice).chain([rest]) {
        for ((high, bits), &x) in largest.iter_mut().zip(&mut magnitude).zip(block) {
            *high = if x > *high { x } else { *high };
            *bits = (x.to_bits() & SIGNLESS).max(*bits);
        }
    }
    let finite = magnitude.iter().all(|&bits| bits < f32::INFINITY.to_bits());
    (finite && !xs.is_empty()).then(|| largest.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

#[cfg(test)]
mod tests {
    use super::{finite_max, sum, sum_pairs, sum_quads};

    #[test]
    fn every_value_counts_once_whatever_the_length() {
        for length in 0..70_u16 {
            let xs: Vec<f32> = (0..length).map(f32::from).collect();
            let expected = f64::from(length) * (f64::from(length) - 1.0) / 2.0;
            assert!((sum(&xs, |x| f64::from(*x)) - expected).abs() < 1e-9);
            assert!((sum_pairs(&xs, &xs, |x, y| f64::from(x + y)) - 2.0 * expected).abs() < 1e-9);
            let ps: Vec<f64> = xs.iter().map(|&x| f64::from(x)).collect();
            let quads = sum_quads((&xs, &ps), (&xs, &ps), |(x, p), (y, q)| f64::from(x + y) + p + q);
            assert!((quads - 4.0 * expected).abs() < 1e-9);
            assert_eq!(finite_max(&xs), length.checked_sub(1).map(f32::from));
        }
    }

    #[test]
    fn one_bad_value_anywhere_leaves_no_maximum() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in 0..40 {
                let mut xs = vec![1.0; 40];
                xs[position] = bad;
                assert_eq!(finite_max(&xs), None);
            }
        }
    }
}
