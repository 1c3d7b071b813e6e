//! Several threads and processes at one store, and processes that are killed.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

const ROLE: &str = "SWAY_STORE_TEST_ROLE";
const STORE: &str = "SWAY_STORE_TEST_STORE";

/// Responses of one write, and stages of one write.
const BATCH: u64 = 12;

/// Starts this test binary once more, in a role of [`child`].
fn start(role: &str, store: &Path) -> Child {
    let module = module_path!().split_once("::").unwrap().1;
    Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::child"), "--ignored", "--nocapture"])
        .env(ROLE, role)
        .env(STORE, store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "it is what other tests start as a process"]
fn child() {
    let (Ok(role), Some(store)) = (env::var(ROLE), env::var_os(STORE)) else {
        return;
    };
    let store = Path::new(&store);
    println!();
    match role.split_once(' ') {
        Some(("hammer", n)) => {
            wait_for_parent();
            hammer_threads(store, n.parse().unwrap());
        }
        Some(("write", _)) => write_for_ever(&Store::open(store).unwrap()),
        Some(("create", _)) => create_for_ever(store),
        Some(("hold", _)) => {
            let run = Store::open(store).unwrap().begin(&new_run(Mode::Shared), minute(0)).unwrap();
            println!("> holding {}", run.id());
            wait_for_parent();
        }
        other => panic!("{other:?}"),
    }
}

/// Until it says something, or is gone.
fn wait_for_parent() {
    println!("> ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// What a child reported, after `bytes` bytes of which it is killed.
fn kill_after(mut child: Child, bytes: usize) -> Vec<String> {
    let mut pipe = child.stdout.take().unwrap();
    let mut told = vec![0; bytes];
    pipe.read_exact(&mut told).unwrap();
    child.kill().unwrap();
    pipe.read_to_end(&mut told).unwrap();
    assert!(!child.wait().unwrap().success(), "it was killed while it worked");
    let told = String::from_utf8(told).unwrap();
    // What comes after the last line break is a line that was cut off.
    let lines = told.rsplit_once('\n').map_or("", |(whole, _)| whole).lines();
    lines.filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect()
}

/// Twenty numbers below `end` that look like chance.
fn points(end: usize) -> impl Iterator<Item = usize> {
    (1..=20_usize).map(move |i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(29) % end)
}

fn batch(run: RunId, n: u64) -> Vec<(Key, Response)> {
    let first = run.0.cast_unsigned() * 1_000_000 + n * BATCH;
    (first..first + BATCH).map(|n| (key(n), response(n, 3000))).collect()
}

fn stages(n: u64) -> Vec<Row> {
    (0..BATCH).map(|i| Row::Stage(stage((n * BATCH + i) as u32, &format!("prompt {n} {i}")))).collect()
}

fn write_for_ever(store: &Store) {
    let mode = [Mode::Shared, Mode::Refresh, Mode::Private][store.runs(100).unwrap().len() % 3];
    let mut run = store.begin(&new_run(mode), minute(0)).unwrap();
    println!("> run {}", run.id());
    run.start("m", minute(0)).unwrap();
    for n in 0.. {
        println!("> begin {n}");
        run.responses(HOUR).put(&batch(run.id(), n), minute(1)).unwrap();
        println!("> responses {n}");
        run.write(&stages(n), minute(1)).unwrap();
        println!("> stages {n}");
    }
}

#[test]
fn whoever_is_killed_leaves_all_that_it_committed_and_nothing_half() {
    let home = Home::new();
    drop(home.open());
    for (killed, point) in points(1500).enumerate() {
        let told = kill_after(start("write -", &home.path()), 60 + point);
        let store = home.open();
        store.integrity_check().unwrap();
        let run = store.latest_resumable(None, None).unwrap().unwrap();
        assert_eq!((run.id, run.status), (RunId(killed as i64 + 1), Status::Interrupted));
        let count = |what: &str| told.iter().filter(|line| line.starts_with(what)).count() as u64;
        let (begun, responses, rows) = (count("begin"), count("responses"), count("stages"));
        let run = store.resume(run.id, minute(2)).unwrap();
        let cache = run.responses(HOUR);
        for n in 0..=begun {
            let (keys, expected): (Vec<_>, Vec<_>) = batch(run.id(), n).into_iter().map(|(k, r)| (k, Some(r))).unzip();
            let found = cache.get(&keys, minute(2)).unwrap();
            let is_whole = found == expected;
            let is_absent = found.iter().all(Option::is_none);
            assert!(if n < responses { is_whole } else { is_whole || is_absent }, "write {n} of {told:?}");
        }
        let found = store.run(run.id(), &Filter::default()).unwrap().unwrap().stages;
        assert!(found.len() as u64 >= rows * BATCH && (found.len() as u64).is_multiple_of(BATCH), "{} of {told:?}", found.len());
        let expected: Vec<_> = (0..found.len() as u64 / BATCH).flat_map(stages).collect();
        assert!(found.into_iter().map(Row::Stage).eq(expected));
        // Every second one stays as it is, for the next process to find.
        if killed % 2 == 0 {
            run.finish(&finish(Finished::Completed), minute(3)).unwrap();
        }
    }
}

fn create_for_ever(folder: &Path) {
    for n in 0.. {
        println!("> begin {n}");
        let store = Store::open(&folder.join(format!("{n}.db"))).unwrap();
        println!("> open {n}");
        store.put_fact(&key(1), "a", "b", minute(0)).unwrap();
        println!("> fact {n}");
    }
}

#[test]
fn whoever_is_killed_while_it_makes_a_store_leaves_one_that_opens() {
    for point in points(400) {
        let home = Home::new();
        let told = kill_after(start("create -", home.dir.path()), 60 + point);
        for n in 0..=told.iter().filter(|line| line.starts_with("begin")).count() {
            let store = Store::open(&home.dir.path().join(format!("{n}.db"))).unwrap();
            store.integrity_check().unwrap();
            let fact = store.get_fact(&key(1), minute(0)).unwrap();
            assert!(fact.is_some() || !told.contains(&format!("fact {n}")));
        }
    }
}

/// Two threads with a connection each, and two that share one of them.
fn hammer_threads(path: &Path, n: u64) {
    let store = Store::open(path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| hammer(&store, n * 10));
        scope.spawn(|| hammer(&store, n * 10 + 1));
        scope.spawn(|| hammer(&Store::open(path).unwrap(), n * 10 + 2));
    });
}

/// All kinds of work, some of it on what others work on.
fn hammer(store: &Store, worker: u64) {
    for round in 0..12 {
        let mode = [Mode::Shared, Mode::Refresh, Mode::Private][(worker + round) as usize % 3];
        let mut run = store.begin(&new_run(mode), minute(0)).unwrap();
        run.start("m", minute(0)).unwrap();
        let cache = run.responses(HOUR);
        let own: Vec<_> = (0..10).map(|i| (worker + 1) * 1000 + round * 10 + i).collect();
        let put: Vec<_> = own.iter().copied().chain(0..5).map(|n| (key(n), response(n, 500))).collect();
        cache.put(&put, minute(1)).unwrap();
        let keys: Vec<_> = put.iter().map(|(key, _)| *key).collect();
        let found = cache.get(&keys, minute(5)).unwrap();
        assert!(found.into_iter().eq(put.into_iter().map(|(_, response)| Some(response))));
        run.write(&stages(round), minute(2)).unwrap();
        store.put_fact(&key(round), "fact", "{}", minute(0)).unwrap();
        assert!(store.get_fact(&key(round), minute(9)).unwrap().is_some());
        assert_eq!(store.run(run.id(), &Filter::default()).unwrap().unwrap().summary.status, Status::Running);
        assert!(matches!(store.resume(run.id(), minute(3)), Err(StoreError::RunInProgress { .. })));
        if round % 4 == 3 {
            store.prune(Limits { ttl: HOUR, max_bytes: u64::MAX }, minute(5)).unwrap();
        }
        let totals = run.finish(&finish(Finished::Completed), minute(4)).unwrap();
        assert_eq!(totals.requests, BATCH);
    }
}

#[test]
fn processes_and_threads_share_a_fresh_store_without_getting_in_each_others_way() {
    let home = Home::new();
    let mut children: Vec<_> = (0..4).map(|n| start(&format!("hammer {n}"), &home.path())).collect();
    let mut pipes: Vec<_> = children.iter_mut().map(|child| BufReader::new(child.stdout.take().unwrap())).collect();
    for pipe in &mut pipes {
        assert!(pipe.lines().any(|line| line.unwrap() == "> ready"));
    }
    // All at once, and none has opened it yet.
    assert_eq!(home.names(), Vec::<String>::new());
    for child in &mut children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    for (mut child, mut pipe) in children.into_iter().zip(pipes) {
        let mut told = String::new();
        pipe.read_to_string(&mut told).unwrap();
        assert!(child.wait().unwrap().success(), "{told}");
    }
    let store = home.open();
    store.integrity_check().unwrap();
    let runs = store.runs(1000).unwrap();
    assert_eq!(runs.len(), 4 * 3 * 12);
    assert!(runs.iter().all(|run| run.status == Status::Completed));
    let stats = store.stats().unwrap();
    // Two thirds of the rounds of each worker were not private.
    assert_eq!((stats.entries, stats.private_entries, stats.facts), (4 * 3 * 8 * 10 + 5, 0, 12));
    drop(store);
    assert_eq!(home.names(), ["sway.db"]);
}

#[test]
fn a_run_of_another_process_can_be_resumed_once_that_is_dead() {
    let home = Home::new();
    let store = home.open();
    let mut child = start("hold -", &home.path());
    let mut pipe = BufReader::new(child.stdout.take().unwrap());
    assert!(pipe.by_ref().lines().any(|line| line.unwrap() == "> holding 1"));
    assert_eq!(store.runs(1).unwrap()[0].status, Status::Pending);
    assert!(matches!(store.resume(RunId(1), minute(1)), Err(StoreError::RunInProgress { id: RunId(1) })));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.runs(1).unwrap()[0].status, Status::Interrupted);
    let run = store.resume(RunId(1), minute(2)).unwrap();
    run.finish(&finish(Finished::Completed), minute(3)).unwrap();
    assert!(!home.names().iter().any(|name| name.contains(".lock")));
}

#[test]
fn of_many_who_would_resume_a_run_one_gets_it_whoever_lists_it_meanwhile() {
    let home = Home::new();
    let store = home.open();
    for round in 0..25 {
        let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
        let id = run.id();
        // Of one that was interrupted there is no lock file, of one that died there is.
        if round % 2 == 0 {
            drop(run);
        } else {
            run.finish(&finish(Finished::Interrupted), minute(1)).unwrap();
        }
        let (threads, won) = (6, AtomicUsize::new(0));
        let (start, done) = (Barrier::new(threads), Barrier::new(threads));
        thread::scope(|scope| {
            for n in 0..threads {
                let (path, won, start, done) = (home.path(), &won, &start, &done);
                scope.spawn(move || {
                    let store = Store::open(&path);
                    start.wait();
                    let store = store.unwrap();
                    let run = match n {
                        0 | 1 => store.runs(5).map(|_| None),
                        _ => store.resume(id, minute(2)).map(Some),
                    };
                    if let Ok(Some(_)) = &run {
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                    // Whoever has it holds it until all have tried.
                    done.wait();
                    assert!(matches!(run, Ok(_) | Err(StoreError::RunInProgress { .. })), "{:?}", run.err());
                });
            }
        });
        assert_eq!(won.into_inner(), 1, "round {round}");
    }
}
