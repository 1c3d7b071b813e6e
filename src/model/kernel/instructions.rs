//! Which vector instructions the kernels were compiled for that run here.

use pulp::{Simd, WithSimd};

use super::{arch, pairs};

/// The vector instructions that the kernels compute with on this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    Avx512,
    /// With FMA.
    Avx2,
    Neon,
    /// WebAssembly's.
    Simd128,
    /// One number at a time.
    Scalar,
}

impl Instructions {
    /// Those that every kernel is dispatched to, looked up once.
    pub fn in_use() -> Self {
        arch().dispatch(Width)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Neon => "NEON",
            Self::Simd128 => "SIMD128",
            Self::Scalar => "scalar",
        }
    }
}

/// Whether bf16 is multiplied by bf16 (AVX512-BF16), and not widened to float32 first.
pub fn bf16_pairs_in_use() -> bool {
    pairs::fast()
}

/// Asks what a dispatched kernel is compiled for, in the way in which the products choose their tiles: by the width of a register.
struct Width;

impl WithSimd for Width {
    type Output = Instructions;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Instructions {
        match S::F32_LANES {
            16 => Instructions::Avx512,
            8 => Instructions::Avx2,
            4 if cfg!(target_arch = "wasm32") => Instructions::Simd128,
            4 => Instructions::Neon,
            _ => Instructions::Scalar,
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_what_the_cpu_has() {
        match Instructions::in_use() {
            Instructions::Avx512 => assert!(std::is_x86_feature_detected!("avx512f")),
            Instructions::Avx2 => assert!(std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")),
            // Only where the CPU lacks one of the two.
            other => {
                assert_eq!(other, Instructions::Scalar);
                assert!(!(std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")));
            }
        }
    }
}
