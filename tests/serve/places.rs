//! Where a daemon listens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use crate::daemon::{Daemon, until};
use crate::questions::{in_process, lines};
use crate::world::{BASE, HEALTHY, Told, World, process, sway, sway_reading};

/// A daemon at a socket. Killed when it is dropped.
struct AtSocket(Child, String);

impl AtSocket {
    fn start(path: &str) -> Self {
        let mut command = process(&["serve", "--socket", path, "--allow", "probes", "--quiet"]);
        let daemon = Self(command.stdout(Stdio::null()).spawn().unwrap(), path.to_owned());
        until("it listens", || UnixStream::connect(path).is_ok());
        daemon
    }

    fn score(&self, lines: &[String]) -> Told {
        let server = format!("unix:{}", self.1);
        sway_reading(lines.concat(), &["score", "--server", &server, "--base", BASE, "--adapter", HEALTHY])
    }
}

impl Drop for AtSocket {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_socket_is_for_its_owner_alone_and_clients_find_it_by_its_path() {
    let world = World::new();
    let path = world.path("sway.sock");
    let mut daemon = AtSocket::start(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let questions = lines(0..20);
    let told = daemon.score(&questions);
    assert_eq!((told.code, told.stdout, told.stderr.as_str()), (0, in_process(HEALTHY, &questions).concat(), ""));
    assert!(Command::new("kill").args(["-TERM", &daemon.0.id().to_string()]).status().unwrap().success());
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn a_second_daemon_at_the_same_place_says_so() {
    let world = World::new();
    let path = world.path("sway.sock");
    let daemon = AtSocket::start(&path);
    let told = sway(&["serve", "--socket", &path]);
    assert_eq!((told.code, told.stdout.as_str()), (5, ""));
    assert!(told.stderr.contains(&format!("can't listen on {path}: another process listens there")), "{}", told.stderr);
    assert_eq!(daemon.score(&lines([0])).code, 0, "the first goes on");

    let first = Daemon::start::<&str>(&[]);
    let address = format!("127.0.0.1:{}", first.port());
    let told = sway(&["serve", "--listen", &address]);
    assert_eq!((told.code, told.stdout.as_str()), (5, ""));
    assert!(told.stderr.contains(&format!("can't listen on {address}")), "{}", told.stderr);
    assert!(told.stderr.contains("in use"), "{}", told.stderr);
    assert!(first.is_healthy());
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_replaced_and_another_file_is_not() {
    let world = World::new();
    let path = world.path("sway.sock");
    drop(AtSocket::start(&path));
    assert_eq!(world.names(), ["sway.sock"]);
    assert_eq!(AtSocket::start(&path).score(&lines([0])).code, 0);
    let file = world.write("notes", "mine");
    let told = sway(&["serve", "--socket", &file]);
    assert_eq!(told.code, 5);
    assert!(told.stderr.contains("something else is there"), "{}", told.stderr);
    assert_eq!(world.read("notes"), "mine");
    // Too long a path could be made, and no client could name it.
    for path in [world.path("no/folder/sway.sock"), world.path(&"long".repeat(40))] {
        let told = sway(&["serve", "--socket", &path]);
        assert_eq!((told.code, told.stdout.as_str()), (5, ""), "{path}");
        assert!(told.stderr.contains(&format!("can't listen on {path}")), "{}", told.stderr);
    }
}
