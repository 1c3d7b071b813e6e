//! What is asked for, and what it turns out to be.

use std::sync::Barrier;

use super::*;

#[test]
fn two_spellings_of_one_content_are_one_entry() {
    let house = House::of(2);
    let first = house.warm("a");
    let again = house.models.get_or_load(&spelling("./a"), |_| Ok((key("a"), house.model("a")))).unwrap();
    assert!(std::ptr::eq(&raw const *first, &raw const *again));
    assert_eq!(Lease::key(&again), &key("a"));
    // The second copy is closed, and the second spelling known.
    assert_eq!(house.events.all(), ["closed a"]);
    assert_eq!(house.names(), ["a"]);
    assert_eq!(house.models.list()[0].leases, 2);
    assert!(house.models.peek(&spelling("./a")).is_some());
    let stats = house.models.stats();
    assert_eq!((stats.models, stats.leaving, stats.misses, stats.evictions, stats.bytes), (1, 0, 2, 0, 1));
}

#[test]
fn two_spellings_of_one_content_that_load_together_are_one_entry() {
    let house = House::of(2);
    let both_loaded = Barrier::new(2);
    let ask = |spelled: &'static str| {
        let load = |_: &Room<'_, Model>| {
            both_loaded.wait();
            Ok((key("a"), house.model("a")))
        };
        house.models.get_or_load(&spelling(spelled), load).unwrap()
    };
    let [first, second] =
        thread::scope(|scope| ["a", "./a"].map(|name| scope.spawn(move || ask(name))).map(|asker| asker.join().unwrap()));
    assert!(std::ptr::eq(&raw const *first, &raw const *second));
    assert_eq!(house.events.all(), ["closed a"]);
}

#[test]
fn a_second_copy_that_cannot_be_closed_is_logged() {
    let house = House::of(2);
    house.warm("a");
    let twin = house.model("a").closing(Closing::Panics);
    let lease = house.models.get_or_load(&spelling("./a"), |_| Ok((key("a"), twin))).unwrap();
    assert_eq!(house.events.all(), ["closed a", "log: a: close raised a is on fire"]);
    assert_eq!((lease.name.as_str(), house.names().len()), ("a", 1));
}

#[test]
fn a_model_that_was_trained_on_is_another_entry() {
    let house = House::of(2);
    let trained = |stamp: &str, content: &str| {
        house.models.get_or_load(&spelling(stamp), |_| Ok((key(content), house.model(content)))).unwrap().name.clone()
    };
    assert_eq!(trained("a, written at 1", "first"), "first");
    assert_eq!(trained("a, written at 2", "second"), "second");
    assert_eq!(house.names(), ["second", "first"]);
    // Even where the stamp does not show it, as soon as the old one is gone.
    house.models.evict(&key("second"));
    assert_eq!(trained("a, written at 2", "third"), "third");
    assert_eq!(trained("a, written at 2", "fourth"), "third");
}

#[test]
fn spellings_are_forgotten_with_their_model() {
    let house = House::of(1);
    for spelled in ["a", "./a", "b/../a"] {
        house.models.get_or_load(&spelling(spelled), |_| Ok((key("a"), house.model("a")))).unwrap();
    }
    assert_eq!(house.models.shelf.state().spelled(), 3);
    house.warm("b");
    assert_eq!(house.models.shelf.state().spelled(), 1);
    house.models.evict_all();
    assert_eq!(house.models.shelf.state().spelled(), 0);
}

#[test]
fn of_one_model_spelled_without_end_only_so_many_spellings_are_kept() {
    let house = House::of(1);
    for number in 0..100 {
        let spelled = Spelling::new(format!("a, touched {number} times"));
        house.models.get_or_load(&spelled, |_| Ok((key("a"), house.model("a")))).unwrap();
    }
    assert_eq!(house.models.shelf.state().spelled(), 64);
    assert!(house.models.peek(&spelling("a, touched 0 times")).is_none());
    assert!(house.models.peek(&spelling("a, touched 99 times")).is_some());
}
