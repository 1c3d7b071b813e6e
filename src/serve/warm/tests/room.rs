//! Room that loads make before they read.

use std::sync::{Barrier, mpsc};

use super::*;

#[test]
fn room_is_made_of_the_least_recently_used_and_they_are_closed_before_it_is_given() {
    let house = House::bytes(10);
    for name in ["a", "b", "c"] {
        house.load(house.model(name).weighing(3));
    }
    house.warm("a");
    house.load_in_room(house.model("d").weighing(6)).unwrap();
    assert_eq!(house.events.all(), ["closed b", "closed c", "room for d"]);
    assert_eq!(house.names(), ["d", "a"]);
    let stats = house.models.stats();
    assert_eq!((stats.bytes, stats.reserved), (9, 0));
}

#[test]
fn room_is_made_of_idle_models_first() {
    let house = House::bytes(10);
    let held = house.load(house.model("busy").weighing(5));
    house.load(house.model("idle").weighing(5));
    house.load_in_room(house.model("new").weighing(5)).unwrap();
    assert_eq!(house.names(), ["new", "busy"]);
    drop(held);
}

#[test]
fn room_that_leased_models_stand_in_comes_when_their_leases_end() {
    let house = House::bytes(10);
    let held = house.load(house.model("busy").weighing(8));
    thread::scope(|scope| {
        let loader = scope.spawn(|| house.load_in_room(house.model("new").weighing(5)).map(drop));
        until(|| house.models.stats().leaving == 1);
        house.events.push("let go");
        drop(held);
        loader.join().unwrap().unwrap();
    });
    assert_eq!(house.events.all(), ["let go", "closed busy", "room for new"]);
}

#[test]
fn what_can_never_fit_is_refused_before_anything_goes() {
    let house = House::bytes(10);
    house.load(house.model("a").weighing(5));
    let error = house.load_in_room(house.model("huge").weighing(11)).err().unwrap();
    assert_eq!(error.to_string(), "11 bytes are needed, and the limit is 10");
    // Nor can what a load asks for bit by bit.
    let by_bits = house.models.get_or_load(&spelling("bits"), |room| {
        room.make(6).unwrap();
        let error = room.make(5).unwrap_err();
        assert_eq!(error, NoRoom::TooLarge { needed: 11, limit: 10 });
        assert_eq!(house.models.stats().reserved, 6);
        Err(error.to_string())
    });
    assert!(by_bits.is_err());
    assert_eq!(house.models.stats().reserved, 0);
}

#[test]
fn without_a_limit_there_is_room_for_all() {
    let house = House::of(9);
    house.load_in_room(house.model("a").weighing(u64::MAX)).unwrap();
    house.load_in_room(house.model("b").weighing(u64::MAX)).unwrap();
    assert_eq!(house.names().len(), 2);
}

/// How a load ends that has reserved 6 of 10 bytes, and what is warm after another one took 6.
fn after_a_load_that(end: impl FnOnce(&House) -> Result<(Key, Model), String> + Send) -> (House, Vec<String>) {
    let house = House::bytes(10);
    let (go, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (house, events) = (&house, &house.events);
        scope.spawn(move || {
            let load = |room: &Room<'_, Model>| {
                room.make(6).unwrap();
                wait.recv().unwrap();
                events.push("first ends");
                end(house)
            };
            let _ = house.models.get_or_load(&spelling("first"), load);
        });
        until(|| house.models.stats().reserved == 6);
        let second = scope.spawn(|| house.load_in_room(house.model("second").weighing(6)).map(drop));
        until(|| house.models.shelf.state().ledger.is_anyone_stuck());
        go.send(()).unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(house.models.stats().reserved, 0);
    let names = house.names();
    (house, names)
}

#[test]
fn what_one_load_reserved_another_waits_for_until_the_model_can_go() {
    let (house, names) = after_a_load_that(|house| Ok((key("first"), house.model("first").weighing(6))));
    assert_eq!(house.events.all(), ["first ends", "closed first", "room for second"]);
    assert_eq!(names, ["second"]);
}

#[test]
fn what_a_load_reserved_that_fails_is_free_again() {
    let (house, names) = after_a_load_that(|_| Err("no such file".to_owned()));
    assert_eq!(house.events.all(), ["first ends", "room for second"]);
    assert_eq!(names, ["second"]);
}

#[test]
fn what_a_load_reserved_that_panics_is_free_again() {
    let (house, names) = after_a_load_that(|_| panic!("no such luck"));
    assert_eq!(house.events.all(), ["first ends", "room for second"]);
    assert_eq!(names, ["second"]);
}

#[test]
fn of_two_loads_that_wait_for_each_others_room_one_gives_up() {
    let house = House::bytes(10);
    let both_hold_five = Barrier::new(2);
    let load = |room: &Room<'_, Model>, name: &str| {
        room.make(5).unwrap();
        both_hold_five.wait();
        room.make(2).map_err(|error| error.to_string())?;
        Ok((key(name), house.model(name).weighing(7)))
    };
    let ask = |name: &'static str| house.models.get_or_load(&spelling(name), |room| load(room, name)).map(drop);
    let ask = &ask;
    let outcomes =
        thread::scope(|scope| ["a", "b"].map(|name| scope.spawn(move || ask(name))).map(|asker| asker.join().unwrap()));
    let errors: Vec<String> = outcomes.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    assert_eq!(errors, ["2 bytes are needed, and of the limit of 10, 10 are reserved by loads that wait for each other"]);
    assert_eq!((house.names().len(), house.models.stats().reserved), (1, 0));
}

#[test]
fn a_load_waits_as_long_as_one_that_holds_room_gets_on() {
    let house = House::bytes(10);
    let (go, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let models = &house.models;
        let runs = scope.spawn(move || {
            models.get_or_load(&spelling("runs"), |room| {
                room.make(5).unwrap();
                wait.recv().unwrap();
                Err("changed its mind".to_owned())
            })
        });
        until(|| models.stats().reserved == 5);
        let waits = scope.spawn(|| {
            models.get_or_load(&spelling("waits"), |room| {
                room.make(5).unwrap();
                room.make(3).map_err(|error| error.to_string())?;
                Ok((key("waits"), house.model("waits").weighing(8)))
            })
        });
        until(|| models.shelf.state().ledger.is_anyone_stuck());
        go.send(()).unwrap();
        assert!(runs.join().unwrap().is_err());
        assert_eq!(waits.join().unwrap().unwrap().name, "waits");
    });
}

#[test]
fn a_newcomer_takes_no_room_that_a_load_has_reserved() {
    let house = House::bytes(10);
    house.load(house.model("old").weighing(4));
    let nested = house.models.get_or_load(&spelling("a"), |room| {
        room.make(6).unwrap();
        drop(house.load(house.model("new").weighing(3)));
        assert_eq!(house.names(), ["new"]);
        Ok((key("a"), house.model("a").weighing(6)))
    });
    assert_eq!(nested.unwrap().name, "a");
    assert_eq!(house.names(), ["a", "new"]);
}

#[test]
fn a_base_that_is_warm_takes_no_room_a_second_time() {
    let house = House::bytes(120);
    house.load(house.model("a").weighing(10).on("base", 100));
    let second = house.models.get_or_load(&spelling("b"), |room| {
        room.make_sharing(10, base("base", 100)).unwrap();
        assert_eq!((house.models.stats().reserved, house.names().len()), (110, 1));
        Ok((key("b"), house.model("b").weighing(10).on("base", 100)))
    });
    drop(second.unwrap());
    assert_eq!(house.names(), ["b", "a"]);
    assert_eq!(house.models.stats().bytes, 120);
}

#[test]
fn idle_models_make_room_while_one_in_use_is_still_leaving() {
    let house = House::bytes(10);
    let endless = house.load(house.model("endless").weighing(5));
    house.load(house.model("idle").weighing(5));
    thread::scope(|scope| {
        let evicting = scope.spawn(|| house.models.evict(&key("endless")));
        until(|| house.names() == ["idle"]);
        house.load_in_room(house.model("new").weighing(4)).unwrap();
        assert_eq!(house.events.all(), ["closed idle", "room for new"]);
        drop(endless);
        assert!(evicting.join().unwrap());
    });
}

#[test]
fn room_that_another_evicts_for_is_waited_for_until_it_is_closed() {
    let house = House::bytes(10);
    let held = house.load(house.model("a").weighing(8));
    thread::scope(|scope| {
        scope.spawn(|| house.models.evict(&key("a")));
        until(|| house.names().is_empty());
        let loader = scope.spawn(|| house.load_in_room(house.model("b").weighing(5)).map(drop));
        house.events.push("let go");
        drop(held);
        loader.join().unwrap().unwrap();
    });
    assert_eq!(house.events.all(), ["let go", "closed a", "room for b"]);
    assert_eq!(house.models.stats().evictions, 1);
}
