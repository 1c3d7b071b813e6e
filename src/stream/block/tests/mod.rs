//! Against one who fetches as a test tells it. Nothing depends on how fast the machine is.

mod ahead;
mod failures;
mod kept;
mod needs;
mod reading;

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::*;

/// Size of the blocks in these tests.
const BLOCK: u32 = 16;

/// What a request comes to.
#[derive(Clone)]
enum Play {
    Give,
    /// When the gate gives a permit.
    GiveAt(Arc<Semaphore>),
    GiveInstead(Vec<u8>),
    Fail,
    Hang,
    Panic,
}

/// Fetches from objects whose bytes follow from their names.
struct Script {
    play: Box<dyn Fn(&Request) -> Play + Send + Sync>,
    requests: Mutex<Vec<Request>>,
    under_way: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    uri: String,
    range: Range<u64>,
    /// How many came before it.
    nth: usize,
}

/// Counts who is under way, until it is dropped.
struct Trace(Arc<AtomicUsize>);

impl Drop for Trace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Script {
    fn new(play: impl Fn(&Request) -> Play + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { play: Box::new(play), requests: Mutex::default(), under_way: Arc::default() })
    }

    fn giving() -> Arc<Self> {
        Self::new(|_| Play::Give)
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        self.requests().into_iter().map(|request| request.range).collect()
    }

    fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }
}

impl Fetch for Script {
    fn fetch(&self, object: &Object, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let mut requests = self.requests.lock().unwrap();
        let request = Request { uri: object.uri.clone(), range: range.clone(), nth: requests.len() };
        requests.push(request.clone());
        drop(requests);
        let play = (self.play)(&request);
        let bytes = Bytes::from(content(object)[range.start as usize..range.end as usize].to_vec());
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let trace = Trace(Arc::clone(&self.under_way));
        async move {
            let _trace = trace;
            match play {
                Play::Give => Ok(bytes),
                Play::GiveAt(gate) => {
                    gate.acquire().await.unwrap().forget();
                    Ok(bytes)
                }
                Play::GiveInstead(other) => Ok(other.into()),
                Play::Fail => Err(FetchError::new(format!("status 500 at {}", range.start))),
                Play::Hang => std::future::pending().await,
                Play::Panic => panic!("as the test wants it"),
            }
        }
        .boxed()
    }
}

fn object(uri: &str, size: u64) -> Object {
    Object { uri: uri.to_owned(), size, tag: "v1".to_owned() }
}

/// Bytes that differ between objects and places, some of them easy to pack.
fn content(object: &Object) -> Vec<u8> {
    let mut bytes = vec![0; object.size as usize];
    blake3::Hasher::new().update(object.uri.as_bytes()).update(object.tag.as_bytes()).finalize_xof().fill(&mut bytes);
    for (nth, half) in bytes.chunks_mut(512).enumerate() {
        if nth % 4 == 3 {
            half.fill(b'a' + (nth % 26) as u8);
        }
    }
    bytes
}

fn limits(memory: u64, disk: u64) -> CacheLimits {
    CacheLimits { memory, disk, ttl: None }
}

fn no_cache() -> Arc<BlockCache> {
    Arc::new(BlockCache::in_memory(&limits(0, 0)))
}

fn large_cache() -> Arc<BlockCache> {
    Arc::new(BlockCache::in_memory(&limits(1 << 30, 0)))
}

fn blocks(script: &Arc<Script>, cache: &Arc<BlockCache>, ahead: u64) -> Blocks {
    Blocks::with_block(Arc::clone(script) as Arc<dyn Fetch>, Arc::clone(cache), Limits { ahead }, BLOCK).unwrap()
}

fn read_all(blocks: &Blocks, object: &Object) -> Vec<u8> {
    let mut bytes = Vec::new();
    blocks.reader(object, 0).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// What an error of a reader is about.
fn cause(error: &std::io::Error) -> BlockError {
    error.get_ref().unwrap().downcast_ref::<BlockError>().unwrap().clone()
}

/// Waits for a condition that comes about by itself.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_mins(2), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn tasks(blocks: &Blocks) -> usize {
    blocks.runtime.0.as_ref().unwrap().metrics().num_alive_tasks()
}
