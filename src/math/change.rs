/// The largest change of a log-probability, both sides centred by their mean, in nats: a shift of all logits is none.
#[must_use]
pub fn largest_change<T: Copy + Into<f64>>(of: &[T], from: &[T]) -> f64 {
    let changes = || of.iter().zip(from).map(|(&of, &from)| of.into() - from.into());
    let mean = changes().sum::<f64>() / of.len() as f64;
    changes().fold(0.0, |largest, change| largest.max((change - mean).abs()))
}

#[cfg(test)]
mod tests {
    use super::largest_change;

    #[test]
    fn a_shift_of_all_logits_is_no_change() {
        assert!(largest_change(&[-1.0, -2.0, -4.0], &[-1.5, -2.5, -4.5]) < 1e-12);
    }

    #[test]
    fn a_change_is_seen_at_its_token() {
        assert!((largest_change(&[-1.0, -2.0, -3.0, -5.0], &[-1.0, -2.0, -3.0, -1.0]) - 3.0).abs() < 1e-12);
    }
}
