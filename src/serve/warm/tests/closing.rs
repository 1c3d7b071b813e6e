//! Those that leave.

use super::*;

#[test]
fn an_eviction_waits_for_every_lease_and_only_then_closes() {
    let house = House::of(2);
    let first = house.warm("a");
    let second = first.clone();
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(house.models.evict(&key("a")));
            house.events.push("evicted");
        });
        until(|| house.names().is_empty());
        assert_eq!(house.models.stats().leaving, 1);
        house.events.push("first let go");
        drop(first);
        assert_eq!((second.name.as_str(), house.models.stats().leaving), ("a", 1));
        house.events.push("second let go");
        drop(second);
    });
    assert_eq!(house.events.all(), ["first let go", "second let go", "closed a", "evicted"]);
    assert_eq!(house.models.stats().leaving, 0);
}

#[test]
fn who_asks_for_a_model_that_is_leaving_loads_it_anew() {
    let house = House::of(2);
    let old = house.warm("a");
    thread::scope(|scope| {
        let evicting = scope.spawn(|| house.models.evict(&key("a")));
        until(|| house.names().is_empty());
        assert!(house.models.peek(&spelling("a")).is_none());
        let new = house.warm("a");
        assert!(!std::ptr::eq(&raw const *old, &raw const *new));
        // Nor is the new one taken for the one that leaves.
        assert_eq!(house.models.list()[0].leases, 1);
        drop(old);
        assert!(evicting.join().unwrap());
        assert_eq!(house.models.list()[0].leases, 1);
    });
    assert_eq!(house.models.stats().misses, 2);
    assert_eq!(house.events.all(), ["closed a"]);
    assert_eq!(house.names(), ["a"]);
}

#[test]
fn evicting_tells_whether_it_was_there() {
    let house = House::of(2);
    house.warm("a");
    assert!(!house.models.evict(&key("b")));
    assert!(house.models.evict(&key("a")));
    assert!(!house.models.evict(&key("a")));
}

#[test]
fn a_close_that_fails_or_panics_is_logged_and_hinders_nothing() {
    let house = House::of(1);
    house.load(house.model("a").closing(Closing::Refused));
    house.load(house.model("b").closing(Closing::Panics));
    house.warm("c");
    assert_eq!(
        house.events.all(),
        ["closed a", "log: a: close raised a is stuck", "closed b", "log: b: close raised b is on fire"]
    );
    assert_eq!(house.names(), ["c"]);
    assert_eq!(house.models.stats().leaving, 0);
    assert_eq!(house.warm("a").name, "a");
}

#[test]
fn a_log_that_panics_hinders_nothing_either() {
    let house = House::of(1);
    let models = WarmModels::<Model, String>::new(Bounds { max_models: 1, max_bytes: None }, Arc::new(|_| panic!("disk full")));
    let models = models.unwrap();
    for name in ["a", "b"] {
        let model = house.model(name).closing(Closing::Refused);
        models.get_or_load(&spelling(name), |_| Ok((key(name), model))).unwrap();
    }
    assert_eq!((models.stats().models, models.stats().leaving), (1, 0));
}

#[test]
fn evict_all_leaves_nothing_behind_though_closes_fail_and_panic() {
    let house = House::of(9);
    for (name, closing) in [("a", Closing::Refused), ("b", Closing::Panics), ("c", Closing::Well), ("d", Closing::Panics)] {
        house.load(house.model(name).closing(closing));
    }
    house.models.evict_all();
    let events = house.events.all();
    assert_eq!(events.iter().filter(|event| event.starts_with("closed")).count(), 4);
    assert_eq!(events.iter().filter(|event| event.contains("close raised")).count(), 3);
    let stats = house.models.stats();
    assert_eq!((stats.models, stats.leaving, stats.bytes, stats.evictions), (0, 0, 0, 4));
    house.models.evict_all();
    assert_eq!(house.warm("a").name, "a");
}

#[test]
fn evict_all_closes_the_idle_and_then_waits_for_those_in_use() {
    let house = House::of(9);
    let held = house.warm("a");
    house.warm("b");
    thread::scope(|scope| {
        let evicting = scope.spawn(|| house.models.evict_all());
        until(|| house.events.all() == ["closed b"]);
        house.events.push("let go");
        drop(held);
        evicting.join().unwrap();
    });
    assert_eq!(house.events.all(), ["closed b", "let go", "closed a"]);
}

#[test]
fn evict_all_waits_for_what_others_are_evicting() {
    let house = House::of(9);
    let held = house.warm("a");
    thread::scope(|scope| {
        scope.spawn(|| house.models.evict(&key("a")));
        until(|| house.names().is_empty());
        let all = scope.spawn(|| {
            house.models.evict_all();
            house.events.push("all gone");
        });
        house.events.push("let go");
        drop(held);
        all.join().unwrap();
    });
    assert_eq!(house.events.all(), ["let go", "closed a", "all gone"]);
}

#[test]
fn a_lease_without_end_holds_up_only_who_waits_for_it() {
    let house = House::of(1);
    let endless = house.warm("a");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(house.warm("b")));
        until(|| house.models.peek(&spelling("b")).is_some());
        // `b` is in use by the one who waits; all else goes on.
        let (c, d) = (scope.spawn(|| drop(house.warm("c"))), "d");
        until(|| house.models.peek(&spelling("c")).is_some());
        assert!(house.models.get_or_load(&spelling(d), |_| Err("no d".to_owned())).is_err());
        assert!(!house.models.evict(&key("a")));
        assert_eq!(house.events.all(), [""; 0]);
        drop(endless);
        waiting.join().unwrap();
        c.join().unwrap();
    });
    assert_eq!(house.events.all(), ["closed a", "closed b"]);
}

#[test]
fn what_is_closed_is_freed_by_the_one_who_closes_it() {
    /// Tells which thread it is dropped in.
    struct Dropped(Arc<Mutex<Option<thread::ThreadId>>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = Some(thread::current().id());
        }
    }
    impl Resident for Dropped {
        fn bytes(&self) -> u64 {
            1
        }
        fn shared(&self) -> Option<Shared> {
            None
        }
        fn close(&self) -> Result<(), String> {
            Ok(())
        }
    }
    let models = WarmModels::<Dropped, String>::new(Bounds { max_models: 1, max_bytes: None }, Arc::new(|_| ())).unwrap();
    let by = Arc::default();
    let lease = models.get_or_load(&spelling("a"), |_| Ok((key("a"), Dropped(Arc::clone(&by))))).unwrap();
    thread::scope(|scope| {
        let evicting = scope.spawn(|| models.evict(&key("a")));
        let closer = evicting.thread().id();
        until(|| models.list().is_empty());
        drop(lease);
        assert!(evicting.join().unwrap());
        assert_eq!(*by.lock().unwrap(), Some(closer));
    });
}
