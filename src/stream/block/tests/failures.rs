//! What goes wrong shows at its place.

use proptest::prelude::*;

use super::*;

/// Reads until an error, in pieces of 7 bytes.
fn until_error(reader: &mut BlockReader) -> (Vec<u8>, std::io::Error) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 7];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => panic!("it ended without an error"),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) => return (bytes, error),
        }
    }
}

#[test]
fn an_error_in_block_17_comes_after_all_bytes_before_it_and_stays() {
    let script = Script::new(|request| if request.range.start == 17 * 16 { Play::Fail } else { Play::Give });
    let blocks = blocks(&script, &large_cache(), 16 * 32);
    let object = object("s3://bucket/a.jsonl", 16 * 40);
    let mut reader = blocks.reader(&object, 3).unwrap();
    let (bytes, error) = until_error(&mut reader);
    assert_eq!(bytes, content(&object)[3..17 * 16]);
    assert_eq!(error.to_string(), "s3://bucket/a.jsonl: bytes 272..288: status 500 at 272");
    for _ in 0..3 {
        assert_eq!(cause(&reader.read(&mut [0]).unwrap_err()).to_string(), error.to_string());
    }
    assert_eq!(reader.position(), 17 * 16);
}

#[test]
fn a_block_of_another_length_is_an_error_and_is_not_kept() {
    for length in [0, 15, 17, 16_000] {
        let script = Script::new(move |request| if request.nth == 1 { Play::GiveInstead(vec![0; length]) } else { Play::Give });
        let cache = large_cache();
        let blocks = blocks(&script, &cache, 0);
        let object = object("a", 100);
        let (bytes, error) = until_error(&mut blocks.reader(&object, 0).unwrap());
        assert_eq!(bytes, content(&object)[..16]);
        let message = format!("a: bytes 16..32 were asked for, and {length} came where 16 should\nhint: it changed after");
        assert!(error.to_string().starts_with(&message), "{error}");
        blocks.settle();
        assert_eq!(cache.metrics().memory_blocks, 1);
        assert_eq!(read_all(&blocks, &object), content(&object), "the next one asks anew");
    }
}

#[test]
fn all_who_wait_are_told_and_the_next_one_asks_anew() {
    let gate = Arc::new(Semaphore::new(0));
    let script = Script::new({
        let gate = Arc::clone(&gate);
        move |request| if request.nth == 0 { Play::GiveAt(Arc::clone(&gate)) } else { Play::Give }
    });
    let blocks = blocks(&script, &large_cache(), 0);
    let object = object("a", 16);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| blocks.read_at(&object, 0..16))).collect();
        wait_for("four who wait", || blocks.desk.board.lock().flights.values().any(|flight| flight.tickets.len() == 4));
        // Whoever waits at the gate dies of it.
        gate.close();
        for reader in readers {
            assert!(matches!(reader.join().unwrap(), Err(BlockError::Lost)));
        }
    });
    assert_eq!(script.requests().len(), 1);
    assert_eq!(blocks.read_at(&object, 0..16).unwrap(), content(&object));
    assert_eq!(script.requests().len(), 2);
}

#[test]
fn one_who_dies_of_a_panic_is_an_error() {
    let blocks = blocks(&Script::new(|request| if request.nth == 2 { Play::Panic } else { Play::Give }), &large_cache(), 0);
    let object = object("a", 100);
    let (bytes, error) = until_error(&mut blocks.reader(&object, 0).unwrap());
    assert_eq!(bytes, content(&object)[..32]);
    assert!(matches!(cause(&error), BlockError::Lost), "{error}");
}

#[test]
fn the_cause_can_be_told_by_who_knows_it() {
    #[derive(Debug, thiserror::Error)]
    #[error("slow down")]
    struct Busy;
    let error = FetchError::new(Busy);
    assert!(error.clone().cause().downcast_ref::<Busy>().is_some());
    assert_eq!(error.to_string(), "slow down");
}

#[test]
fn what_is_stopped_waits_no_more() {
    let script = Script::new(|_| Play::Hang);
    let blocks = blocks(&script, &large_cache(), 64);
    let object = object("a", 100);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| blocks.reader(&object, 0).unwrap().read(&mut [0]));
        wait_for("requests", || script.under_way() == 2);
        blocks.stop();
        assert!(matches!(cause(&reader.join().unwrap().unwrap_err()), BlockError::Stopped));
    });
    assert!(matches!(blocks.read_at(&object, 0..1), Err(BlockError::Stopped)));
    blocks.settle();
    wait_for("no task", || tasks(&blocks) == 0 && script.under_way() == 0);
    assert_eq!(script.requests().len(), 2);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.prefetched, metrics.used, metrics.cancelled, metrics.bytes), (2, 1, 1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_error_at_any_block_is_at_its_place(
        size in 1_u64..800, at in 0_u64..50, ahead in 0_u64..600, kind in 0_u8..3, memory in prop_oneof![Just(0), Just(1 << 20)],
    ) {
        let count = size.div_ceil(16);
        let broken = at % count * 16;
        let script = Script::new(move |request| match kind {
            _ if request.range.start != broken => Play::Give,
            0 => Play::Fail,
            1 => Play::GiveInstead(vec![0; 17]),
            _ => Play::GiveInstead(Vec::new()),
        });
        let cache = Arc::new(BlockCache::in_memory(&limits(memory, 0)));
        let blocks = blocks(&script, &cache, ahead);
        let object = object("any", size);
        for _ in 0..2 {
            let mut reader = blocks.reader(&object, 0).unwrap();
            let (bytes, error) = until_error(&mut reader);
            prop_assert!(bytes == content(&object)[..broken as usize], "{} bytes before {}", bytes.len(), broken);
            let (BlockError::Fetch { range, .. } | BlockError::Length { range, .. }) = cause(&error) else { panic!("{error}") };
            prop_assert_eq!(range.start, broken);
            prop_assert!(reader.read(&mut [0]).is_err());
        }
    }
}
