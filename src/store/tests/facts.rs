use super::*;

#[test]
fn a_fact_is_found_until_it_is_replaced_cleared_or_too_old() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.get_fact(&key(1), minute(0)).unwrap(), None);
    store.put_fact(&key(1), "window", "{\"tokens\":4096}", minute(0)).unwrap();
    store.put_fact(&key(2), "window", "2", minute(10)).unwrap();
    assert_eq!(store.get_fact(&key(1), minute(1)).unwrap().as_deref(), Some("{\"tokens\":4096}"));
    store.put_fact(&key(1), "window", "1", minute(2)).unwrap();
    assert_eq!(store.get_fact(&key(1), minute(2)).unwrap().as_deref(), Some("1"));
    let limits = Limits { ttl: HOUR, max_bytes: 0 };
    assert_eq!(store.evict(limits, minute(62)).unwrap().facts, 0, "just an hour old");
    assert_eq!(store.evict(limits, minute(63)).unwrap().facts, 1);
    assert_eq!(store.get_fact(&key(1), minute(63)).unwrap(), None);
    assert_eq!(store.clear().unwrap().facts, 1);
    assert_eq!(store.stats().unwrap().facts, 0);
}

#[test]
fn of_too_many_facts_those_used_last_stay() {
    let home = Home::new();
    let store = home.open();
    for n in 0..1003 {
        store.put_fact(&key(n), "n", &n.to_string(), minute(n as i64)).unwrap();
    }
    store.get_fact(&key(0), minute(2000)).unwrap();
    assert_eq!(store.evict(Limits { ttl: Duration::MAX, max_bytes: 0 }, minute(2001)).unwrap().facts, 3);
    let is_there = |n| store.get_fact(&key(n), minute(2002)).unwrap().is_some();
    assert_eq!([0, 1, 2, 3, 4, 1002].map(is_there), [true, false, false, false, true, true]);
}
