//! Memory beside what models take.

use super::size::size;
use crate::model::memory::Memory;
use crate::record::{Check, Status};

/// Below this the process is ended before a small model has answered.
const BAD: u64 = 128 << 20;

/// The weights of a model of a billion parameters in bf16, as most checkpoints are.
const SCARCE: u64 = 2_000_000_000;

/// `memory`: what this process may use; `machine`: bytes of the whole machine.
pub fn check(memory: Option<Memory>, machine: u64) -> Check {
    let Some(Memory { total, available }) = memory else {
        return Check::ok("memory", "this system does not tell");
    };
    let limit =
        if total < machine { format!(", the limit of the container; the machine has {}", size(machine)) } else { String::new() };
    let check = Check::ok("memory", format!("{} available of {}{limit}", size(available), size(total)))
        .with("total_bytes", total)
        .with("available_bytes", available)
        .with("machine_bytes", machine);
    if available >= SCARCE {
        return check;
    }
    let more = if total < machine { "raise the container's limit" } else { "close other programs" };
    let hint = format!(
        "a model takes about 2 GB for each billion parameters in bf16, and 4 GB in float32: {more}, or take a smaller model"
    );
    check.but(if available < BAD { Status::Bad } else { Status::Warn }, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn the_limit_of_a_container_is_named_beside_the_machines() {
        let check = check(Some(Memory { total: 4 * GB, available: 3 * GB }), 64 * GB);
        assert_eq!(check.status, Status::Ok);
        assert_eq!(check.figure, "3.0 GB available of 4.0 GB, the limit of the container; the machine has 64.0 GB");
    }

    #[test]
    fn scarce_memory_is_a_warning_and_none_is_bad() {
        let of = |available, machine| check(Some(Memory { total: 8 * GB, available }), machine);
        let scarce = of(GB, 8 * GB);
        assert_eq!(scarce.status, Status::Warn);
        assert!(scarce.hints[0].contains("close other programs"));
        assert!(of(GB, 9 * GB).hints[0].contains("raise the container's limit"));
        assert_eq!(of(100_000_000, 8 * GB).status, Status::Bad);
        assert_eq!(of(2 * GB, 8 * GB).status, Status::Ok);
    }

    #[test]
    fn a_system_that_does_not_tell_is_no_fault() {
        assert_eq!(check(None, 0).status, Status::Ok);
    }
}
