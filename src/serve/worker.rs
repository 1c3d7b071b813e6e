//! The thread that owns a model's engine, and the clients whose questions it merges.
//!
//! Clients hand in questions at any time. What waits when the engine comes back is taken in windows, a question of each client in turn, so
//! that one who asks for much does not keep the others waiting; what comes while continuations are under way joins them.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::panic::message_of;
use crate::engine::{Engine, Inbox, Partial, Reply};
use crate::record::Stats;
use crate::request::Request;

/// Most questions of one window.
const WINDOW_QUESTIONS: usize = 2048;

/// Bytes of text in one window, of which what a question has in common with the one before it counts once: some passes' worth, so that
/// whoever comes meanwhile does not wait for long.
const WINDOW_BYTES: usize = 64 << 10;

/// How old what is told of an engine may be while it is busy.
const STATS_AGE: Duration = Duration::from_millis(200);

/// Who asks, in traces.
const ASKER: &str = "serve";

/// What becomes of a question, told to its client.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Reply(Reply),
    /// How far a continuation that is followed has come.
    SoFar {
        text: String,
        token_ids: Vec<u32>,
    },
    /// The fault lies here: the engine can't answer it.
    Fault(String),
}

/// A client's questions, each known by a number that the client chose. Replies go to `replies`; once nobody receives them the
/// questions are dropped.
pub struct Ask {
    pub questions: VecDeque<(usize, Request)>,
    pub replies: UnboundedSender<(usize, Told)>,
    /// Whether the client follows continuations while they grow.
    pub follows: bool,
}

enum Order {
    Ask(Ask),
    Stop,
}

/// Makes an engine, the first and whenever one was lost to a panic.
pub type MakeEngine = Box<dyn Fn() -> Result<Engine, String> + Send>;

/// A thread with an engine.
pub struct Worker {
    orders: Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stats: Arc<Mutex<Stats>>,
}

impl Worker {
    /// Starts a thread for the engines that `make` makes.
    ///
    /// # Errors
    /// Where the first engine can't be made, or the system gives no thread.
    pub fn start(make: MakeEngine) -> Result<Self, String> {
        let engine = make()?;
        let stats = Arc::new(Mutex::new(engine.stats()));
        let (orders, received) = channel();
        let mut at_work = AtWork { engine, make, orders: received, queue: VecDeque::new(), stats: Arc::clone(&stats) };
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || at_work.run());
        let thread = thread.map_err(|error| format!("can't start a thread for the engine: {error}"))?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)), stats })
    }

    /// Hands in questions.
    ///
    /// # Errors
    /// The questions, once it was stopped.
    pub fn ask(&self, ask: Ask) -> Result<(), Ask> {
        self.orders.send(Order::Ask(ask)).map_err(|SendError(order)| match order {
            Order::Ask(ask) => ask,
            Order::Stop => unreachable!("it is what was sent"),
        })
    }

    /// What the engine did so far.
    pub fn stats(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread once what it was handed is answered.
    ///
    /// # Errors
    /// What the thread ended with, if not by being told to.
    pub fn stop(&self) -> Result<(), String> {
        let _ = self.orders.send(Order::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map_or(Ok(()), |thread| thread.join().map_err(|panic| message_of(&*panic)))
    }
}

/// The worker's own side.
struct AtWork {
    engine: Engine,
    make: MakeEngine,
    orders: Receiver<Order>,
    /// Clients with questions that are not taken, the next first.
    queue: VecDeque<Ask>,
    stats: Arc<Mutex<Stats>>,
}

impl AtWork {
    fn run(&mut self) {
        let mut stopping = false;
        while !stopping || !self.queue.is_empty() {
            if self.queue.is_empty() {
                match self.orders.recv() {
                    Ok(Order::Ask(ask)) => self.queue.push_back(ask),
                    Ok(Order::Stop) | Err(_) => stopping = true,
                }
            }
            stopping |= self.attend();
        }
    }

    /// Answers what waits, and what comes meanwhile; gives whether it was told to stop.
    fn attend(&mut self) -> bool {
        let Self { engine, orders, queue, stats, .. } = self;
        let mut desk = Desk::new(orders, queue, stats);
        let attended = catch_unwind(AssertUnwindSafe(|| engine.attend(ASKER, &mut desk)));
        let (left, stopping) = (std::mem::take(&mut desk.taken), desk.stopping);
        *stats.lock().unwrap_or_else(PoisonError::into_inner) = engine.stats();
        let lost = match attended {
            Ok(Ok(())) => return stopping,
            Ok(Err(_)) => false,
            Err(_) => true,
        };
        if lost {
            self.renew();
        }
        // One of them is at fault, and the others are not to suffer for it.
        let mut left: Vec<(usize, Taken)> = left.into_iter().collect();
        left.sort_by_key(|(number, _)| *number);
        for (_, taken) in left {
            self.attend_alone(taken);
        }
        stopping
    }

    /// Answers one question by itself; what goes wrong is its own fault.
    fn attend_alone(&mut self, taken: Taken) {
        let (number, replies) = (taken.number, taken.replies.clone());
        let (_no_orders, orders) = channel();
        let mut queue = VecDeque::from([Ask {
            questions: VecDeque::from([(taken.number, taken.request)]),
            replies: taken.replies,
            follows: taken.follows,
        }]);
        let Self { engine, stats, .. } = self;
        let mut desk = Desk::new(&orders, &mut queue, stats);
        let fault = match catch_unwind(AssertUnwindSafe(|| engine.attend(ASKER, &mut desk))) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => {
                self.renew();
                format!("the engine panicked: {}", message_of(&*panic))
            }
        };
        // Who went away meanwhile misses nothing.
        let _ = replies.send((number, Told::Fault(fault)));
    }

    /// Another engine for the one that was lost: what a panic left half done is not to be answered from.
    fn renew(&mut self) {
        if let Ok(engine) = (self.make)() {
            self.engine = engine;
        }
    }
}

/// A question that the engine was given.
struct Taken {
    number: usize,
    request: Request,
    replies: UnboundedSender<(usize, Told)>,
    follows: bool,
}

/// The inbox of one call of the engine.
struct Desk<'a> {
    orders: &'a Receiver<Order>,
    queue: &'a mut VecDeque<Ask>,
    /// By the engine's number: what is not answered.
    taken: HashMap<usize, Taken>,
    /// Given to the engine so far.
    count: usize,
    /// A stop ends the intake: what is under way is finished.
    open: bool,
    stopping: bool,
    /// The text of the window's last question.
    last: Option<String>,
    stats: &'a Mutex<Stats>,
    told: Instant,
}

impl<'a> Desk<'a> {
    fn new(orders: &'a Receiver<Order>, queue: &'a mut VecDeque<Ask>, stats: &'a Mutex<Stats>) -> Self {
        let (taken, told) = (HashMap::new(), Instant::now());
        Self { orders, queue, taken, count: 0, open: true, stopping: false, last: None, stats, told }
    }

    fn receive(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Ask(ask) => self.queue.push_back(ask),
                Order::Stop => self.stopping = true,
            }
        }
    }

    /// The bytes of a question's text that the last one does not begin with.
    fn cost(&mut self, request: &Request) -> usize {
        let text = request.op.subject();
        let shared = self.last.as_ref().map_or(0, |last| last.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count());
        let cost = text.len() - shared;
        self.last = Some(text.into_owned());
        cost
    }
}

impl Inbox for Desk<'_> {
    fn arrivals(&mut self) -> Vec<Request> {
        self.receive();
        if !std::mem::replace(&mut self.open, !self.stopping) {
            return Vec::new();
        }
        let (mut window, mut bytes) = (Vec::new(), 0);
        while window.len() < WINDOW_QUESTIONS && bytes < WINDOW_BYTES {
            let Some(mut ask) = self.queue.pop_front() else { break };
            if ask.replies.is_closed() {
                continue;
            }
            if let Some((number, request)) = ask.questions.pop_front() {
                bytes += self.cost(&request);
                window.push(request.clone());
                self.taken.insert(self.count, Taken { number, request, replies: ask.replies.clone(), follows: ask.follows });
                self.count += 1;
                self.queue.push_back(ask);
            }
        }
        self.last = None;
        window
    }

    fn reply(&mut self, question: usize, reply: Reply) {
        if let Some(taken) = self.taken.remove(&question) {
            // Who went away misses nothing.
            let _ = taken.replies.send((taken.number, Told::Reply(reply)));
        }
    }

    fn is_wanted(&self, question: usize) -> bool {
        self.taken.get(&question).is_some_and(|taken| !taken.replies.is_closed())
    }

    fn look(&mut self, stats: &dyn Fn() -> Stats) {
        if self.told.elapsed() >= STATS_AGE {
            *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats();
            self.told = Instant::now();
        }
    }

    fn is_followed(&self, question: usize) -> bool {
        self.taken.get(&question).is_some_and(|taken| taken.follows)
    }

    fn follow(&mut self, question: usize, so_far: &Partial<'_>) {
        if let Some(taken) = self.taken.get(&question) {
            let told = Told::SoFar { text: so_far.text.clone(), token_ids: so_far.token_ids.to_vec() };
            let _ = taken.replies.send((taken.number, told));
        }
    }
}

#[cfg(test)]
mod tests;
