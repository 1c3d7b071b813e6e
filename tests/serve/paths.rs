//! Paths that lead out of the folders which a daemon may read: refused alike, whether something is there or not.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use crate::beside::Bystander;
use crate::daemon::{Daemon, copy, on};
use crate::questions::lines;
use crate::world::{BASE, HEALTHY, ROOT, World};

#[test]
fn nothing_is_downloaded_for_a_request() {
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    hub.set_nonblocking(true).unwrap();
    let world = World::new();
    let mut command = Daemon::command::<&str>(&[]);
    command.env_remove("HF_HUB_OFFLINE").env("HF_HUB_CACHE", world.path("cache"));
    command.env("HF_ENDPOINT", format!("http://{}", hub.local_addr().unwrap()));
    let daemon = Daemon::from(command);
    let told = daemon.score("base=org/name", lines([0]).concat());
    assert_eq!((told.status, told.code().as_str()), (422, "model"));
    assert!(told.message().contains("fetching `org/name` offline"), "{}", told.message());
    assert_eq!(hub.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody was asked");
}

#[test]
fn what_lies_outside_is_refused_in_the_same_words_whether_it_is_there_or_not() {
    let (inside, outside) = (World::new(), World::new());
    copy(&outside, BASE, "secret");
    copy(&outside, HEALTHY, "secret_adapter");
    let daemon = Daemon::beside::<&str>(&inside, &[]);
    let bystander = Bystander::of(&daemon);
    for (link, to) in [
        ("to_secret", "secret"),
        ("to_secret_adapter", "secret_adapter"),
        ("to_none", "none"),
        ("to_none_adapter", "none_adapter"),
    ] {
        symlink(outside.path(to), inside.dir().join(link)).unwrap();
    }
    let (dir, out) = (inside.path(""), outside.path(""));
    let up = "../".repeat(12);
    let question = lines([0]).concat();
    // The place of a model that is there, and of one that is not; each in the folder of a base and of an adapter.
    let places = [
        format!("{out}NAME"),
        format!("{dir}to_NAME"),
        format!("{dir}{up}{out}NAME"),
        format!("{out}NAME/../NAME"),
        format!("{dir}to_NAME/."),
    ];
    for place in places {
        let told = |name: &str| {
            let place = |name: &str| place.replace("NAME", name);
            let base = daemon.score(&format!("base={}", place(name)), &question);
            let adapter = daemon.score(&on(&place(&format!("{name}_adapter"))), &question);
            let folder = daemon.score(&format!("base={name}&folder={}", place("").trim_end_matches("to_")), &question);
            [base, adapter, folder].map(|told| (told.status, told.code(), told.message().replace(name, "NAME")))
        };
        let there = told("secret");
        assert_eq!(there, told("none"), "{place}");
        for (status, code, message) in &there[..2] {
            assert_eq!((*status, code.as_str()), (422, "model"), "{message}");
            assert!(message.contains("lies under no folder that the daemon may read"), "{message}");
        }
    }
    bystander.noticed_nothing(&daemon);
}

#[test]
fn a_file_of_a_model_that_is_a_link_out_is_refused() {
    let (inside, outside) = (World::new(), World::new());
    let adapter = copy(&inside, HEALTHY, "adapter");
    let weights = inside.dir().join("adapter/adapter_model.safetensors");
    let elsewhere = outside.path("weights");
    fs::rename(&weights, &elsewhere).unwrap();
    symlink(&elsewhere, &weights).unwrap();
    let daemon = Daemon::beside::<&str>(&inside, &[]);
    let there = daemon.score(&on(&adapter), lines([0]).concat());
    fs::remove_file(&elsewhere).unwrap();
    let gone = daemon.score(&on(&adapter), lines([0]).concat());
    assert_eq!((there.status, there.message()), (gone.status, gone.message()));
    assert_eq!(there.status, 422);
    assert!(there.message().contains("`adapter_model.safetensors`, a link in it, lies under no folder"), "{}", there.message());
}

#[test]
fn no_secret_of_the_system_can_be_named() {
    let daemon = Daemon::start::<&str>(&[]);
    for base in [
        "/etc",
        "/etc/passwd",
        "/proc/self",
        "/root",
        "/",
        "..",
        "",
        "~",
        "probes/../..",
        "probes/demo/../../.git",
        "%00",
        "probes%00",
    ] {
        let told = daemon.score(&format!("base={base}"), lines([0]).concat());
        assert_eq!((told.status, told.code().as_str()), (422, "model"), "{base:?}: {}", told.message());
    }
    assert!(!daemon.log().contains(ROOT), "{}", daemon.log());
    assert!(daemon.is_healthy());
}
