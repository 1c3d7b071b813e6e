/// Where a rising function crosses zero between `low` and `high`, to the last bit that halving can find. Slower than the
/// Newton steps of `statrs`, but it can neither run away nor run for ever.
pub(super) fn crossing(mut low: f64, mut high: f64, rising: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::crossing;

    #[test]
    fn it_finds_a_root_and_stays_at_an_end_where_there_is_none() {
        assert!((crossing(0.0, 2.0, |x| x * x - 2.0) - std::f64::consts::SQRT_2).abs() < 1e-15);
        assert!((crossing(0.0, 1.0, |x| x - 5.0) - 1.0).abs() < 1e-15);
    }
}
