//! The best rate of float32 products on this machine, over all threads: that of sway's own kernel and of the `gemm` crate.
//!
//! Prints one line of JSON, in GFLOP/s. `processes.py` sets what sway reaches in a run against the better of the two.

use std::time::Instant;

use rayon::prelude::*;
use sway::model::kernel::LANES;
use sway::model::kernel::product::{BLOCK, MOST_PANELS, Operand, Start, product};

/// Rows, inner elements and outputs: large enough that nothing but the product counts.
const SIZE: usize = 2016;

/// The best of this many counts: what the machine can do, not what others left of it.
const ROUNDS: usize = 12;

#[expect(clippy::print_stdout, reason = "the line is what it is for")]
fn main() {
    let threads = rayon::current_num_threads();
    let values = |seed: usize| -> Vec<f32> { (0..SIZE * SIZE).map(|i| ((i * 31 + seed) % 17) as f32 * 0.1 - 0.8).collect() };
    let (x, w, mut y) = (values(1), values(5), vec![0f32; SIZE * SIZE]);
    let best = |work: &mut dyn FnMut()| {
        let seconds = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        2.0 * (SIZE as f64).powi(3) / seconds.fold(f64::INFINITY, f64::min) / 1e9
    };
    let own = best(&mut || own(&x, &w, &mut y));
    let gemm = best(&mut || by_gemm(&x, &w, &mut y, threads));
    println!(r#"{{"threads": {threads}, "own_gflops": {own:.1}, "gemm_gflops": {gemm:.1}}}"#);
}

fn own(x: &[f32], w: &[f32], y: &mut [f32]) {
    let panels = MOST_PANELS * LANES * SIZE;
    x.par_chunks(4 * panels).zip(y.par_chunks_mut(4 * panels)).for_each(|(x, y)| {
        for first in (0..SIZE).step_by(BLOCK) {
            let outputs = first..SIZE.min(first + BLOCK);
            for (x, y) in x.chunks(panels).zip(y.chunks_mut(panels)) {
                let main = Operand::dense(x, &w[outputs.start * SIZE..outputs.end * SIZE], SIZE);
                let places = y.chunks_exact_mut(SIZE * LANES).map(|y| &mut y[outputs.start * LANES..outputs.end * LANES]);
                product(main, None, Start::Zero, &mut places.collect::<Vec<_>>());
            }
        }
    });
}

fn by_gemm(x: &[f32], w: &[f32], y: &mut [f32], threads: usize) {
    let size = SIZE as isize;
    // SAFETY: three matrices of SIZE × SIZE, of which the first is borrowed mutably.
    #[expect(unsafe_code, reason = "gemm takes raw pointers")]
    unsafe {
        gemm::gemm(
            SIZE,
            SIZE,
            SIZE,
            y.as_mut_ptr(),
            1,
            size,
            false,
            x.as_ptr(),
            1,
            size,
            w.as_ptr(),
            size,
            1,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(threads),
        );
    }
}
