//! What is told of what is there.

use super::*;

#[test]
fn a_base_counts_once_however_many_stand_on_it() {
    let house = House::bytes(130);
    for name in ["a", "b", "c"] {
        house.load(house.model(name).weighing(10).on("base", 100));
    }
    assert_eq!(house.models.stats().bytes, 130);
    // A fourth does not fit, and only one has to go for it.
    house.load(house.model("d").weighing(10).on("base", 100));
    assert_eq!((house.names(), house.models.stats().bytes), (["d", "c", "b"].map(str::to_owned).to_vec(), 130));
    // One on another base takes all of them: the base stays as long as one of them does.
    house.load(house.model("e").weighing(10).on("other", 100));
    assert_eq!((house.names(), house.models.stats().bytes), (vec!["e".to_owned()], 110));
}

#[test]
fn a_model_is_listed_with_its_size_its_base_and_its_use() {
    let house = House::of(9);
    let began = *house.now();
    house.warm("a");
    house.pass(Duration::from_secs(1));
    let held = house.load(house.model("b").weighing(7).on("base", 100));
    house.pass(Duration::from_secs(1));
    let again = house.warm("b");
    let model = |name: &str, bytes, shared, leases, seconds, hits| WarmModel {
        key: key(name),
        bytes,
        shared,
        leases,
        last_used: began + Duration::from_secs(seconds),
        hits,
    };
    let listed = |leases, seconds| vec![model("b", 7, Some(base("base", 100)), leases, seconds, 1), model("a", 1, None, 0, 0, 0)];
    assert_eq!(house.models.list(), listed(2, 2));
    house.pass(Duration::from_secs(1));
    drop((held, again));
    assert_eq!(house.models.list(), listed(0, 3));
}

#[test]
fn bytes_of_a_model_count_until_it_is_closed() {
    let house = House::bytes(100);
    let held = house.load(house.model("a").weighing(60).on("base", 10));
    thread::scope(|scope| {
        let evicting = scope.spawn(|| house.models.evict(&key("a")));
        until(|| house.names().is_empty());
        assert_eq!((house.models.stats().bytes, house.models.stats().leaving), (70, 1));
        drop(held);
        evicting.join().unwrap();
        assert_eq!(house.models.stats().bytes, 0);
    });
}
