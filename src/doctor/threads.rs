//! Threads beside what may run at once.

use crate::record::{Check, Status};

/// Threads beside what may run at once.
pub struct Threads {
    /// By `--threads`, `RAYON_NUM_THREADS`, or else all that are usable.
    pub used: usize,
    /// What this process may run at once: less than the machine in a container with a limit, or where it is bound to some CPUs.
    pub usable: usize,
    /// What the machine runs at once; 0 where it does not tell.
    pub machine: usize,
}

impl Threads {
    pub fn check(&self) -> Check {
        let Self { used, usable, machine } = *self;
        let of = if machine > usable { format!("{usable} usable of the machine's {machine}") } else { usable.to_string() };
        let check = Check::ok("threads", format!("{used} for {of} CPU{}", if machine.max(usable) == 1 { "" } else { "s" }))
            .with("used", used)
            .with("usable", usable)
            .with("machine", machine);
        if used > usable {
            let hint =
                "threads that wait for each other's CPU make a pass slower: leave --threads out, and RAYON_NUM_THREADS unset";
            return check.but(Status::Warn, hint);
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_may_run_are_a_warning() {
        let check = |used, usable, machine| Threads { used, usable, machine }.check();
        assert_eq!(check(8, 2, 2).status, Status::Warn);
        assert_eq!(check(8, 2, 64).figure, "8 for 2 usable of the machine's 64 CPUs");
        for (used, usable, machine, figure) in
            [(2, 2, 64, "2 for 2 usable of the machine's 64 CPUs"), (1, 2, 2, "1 for 2 CPUs"), (1, 1, 0, "1 for 1 CPU")]
        {
            let check = check(used, usable, machine);
            assert_eq!((check.status, check.figure.as_str()), (Status::Ok, figure));
        }
    }
}
