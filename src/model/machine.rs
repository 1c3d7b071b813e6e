//! The machine that this runs on, whatever this process may use of it.

use sysinfo::{CpuRefreshKind, System};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// As it names itself; empty where it does not.
    pub cpu: String,
    /// Threads that its CPUs run at once.
    pub threads: usize,
    /// Bytes.
    pub memory: u64,
}

impl Machine {
    pub fn now() -> Self {
        let mut system = System::new();
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.refresh_memory();
        let cpus = system.cpus();
        let cpu = cpus.first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default();
        Self { cpu, threads: cpus.len(), memory: system.total_memory() }
    }
}
