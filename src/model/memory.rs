//! Memory as far as this process may use it.

use sysinfo::{CGroupLimits, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

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

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Memory = Memory { total: 64, available: 60 };

    #[test]
    fn this_machine_has_some() {
        let memory = Memory::now().unwrap();
        assert!(memory.total >= memory.available && memory.available > 0, "{memory:?}");
    }

    #[test]
    fn the_pages_of_files_are_no_memory_in_use() {
        let limits = |total_memory, rss| CGroupLimits { total_memory, free_memory: 0, free_swap: 0, rss };
        assert_eq!(MACHINE.within(&limits(8, 3)), Memory { total: 8, available: 5 });
        assert_eq!(MACHINE.within(&limits(62, 1)), Memory { total: 62, available: 60 }, "the machine has no more");
        assert_eq!(MACHINE.within(&limits(64, 1)), MACHINE, "no limit");
        assert_eq!(MACHINE.within(&limits(0, 0)), MACHINE, "not told");
    }
}
