//! What is kept, for how long, and by whom it is found.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use super::*;

#[test]
fn two_processes_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let object = object("a", 5000);
    let open = || Arc::new(BlockCache::open(&limits(0, 1 << 30), folder.path()).unwrap());
    let (one, other) = (open(), open());
    let (first, second) = (Script::giving(), Script::giving());
    {
        let blocks = blocks(&first, &one, 100);
        read_all(&blocks, &object);
        blocks.settle();
    }
    assert_eq!(read_all(&blocks(&second, &other, 100), &object), content(&object));
    assert_eq!((first.requests().len(), second.requests().len()), (313, 0));
    assert_eq!((other.metrics().disk_hits, other.metrics().misses), (313, 0));
}

#[test]
fn caches_on_one_folder_never_mix_objects_up_while_they_evict_each_others_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let most = 40 * 4096;
    std::thread::scope(|scope| {
        for nth in 0..4 {
            let folder = folder.path();
            scope.spawn(move || {
                let cache = Arc::new(BlockCache::open(&limits(500, most), folder).unwrap());
                let script = Script::giving();
                let blocks = blocks(&script, &cache, 200);
                for pass in 0..3 {
                    let object = object(["a", "b", "c"][(nth + pass) % 3], 700);
                    assert!(read_all(&blocks, &object) == content(&object), "pass {pass} of {nth}");
                }
                blocks.settle();
                assert_eq!((cache.metrics().damaged, cache.trouble()), (0, None));
            });
        }
    });
}

#[test]
fn blocks_expire_in_memory_and_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000_000));
    let clock = Arc::clone(&now);
    let clock = Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst)));
    let limits = CacheLimits { ttl: Some(Duration::from_mins(1)), ..limits(1 << 20, 1 << 20) };
    let cache = Arc::new(BlockCache::open_with(&limits, folder.path(), clock).unwrap());
    let script = Script::giving();
    let blocks = blocks(&script, &cache, 0);
    let object = object("a", 16);
    let read_at = |time: u64| {
        now.store(time, Ordering::SeqCst);
        assert_eq!(blocks.read_at(&object, 0..16).unwrap(), content(&object));
        blocks.settle();
        script.requests().len()
    };
    assert_eq!((read_at(1_000_000), read_at(1_000_060)), (1, 1));
    assert_eq!(read_at(1_000_061), 2, "being read makes it no younger");
    assert_eq!(cache.metrics().expired, 2, "in memory and in the folder");
    assert_eq!(read_at(900_000), 3, "a clock that was set back makes it no younger");
}

#[test]
fn what_does_not_fit_in_memory_is_found_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(BlockCache::open(&limits(600, 1 << 30), folder.path()).unwrap());
    let script = Script::giving();
    let blocks = blocks(&script, &cache, 64);
    let object = object("a", 1000);
    for _ in 0..2 {
        assert_eq!(read_all(&blocks, &object), content(&object));
        blocks.settle();
    }
    assert_eq!(script.requests().len(), 63);
    let metrics = cache.metrics();
    assert!(metrics.disk_hits >= 60 && metrics.evictions >= 60, "{metrics:?}");
    assert_eq!(metrics.disk_blocks, 63);
}

#[test]
fn a_folder_that_can_t_be_written_to_is_told_once_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(BlockCache::open(&limits(0, 1 << 30), folder.path()).unwrap());
    assert_eq!(cache.trouble(), None);
    // Where the shelves should be, something else is.
    for shelf in 0..=255 {
        std::fs::write(folder.path().join(folder::NAME).join(format!("{shelf:02x}")), "").unwrap();
    }
    let blocks = blocks(&Script::giving(), &cache, 64);
    let object = object("a", 1000);
    assert_eq!(read_all(&blocks, &object), content(&object));
    blocks.settle();
    let told = cache.trouble().unwrap();
    assert!(told.starts_with("no more blocks are kept on disk: ") && told.contains("\nhint: "), "{told}");
    assert_eq!(cache.trouble(), None, "once");
}

/// Nobody can make a folder there.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_can_t_be_made_is_told_once_and_the_run_goes_on() {
    let cache = Arc::new(BlockCache::open(&limits(1 << 20, 1 << 20), std::path::Path::new("/sys/blocks")).unwrap());
    assert!(cache.trouble().unwrap().contains("/sys/blocks"));
    assert_eq!(cache.trouble(), None);
    let blocks = blocks(&Script::giving(), &cache, 64);
    let object = object("a", 1000);
    assert_eq!(read_all(&blocks, &object), content(&object));
    blocks.settle();
    assert_eq!((cache.metrics().memory_blocks, cache.metrics().disk_blocks), (63, 0));
}

#[test]
fn metrics_can_be_written() {
    let cache = large_cache();
    let blocks = blocks(&Script::giving(), &cache, 64);
    read_all(&blocks, &object("a", 100));
    blocks.settle();
    let json = serde_json::to_value(blocks.metrics()).unwrap();
    assert_eq!((&json["cache"]["misses"], &json["ahead"]["fetched_bytes"]), (&7.into(), &100.into()));
    assert!(json["cache"]["miss_p99_ms"].as_f64().unwrap() > 0.0);
}
