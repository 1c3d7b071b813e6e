//! What is fetched before it is read.

use super::*;

#[test]
fn dropping_a_reader_leaves_no_task_behind() {
    let script = Script::new(|request| if request.range.start == 0 { Play::Give } else { Play::Hang });
    let blocks = blocks(&script, &no_cache(), 1000);
    let mut reader = blocks.reader(&object("a", 1000), 0).unwrap();
    assert_eq!(reader.read(&mut [0; 16]).unwrap(), 16);
    wait_for("a request ahead", || script.under_way() > 0);
    assert!(tasks(&blocks) > 0);
    drop(reader);
    wait_for("no task", || tasks(&blocks) == 0 && script.under_way() == 0);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.bytes, metrics.prefetched, metrics.used, metrics.cancelled), (0, 2, 1, 1));
}

#[test]
fn a_reader_that_is_not_read_yet_fetches_its_first_block() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 1000);
    let reader = blocks.reader(&object("a", 1000), 40).unwrap();
    blocks.settle();
    assert_eq!(script.ranges().as_slice(), std::slice::from_ref(&(32..48)));
    drop(reader);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.prefetched, metrics.wasted, metrics.bytes), (1, 1, 0));
}

#[test]
fn a_reader_outlives_what_made_it() {
    let script = Script::giving();
    let object = object("a", 1000);
    let mut reader = blocks(&script, &large_cache(), 100).reader(&object, 0).unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, content(&object));
}

#[test]
fn blocks_are_asked_for_in_their_order() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 16 * 5);
    // With one thread that fetches, none overtakes another: what is looked at is the order in which the reader asks.
    let mut reader = blocks.reader(&object("a", 1600), 0).unwrap();
    let mut seen = 0;
    while reader.read(&mut [0; 16]).unwrap() > 0 {
        seen += 1;
        let starts: Vec<u64> = script.ranges().iter().map(|range| range.start / 16).collect();
        assert!(starts.iter().all(|start| *start < seen + 5), "none beyond what may be ahead: {starts:?}");
    }
    let mut starts: Vec<u64> = script.ranges().iter().map(|range| range.start / 16).collect();
    starts.sort_unstable();
    assert_eq!(starts, (0..100).collect::<Vec<_>>(), "each once");
}

#[test]
fn a_reader_that_waits_reads_further_ahead_up_to_the_bound() {
    let gates: Vec<_> = (0..100).map(|_| Arc::new(Semaphore::new(0))).collect();
    let script = Script::new({
        let gates = gates.clone();
        move |request| Play::GiveAt(Arc::clone(&gates[request.range.start as usize / 16]))
    });
    let blocks = blocks(&script, &no_cache(), 16 * 6);
    let mut reader = blocks.reader(&object("a", 16 * 100), 0).unwrap();
    let mut depths = vec![reader.depth()];
    for gate in &gates[..5] {
        std::thread::scope(|scope| {
            let read = scope.spawn(|| reader.read(&mut [0; 16]).unwrap());
            wait_for("the reader to wait", || blocks.desk.board.lock().waiting == 1);
            gate.add_permits(1);
            assert_eq!(read.join().unwrap(), 16);
        });
        depths.push(reader.depth());
    }
    assert_eq!(depths, [1, 2, 4, 6, 6, 6]);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.waited, metrics.most_bytes), (5, 16 * 6));
    assert!(metrics.waited_s > 0.0 && reader.waited().as_secs_f64() > 0.0);
}

#[test]
fn one_reader_that_stands_still_does_not_starve_another() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 16 * 4);
    let (first, second) = (object("first", 1600), object("second", 1600));
    let mut idle = blocks.reader(&first, 0).unwrap();
    for _ in 0..40 {
        idle.read_exact(&mut [0; 16]).unwrap();
    }
    // All of the bound may be the first one's now; the second one comes to its end all the same.
    assert_eq!(read_all(&blocks, &second), content(&second));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, content(&first)[640..]);
    assert!(blocks.metrics().ahead.most_bytes <= 16 * 4);
}

#[test]
fn readers_together_have_no_more_ahead_than_they_may() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 100);
    std::thread::scope(|scope| {
        for nth in 0..6 {
            let blocks = &blocks;
            scope.spawn(move || {
                // Two of each: they share flights.
                let object = object(["a", "b", "c"][nth % 3], 1000 + nth as u64 % 3);
                assert_eq!(read_all(blocks, &object), content(&object));
            });
        }
    });
    let metrics = blocks.metrics().ahead;
    assert!(metrics.most_bytes <= 100 && metrics.bytes == 0, "{metrics:?}");
    assert_eq!(metrics.prefetched, metrics.used + metrics.wasted + metrics.cancelled);
    assert!(metrics.used > 0);
}

#[test]
fn what_was_read_ahead_and_never_read_is_wasted() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 1000);
    let mut reader = blocks.reader(&object("a", 1000), 0).unwrap();
    reader.read_exact(&mut [0; 1]).unwrap();
    wait_for("the block ahead", || {
        let state = blocks.desk.board.lock();
        state.flights.values().all(|flight| flight.landed.is_some())
    });
    drop(reader);
    let metrics = blocks.metrics().ahead;
    assert_eq!((metrics.prefetched, metrics.wasted, metrics.cancelled, metrics.used), (2, 1, 0, 1));
}

#[test]
fn many_readers_share_what_there_is_and_all_come_to_their_end() {
    let script = Script::giving();
    let blocks = blocks(&script, &no_cache(), 16 * 3);
    let objects: Vec<Object> = (0..10).map(|nth| object(&nth.to_string(), 200)).collect();
    let mut readers: Vec<_> = objects.iter().map(|object| blocks.reader(object, 0).unwrap()).collect();
    assert_eq!(blocks.metrics().ahead.prefetched, 3, "as many as there is room for");
    for _ in 0..20 {
        for (reader, object) in readers.iter_mut().zip(&objects) {
            let (mut bytes, at) = ([0; 10], reader.position() as usize);
            reader.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, content(object)[at..at + 10]);
        }
    }
    let metrics = blocks.metrics().ahead;
    assert!(metrics.used > 3 && metrics.most_bytes <= 16 * 3, "{metrics:?}");
}
