//! Prints what the table asks of the cache and of reading ahead, each beside its target.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::similar_names, reason = "a benchmark")]

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sway::stream::Object;
use sway::stream::block::{BlockCache, Blocks, CacheLimits, Fetch, FetchError, Limits};

const MIB: u64 = 1 << 20;

/// Passes over what is kept: their slowest hundredth is more than one block.
const PASSES: u32 = 5;

/// Bytes in memory that come after a while.
struct Slow {
    bytes: Bytes,
    latency: Duration,
}

impl Fetch for Slow {
    fn fetch(&self, _: &Object, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let part = self.bytes.slice(range.start as usize..range.end as usize);
        let latency = self.latency;
        async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            Ok(part)
        }
        .boxed()
    }
}

/// A file of this machine.
struct Local(Arc<File>);

impl Fetch for Local {
    fn fetch(&self, _: &Object, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let file = Arc::clone(&self.0);
        async move {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start).unwrap();
            Ok(bytes.into())
        }
        .boxed()
    }
}

/// Reads a file that nothing of is kept yet, neither here nor by the system.
fn misses_from_disk(folder: &Path) {
    let bytes = jsonl(96 * MIB);
    let path = folder.join("local.jsonl");
    std::fs::write(&path, &bytes).unwrap();
    let file = File::open(&path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let cache = Arc::new(BlockCache::in_memory(&limits(256 * MIB, 0)));
    let blocks = Blocks::new(Arc::new(Local(Arc::new(file))), Arc::clone(&cache), Limits { ahead: 0 }).unwrap();
    pass(&blocks, &bytes, Duration::ZERO);
    let metrics = cache.metrics();
    println!(
        "misses from this machine's disk: {}, p50 {:.2} ms, P99 {:.2} ms, target < 100 ms",
        metrics.misses, metrics.miss_p50_ms, metrics.miss_p99_ms
    );
}

/// Numbers that look random and are the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Lines as logs of prompts have them: some fields that repeat, ids, times, and sentences of words, common ones more often.
fn jsonl(bytes: u64) -> Bytes {
    let mut draw = Draw(7);
    let letters = b"etaoinshrdlucmfwypvbgk";
    let words: Vec<String> = (0..4000)
        .map(|_| (0..2 + draw.below(8)).map(|_| letters[(draw.below(22).min(draw.below(22))) as usize] as char).collect())
        .collect();
    let mut text = String::new();
    while (text.len() as u64) < bytes {
        let prompt: Vec<&str> = (0..8 + draw.below(60))
            .map(|_| words[(draw.below(4000) * draw.below(4000) / 4000 * draw.below(4000) / 4000) as usize].as_str())
            .collect();
        let (id, time, tokens) = (draw.below(1 << 48), 1_760_000_000 + draw.below(10_000_000), draw.below(900));
        let model = ["small", "large", "next"][draw.below(3) as usize];
        let line = format!(
            "{{\"id\":\"req-{id:012x}\",\"ts\":{time},\"model\":\"{model}\",\"user\":{},\"prompt\":\"{}.\",\"max_tokens\":{tokens},\"temperature\":0.{}}}\n",
            draw.below(20_000),
            prompt.join(" "),
            draw.below(10)
        );
        text.push_str(&line);
    }
    text.truncate(bytes as usize);
    text.into_bytes().into()
}

/// Token ids of that kind of text, four bytes each.
fn tokens(bytes: u64) -> Bytes {
    let mut draw = Draw(11);
    let ids = (0..bytes / 4).map(|_| (draw.below(49_152) * draw.below(49_152) / 49_152 * draw.below(49_152) / 49_152) as u32);
    ids.flat_map(u32::to_le_bytes).collect::<Vec<_>>().into()
}

fn noise(bytes: u64) -> Bytes {
    let mut noise = vec![0; bytes as usize];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise.into()
}

fn object(bytes: &Bytes) -> Object {
    Object { uri: "mem://bench".to_owned(), size: bytes.len() as u64, tag: String::new() }
}

fn limits(memory: u64, disk: u64) -> CacheLimits {
    CacheLimits { memory, disk, ttl: None }
}

fn blocks(bytes: &Bytes, latency: Duration, cache: &Arc<BlockCache>, ahead: u64) -> Blocks {
    Blocks::new(Arc::new(Slow { bytes: bytes.clone(), latency }), Arc::clone(cache), Limits { ahead }).unwrap()
}

/// Reads all, a block at a time, with so much work for each; gives how long it took and how long it waited.
fn pass(blocks: &Blocks, bytes: &Bytes, work: Duration) -> (f64, f64) {
    let start = Instant::now();
    let mut reader = blocks.reader(&object(bytes), 0).unwrap();
    let mut buffer = vec![0; MIB as usize];
    let mut at = 0;
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..]).unwrap() {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            break;
        }
        assert!(buffer[..filled] == bytes[at..at + filled]);
        at += filled;
        if !work.is_zero() {
            std::thread::sleep(work);
        }
    }
    assert_eq!(at, bytes.len());
    (start.elapsed().as_secs_f64(), reader.waited().as_secs_f64())
}

fn second_pass(name: &str, bytes: &Bytes, cache: &Arc<BlockCache>, ahead: u64) {
    let blocks = blocks(bytes, Duration::ZERO, cache, ahead);
    let (first, _) = pass(&blocks, bytes, Duration::ZERO);
    blocks.settle();
    let before = cache.metrics();
    let second = (0..PASSES).map(|_| pass(&blocks, bytes, Duration::ZERO).0).sum::<f64>() / f64::from(PASSES);
    let after = cache.metrics();
    let hits = after.memory_hits + after.disk_hits - before.memory_hits - before.disk_hits;
    let all = hits + after.misses - before.misses;
    let kept = after.memory_bytes.max(1);
    println!(
        "{name:<26} hits {:5.1} %  p50 {:.2} ms  P99 {:.2} ms  ratio {:.2}  bookkeeping {:.3} %  first {:.0} MB/s  second {:.0} MB/s",
        100.0 * hits as f64 / all as f64,
        after.hit_p50_ms,
        after.hit_p99_ms,
        after.ratio,
        100.0 * after.bookkeeping_bytes as f64 / kept as f64,
        bytes.len() as f64 / 1e6 / first,
        bytes.len() as f64 / 1e6 / second,
    );
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    println!("targets: hits > 85 %, P99 < 10 ms, ratio > 2.3 on JSONL and tokens, bookkeeping < 10 %");
    for (name, bytes) in [("jsonl", jsonl(96 * MIB)), ("tokens", tokens(96 * MIB)), ("noise", noise(96 * MIB))] {
        for ahead in [0, 8 * MIB] {
            let ahead_name = if ahead == 0 { "alone" } else { "ahead" };
            let memory = Arc::new(BlockCache::in_memory(&limits(256 * MIB, 0)));
            second_pass(&format!("{name}, memory, {ahead_name}"), &bytes, &memory, ahead);
            let folder = folder.path().join(format!("{name}{ahead}"));
            let disk = Arc::new(BlockCache::open(&limits(0, 256 * MIB), &folder).unwrap());
            second_pass(&format!("{name}, disk, {ahead_name}"), &bytes, &disk, ahead);
        }
    }
    misses_from_disk(folder.path());
    println!(
        "\n50 ms a request; with reading ahead against without (target >= 2 where the engine works as long as fetching takes)"
    );
    let bytes = jsonl(48 * MIB);
    let none = || Arc::new(BlockCache::in_memory(&limits(0, 0)));
    let kept = || Arc::new(BlockCache::in_memory(&limits(256 * MIB, 0)));
    let latency = Duration::from_millis(50);
    for (name, cache) in [("no cache", &none as &dyn Fn() -> Arc<BlockCache>), ("cache in memory", &kept)] {
        for work in [50, 25, 10] {
            let work = Duration::from_millis(work);
            let (without, _) = pass(&blocks(&bytes, latency, &cache(), 0), &bytes, work);
            let with = blocks(&bytes, latency, &cache(), 16 * MIB);
            let (took, waited) = pass(&with, &bytes, work);
            println!(
                "{name:<16} work {:>2} ms a block: {without:.2} s without, {took:.2} s with: {:.2} times; starved {:.1} %; {:?} MiB ahead at most",
                work.as_millis(),
                without / took,
                100.0 * waited / took,
                with.metrics().ahead.most_bytes / MIB,
            );
        }
    }
}
