use super::Degenerate;

/// Benjamini–Hochberg adjusted p-values (q-values), in the order of the p-values: the smallest false discovery rate at
/// which each would be called an effect (Benjamini and Hochberg 1995; Yekutieli and Benjamini 1999 for the adjustment).
/// No p-value gives none.
///
/// # Errors
/// [`Degenerate::OutOfUnit`] names the first p-value that is NaN or outside [0, 1].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, Degenerate> {
    if let Some(index) = p_values.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(Degenerate::OutOfUnit { index });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let tests = p_values.len() as f64;
    let mut q_values = vec![1.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values[index] * (tests / (rank + 1) as f64));
        q_values[index] = smallest;
    }
    Ok(q_values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::benjamini_hochberg;
    use crate::math::Degenerate;

    #[test]
    fn a_hand_worked_family_keeps_its_order() {
        let q = benjamini_hochberg(&[0.04, 0.01, 0.5, 0.02]).unwrap();
        let expected = [0.16 / 3.0, 0.04, 0.5, 0.04];
        assert!(q.iter().zip(expected).all(|(q, e)| (q - e).abs() < 1e-15), "{q:?}");
    }

    #[test]
    fn no_test_or_one_test_needs_no_correction() {
        assert_eq!(benjamini_hochberg(&[]), Ok(vec![]));
        assert_eq!(benjamini_hochberg(&[0.03]), Ok(vec![0.03]));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for bad in [f64::NAN, -0.1, 1.1] {
            assert_eq!(benjamini_hochberg(&[0.5, bad]), Err(Degenerate::OutOfUnit { index: 1 }));
        }
    }

    proptest! {
        #[test]
        fn q_values_rise_with_p_and_never_fall_below_it(p in proptest::collection::vec(0.0..=1.0, 0..40)) {
            let q = benjamini_hochberg(&p).unwrap();
            for (i, (&p_i, &q_i)) in p.iter().zip(&q).enumerate() {
                prop_assert!(p_i <= q_i && q_i <= 1.0);
                prop_assert!((0..i).all(|j| p[j] > p_i || q[j] <= q_i));
            }
        }

        #[test]
        fn calling_by_q_is_the_step_up_procedure(p in proptest::collection::vec(0.0..=0.3, 1..40)) {
            let rate = 0.05;
            let q = benjamini_hochberg(&p).unwrap();
            let mut sorted = p.clone();
            sorted.sort_by(f64::total_cmp);
            let m = p.len() as f64;
            let called = (1..=p.len()).rev().find(|&k| sorted[k - 1] <= rate * k as f64 / m).unwrap_or(0);
            prop_assert_eq!(q.iter().filter(|q| **q <= rate).count(), called);
        }
    }
}
