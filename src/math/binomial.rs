/// Exact two-sided p-value of `McNemar`'s test: of the pairs that changed, could as many have changed each way by chance?
/// `min(1, 2 P(X ≤ min(fixed, broken)))`, X binomial with p = ½ over the changed pairs. No change at all gives 1.
#[must_use]
pub fn mcnemar(fixed: u64, broken: u64) -> f64 {
    let changed = fixed + broken;
    let fewer = fixed.min(broken);
    if fixed == broken {
        return 1.0;
    }
    // From the largest term down, C(n, k−1) = C(n, k) k/(n − k + 1), until the terms no longer count.
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = fewer;
    while k > 0 && term > sum * f64::EPSILON / 4.0 {
        term *= k as f64 / (changed - k + 1) as f64;
        sum += term;
        k -= 1;
    }
    (2.0 * sum * half_to_the(changed, fewer)).min(1.0)
}

/// `C(n, k) 2^−n`.
fn half_to_the(n: u64, k: u64) -> f64 {
    let ln = statrs::function::factorial::ln_binomial(n, k) - n as f64 * std::f64::consts::LN_2;
    ln.exp()
}

#[cfg(test)]
mod tests {
    use super::mcnemar;

    fn by_definition(fixed: u32, broken: u32) -> f64 {
        let n = fixed + broken;
        let mut row = vec![1.0_f64];
        for _ in 0..n {
            let mut next = vec![1.0; row.len() + 1];
            for i in 1..row.len() {
                next[i] = row[i - 1] + row[i];
            }
            row = next;
        }
        let tail: f64 = row[..=fixed.min(broken) as usize].iter().sum();
        (2.0 * tail / 2_f64.powi(n as i32)).min(1.0)
    }

    #[test]
    fn it_follows_the_definition_for_every_small_table() {
        for fixed in 0..40 {
            for broken in 0..40 {
                let (found, expected) = (mcnemar(u64::from(fixed), u64::from(broken)), by_definition(fixed, broken));
                assert!((found - expected).abs() <= 1e-12 * expected, "{fixed}, {broken}: {found} {expected}");
            }
        }
    }

    #[test]
    fn large_tables_stay_between_0_and_1() {
        assert!(mcnemar(0, 1_000_000) < 1e-300);
        let p = mcnemar(500_500, 499_500);
        assert!((p - 0.317_7).abs() < 0.001, "{p}");
    }
}
