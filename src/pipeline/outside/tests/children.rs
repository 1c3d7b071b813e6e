//! Programs with children.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::programs::{program, programs, run, shell};
use super::*;

/// A shell that has two children and writes the numbers of all three, each on a line.
const FAMILY: &str =
    "sleep 1000 & echo $! > pids.part; (sleep 1000; :) & echo $! >> pids.part; echo $$ >> pids.part; mv pids.part pids;";

/// The numbers, once all are there.
fn family(folder: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("pids")).ok()?;
    let pids: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(pids.len(), 3);
    Some(pids)
}

/// The state of a process, as `ps` writes it; `None` where there is none.
fn state(pid: &str) -> Option<String> {
    let output = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned()).filter(|state| !state.is_empty())
}

/// Waits until a whole family is gone. The program itself is ours to clear away; its children are the system's, which may leave it at
/// that they are dead.
fn assert_gone(pids: &[String]) {
    let (program, children) = pids.split_last().unwrap();
    assert_eq!(state(program), None, "cleared away");
    for child in children {
        wait_for("a child's end", || state(child).is_none_or(|state| state.starts_with('Z')).then_some(()));
    }
}

#[test]
fn a_program_that_runs_too_long_is_killed_with_its_children() {
    // The longest is waited for only where starting three processes takes long.
    for timeout in [SHORT, Duration::from_secs(3), Duration::from_secs(30), Duration::from_mins(2)] {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("echo slow >&2; {FAMILY} wait");
        let error = run(Program { folder: dir.path().to_owned(), timeout, ..shell(&script) }).unwrap_err();
        assert_eq!(error.code(), "timeout");
        if let Some(pids) = family(dir.path()) {
            let expected =
                format!("program `sh`: it was killed after {} s:\nslow\nhint: give it more time", timeout.as_secs_f64());
            assert_eq!(error.to_string(), expected);
            return assert_gone(&pids);
        }
    }
    panic!("no time is long enough");
}

#[test]
fn a_child_that_holds_the_pipes_does_not_hold_us() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("echo hello; {FAMILY} exit 0");
    let output = run(Program { folder: dir.path().to_owned(), grace: SHORT, ..shell(&script) }).unwrap();
    assert_eq!(output.stdout, "hello\n");
    assert_gone(&family(dir.path()).unwrap());
}

#[test]
fn a_child_that_holds_no_pipe_ends_with_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("echo hello; exec </dev/null >/dev/null 2>&1; {FAMILY} exit 0");
    let output = run(Program { folder: dir.path().to_owned(), ..shell(&script) }).unwrap();
    assert_eq!(output.stdout, "hello\n");
    assert_gone(&family(dir.path()).unwrap());
}

#[test]
fn a_child_that_left_the_group_and_holds_the_pipes_does_not_hold_us() {
    if std::process::Command::new("setsid").arg("true").status().is_err() {
        // Not every system has it.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // It lives until the folder is gone.
    let script =
        "echo hello; setsid sh -c 'touch here; while test -e here; do sleep 0.05; done' & until test -e here; do :; done";
    let output = run(Program { folder: dir.path().to_owned(), grace: SHORT, ..shell(script) }).unwrap();
    assert_eq!(output.stdout, "hello\n");
}

#[test]
fn a_child_that_outlives_the_program_may_not_flood() {
    let script = "(while :; do echo flood; done) & exit 0";
    let error = run(Program { most_output: 1 << 20, ..shell(script) }).unwrap_err();
    assert_eq!(error.code(), "output_too_long");
}

#[test]
fn an_interruption_kills_programs_with_their_children() {
    let interrupted = Arc::new(AtomicBool::new(false));
    let outside = Outside::new(Vec::new(), 1, Arc::clone(&interrupted)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let running = Program { folder: dir.path().to_owned(), ..shell(&format!("{FAMILY} wait")) };
    let waiting = Program { folder: dir.path().to_owned(), ..shell("touch started") };
    let mut errands = outside.send(vec![Errand::Run(running)]);
    let pids = wait_for("the family", || family(dir.path()));
    let mut more = outside.send(vec![Errand::Run(waiting)]);
    assert!(errands.try_next().is_none() && more.try_next().is_none());
    interrupted.store(true, Ordering::SeqCst);
    assert_eq!(next(&mut errands).1, Err(OutsideError::Interrupted));
    assert_eq!(next(&mut more).1, Err(OutsideError::Interrupted));
    assert_gone(&pids);
    assert!(!dir.path().join("started").exists());
}

#[test]
fn dropping_errands_kills_programs_with_their_children() {
    let dir = tempfile::tempdir().unwrap();
    let outside = programs();
    let errands = outside.send(vec![Errand::Run(Program { folder: dir.path().to_owned(), ..shell(&format!("{FAMILY} wait")) })]);
    let pids = wait_for("the family", || family(dir.path()));
    // What is under way needs no one but itself.
    drop(outside);
    assert!(pids.iter().all(|pid| state(pid).is_some()));
    drop(errands);
    assert_gone(&pids);
}

#[test]
fn so_many_programs_run_at_a_time_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    // Each leaves a mark while it runs, waits until another has been there, and writes how many it sees.
    let script = "touch run.$$ seen.$$; until test $(ls seen.* | wc -l) -ge 2; do :; done; ls run.* | wc -l; rm run.$$";
    let errand = || Errand::Run(Program { folder: dir.path().to_owned(), ..shell(script) });
    let outside = programs();
    let errands = outside.send((0..6).map(|_| errand()).collect());
    for (_, brought) in errands {
        let Ok(Brought::Output(output)) = brought else { panic!("{brought:?}") };
        assert!(output.stdout.trim().parse::<usize>().unwrap() <= 2, "{}", output.stdout);
    }
}

#[test]
fn a_program_that_is_done_leaves_nothing_to_clear_away() {
    let output = run(program(&["sh", "-c", "echo $$"])).unwrap();
    assert_eq!(state(output.stdout.trim()), None);
}
