//! What the kernels found the CPU to have.

use crate::model::kernel::instructions::Instructions;
use crate::record::{Check, Status};

/// The CPU, and the instructions that the kernels chose.
pub struct Cpu<'a> {
    /// Empty where it has no name.
    pub name: &'a str,
    pub instructions: Instructions,
    /// bf16 is multiplied as such.
    pub bf16_pairs: bool,
}

impl Cpu<'_> {
    pub fn check(&self) -> Check {
        let name = if self.name.is_empty() { "of no known name" } else { self.name };
        let bf16 = if self.bf16_pairs { "bf16 with AVX512-BF16" } else { "bf16 widened to float32" };
        let instructions = match self.instructions {
            Instructions::Scalar => "without vector instructions".to_owned(),
            vector => format!("with {}", vector.name()),
        };
        let check = Check::ok("cpu", format!("{name}; computes {instructions}, {bf16}"))
            .with("name", self.name)
            .with("instructions", self.instructions.name())
            .with("bf16_pairs", self.bf16_pairs);
        match self.instructions {
            Instructions::Scalar => check.but(Status::Warn, HINT),
            _ => check,
        }
    }
}

const HINT: &str = "products take many times as long without AVX2 and FMA, AVX-512, or NEON: a virtual machine may hide them (give it the host's CPU), an emulator too (use a build for this machine)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_without_vectors_is_a_warning() {
        let cpu = |instructions| Cpu { name: "Old", instructions, bf16_pairs: false }.check();
        let check = cpu(Instructions::Scalar);
        assert_eq!(check.status, Status::Warn);
        assert_eq!(check.figure, "Old; computes without vector instructions, bf16 widened to float32");
        assert!(check.hints[0].contains("AVX2"));
        for vector in [Instructions::Avx2, Instructions::Avx512, Instructions::Neon] {
            assert_eq!(cpu(vector).status, Status::Ok, "{vector:?}");
        }
    }

    #[test]
    fn what_is_chosen_is_named() {
        let check = Cpu { name: "", instructions: Instructions::Avx512, bf16_pairs: true }.check();
        assert_eq!(check.figure, "of no known name; computes with AVX-512, bf16 with AVX512-BF16");
    }
}
