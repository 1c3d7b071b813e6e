//! What all readers of one [`Blocks`](super::Blocks) go through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::board::Board;
use super::divided::Divided;
use super::need::Plan;
use super::{BlockCache, Fetch};

/// Blocks that are looked for, and that are being kept, at a time: both are work for a core, and more at once only makes each slower.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, MOST_AT_ONCE)
}

/// Half of the threads that may wait for a disk.
const MOST_AT_ONCE: usize = super::BLOCKING_THREADS / 2;

/// Who fetches, what was fetched, and what is on its way.
pub struct Desk {
    pub fetch: Arc<dyn Fetch>,
    pub cache: Arc<BlockCache>,
    pub board: Arc<Board>,
    pub handle: Handle,
    /// A permit for each byte that may be ahead.
    room: Arc<Semaphore>,
    /// Bytes that may be ahead.
    most: u64,
    pub keepers: Arc<Semaphore>,
    pub lookers: Arc<Semaphore>,
    /// Size of a block in bytes.
    pub block: u32,
    /// Who reads ahead.
    ahead: AtomicU64,
    plans: Mutex<Vec<Weak<Plan>>>,
}

impl Desk {
    pub fn new(fetch: Arc<dyn Fetch>, cache: Arc<BlockCache>, handle: Handle, most: u64, block: u32) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS as u64);
        Self {
            fetch,
            cache,
            board: Arc::default(),
            handle,
            room: Arc::new(Semaphore::new(most as usize)),
            most,
            keepers: Arc::new(Semaphore::new(at_once())),
            lookers: Arc::new(Semaphore::new(at_once())),
            block,
            ahead: AtomicU64::new(0),
            plans: Mutex::default(),
        }
    }

    /// Leave to have so many bytes ahead; `None` where there is no room now. It is not waited for: who reads next asks again.
    pub fn leave(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(bytes).ok()
    }

    /// Bytes that one of those who read ahead may have ahead: all get the same, so that one that stands still can't take all.
    pub fn share(&self) -> u64 {
        self.most / self.ahead.load(Ordering::Relaxed).max(1)
    }

    pub fn enter(&self) {
        self.ahead.fetch_add(1, Ordering::Relaxed);
    }

    pub fn exit(&self) {
        self.ahead.fetch_sub(1, Ordering::Relaxed);
    }

    /// Remembers what is needed next, and forgets what nobody waits for any more.
    pub fn plan(&self, plan: &Arc<Plan>) {
        let mut plans = self.plans();
        plans.retain(|plan| plan.strong_count() > 0);
        plans.push(Arc::downgrade(plan));
    }

    /// Fetches of what is needed next as much as there is room for.
    pub fn go_on(self: &Arc<Self>) {
        let plans: Vec<Arc<Plan>> = self.plans().iter().filter_map(Weak::upgrade).collect();
        for plan in plans {
            plan.go_on(self);
        }
    }

    /// A block is read: it need not be fetched ahead any more.
    pub fn pass(&self, divided: &Divided, index: u64) {
        for plan in self.plans().iter().filter_map(Weak::upgrade) {
            plan.pass(divided, index);
        }
    }

    /// A block that is in memory.
    pub fn at_hand(&self, divided: &Divided, index: u64) -> Option<Bytes> {
        self.cache.find_in_memory(&divided.key(index), divided.len(index))
    }

    fn plans(&self) -> MutexGuard<'_, Vec<Weak<Plan>>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
