//! A log that can't be written, and an output that nobody reads.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::daemon::{Daemon, on, until};
use crate::questions::{in_process, lines};
use crate::world::{BASE, HEALTHY, ROOT, World, binary, sway_reading};

/// It loads, refuses, unloads, and ends as it should.
fn works(mut daemon: Daemon) {
    let question = lines([0]);
    let told = daemon.score(&on(HEALTHY), question.concat());
    assert_eq!((told.status, told.body), (200, in_process(HEALTHY, &question).concat()));
    assert_eq!(daemon.score(&format!("base={HEALTHY}"), question.concat()).status, 422);
    let key = daemon.warm()[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(daemon.delete(&format!("/v1/models/{key}")).status, 200);
    assert!(daemon.is_healthy());
    daemon.terminate();
    assert_eq!(daemon.end().code(), Some(0));
}

#[test]
fn a_log_on_a_full_disk_is_nobodys_affair() {
    let mut command = Daemon::command::<&str>(&[]);
    command.stderr(File::options().write(true).open("/dev/full").unwrap());
    works(Daemon::from(command));
}

#[test]
fn nor_is_one_that_nobody_reads_any_more() {
    let mut command = Daemon::command::<&str>(&[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stderr(writer);
    works(Daemon::from(command));
}

#[test]
fn nor_one_that_stays_open_and_is_never_read() {
    let mut command = Daemon::command::<&str>(&[]);
    let (_reader, writer) = std::io::pipe().unwrap();
    command.stderr(writer);
    let daemon = Daemon::from(command);
    let question = lines([0]).concat();
    // More than a pipe holds, and more lines than wait.
    let no_base = format!("base={}{HEALTHY}", "./".repeat(900));
    for _ in 0..1100 {
        assert_eq!(daemon.score(&no_base, &question).status, 422);
    }
    works(daemon);
}

#[test]
fn nor_a_stderr_that_is_closed() {
    let mut command = Command::new("sh");
    let script = format!("exec \"{}\" serve --listen 127.0.0.1:0 --allow probes 2>&-", binary().display());
    command.args(["-c", &script]).current_dir(ROOT).env("HF_HUB_OFFLINE", "1").env_remove("SWAY_TOKEN").stdout(Stdio::piped());
    works(Daemon::from(command));
}

#[test]
fn a_stdout_that_is_closed_keeps_no_daemon_from_serving() {
    let world = World::new();
    let path = world.path("sway.sock");
    let script = format!("exec \"{}\" serve --socket \"{path}\" --allow probes >&- 2>&-", binary().display());
    let mut child = Command::new("sh").args(["-c", &script]).current_dir(ROOT).env_remove("SWAY_TOKEN").spawn().unwrap();
    until("it listens", || std::os::unix::net::UnixStream::connect(&path).is_ok());
    let question = lines([0]);
    let server = format!("unix:{path}");
    let told = sway_reading(question.concat(), &["score", "--server", &server, "--base", BASE, "--adapter", HEALTHY]);
    assert_eq!((told.code, told.stdout), (0, in_process(HEALTHY, &question).concat()));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_loaded_refused_and_unloaded_is_logged_a_line_each() {
    let daemon = Daemon::start::<&str>(&[]);
    daemon.score(&on(HEALTHY), lines([0]).concat());
    daemon.score(&format!("base={HEALTHY}"), lines([0]).concat());
    let key = daemon.warm()[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(daemon.delete(&format!("/v1/models/{key}")).status, 200);
    until("all are logged", || daemon.log().lines().count() >= 3);
    let log = daemon.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[2].ends_with(&format!("unloaded {BASE} with {HEALTHY}")), "{log}");
    assert!(lines[0].contains(&format!("loaded {BASE} with {HEALTHY} in ")), "{log}");
    assert!(lines[1].contains(&format!("can't load {HEALTHY}")), "{log}");
}
