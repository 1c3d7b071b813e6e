//! Products of bfloat16 with float32 sums, where the CPU has an instruction for pairs of them (AVX512-BF16's `vdpbf16ps`).
//!
//! Rows are rounded to bfloat16; weights are read from the checkpoint's order, two of a row at a time.

#![expect(unsafe_code, reason = "`vdpbf16ps` is reached through std::arch")]

use std::sync::OnceLock;

use half::bf16;

use super::LANES;

/// Whether the CPU has the instruction and is faster with it. Intel's cores split it into parts, which makes it half as fast as
/// float32 multiply-adds; AMD's, from Zen 4 on, do it at twice their speed.
pub fn fast() -> bool {
    static FAST: OnceLock<bool> = OnceLock::new();
    *FAST.get_or_init(|| supported() && vendor() == *b"AuthenticAMD")
}

#[cfg(target_arch = "x86_64")]
fn vendor() -> [u8; 12] {
    let leaf = std::arch::x86_64::__cpuid(0);
    let mut name = [0; 12];
    for (part, register) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.edx, leaf.ecx]) {
        part.copy_from_slice(&register.to_le_bytes());
    }
    name
}

#[cfg(target_arch = "x86_64")]
fn supported() -> bool {
    std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn vendor() -> [u8; 12] {
    [0; 12]
}

#[cfg(not(target_arch = "x86_64"))]
fn supported() -> bool {
    false
}

/// Rounds `x: (panels, inner, LANES)` to pairs of bfloat16 along the inner dimension: `(panels, inner / 2 rounded up, LANES)`,
/// the first of a pair in the low half. An odd inner dimension ends with a zero.
pub fn round(x: &[f32], inner: usize, pairs: &mut Vec<u32>) {
    pairs.clear();
    let bits = |value: f32| u32::from(bf16::from_f32(value).to_bits());
    for panel in x.chunks_exact(inner * LANES) {
        for two in panel.chunks(2 * LANES) {
            let (first, second) = two.split_at(LANES);
            let second = |lane: usize| second.get(lane).copied().unwrap_or(0.0);
            pairs.extend(first.iter().enumerate().map(|(lane, value)| bits(*value) | bits(second(lane)) << 16));
        }
    }
}

/// `results[panel][o][lane] = Σ_k w[o][k] · x[panel][k][lane]`.
///
/// - `x`: one or two panels from [`round`]
/// - `w`: `(outputs, inner)` bfloat16, row-major
/// - `results`: `(outputs, LANES)` for each panel
pub fn product(x: &[u32], w: &[u16], inner: usize, results: &mut [&mut [f32]]) {
    let panels = results.len();
    assert!(
        matches!(panels, 1 | 2)
            && x.len() == panels * inner.div_ceil(2) * LANES
            && results.iter().all(|results| results.len() * inner == w.len() * LANES),
        "a product of {} pairs with {} weights into {}",
        x.len(),
        w.len(),
        results[0].len()
    );
    #[cfg(target_arch = "x86_64")]
    if supported() {
        // SAFETY: the CPU has both features.
        return unsafe { avx512::product(x, w, inner, results) };
    }
    plain(x, w, inner, results);
}

/// The same in plain arithmetic, to the last bit what the instruction's definition says where no sum is denormal: of a pair the
/// second is added first, each by a multiply-add.
fn plain(x: &[u32], w: &[u16], inner: usize, results: &mut [&mut [f32]]) {
    let low = |pair: u32| f32::from_bits(pair << 16);
    let high = |pair: u32| f32::from_bits(pair & 0xffff_0000);
    let weight = |bits: u16| f32::from_bits(u32::from(bits) << 16);
    for (x, results) in x.chunks_exact(inner.div_ceil(2) * LANES).zip(results) {
        for (results, row) in results.as_chunks_mut::<LANES>().0.iter_mut().zip(w.chunks_exact(inner)) {
            *results = [0.0; LANES];
            for (pair, x) in row.chunks(2).zip(x.as_chunks::<LANES>().0) {
                let (first, second) = (weight(pair[0]), pair.get(1).copied().map_or(0.0, weight));
                for lane in 0..LANES {
                    results[lane] = first.mul_add(low(x[lane]), second.mul_add(high(x[lane]), results[lane]));
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::LANES;

    /// Outputs of a tile: with two panels, 24 sums.
    const TILE: usize = 12;

    /// The caller has checked the lengths against each other.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn product(x: &[u32], w: &[u16], inner: usize, results: &mut [&mut [f32]]) {
        match results {
            [first, second] => tiles(x, w, inner, [first, second]),
            [only] => tiles(x, w, inner, [only]),
            _ => {}
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn tiles<const P: usize>(x: &[u32], w: &[u16], inner: usize, mut results: [&mut [f32]; P]) {
        let outputs = w.len() / inner;
        let whole = outputs / TILE * TILE;
        for output in (0..whole).step_by(TILE) {
            tile::<TILE, P>(x, w, inner, output, &mut results);
        }
        for output in whole..outputs {
            tile::<1, P>(x, w, inner, output, &mut results);
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn tile<const N: usize, const P: usize>(x: &[u32], w: &[u16], inner: usize, output: usize, results: &mut [&mut [f32]; P]) {
        let rows: [&[u16]; N] = std::array::from_fn(|n| &w[(output + n) * inner..(output + n + 1) * inner]);
        let pairs = inner.div_ceil(2);
        let panels: [&[[u32; LANES]]; P] = std::array::from_fn(|p| x[p * pairs * LANES..(p + 1) * pairs * LANES].as_chunks().0);
        let mut sums = [[_mm512_setzero_ps(); P]; N];
        for k in 0..inner / 2 {
            let x: [__m512i; P] = std::array::from_fn(|p| load(&panels[p][k]));
            for n in 0..N {
                let pair = u32::from(rows[n][2 * k]) | u32::from(rows[n][2 * k + 1]) << 16;
                add(&mut sums[n], pair, &x);
            }
        }
        if inner % 2 == 1 {
            let x: [__m512i; P] = std::array::from_fn(|p| load(&panels[p][pairs - 1]));
            for n in 0..N {
                add(&mut sums[n], u32::from(rows[n][inner - 1]), &x);
            }
        }
        for (n, sums) in sums.iter().enumerate() {
            for (p, sum) in sums.iter().enumerate() {
                store(*sum, &mut results[p][(output + n) * LANES..(output + n + 1) * LANES]);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn add<const P: usize>(sums: &mut [__m512; P], pair: u32, x: &[__m512i; P]) {
        let w = bits(_mm512_set1_epi32(pair as i32));
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = _mm512_dpbf16_ps(*sum, bits(*x), w);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn bits(pairs: __m512i) -> __m512bh {
        // SAFETY: both are 64 bytes without invalid values.
        unsafe { std::mem::transmute::<__m512i, __m512bh>(pairs) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(pairs: &[u32; LANES]) -> __m512i {
        // SAFETY: an unaligned load of the array's 64 bytes.
        unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(sum: __m512, values: &mut [f32]) {
        assert!(values.len() == LANES, "one register");
        // SAFETY: an unaligned store to the slice's 64 bytes, checked just above.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sum) }
    }
}
