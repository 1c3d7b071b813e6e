//! The kernels one by one, on one thread, in the sizes of a small model: `cargo bench --bench kernels`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sway::model::kernel::LANES;
use sway::model::kernel::activation::{Activation, gated};
use sway::model::kernel::attention::{Attention, Heads, Path, Query, Scratch, Values, attend, padded};
use sway::model::kernel::fold::Fold;
use sway::model::kernel::norm::rms_norm;
use sway::model::kernel::pairs;
use sway::model::kernel::product::{BLOCK, Operand, Start, product};
use sway::model::kernel::rope::Angles;

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 31 % 17) as f32 * 0.1 - 0.8).collect()
}

/// Elements are floating-point operations here: the throughput is the rate.
fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("product");
    for (panels, inner, outputs) in [(2, 576, BLOCK), (2, 1536, BLOCK), (1, 576, BLOCK), (2, 576, 16), (2, 4096, BLOCK)] {
        let (x, w) = (values(panels * inner * LANES), values(outputs * inner));
        let mut results = vec![0f32; panels * outputs * LANES];
        let name = format!("{} rows, {inner} to {outputs}", panels * LANES);
        group.throughput(Throughput::Elements((2 * panels * LANES * inner * outputs) as u64));
        group.bench_function(BenchmarkId::new("f32", &name), |b| {
            b.iter(|| {
                let mut places: Vec<&mut [f32]> = results.chunks_exact_mut(outputs * LANES).collect();
                product(Operand::dense(black_box(&x), &w, inner), None, Start::Zero, &mut places);
            });
        });
        let bits: Vec<u16> = w.iter().map(|w| half::bf16::from_f32(*w).to_bits()).collect();
        let mut rounded = Vec::new();
        pairs::round(&x, inner, &mut rounded);
        group.bench_function(BenchmarkId::new("bf16 pairs", &name), |b| {
            b.iter(|| {
                let mut places: Vec<&mut [f32]> = results.chunks_exact_mut(outputs * LANES).collect();
                pairs::product(black_box(&rounded), &bits, inner, &mut places);
            });
        });
    }
    group.finish();
}

/// A panel of rows, or one row, at the end of a context.
fn attention(c: &mut Criterion) {
    let heads = Heads { queries: 9, key_values: 3, dim: 64 };
    let mut group = c.benchmark_group("attention");
    for (context, rows) in [(64, LANES), (1024, LANES), (1024, 1)] {
        let q = values(heads.query_size() * LANES);
        let keys = values(context / LANES * heads.key_size() * LANES);
        let by_position = values(context / LANES * heads.key_values * LANES * padded(heads.dim));
        let mut path = Path::default();
        let tiles = keys
            .chunks_exact(heads.key_size() * LANES)
            .zip(by_position.chunks_exact(heads.key_values * LANES * padded(heads.dim)));
        for (keys, values) in tiles {
            path.push(keys, Values::ByPosition(values), 0..LANES);
        }
        let first = context - rows;
        let positions = std::array::from_fn(|lane| (first + lane.min(rows - 1)) as u32);
        let query = Query { q: &q, lanes: 0..rows, positions, path: &path, heads, how: Attention::plain(heads) };
        let mut out = vec![0f32; q.len()];
        let mut scratch = Scratch::default();
        group.throughput(Throughput::Elements((4 * rows * context * heads.query_size()) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{rows} rows over {context} positions")), |b| {
            b.iter(|| attend(black_box(&query), &mut scratch, &mut out));
        });
    }
    group.finish();
}

/// Elements are activations here, or logits.
fn others(c: &mut Criterion) {
    let mut group = c.benchmark_group("activations");
    let x = values(576 * LANES);
    let mut y = x.clone();
    group.throughput(Throughput::Elements(x.len() as u64));
    let weight = values(576);
    group.bench_function("rms_norm", |b| b.iter(|| rms_norm(black_box(&x), &weight, 1e-5, &mut y)));
    group.bench_function("swiglu", |b| b.iter(|| gated(&mut y, black_box(&x), Activation::Silu)));
    let angles = Angles::new(&values(32), 1.0, &[7; LANES]);
    group.bench_function("rope", |b| b.iter(|| angles.rotate(black_box(&mut y), 64)));
    let logits = values(BLOCK * LANES);
    group.throughput(Throughput::Elements(logits.len() as u64));
    let mut fold = Fold::default();
    group.bench_function("fold", |b| b.iter(|| fold.add(0, black_box(&logits))));
    group.finish();
}

criterion_group!(kernels, products, attention, others);
criterion_main!(kernels);
