//! How fast products with weights are.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::Precision;
use crate::model::rate::{Rate, Yardstick};
use crate::record::{Check, Status};

/// Time that each rate is taken over.
const TIME: Duration = Duration::from_millis(250);

/// GFLOP/s of all threads below which a suite on a model of a billion parameters takes hours: 10 tokens a second.
const SLOW: f64 = 20.0;

/// Of the rate of one thread times their number, what all of them together reach at least where they have the cores to
/// themselves; two threads of a core share its arithmetic.
const LEAST_SHARE: f64 = 0.35;

/// The rate of one thread, and of all of them where there are more.
pub struct Rates {
    pub precision: Precision,
    /// Empty where threads can't be started.
    pub rates: Vec<Rate>,
}

impl Rates {
    /// One after the other, as they are asked for.
    pub fn measure(threads: usize) -> impl Iterator<Item = Self> {
        [Precision::F32, Precision::Bf16].into_iter().map(move |precision| {
            let yardstick = Yardstick::new(precision);
            let counts = if threads > 1 { vec![1, threads] } else { vec![1] };
            Self { precision, rates: counts.into_iter().filter_map(|count| yardstick.rate(count, TIME)).collect() }
        })
    }

    pub fn check(&self) -> Check {
        let name = self.precision.name();
        let (Some(one), Some(all)) = (self.rates.first(), self.rates.last()) else {
            let hint = "a limit on processes or on memory may forbid it: `ulimit -u`, or the container's `pids` limit";
            return Check::ok(name, "not measured: threads can't be started").but(Status::Warn, hint);
        };
        let together = if all.threads > 1 { format!(", {} on {}", digits(all.gflops), all.threads) } else { String::new() };
        let figure = format!(
            "{} GFLOP/s on one thread{together}; a model of a billion parameters reads {} tokens/s",
            digits(one.gflops),
            digits(tokens_per_second(all))
        );
        let rates: Vec<Value> =
            self.rates.iter().map(|rate| json!({"threads": rate.threads, "gflops": rounded(rate.gflops)})).collect();
        let mut check = Check::ok(name, figure).with("rates", rates);
        let share = all.gflops / (one.gflops * all.threads as f64);
        if share < LEAST_SHARE {
            let as_many = all.gflops / one.gflops;
            check = check.but(
                Status::Warn,
                format!(
                    "{} threads do the work of {as_many:.1}: other processes use the cores, or a limit of the container holds them; end those, raise it, or try fewer --threads",
                    all.threads
                ),
            );
        }
        if all.gflops < SLOW {
            let hint = "a suite on a large model takes hours at this rate: see `build`, `cpu` and `threads` above, or take a machine with more cores";
            check = check.but(Status::Warn, hint);
        }
        check
    }
}

/// A token takes a multiplication and an addition for each parameter.
fn tokens_per_second(rate: &Rate) -> f64 {
    rate.gflops / 2.0
}

/// Two digits or so: the next ones are another's the next time.
fn digits(x: f64) -> String {
    if x < 10.0 { format!("{x:.1}") } else { format!("{x:.0}") }
}

fn rounded(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rates: &[(usize, f64)]) -> Check {
        let rates = rates.iter().map(|&(threads, gflops)| Rate { threads, gflops }).collect();
        Rates { precision: Precision::F32, rates }.check()
    }

    #[test]
    fn a_fast_machine_is_well() {
        let check = check(&[(1, 80.04), (16, 640.0)]);
        assert_eq!((check.name, check.status), ("f32", Status::Ok));
        assert_eq!(check.figure, "80 GFLOP/s on one thread, 640 on 16; a model of a billion parameters reads 320 tokens/s");
        assert_eq!(check.values["rates"], json!([{"threads": 1, "gflops": 80.0}, {"threads": 16, "gflops": 640.0}]));
    }

    #[test]
    fn threads_that_gain_little_are_told() {
        let check = check(&[(1, 80.0), (16, 160.0)]);
        assert_eq!(check.status, Status::Warn);
        assert!(check.hints[0].starts_with("16 threads do the work of 2.0:"), "{:?}", check.hints);
    }

    #[test]
    fn a_slow_machine_is_a_warning() {
        let check = check(&[(1, 2.04)]);
        assert_eq!(check.figure, "2.0 GFLOP/s on one thread; a model of a billion parameters reads 1.0 tokens/s");
        assert_eq!((check.status, check.hints.len()), (Status::Warn, 1));
    }

    #[test]
    fn no_rate_is_a_warning() {
        assert_eq!(check(&[]).status, Status::Warn);
    }
}
