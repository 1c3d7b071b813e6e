//! The memory that a template may take.
//!
//! `{% set s.x = s.x ~ s.x %}` in a loop fills any memory within forty steps, and the engine has no bound on what its values hold. So
//! the program's allocator counts what the thread of a template holds. An allocator may fail by ending the process, or not return at
//! all: a thread over its budget is held where it is for good, with what it has, and whoever waits for it is told.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's, but that threads with a budget are counted.
struct Counting;

/// No budget: what every thread begins with.
const UNBOUNDED: isize = isize::MAX;

thread_local! {
    /// Bytes that the thread may still take.
    static LEFT: Cell<isize> = const { Cell::new(UNBOUNDED) };
    /// Where it is told that the thread was held; null where nobody listens.
    static HELD: Cell<*const AtomicBool> = const { Cell::new(ptr::null()) };
}

/// Runs `work` on this thread with `bytes` to spend. `held` becomes true where that is not enough; the call does not return then.
pub fn within<T>(bytes: usize, held: &Arc<AtomicBool>, work: impl FnOnce() -> T) -> T {
    HELD.set(Arc::as_ptr(held));
    LEFT.set(isize::try_from(bytes).unwrap_or(UNBOUNDED - 1));
    let result = work();
    LEFT.set(UNBOUNDED);
    HELD.set(ptr::null());
    result
}

/// Counts `bytes` as taken (or given back, where it is negative) by this thread.
fn count(bytes: isize) {
    let left = LEFT.get();
    if left == UNBOUNDED {
        return;
    }
    // What another thread allocated may be given back here: no more than there was at first.
    let left = left.saturating_sub(bytes).min(UNBOUNDED - 1);
    LEFT.set(left);
    if left < 0 && bytes > 0 {
        hold();
    }
}

fn hold() -> ! {
    LEFT.set(UNBOUNDED);
    // SAFETY: `within` set it from an `Arc` that outlives its call, which this thread is still in.
    #[expect(unsafe_code, reason = "a thread-local can't hold an Arc that the allocator could read")]
    if let Some(held) = unsafe { HELD.get().as_ref() } {
        held.store(true, Ordering::Release);
    }
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

fn size(layout: Layout) -> isize {
    // A layout's size is at most isize::MAX.
    layout.size() as isize
}

// SAFETY: every call goes to the system's allocator as it came; counting neither allocates nor unwinds.
#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-size(layout));
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count((new_size as isize).saturating_sub(size(layout)));
        unsafe { System.realloc(memory, layout, new_size) }
    }
}
