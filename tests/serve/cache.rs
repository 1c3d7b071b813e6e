//! Models that stay warm: by content, within bounds, and loaded once.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::thread;

use crate::daemon::{Daemon, copy, make_pipe, on, score_path, until};
use crate::http::{Connection, Response};
use crate::questions::{in_process, lines};
use crate::world::{BASE, DEMO, HEALTHY, ROOT, World, sway};

const NOOP: &str = "probes/demo/noop";
const MEMORISED: &str = "probes/demo/memorised";
const FORGOT: &str = "probes/demo/forgot";

/// The adapters that are warm, the last used first.
fn warm(daemon: &Daemon) -> Vec<String> {
    daemon.warm().iter().map(|one| one["adapter"].as_str().unwrap().to_owned()).collect()
}

/// What so many clients are told who ask at once.
fn at_once(daemon: &Daemon, clients: usize, query: &str, lines: &str) -> Vec<Response> {
    let (port, path, together) = (daemon.port(), score_path(query), Barrier::new(clients));
    let ask = || {
        let mut connection = Connection::to(port);
        together.wait();
        connection.post(&path, lines)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn one_model_spelled_in_many_ways_is_one_entry() {
    let world = World::new();
    let daemon = Daemon::beside::<&str>(&world, &[]);
    symlink(format!("{ROOT}/{HEALTHY}"), world.dir().join("link")).unwrap();
    symlink(format!("{ROOT}/probes"), world.dir().join("door")).unwrap();
    let (dir, base) = (world.path(""), format!("{ROOT}/{BASE}"));
    let spellings = [
        on(HEALTHY),
        format!("base={base}&adapter={ROOT}/{HEALTHY}"),
        format!("base={base}&adapter={ROOT}/probes/demo/../demo//healthy/"),
        format!("base={base}&adapter={dir}link"),
        format!("base=door/demo/base&adapter=link&folder={dir}"),
        format!("base=demo/base&adapter=demo/healthy&folder={ROOT}/probes&dtype=f32&device=cpu"),
    ];
    let question = lines([0]);
    let expected = in_process(HEALTHY, &question).concat();
    for query in spellings {
        let told = daemon.score(&query, question.concat());
        assert_eq!((told.status, &told.body), (200, &expected), "{query}");
        assert_eq!((daemon.cache("models"), daemon.cache("misses")), (1, 1), "{query}");
    }
    assert_eq!(daemon.warm()[0]["hits"], 5);
    // A copy has to be read, to find that it is the same.
    let (base, adapter) = (copy(&world, BASE, "base"), copy(&world, HEALTHY, "adapter"));
    let told = daemon.score(&format!("base={base}&adapter={adapter}"), question.concat());
    assert_eq!((told.status, &told.body), (200, &expected));
    assert_eq!((daemon.cache("models"), daemon.cache("misses")), (1, 2));
}

#[test]
fn an_adapter_retrained_in_place_is_another_model_and_gives_its_own_numbers() {
    let world = World::new();
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let question = lines([0, 7, 21, 3]);
    let mut keys = BTreeSet::new();
    for trained in [HEALTHY, MEMORISED, HEALTHY, FORGOT] {
        let adapter = copy(&world, trained, "adapter");
        let told = daemon.score(&on(&adapter), question.concat());
        assert_eq!((told.status, told.body), (200, in_process(trained, &question).concat()), "{trained}");
        keys.insert(daemon.warm()[0]["key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys.len(), 3, "what it was before has the key that it had");
}

#[test]
fn a_second_adapter_on_a_base_takes_its_own_weights_alone() {
    let daemon = Daemon::start::<&str>(&[]);
    let question = lines([0]).concat();
    for adapter in [HEALTHY, MEMORISED] {
        assert_eq!(daemon.score(&on(adapter), &question).status, 200);
    }
    let warm = daemon.warm();
    let bytes = |of: usize, figure: &str| warm[of][figure].as_u64().unwrap();
    assert_eq!(bytes(0, "base_bytes"), bytes(1, "base_bytes"));
    assert_eq!(daemon.cache("bytes"), bytes(0, "base_bytes") + bytes(0, "bytes") + bytes(1, "bytes"));
    assert_eq!(warm[0]["base_digest"], warm[1]["base_digest"]);
    assert_ne!(warm[0]["adapter_digest"], warm[1]["adapter_digest"]);
}

#[test]
fn the_least_recently_used_goes_first_and_a_hit_promotes() {
    let daemon = Daemon::start(&["--max-models", "2"]);
    let question = lines([0]).concat();
    let ask = |adapter: &str| assert_eq!(daemon.score(&on(adapter), &question).status, 200);
    [HEALTHY, NOOP].into_iter().for_each(ask);
    assert_eq!(warm(&daemon), [NOOP, HEALTHY]);
    ask(HEALTHY);
    ask(MEMORISED);
    assert_eq!(warm(&daemon), [MEMORISED, HEALTHY]);
    ask(NOOP);
    assert_eq!(warm(&daemon), [NOOP, MEMORISED]);
    assert_eq!((daemon.cache("evictions"), daemon.cache("misses"), daemon.cache("hits")), (2, 4, 1));
}

#[test]
fn a_cache_that_could_hold_nothing_is_refused() {
    let told = sway(&["serve", "--listen", "127.0.0.1:0", "--max-models", "0"]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""));
    assert!(told.stderr.contains("max_size must be >= 1"), "{}", told.stderr);
}

#[test]
fn a_model_that_has_no_room_is_refused_by_name_and_others_stay() {
    let daemon = Daemon::start(&["--max-bytes", "1MB"]);
    let question = lines([1]).concat();
    let base_alone = format!("base={BASE}");
    let base_question = r#"{"op":"rolling_logprob","text":"a b"}"#;
    assert_eq!(daemon.score(&base_alone, base_question).status, 200);
    let told = daemon.score(&on(HEALTHY), &question);
    assert_eq!((told.status, told.code().as_str()), (507, "no_room"));
    assert!(told.message().contains("bytes are needed, and the limit is 1000000"), "{}", told.message());
    assert_eq!(daemon.score(&base_alone, base_question).status, 200);
    assert_eq!((daemon.cache("models"), daemon.cache("reserved")), (1, 0));
}

#[test]
fn a_model_is_unloaded_by_its_key() {
    let daemon = Daemon::start::<&str>(&[]);
    let question = lines([0]).concat();
    let first = daemon.score(&on(HEALTHY), &question);
    let path = format!("/v1/models/{}", daemon.warm()[0]["key"].as_str().unwrap());
    let told = daemon.delete(&path);
    assert_eq!((told.status, &told.json()["unloaded"]), (200, &true.into()));
    assert_eq!((daemon.cache("models"), daemon.cache("bytes")), (0, 0));
    for path in [&path, "/v1/models/0", "/v1/models/%ff", "/v1/models/..%2f..%2fetc"] {
        let told = daemon.delete(path);
        assert!([400, 404].contains(&told.status) && !told.code().is_empty(), "{path} {told:?}");
    }
    assert!(daemon.is_healthy());
    assert_eq!(daemon.score(&on(HEALTHY), &question).body, first.body);
}

#[test]
fn what_nobody_asks_for_is_unloaded_in_time() {
    let daemon = Daemon::start(&["--idle-timeout", "1s"]);
    assert_eq!(daemon.score(&on(HEALTHY), lines([0]).concat()).status, 200);
    until("it is unloaded", || (daemon.cache("models"), daemon.cache("bytes")) == (0, 0));
    assert_eq!(daemon.score(&on(HEALTHY), lines([0]).concat()).status, 200);
}

#[test]
fn a_preloaded_model_is_there_before_anybody_asks_and_needs_no_name() {
    let daemon = Daemon::start(&["--preload", DEMO]);
    assert_eq!((daemon.cache("models"), daemon.cache("misses")), (1, 1));
    let question = lines([0, 1, 2, 3]);
    let told = daemon.score("", question.concat());
    assert_eq!((told.status, told.body), (200, in_process(HEALTHY, &question).concat()));
    assert_eq!(daemon.cache("misses"), 1);
}

#[test]
fn a_suite_that_can_not_be_preloaded_ends_the_daemon() {
    let world = World::new();
    let no_suite = world.write("none.toml", "version = 1\n");
    let no_model = world.suite_on(&world.path("nothing"), &crate::world::moved("m", ""));
    for suite in [no_suite, no_model, world.path("missing.toml")] {
        let told = sway(&["serve", "--listen", "127.0.0.1:0", "--preload", &suite]);
        assert_eq!((told.code, told.stdout.as_str()), (4, ""), "{suite}: {}", told.stderr);
        assert!(told.stderr.contains(&suite), "{}", told.stderr);
    }
}

#[test]
fn many_who_ask_for_one_cold_model_cause_one_load() {
    let daemon = Daemon::start::<&str>(&[]);
    let question = lines([0, 3]);
    let expected = in_process(HEALTHY, &question).concat();
    for told in at_once(&daemon, 64, &on(HEALTHY), &question.concat()) {
        assert_eq!((told.status, &told.body), (200, &expected));
    }
    let cache = daemon.stats()["cache"].clone();
    assert_eq!((&cache["misses"], &cache["failures"]), (&1.into(), &0.into()), "{cache}");
    assert_eq!(cache["hits"].as_u64().unwrap() + cache["joins"].as_u64().unwrap(), 63, "{cache}");
}

#[test]
fn a_failed_load_is_told_to_all_and_not_remembered() {
    let world = World::new();
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let question = lines([0]);
    let adapter = world.adapter(|tensors| tensors.values_mut().next().unwrap().grow(1));
    let told = at_once(&daemon, 64, &on(&adapter), &question.concat());
    let messages: BTreeSet<String> = told.iter().map(Response::message).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(told.iter().all(|told| (told.status, told.code().as_str()) == (422, "model")), "{:?}", told[0]);
    let cache = daemon.stats()["cache"].clone();
    assert_eq!((&cache["models"], &cache["bytes"], &cache["reserved"]), (&0.into(), &0.into(), &0.into()));
    // What can't be loaded is no model that a request without a name could mean.
    assert_eq!(daemon.get("/v1/models").json()["data"].as_array().unwrap().len(), 0);
    copy(&world, HEALTHY, "adapter");
    let told = daemon.score(&on(&adapter), question.concat());
    assert_eq!((told.status, told.body), (200, in_process(HEALTHY, &question).concat()));
}

#[test]
fn a_load_that_hangs_keeps_no_other_model_from_answering() {
    let world = World::new();
    let daemon = Daemon::beside(&world, &["--max-models", "8"]);
    let question = lines([0]);
    assert_eq!(daemon.score(&on(HEALTHY), question.concat()).status, 200);
    // Reading it waits until somebody writes.
    let adapter = copy(&world, NOOP, "adapter");
    let weights = world.dir().join("adapter/adapter_model.safetensors");
    make_pipe(&weights);
    thread::scope(|scope| {
        let hung = scope.spawn(|| daemon.score(&on(&adapter), question.concat()));
        until("the load is under way", || daemon.cache("misses") == 2);
        for trained in [HEALTHY, MEMORISED, FORGOT] {
            let told = daemon.score(&on(trained), question.concat());
            assert_eq!((told.status, told.body), (200, in_process(trained, &question).concat()), "{trained}");
        }
        assert!(!hung.is_finished());
        // It goes on once the pipe is opened, and may have found that this is no file before anything comes.
        let _ = fs::File::options().write(true).open(&weights).unwrap().write_all(b"no tensors");
        assert_eq!(hung.join().unwrap().code(), "model");
    });
    assert!(daemon.is_healthy());
}
