//! What comes slowly, made ahead of whoever takes it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What something weighs in memory, in bytes.
pub trait Weigh {
    fn weight(&self) -> usize;
}

/// Items that a thread of their own makes ahead, in their order, until those that wait weigh so much.
///
/// Dropping it has the thread stop after the item that it is at; what made the items is dropped on that thread.
pub struct Ahead<T> {
    queue: Arc<Queue<T>>,
    /// Once it is true, nothing is waited for.
    interrupted: Arc<AtomicBool>,
    waited: Duration,
}

struct Queue<T> {
    state: Mutex<State<T>>,
    /// There is something to take, or there will be nothing more.
    filled: Condvar,
    /// There is room, or nobody takes any more.
    emptied: Condvar,
    most: usize,
}

struct State<T> {
    items: VecDeque<T>,
    weight: usize,
    end: End,
    is_wanted: bool,
}

/// Whether more will come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// All items were made.
    Reached,
    /// The thread died of a panic: what it had made is not all there is.
    Broken,
}

/// Why there are no more items, though what was made is not all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    #[error("what reads ahead ended by a panic: internal fault")]
    Broken,
    #[error("interrupted")]
    Interrupted,
}

/// How often a wait looks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(50);

impl<T: Weigh + Send + 'static> Ahead<T> {
    /// Starts to make items. Those that wait weigh `most` bytes at most, or are one.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn start<I>(name: &str, items: I, most: usize, interrupted: Arc<AtomicBool>) -> io::Result<Self>
    where
        I: Iterator<Item = T> + Send + 'static,
    {
        let state = State { items: VecDeque::new(), weight: 0, end: End::NotYet, is_wanted: true };
        let queue =
            Arc::new(Queue { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new(), most: most.max(1) });
        let maker = Maker(Arc::clone(&queue));
        thread::Builder::new().name(name.to_owned()).spawn(move || maker.make(items))?;
        Ok(Self { queue, interrupted, waited: Duration::ZERO })
    }

    /// How long it was waited for items that were not made yet.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's end of the queue. However the thread ends, whoever waits is told.
struct Maker<T>(Arc<Queue<T>>);

impl<T: Weigh> Maker<T> {
    fn make(self, items: impl Iterator<Item = T>) {
        for item in items {
            if !self.put(item) {
                return;
            }
        }
        self.0.lock().end = End::Reached;
    }

    /// Gives `false` once nobody takes any more.
    fn put(&self, item: T) -> bool {
        let weight = item.weight();
        let mut state = self.0.lock();
        while state.is_wanted && !state.items.is_empty() && state.weight.saturating_add(weight) > self.0.most {
            state = self.0.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.is_wanted {
            return false;
        }
        state.weight += weight;
        state.items.push_back(item);
        self.0.filled.notify_one();
        true
    }
}

impl<T> Drop for Maker<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.end == End::NotYet {
            state.end = End::Broken;
        }
        self.0.filled.notify_one();
    }
}

impl<T: Weigh + Send + 'static> Iterator for Ahead<T> {
    type Item = Result<T, Halt>;

    fn next(&mut self) -> Option<Result<T, Halt>> {
        let mut state = self.queue.lock();
        if state.items.is_empty() && state.end == End::NotYet {
            let start = Instant::now();
            while state.items.is_empty() && state.end == End::NotYet && !self.interrupted.load(Ordering::Relaxed) {
                state = self.queue.filled.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
            self.waited += start.elapsed();
        }
        match (state.items.pop_front(), state.end) {
            (Some(item), _) => {
                state.weight -= item.weight();
                self.queue.emptied.notify_one();
                Some(Ok(item))
            }
            (None, End::NotYet) => Some(Err(Halt::Interrupted)),
            (None, End::Broken) => {
                // Told once: an error that is told for ever would be counted for ever.
                state.end = End::Reached;
                Some(Err(Halt::Broken))
            }
            (None, End::Reached) => None,
        }
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.is_wanted = false;
        state.items.clear();
        self.queue.emptied.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use proptest::prelude::*;

    use super::*;

    fn start<T: Weigh + Send + 'static>(items: impl Iterator<Item = T> + Send + 'static, most: usize) -> Ahead<T> {
        Ahead::start("test", items, most, Arc::default()).unwrap()
    }

    impl Weigh for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    /// Tells when it is dropped.
    struct Told(mpsc::Sender<()>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn who_takes_no_more_leaves_no_thread_behind() {
        let (sender, dropped) = mpsc::channel();
        let told = Told(sender);
        let endless = (1_usize..).inspect(move |_| {
            let _: &Told = &told;
        });
        let mut ahead = start(endless, 100);
        assert_eq!(ahead.next(), Some(Ok(1)));
        drop(ahead);
        dropped.recv().unwrap();
    }

    #[test]
    fn a_thread_that_dies_is_an_error_after_what_it_made() {
        let items = (1_usize..).inspect(|item| assert!(*item < 4, "the fourth is too many"));
        let made: Vec<_> = start(items, 100).collect();
        assert_eq!(made, [Ok(1), Ok(2), Ok(3), Err(Halt::Broken)]);
    }

    #[test]
    fn who_is_interrupted_waits_no_longer() {
        let (hold, held) = mpsc::channel::<()>();
        let never = std::iter::from_fn(move || held.recv().ok().map(|()| 1_usize));
        let mut ahead = Ahead::start("never", never, 100, Arc::new(AtomicBool::new(true))).unwrap();
        assert_eq!(ahead.next(), Some(Err(Halt::Interrupted)));
        drop(hold);
    }

    #[test]
    fn what_waits_weighs_no_more_than_it_may() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let items = std::iter::repeat_n(10_usize, 1000).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let mut ahead = start(items, 35);
        for taken in 1..=1000 {
            assert_eq!(ahead.next(), Some(Ok(10)));
            assert!(ahead.queue.lock().weight <= 35);
            // Three wait, and one is in the maker's hand.
            assert!(made.load(Ordering::SeqCst) <= taken + 4);
        }
        assert_eq!(ahead.next(), None);
    }

    proptest! {
        #[test]
        fn items_come_in_their_order_whatever_may_wait(weights in prop::collection::vec(0_usize..50, 0..100), most in 0_usize..200) {
            let made: Vec<usize> = start(weights.clone().into_iter(), most).map(Result::unwrap).collect();
            prop_assert_eq!(made, weights);
        }
    }
}
