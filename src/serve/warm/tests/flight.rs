//! Any number of askers, one load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};

use super::*;

const ASKERS: usize = 64;

/// What 64 threads get that ask for one cold model, when its load ends only after all have asked.
fn ask_together(
    house: &House,
    load: impl Fn() -> Result<(Key, Model), String> + Sync,
) -> Vec<Result<Lease<Model>, LoadError<String>>> {
    let before = house.models.stats().joins;
    let load = || {
        until(|| house.models.stats().joins == before + ASKERS as u64 - 1);
        load()
    };
    thread::scope(|scope| {
        let ask = || scope.spawn(|| house.models.get_or_load(&spelling("a"), |_| load()));
        let askers: Vec<_> = (0..ASKERS).map(|_| ask()).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    })
}

#[test]
fn of_64_that_ask_for_a_cold_model_one_loads_and_all_get_it() {
    let house = House::of(2);
    let loads = AtomicUsize::new(0);
    let got = ask_together(&house, || {
        loads.fetch_add(1, Ordering::Relaxed);
        Ok((key("a"), house.model("a")))
    });
    assert_eq!(loads.into_inner(), 1);
    let models: Vec<*const Model> = got.iter().map(|lease| std::ptr::from_ref(&**lease.as_ref().unwrap())).collect();
    assert!(models.iter().all(|model| *model == models[0]));
    assert_eq!(house.models.list()[0].leases, ASKERS);
    drop(got);
    assert_eq!(house.models.list()[0].leases, 0);
    let stats = house.models.stats();
    assert_eq!((stats.misses, stats.joins, stats.hits, stats.failures), (1, 63, 0, 0));
}

#[test]
fn a_failed_load_is_told_to_all_64_and_the_next_tries_again() {
    let house = House::of(2);
    let loads = AtomicUsize::new(0);
    for round in 1..=2 {
        let got = ask_together(&house, || {
            loads.fetch_add(1, Ordering::Relaxed);
            Err("no such file".to_owned())
        });
        assert!(got.iter().all(|outcome| matches!(outcome, Err(LoadError::Failed(error)) if **error == "no such file")));
        assert_eq!(loads.load(Ordering::Relaxed), round);
    }
    assert_eq!(house.warm("a").name, "a");
    let stats = house.models.stats();
    assert_eq!((stats.misses, stats.joins, stats.failures, stats.models), (3, 126, 2, 1));
}

#[test]
fn a_load_that_panics_is_an_error_for_all_64_and_the_next_tries_again() {
    let house = House::of(2);
    let got = ask_together(&house, || panic!("the disk melted"));
    let told: Vec<String> = got.into_iter().map(|outcome| outcome.err().unwrap().to_string()).collect();
    assert_eq!(told, vec!["the load panicked: the disk melted"; ASKERS]);
    assert_eq!(house.models.stats().failures, 1);
    assert_eq!(house.warm("a").name, "a");
}

#[test]
fn a_model_that_panics_when_it_is_sized_is_a_load_that_panicked() {
    struct Sizeless;
    impl Resident for Sizeless {
        fn bytes(&self) -> u64 {
            panic!("too big to count")
        }
        fn shared(&self) -> Option<Shared> {
            None
        }
        fn close(&self) -> Result<(), String> {
            Ok(())
        }
    }
    let limits = Bounds { max_models: 1, max_bytes: Some(10) };
    let models = WarmModels::<Sizeless, String>::new(limits, Arc::new(|_| ())).unwrap();
    let load = |room: &Room<'_, Sizeless>| {
        room.make(10).unwrap();
        Ok((key("a"), Sizeless))
    };
    assert_eq!(models.get_or_load(&spelling("a"), load).err().unwrap().to_string(), "the load panicked: too big to count");
    assert_eq!((models.stats().models, models.stats().reserved), (0, 0));
}

#[test]
fn while_one_model_loads_others_are_hit_and_listed_and_evicted() {
    let house = &House::of(3);
    drop([house.warm("b"), house.warm("c")]);
    let (go, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let loader = scope.spawn(|| {
            house.models.get_or_load(&spelling("a"), move |_| {
                wait.recv().unwrap();
                Ok((key("a"), house.model("a")))
            })
        });
        until(|| house.models.stats().misses == 3);
        assert!(house.models.peek(&spelling("a")).is_none());
        assert_eq!(house.models.peek(&spelling("b")).unwrap().name, "b");
        assert_eq!(house.warm("b").name, "b");
        assert!(house.models.evict(&key("c")));
        assert_eq!(house.names(), ["b"]);
        go.send(()).unwrap();
        assert_eq!(loader.join().unwrap().unwrap().name, "a");
    });
    assert_eq!(house.names(), ["a", "b"]);
}

#[test]
fn different_models_load_at_the_same_time() {
    let house = House::of(8);
    let all_load = Barrier::new(8);
    thread::scope(|scope| {
        for number in 0..8 {
            let (house, all_load) = (&house, &all_load);
            scope.spawn(move || {
                let name = number.to_string();
                let load = |_: &Room<'_, Model>| {
                    all_load.wait();
                    Ok((key(&name), house.model(&name)))
                };
                assert_eq!(house.models.get_or_load(&spelling(&name), load).unwrap().name, name);
            });
        }
    });
    assert_eq!(house.models.stats().misses, 8);
}

#[test]
fn who_waited_for_a_newcomer_does_not_wait_for_those_that_go_for_it() {
    let house = &House::of(1);
    let old = house.warm("old");
    let load = |_: &Room<'_, Model>| {
        until(|| house.models.stats().joins == 1);
        Ok((key("new"), house.model("new")))
    };
    thread::scope(|scope| {
        let loader = scope.spawn(move || house.models.get_or_load(&spelling("new"), load).unwrap());
        until(|| house.models.stats().misses == 2);
        // Ends although the old one is in use.
        let joined = scope.spawn(|| house.warm("new")).join().unwrap();
        assert_eq!(joined.name, "new");
        assert_eq!(house.warm("new").name, "new");
        assert_eq!(house.events.all(), [""; 0]);
        house.events.push("let go");
        drop((old, joined));
        drop(loader.join().unwrap());
    });
    assert_eq!(house.events.all(), ["let go", "closed old"]);
}
