//! Who goes first.

use std::sync::mpsc;

use super::*;

#[test]
fn the_least_recently_used_goes_first_and_a_hit_promotes() {
    let house = House::of(2);
    house.warm("a");
    house.warm("b");
    house.warm("a");
    house.warm("c");
    assert_eq!(house.names(), ["c", "a"]);
    assert_eq!(house.events.all(), ["closed b"]);
    house.models.peek(&spelling("a")).unwrap();
    house.warm("d");
    assert_eq!(house.names(), ["d", "a"]);
    let stats = house.models.stats();
    assert_eq!((stats.hits, stats.misses, stats.evictions, stats.models), (2, 4, 2, 2));
}

#[test]
fn letting_go_of_a_model_is_using_it() {
    let house = House::of(2);
    let held = house.warm("a");
    house.warm("b");
    drop(held);
    house.warm("c");
    assert_eq!(house.names(), ["c", "a"]);
}

#[test]
fn an_idle_model_goes_before_one_in_use_that_was_asked_for_earlier() {
    let house = House::of(2);
    let held = house.warm("a");
    house.warm("b");
    house.warm("c");
    assert_eq!(house.names(), ["c", "a"]);
    drop(held);
}

#[test]
fn of_models_in_use_the_least_recently_asked_for_goes_first() {
    let house = House::of(2);
    let held = [house.warm("a"), house.warm("b"), house.warm("a")];
    thread::scope(|scope| {
        let newcomer = scope.spawn(|| house.warm("c"));
        until(|| house.models.peek(&spelling("c")).is_some());
        assert_eq!(
            house.models.list().iter().map(|model| model.key.as_str()).filter(|key| *key != "c").collect::<Vec<_>>(),
            ["a"]
        );
        drop(held);
        newcomer.join().unwrap();
    });
    assert_eq!(house.events.all(), ["closed b"]);
}

#[test]
fn a_newcomer_is_not_its_own_victim_even_if_it_alone_is_too_much() {
    let house = House::bytes(10);
    house.load(house.model("a").weighing(4));
    house.load(house.model("b").weighing(4));
    house.load(house.model("huge").weighing(11));
    assert_eq!(house.names(), ["huge"]);
    house.load(house.model("c").weighing(4));
    assert_eq!(house.names(), ["c"]);
}

#[test]
fn as_many_go_as_the_bytes_of_a_newcomer_ask_for() {
    let house = House::bytes(10);
    for (name, bytes) in [("a", 4), ("b", 3), ("c", 3)] {
        house.load(house.model(name).weighing(bytes));
    }
    assert_eq!(house.names(), ["c", "b", "a"]);
    house.load(house.model("d").weighing(5));
    assert_eq!(house.names(), ["d", "c"]);
    assert_eq!(house.models.stats().bytes, 8);
}

#[test]
fn an_idle_model_goes_when_one_that_is_leaving_still_takes_its_bytes() {
    let house = House::bytes(10);
    let held = house.load(house.model("leaving").weighing(6));
    house.load(house.model("idle").weighing(4));
    thread::scope(|scope| {
        let evicting = scope.spawn(|| house.models.evict(&key("leaving")));
        until(|| house.names() == ["idle"]);
        house.load(house.model("new").weighing(3));
        assert_eq!(house.names(), ["new"]);
        // But nobody waits for it here: one in use stays while it fits beside what will be left.
        let busy = house.warm("new");
        house.load(house.model("newer").weighing(3));
        assert_eq!(house.names(), ["newer", "new"]);
        drop((held, busy));
        assert!(evicting.join().unwrap());
    });
    assert_eq!(house.events.all(), ["closed idle", "closed leaving"]);
}

#[test]
fn only_what_nobody_has_used_for_so_long_goes_for_being_idle() {
    let house = House::of(9);
    let minute = Duration::from_mins(1);
    let began = *house.now();
    let held = house.warm("held");
    house.warm("old");
    house.pass(minute);
    house.warm("new");
    let now = *house.now();
    assert_eq!(house.models.evict_idle(now, minute + Duration::from_nanos(1)), 0);
    assert_eq!(house.models.evict_idle(now, minute), 1);
    assert_eq!(house.events.all(), ["closed old"]);

    house.pass(minute);
    drop(held);
    let now = *house.now();
    assert_eq!(house.models.evict_idle(now, minute), 1);
    assert_eq!(house.names(), ["held"]);
    // A time that lies before its last use is no reason.
    assert_eq!(house.models.evict_idle(began, Duration::from_nanos(1)), 0);
    assert_eq!(house.models.evict_idle(now, Duration::ZERO), 1);
}

#[test]
fn a_model_that_others_wait_for_is_in_use() {
    let house = House::of(9);
    let (go, wait) = mpsc::channel::<()>();
    let held = house.warm("a");
    let other = held.clone();
    drop(held);
    thread::scope(|scope| {
        scope.spawn(move || {
            wait.recv().unwrap();
            drop(other);
        });
        assert_eq!(house.models.evict_idle(*house.now(), Duration::ZERO), 0);
        assert_eq!(house.models.list()[0].leases, 1);
        go.send(()).unwrap();
    });
    assert_eq!(house.models.evict_idle(*house.now(), Duration::ZERO), 1);
}
