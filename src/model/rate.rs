//! How fast products with weights are on this machine, as a pass computes them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::busy::Clock;
use super::group::Group;
use super::kernel::aligned::Aligned;
use super::linear::{Function, Input, Linear, Products, ScratchPool, Target};
use super::matrix::{Matrix, Precision, Stored};
use super::site::ViewUpdates;
use super::weights::Data;

/// Inputs of a layer, as of a model of about a billion parameters.
const INNER: usize = 2048;

/// As that model's keys have, and few enough that a slow machine comes to an end.
const OUTPUTS: usize = 512;

/// Layers that take turns, 64 MiB of float32: what one leaves in the caches is gone when its turn comes again, as in a model.
const LAYERS: usize = 16;

/// Rows of a thread, which pass through a layer together as a group of a pass does.
const ROWS: usize = 128;

/// Products of some threads in a quarter of a second or so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub threads: usize,
    /// 10⁹ multiplications and additions a second, of all threads together.
    pub gflops: f64,
}

/// Linear layers that are there to be measured with.
pub struct Yardstick {
    layers: Vec<Linear>,
    precision: Precision,
}

impl Yardstick {
    pub fn new(precision: Precision) -> Self {
        Self { layers: (0..LAYERS as u32).map(|seed| Linear::alone(weights(seed, precision))).collect(), precision }
    }

    /// What so many threads compute in about this time, and at least in a layer's. `None` where they can't be started.
    pub fn rate(&self, threads: usize, time: Duration) -> Option<Rate> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()?;
        let gflops = pool.install(|| self.gflops(time));
        Some(Rate { threads, gflops })
    }

    /// Over the threads of the pool that this runs in.
    fn gflops(&self, time: Duration) -> f64 {
        let (clock, pool, updates) = (Clock::default(), ScratchPool::default(), ViewUpdates { views: vec![None] });
        let products = Products { updates: &updates, precision: self.precision, clock: &clock, pool: &pool, divided: false };
        let group = Group::alone(ROWS);
        let mut rows = Aligned::zeros(group.size(INNER));
        rows.iter_mut().zip(numbers(LAYERS as u32)).for_each(|(row, number)| *row = number);
        let mut results = vec![Aligned::zeros(group.size(OUTPUTS)); rayon::current_num_threads()];
        let mut layer = |layer: &Linear| {
            results.par_iter_mut().for_each(|results| {
                let input = Input::new(&products, &group, &rows);
                let target = Target { values: results, features: OUTPUTS, offset: 0, add: false };
                pool.with(|scratch| products.apply(Function::Linear(layer), &input, target, scratch));
            });
            black_box(&mut results);
        };
        // Not counted: threads start, and their buffers are made.
        layer(&self.layers[0]);
        let (start, mut passes) = (Instant::now(), 0);
        for next in self.layers.iter().cycle().skip(1) {
            layer(next);
            passes += 1;
            if start.elapsed() >= time {
                break;
            }
        }
        let flops = 2 * ROWS * INNER * OUTPUTS * passes * rayon::current_num_threads();
        flops as f64 / start.elapsed().as_secs_f64() / 1e9
    }
}

fn weights(seed: u32, precision: Precision) -> Matrix {
    let numbers = numbers(seed).take(OUTPUTS * INNER);
    let stored = match precision {
        Precision::F32 => Stored::F32(Data::owned(numbers.collect())),
        Precision::Bf16 => Stored::Bf16(Data::owned(numbers.map(|number| half::bf16::from_f32(number).to_bits()).collect())),
    };
    Matrix::new([OUTPUTS, INNER], stored, precision)
}

/// Between −1 and 1, and never small enough to be denormal: those are slow.
fn numbers(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_threads_that_were_asked_for() {
        for precision in [Precision::F32, Precision::Bf16] {
            let yardstick = Yardstick::new(precision);
            for threads in [1, 2] {
                let rate = yardstick.rate(threads, Duration::ZERO).unwrap();
                assert!(rate.threads == threads && rate.gflops.is_finite() && rate.gflops > 0.0, "{rate:?}");
            }
        }
    }
}
