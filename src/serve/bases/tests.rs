use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

type Bases = SharedBases<String, String>;

fn load(bases: &Bases, spelling: &str, key: &str) -> Arc<String> {
    bases.get_or_load(&Spelling::new(spelling), || Ok((Key::new(key), format!("weights of {spelling}")))).unwrap()
}

#[test]
fn a_base_that_someone_holds_is_not_loaded_again() {
    let bases = Bases::default();
    let first = load(&bases, "base", "content");
    let again = bases.get_or_load(&Spelling::new("base"), || panic!("loaded again")).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
}

#[test]
fn two_spellings_of_one_base_are_one_copy() {
    let bases = Bases::default();
    let first = load(&bases, "base", "content");
    let again = load(&bases, "./base", "content");
    assert!(Arc::ptr_eq(&first, &again));
    let known = bases.get_or_load(&Spelling::new("./base"), || panic!("loaded again")).unwrap();
    assert!(Arc::ptr_eq(&first, &known));
    assert!(!Arc::ptr_eq(&first, &load(&bases, "other", "other content")));
}

#[test]
fn nothing_is_kept_alive() {
    let bases = Bases::default();
    let first = load(&bases, "base", "content");
    let weak = Arc::downgrade(&first);
    drop(first);
    assert!(weak.upgrade().is_none());
    assert_eq!(*load(&bases, "./base", "content"), "weights of ./base");
    // What is gone is forgotten with the next that comes.
    let other = load(&bases, "other", "other content");
    let held = bases.held();
    assert_eq!((held.by_key.len(), held.by_spelling.len(), other.len()), (1, 1, "weights of other".len()));
}

/// What 64 threads get, when the load ends only after all have asked.
fn ask_together(
    bases: &Bases,
    load: impl Fn() -> Result<(Key, String), String> + Sync,
) -> Vec<Result<Arc<String>, LoadError<String>>> {
    let before = bases.flights.counts().joined;
    let load = || {
        while bases.flights.counts().joined < before + 63 {
            thread::yield_now();
        }
        load()
    };
    thread::scope(|scope| {
        let ask = || scope.spawn(|| bases.get_or_load(&Spelling::new("base"), load));
        let askers: Vec<_> = (0..64).map(|_| ask()).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    })
}

#[test]
fn of_64_that_ask_for_a_base_one_loads_and_all_get_it() {
    let bases = Bases::default();
    let loads = AtomicUsize::new(0);
    let got = ask_together(&bases, || {
        loads.fetch_add(1, Ordering::Relaxed);
        Ok((Key::new("content"), "weights".to_owned()))
    });
    let got: Vec<Arc<String>> = got.into_iter().map(Result::unwrap).collect();
    assert!(got.iter().all(|base| Arc::ptr_eq(base, &got[0])));
    assert_eq!((loads.into_inner(), Arc::strong_count(&got[0])), (1, 64));
}

#[test]
fn a_load_that_fails_or_panics_is_told_to_all_and_the_next_tries_again() {
    let bases = Bases::default();
    let failed = ask_together(&bases, || Err("no such file".to_owned()));
    assert!(failed.iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.to_string() == "no such file")));
    let panicked = ask_together(&bases, || panic!("the disk melted"));
    assert!(panicked.iter().all(|outcome| matches!(outcome, Err(LoadError::Panicked(what)) if what == "the disk melted")));
    assert_eq!(*load(&bases, "base", "content"), "weights of base");
    assert_eq!(bases.flights.counts().failed, 2);
}
