//! The bytes are the object's, whatever is kept and however far ahead it is read.

use std::io::BufRead;

use proptest::prelude::*;

use super::*;

#[test]
fn an_object_without_bytes_is_read_without_a_request() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 1000);
    let empty = object("empty", 0);
    assert_eq!(read_all(&blocks, &empty), b"");
    assert_eq!(blocks.read_at(&empty, 0..0).unwrap(), "");
    drop(blocks.will_need(&empty, std::slice::from_ref(&(0..0))).unwrap());
    assert_eq!(script.requests(), []);
}

#[test]
fn the_last_block_is_as_long_as_what_is_left() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 0);
    read_all(&blocks, &object("a", 40));
    assert_eq!(script.ranges(), [0..16, 16..32, 32..40]);
}

#[test]
fn a_place_beyond_the_end_is_refused() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 0);
    let object = object("a", 40);
    let refused = "a: bytes 41..40 don't lie within its 40";
    assert_eq!(blocks.reader(&object, 41).unwrap_err().to_string(), refused);
    assert_eq!(blocks.read_at(&object, 3..41).unwrap_err().to_string(), "a: bytes 3..41 don't lie within its 40");
    assert!(blocks.will_need(&object, &[0..1, 3..41]).is_err());
    assert_eq!(blocks.reader(&object, 40).unwrap().read(&mut [0]).unwrap(), 0);
    assert_eq!(super::blocks(&script, &no_cache(), 100).reader(&object, 40).unwrap().read(&mut [0]).unwrap(), 0);
    assert_eq!(script.requests(), []);
}

#[test]
fn adjacent_blocks_that_are_missing_are_one_request() {
    let script = Script::giving();
    let blocks = blocks(&script, &large_cache(), 0);
    let object = object("a", 16 * 20);
    assert_eq!(blocks.read_at(&object, 40..50).unwrap(), content(&object)[40..50]);
    assert_eq!(blocks.read_at(&object, 5..100).unwrap(), content(&object)[5..100]);
    blocks.settle();
    assert_eq!(blocks.read_at(&object, 0..320).unwrap(), content(&object));
    let mut ranges = script.ranges();
    // Those of one call are made at once.
    ranges[1..3].sort_by_key(|range| range.start);
    ranges[3..].sort_by_key(|range| range.start);
    // Blocks 2 and 3; then what is around them; then the rest, eight blocks at most at a time.
    assert_eq!(ranges, [32..64, 0..32, 64..112, 112..128, 128..256, 256..320]);
}

#[test]
fn a_second_pass_is_all_hits() {
    let script = Script::giving();
    let cache = large_cache();
    let blocks = blocks(&script, &cache, 64);
    let object = object("a", 1000);
    read_all(&blocks, &object);
    blocks.settle();
    let first = script.requests().len();
    assert_eq!((first, cache.metrics().misses), (63, 63));
    assert_eq!(read_all(&blocks, &object), content(&object));
    assert_eq!(script.requests().len(), first);
    let metrics = cache.metrics();
    assert_eq!((metrics.memory_hits, metrics.misses, metrics.hit_rate), (63, 63, 0.5));
}

#[test]
fn another_tag_is_another_object() {
    let script = Script::giving();
    let blocks = blocks(&script, &large_cache(), 0);
    let old = object("a", 100);
    let new = Object { tag: "v2".to_owned(), ..old.clone() };
    assert_ne!(content(&old), content(&new));
    assert_eq!((read_all(&blocks, &old), read_all(&blocks, &new)), (content(&old), content(&new)));
}

#[test]
fn a_block_that_is_asked_for_twice_at_once_is_fetched_once() {
    let gate = Arc::new(Semaphore::new(0));
    let script = Script::new({
        let gate = Arc::clone(&gate);
        move |_| Play::GiveAt(Arc::clone(&gate))
    });
    let blocks = blocks(&script, &no_cache(), 0);
    let object = object("a", 16);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8).map(|_| scope.spawn(|| read_all(&blocks, &object))).collect();
        // All wait for the one flight before it lands.
        wait_for("eight who wait", || blocks.desk.board.lock().flights.values().any(|flight| flight.tickets.len() == 8));
        gate.add_permits(1);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), content(&object));
        }
    });
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn lines_are_read_without_a_copy_of_the_object() {
    let blocks = blocks(&Script::giving(), &no_cache(), 100);
    let object = object("a", 3000);
    let lines: Vec<Vec<u8>> = blocks.reader(&object, 0).unwrap().split(b'a').map(Result::unwrap).collect();
    let expected: Vec<Vec<u8>> = BufRead::split(content(&object).as_slice(), b'a').map(Result::unwrap).collect();
    assert_eq!(lines, expected);
}

/// Any cache: of memory of so many bytes, and of a folder of so many bytes where there is one.
fn any_cache() -> impl Strategy<Value = (u64, Option<u64>)> {
    (prop_oneof![Just(0), 0_u64..4000, Just(1 << 20)], prop::option::of(prop_oneof![0_u64..40_000, Just(1 << 30)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_bytes_come_once_and_in_order(
        size in 0_u64..2000, offset in 0_u64..2000, ahead in prop_oneof![Just(0), 0_u64..600], (memory, disk) in any_cache(),
        steps in prop::collection::vec(0_usize..70, 1..8), passes in 1_usize..4, reopens in any::<bool>(),
    ) {
        let object = object("any", size);
        let offset = offset.min(size);
        let folder = tempfile::tempdir().unwrap();
        let open = || Arc::new(match disk {
            Some(disk) => BlockCache::open(&limits(memory, disk), folder.path()).unwrap(),
            None => BlockCache::in_memory(&limits(memory, 0)),
        });
        let script = Script::giving();
        let mut cache = open();
        for _ in 0..passes {
            let blocks = blocks(&script, &cache, ahead);
            let mut reader = blocks.reader(&object, offset).unwrap();
            let mut bytes = Vec::new();
            for step in steps.iter().cycle() {
                prop_assert_eq!(reader.position(), offset + bytes.len() as u64);
                let mut buffer = vec![0; step + 1];
                let read = reader.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..read]);
                if read == 0 {
                    break;
                }
            }
            prop_assert!(bytes == content(&object)[offset as usize..], "other bytes");
            drop(reader);
            blocks.settle();
            let metrics = blocks.metrics();
            prop_assert!(metrics.ahead.most_bytes <= ahead && metrics.ahead.bytes == 0, "{:?}", metrics);
            prop_assert_eq!(metrics.ahead.prefetched, metrics.ahead.used + metrics.ahead.wasted + metrics.ahead.cancelled);
            prop_assert!(metrics.cache.memory_bytes + metrics.cache.bookkeeping_bytes <= memory);
            prop_assert!(metrics.cache.disk_bytes <= disk.unwrap_or_default());
            drop(blocks);
            if reopens {
                // As a process that ended, or was killed.
                cache = open();
            }
        }
        if memory == 1 << 20 && !reopens || disk == Some(1 << 30) {
            let blocks = if offset < size { size.div_ceil(16) - offset / 16 } else { 0 };
            prop_assert_eq!(script.requests().len() as u64, blocks, "what is kept is not fetched again");
        }
    }

    #[test]
    fn any_ranges_are_the_objects(
        size in 0_u64..2000, ranges in prop::collection::vec((0.0_f64..=1.0, 0.0_f64..=1.0), 1..12), ahead in 0_u64..600,
        (memory, disk) in any_cache(), announces in any::<bool>(),
    ) {
        let object = object("any", size);
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(match disk {
            Some(disk) => BlockCache::open(&limits(memory, disk), folder.path()).unwrap(),
            None => BlockCache::in_memory(&limits(memory, 0)),
        });
        let ranges: Vec<Range<u64>> = ranges.into_iter().map(|(a, b)| {
            let at = |part: f64| (size as f64 * part) as u64;
            at(a.min(b))..at(a.max(b))
        }).collect();
        let script = Script::giving();
        let blocks = blocks(&script, &cache, ahead);
        let need = announces.then(|| blocks.will_need(&object, &ranges).unwrap());
        for range in &ranges {
            let bytes = blocks.read_at(&object, range.clone()).unwrap();
            prop_assert!(bytes == content(&object)[range.start as usize..range.end as usize], "other bytes at {:?}", range);
        }
        drop(need);
        blocks.settle();
        let metrics = blocks.metrics().ahead;
        prop_assert!(metrics.most_bytes <= ahead && metrics.bytes == 0, "{:?}", metrics);
        prop_assert_eq!(metrics.prefetched, metrics.used + metrics.wasted + metrics.cancelled);
    }
}
