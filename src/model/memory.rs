//! What loading a model takes, beside what there is: told before anything is read.

use std::ops::Add;
use std::path::Path;

use safetensors::tensor::Dtype;
use sysinfo::{CGroupLimits, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::error::ModelError;
use super::matrix::Precision;
use super::weights::{Keep, Tensors};

/// Memory in bytes, as far as this process may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    /// What can be had without swapping: caches of files can be dropped for it.
    pub available: u64,
}

impl Memory {
    /// Of the machine, or of the control group that the process is in where that has a limit. `None` on a system that does not
    /// tell.
    pub fn now() -> Option<Self> {
        let mut system = System::new();
        system.refresh_memory();
        let machine = Self { total: system.total_memory(), available: system.available_memory() };
        (machine.total > 0).then(|| limits(&mut system).map_or(machine, |limits| machine.within(&limits)))
    }

    /// What is left of the machine's within a control group's limit.
    fn within(self, limits: &CGroupLimits) -> Self {
        if limits.total_memory == 0 || limits.total_memory >= self.total {
            return self;
        }
        // Not the group's `free_memory`: that counts the pages of files as used, mapped weights among them, which are dropped
        // when memory is wanted. A second run would find none left.
        let available = limits.total_memory.saturating_sub(limits.rss);
        Self { total: limits.total_memory, available: available.min(self.available) }
    }
}

/// Of this process's group, or of the root of what a container sees, where the path of the group is the host's.
fn limits(system: &mut System) -> Option<CGroupLimits> {
    let own = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, ProcessRefreshKind::nothing().without_tasks());
    system.process(own).and_then(sysinfo::Process::cgroup_limits).or_else(|| system.cgroup_limits())
}

/// What a model takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Of the process's own: weights that are not computed with as they lie in their files.
    pub own: u64,
    /// Weights that are read where their files are mapped: they may leave the memory, and are then read from the disk again.
    pub mapped: u64,
    /// Copies of small models that stand beside the one that is probed.
    pub copied: u64,
}

impl Add for Need {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { own: self.own + other.own, mapped: self.mapped + other.mapped, copied: self.copied + other.copied }
    }
}

/// Beside the weights: rows under way, what is kept between passes, the tokenizer.
const BESIDE: u64 = 512 << 20;

impl Need {
    /// Of the checkpoint in a folder, by its headers.
    pub fn of(model: &Path, precision: Precision) -> Result<Self, ModelError> {
        Ok(Self::of_tensors(&Tensors::open_model(model, Keep::Mapped)?, precision))
    }

    /// Of one checkpoint.
    pub fn of_tensors(tensors: &Tensors, precision: Precision) -> Self {
        let mut need = Self::default();
        for (dtype, bytes) in tensors.sizes() {
            match (precision, dtype) {
                // Rounded once, into memory of its own.
                (Precision::Bf16, Dtype::F32) => need.own += bytes / 2,
                (Precision::Bf16, Dtype::F16) => need.own += bytes,
                _ => need.mapped += bytes,
            }
        }
        need
    }

    /// Weights, wherever they are read.
    pub fn weights(self) -> u64 {
        self.own + self.mapped
    }

    /// The same with a copy of the checkpoint in this folder, in float32.
    pub fn with_copy_of(self, model: &Path) -> Result<Self, ModelError> {
        let bytes = Tensors::open_model(model, Keep::Mapped)?.parameters() * size_of::<f32>() as u64;
        Ok(Self { copied: self.copied + bytes, ..self })
    }

    /// Refuses what can't be held where all weights are copied into memory.
    pub fn check_copied(self, memory: Memory) -> Result<(), ModelError> {
        let all = self.weights() + self.copied;
        if all + BESIDE <= memory.available {
            return Ok(());
        }
        let (available, total) = (gigabytes(memory.available), gigabytes(memory.total));
        Err(ModelError::Unsupported(format!(
            "the weights take {} of memory, and {available} of {total} are available\nhint: what stays warm is held in memory, whatever becomes of its files; unload other models first",
            gigabytes(all + BESIDE)
        )))
    }

    /// Refuses what can't be held, and gives a warning for what can be had only from the disk, over and over.
    pub fn check(self, memory: Memory, precision: Precision) -> Result<Option<String>, ModelError> {
        let Self { own, mapped, copied } = self;
        let beside = BESIDE + copied;
        let (total, available) = (gigabytes(memory.total), gigabytes(memory.available));
        if own > 0 && own + beside > memory.available {
            return Err(ModelError::Unsupported(format!(
                "computing in {} takes {} of memory for the rounded weights, and {available} of {total} are available\nhint: in float32 (leave `dtype` out) the weights are read where they lie; a checkpoint saved in bfloat16 needs no rounding",
                precision.name(),
                gigabytes(own + beside)
            )));
        }
        if copied > 0 && copied + BESIDE > memory.available {
            return Err(ModelError::Unsupported(format!(
                "the embedders take {} of memory, and {available} of {total} are available\nhint: take a smaller one, or `base`",
                gigabytes(copied)
            )));
        }
        if own + mapped + beside > memory.available {
            return Ok(Some(format!(
                "the weights take {}, and {available} of {total} of memory are available: what does not fit is read from the disk again in every pass, which is slow",
                gigabytes(own + mapped)
            )));
        }
        Ok(None)
    }
}

/// `16.1 GB`, of 10⁹ bytes.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;
    const MACHINE: Memory = Memory { total: 24 * GB, available: 20 * GB };

    #[test]
    fn what_fits_is_not_spoken_of() {
        let need = Need { own: 0, mapped: 16 * GB, copied: 0 };
        assert!(matches!(need.check(MACHINE, Precision::F32), Ok(None)));
        let need = Need { own: 8 * GB, mapped: 8 * GB, copied: 0 };
        assert!(matches!(need.check(MACHINE, Precision::Bf16), Ok(None)));
    }

    #[test]
    fn mapped_weights_that_do_not_fit_are_a_warning_with_both_figures() {
        let warning = Need { own: 0, mapped: 32 * GB, copied: 0 }.check(MACHINE, Precision::F32).unwrap().unwrap();
        assert!(warning.contains("take 32.0 GB, and 20.0 GB of 24.0 GB of memory are available"), "{warning}");
    }

    #[test]
    fn weights_that_must_be_held_and_can_not_be_are_refused() {
        let told = Need { own: 20 * GB, mapped: 0, copied: 0 }.check(MACHINE, Precision::Bf16).unwrap_err().to_string();
        assert!(told.contains("takes 20.5 GB of memory for the rounded weights, and 20.0 GB of 24.0 GB are available"), "{told}");
        assert!(told.contains("hint: in float32"), "{told}");
    }

    #[test]
    fn a_model_beside_is_copied_and_refused_where_it_can_not_be() {
        let sentences = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/sentences/mean");
        let need = Need::default().with_copy_of(&sentences).and_then(|need| need.with_copy_of(&sentences)).unwrap();
        let file = std::fs::metadata(sentences.join("model.safetensors")).unwrap().len();
        // Two copies of all values; the file has a header too.
        assert!(need.copied > file && need.copied < 2 * file && need.mapped == 0, "{need:?}");
        let small = Memory { total: GB, available: need.copied };
        let told = need.check(small, Precision::F32).unwrap_err().to_string();
        assert!(told.contains("the embedders take") && told.contains("hint: take a smaller one, or `base`"), "{told}");
        assert!(matches!(need.check(MACHINE, Precision::F32), Ok(None)));
    }

    #[test]
    fn a_checkpoints_need_is_told_by_its_headers() {
        let golden = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name).join("base");
        let need = |name: &str, precision| Need::of(&golden(name), precision).unwrap();
        let f32 = need("llama_default", Precision::F32);
        assert!(f32.own == 0 && f32.mapped > 0);
        assert_eq!(need("llama_default", Precision::Bf16), Need { own: f32.mapped / 2, mapped: 0, copied: 0 });
        let f16 = need("llama_sharded_f16", Precision::F32).mapped;
        assert_eq!(need("llama_sharded_f16", Precision::Bf16), Need { own: f16, mapped: 0, copied: 0 });
        assert_eq!(need("llama_bf16", Precision::Bf16), need("llama_bf16", Precision::F32));
    }

    #[test]
    fn this_machine_has_some() {
        let memory = Memory::now().unwrap();
        assert!(memory.total >= memory.available && memory.available > 0, "{memory:?}");
    }

    #[test]
    fn the_pages_of_files_are_no_memory_in_use() {
        let limits = |total_memory, rss| CGroupLimits { total_memory, free_memory: 0, free_swap: 0, rss };
        let of = |limits| MACHINE.within(&limits);
        assert_eq!(of(limits(8 * GB, 3 * GB)), Memory { total: 8 * GB, available: 5 * GB });
        assert_eq!(of(limits(23 * GB, GB)), Memory { total: 23 * GB, available: 20 * GB }, "the machine has no more");
        assert_eq!(of(limits(24 * GB, GB)), MACHINE, "no limit");
        assert_eq!(of(limits(0, 0)), MACHINE, "not told");
    }
}
