//! What is announced, and then read here and there.

use super::*;

#[test]
fn what_is_announced_is_fetched_before_it_is_read() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 1000);
    let object = object("a", 1000);
    let need = blocks.will_need(&object, &[100..120, 500..600, 110..130]).unwrap();
    wait_for("all of it", || blocks.metrics().ahead.requests == 2);
    blocks.settle();
    assert_eq!(blocks.read_at(&object, 500..600).unwrap(), content(&object)[500..600]);
    assert_eq!(blocks.read_at(&object, 100..130).unwrap(), content(&object)[100..130]);
    drop(need);
    let mut ranges = script.ranges();
    ranges.sort_by_key(|range| range.start);
    assert_eq!(ranges, [96..144, 496..608]);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.prefetched, metrics.used, metrics.wasted, metrics.bytes), (10, 10, 0, 0));
}

#[test]
fn what_has_no_room_is_fetched_when_other_was_read() {
    let script = Script::giving();
    let blocks = blocks(&script, &large_cache(), 16 * 3);
    let object = object("a", 16 * 9);
    let need = blocks.will_need(&object, std::slice::from_ref(&(0..16 * 9))).unwrap();
    for nth in 0..9 {
        wait_for("what comes next", || blocks.metrics().ahead.fetched_bytes >= 16 * (nth + 3).min(9));
        blocks.settle();
        assert_eq!(blocks.metrics().ahead.bytes, 16 * (9 - nth).min(3));
        let range = nth * 16 + 2..nth * 16 + 9;
        assert_eq!(blocks.read_at(&object, range.clone()).unwrap(), content(&object)[range.start as usize..range.end as usize]);
    }
    drop(need);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.prefetched, metrics.used, metrics.most_bytes, metrics.bytes), (9, 9, 48, 0));
    assert_eq!(metrics.fetched_bytes, 16 * 9, "each once");
}

#[test]
fn what_is_needed_no_more_leaves_no_task_behind() {
    let script = Script::new(|_| Play::Hang);
    let blocks = blocks(&script, &large_cache(), 64);
    let need = blocks.will_need(&object("a", 1000), &[0..20, 500..1000]).unwrap();
    wait_for("requests", || script.under_way() == 2);
    drop(need);
    wait_for("no task", || tasks(&blocks) == 0 && script.under_way() == 0);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.prefetched, metrics.cancelled, metrics.bytes), (4, 4, 0));
}

#[test]
fn what_fails_ahead_is_tried_again_when_it_is_read() {
    let script = Script::new(|request| if request.nth == 0 { Play::Fail } else { Play::Give });
    let blocks = blocks(&script, &large_cache(), 64);
    let object = object("a", 60);
    let need = blocks.will_need(&object, std::slice::from_ref(&(0..60))).unwrap();
    blocks.settle();
    assert_eq!(blocks.read_at(&object, 0..60).unwrap(), content(&object));
    drop(need);
    assert_eq!((script.requests().len(), blocks.metrics().ahead.bytes), (2, 0));
}

#[test]
fn an_announcement_leaves_room_for_readers() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 16 * 4);
    let (big, small) = (object("big", 1600), object("small", 1600));
    let mut reader = blocks.reader(&small, 0).unwrap();
    let need = blocks.will_need(&big, std::slice::from_ref(&(0..1600))).unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, content(&small));
    let metrics = blocks.metrics().ahead;
    assert!(metrics.used > 0 && metrics.most_bytes <= 64, "{metrics:?}");
    drop(need);
}
