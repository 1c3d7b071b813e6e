use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::engine::{Backend, Batch, Busy, CacheLimits, Done, Job, ModelError, Tell};
use crate::request::{Answer, Op, RequestError, RollingLogprob, View};

/// A text over which the backend panics, and one at which its whole call fails.
const PANICS: &str = "panics";
const FAILS: &str = "fails";

/// What the backend and its test share.
#[derive(Default)]
struct Shared {
    /// The texts of each call.
    calls: Mutex<Vec<Vec<String>>>,
    engines: AtomicUsize,
    /// The first call waits until it is opened.
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    Closed,
    /// A call has come, and waits.
    Reached,
}

impl Shared {
    fn pass(&self) {
        let mut gate = self.gate.lock().unwrap();
        while *gate != Gate::Open {
            *gate = Gate::Reached;
            self.moved.notify_all();
            gate = self.moved.wait(gate).unwrap();
        }
    }
}

/// A text has its length for an answer; texts are answered one by one, in order.
struct Lengths(Arc<Shared>);

impl Backend for Lengths {
    fn identity(&self) -> String {
        "lengths".to_owned()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        if request.op.subject().is_empty() {
            return Err(RequestError::EmptyPrompt);
        }
        let tokens = request.op.subject().bytes().map(u32::from).collect();
        Ok(Job { view: request.view, tokens, work: crate::engine::Work::Score { from: 1, rolling: true } })
    }

    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        let text = |job: &Job| job.tokens.iter().map(|&token| char::from(token as u8)).collect::<String>();
        self.0.calls.lock().unwrap().push(jobs.iter().map(text).collect());
        self.0.pass();
        for (at, job) in jobs.iter().enumerate() {
            match text(job).as_str() {
                PANICS => panic!("at the text"),
                FAILS => return Err(ModelError::Unsupported("this text".to_owned())),
                _ => {}
            }
            let answers = vec![(at, Done { answer: Ok(answer(job.tokens.len())), tokens: 1 })];
            if tell.take(Batch { answers, wall: Duration::ZERO, busy: Busy::default() }).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn answer(length: usize) -> Answer {
    Answer::RollingLogprob(RollingLogprob { total_logprob: length as f64, num_tokens: 1, logprobs: Vec::new() })
}

struct Bench {
    worker: Worker,
    shared: Arc<Shared>,
}

impl Bench {
    fn new() -> Self {
        let shared = Arc::new(Shared::default());
        let made = Arc::clone(&shared);
        let make: MakeEngine = Box::new(move || {
            made.engines.fetch_add(1, Ordering::Relaxed);
            Engine::new(Box::new(Lengths(Arc::clone(&made))), CacheLimits::default(), Duration::ZERO)
                .map_err(|error| error.to_string())
        });
        Self { worker: Worker::start(make).unwrap(), shared }
    }

    /// One whose first call is under way, and waits.
    fn at_the_gate() -> (Self, Client) {
        Self::at_the_gate_with(["first"])
    }

    fn at_the_gate_with<T: ToString>(texts: impl IntoIterator<Item = T>) -> (Self, Client) {
        let bench = Self::new();
        *bench.shared.gate.lock().unwrap() = Gate::Closed;
        let first = bench.ask(texts);
        let mut gate = bench.shared.gate.lock().unwrap();
        while *gate != Gate::Reached {
            gate = bench.shared.moved.wait(gate).unwrap();
        }
        drop(gate);
        (bench, first)
    }

    fn open(&self) {
        *self.shared.gate.lock().unwrap() = Gate::Open;
        self.shared.moved.notify_all();
    }

    fn ask<T: ToString>(&self, texts: impl IntoIterator<Item = T>) -> Client {
        let (replies, told) = unbounded_channel();
        let of = |text: T| Request::new(View::Base, Op::RollingLogprob { text: text.to_string() });
        let questions: VecDeque<_> = texts.into_iter().map(of).enumerate().collect();
        let asked = questions.len();
        assert!(self.worker.ask(Ask { questions, replies, follows: false }).is_ok());
        Client { asked, told }
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.shared.calls.lock().unwrap().clone()
    }
}

/// Who asked so many questions.
struct Client {
    asked: usize,
    told: UnboundedReceiver<(usize, Told)>,
}

impl Client {
    /// What it is told, by question, once the worker has nothing more to tell it.
    fn hears(mut self) -> Vec<Told> {
        let mut heard: Vec<Option<Told>> = vec![None; self.asked];
        while let Some((question, told)) = self.told.blocking_recv() {
            assert!(heard[question].replace(told).is_none(), "question {question} is answered twice");
        }
        heard.into_iter().map(|told| told.expect("every question is answered")).collect()
    }
}

/// The replies for texts of these lengths.
fn lengths(lengths: impl IntoIterator<Item = usize>) -> Vec<Told> {
    lengths.into_iter().map(|length| Told::Reply(Ok(answer(length)))).collect()
}

#[test]
fn a_panic_is_the_fault_of_one_question_and_the_others_of_its_batch_are_answered() {
    let (bench, first) = Bench::at_the_gate();
    let (broken, other) = (bench.ask(["a", PANICS, "abc"]), bench.ask(["ab", "abcd"]));
    bench.open();
    let told = broken.hears();
    assert_eq!([&told[0], &told[2]], [&lengths([1])[0], &lengths([3])[0]]);
    assert_eq!(told[1], Told::Fault("the engine panicked: at the text".to_owned()));
    assert_eq!(other.hears(), lengths([2, 4]));
    assert_eq!(first.hears(), lengths([5]));
    // One to begin with, and another after each panic: in the batch, and alone.
    assert_eq!(bench.shared.engines.load(Ordering::Relaxed), 3);
    assert_eq!(bench.ask(["abcde"]).hears(), lengths([5]), "it goes on");
}

#[test]
fn a_failed_call_is_the_fault_of_the_question_that_fails_alone() {
    let bench = Bench::new();
    let told = bench.ask(["a", FAILS, "abc"]).hears();
    assert_eq!([&told[0], &told[2]], [&lengths([1])[0], &lengths([3])[0]]);
    assert!(matches!(&told[1], Told::Fault(what) if what.contains("this text")), "{told:?}");
    assert_eq!(bench.shared.engines.load(Ordering::Relaxed), 1);
}

#[test]
fn a_question_that_the_model_refuses_is_told_so() {
    let told = Bench::new().ask(["", "a"]).hears();
    assert_eq!(told, [Told::Reply(Err(RequestError::EmptyPrompt)), lengths([1]).remove(0)]);
}

#[test]
fn who_asks_for_much_does_not_keep_another_from_the_next_window() {
    let (bench, first) = Bench::at_the_gate();
    let much = bench.ask((0..100_000).map(|number| format!("{number:06}")));
    let little = bench.ask(["little"]);
    bench.open();
    assert_eq!(little.hears(), lengths([6]));
    assert_eq!(much.hears(), lengths(vec![6; 100_000]));
    assert_eq!(first.hears(), lengths([5]));
    let with_little = bench.calls().iter().position(|call| call.contains(&"little".to_owned()));
    assert_eq!(with_little, Some(1));
    assert!(bench.calls().len() > 40, "windows are bounded");
}

#[test]
fn a_client_that_went_away_is_not_computed() {
    let (bench, first) = Bench::at_the_gate();
    let (gone, stays) = (bench.ask(["gone", "gone too"]), bench.ask(["stays"]));
    drop(gone);
    bench.open();
    assert_eq!(stays.hears(), lengths([5]));
    assert_eq!(first.hears(), lengths([5]));
    assert_eq!(bench.calls(), [["first"], ["stays"]]);
}

#[test]
fn what_was_begun_for_one_who_leaves_is_not_gone_on_with() {
    let (bench, leaves) = Bench::at_the_gate_with(0..1000);
    drop(leaves);
    bench.open();
    assert_eq!(bench.ask(["after"]).hears(), lengths([5]));
    assert_eq!(bench.worker.stop(), Ok(()));
    assert_eq!(bench.worker.stats().cache_misses, 2);
}

#[test]
fn questions_that_are_the_same_are_computed_once_whoever_asks() {
    let (bench, first) = Bench::at_the_gate();
    let clients = [bench.ask(["same", "same"]), bench.ask(["same", "first"])];
    bench.open();
    let heard = clients.map(Client::hears);
    assert_eq!(heard, [lengths([4, 4]), lengths([4, 5])]);
    assert_eq!(first.hears(), lengths([5]));
    assert_eq!(bench.calls(), [["first"], ["same"]]);
}

#[test]
fn a_stop_finishes_what_was_handed_in_and_takes_nothing_more() {
    let (bench, first) = Bench::at_the_gate();
    let much = bench.ask((0..5000).map(|number| format!("{number:04}")));
    bench.open();
    assert_eq!(bench.worker.stop(), Ok(()));
    assert_eq!(first.hears(), lengths([5]));
    assert_eq!(much.hears(), lengths(vec![4; 5000]));
    assert_eq!(bench.worker.stats().cache_misses, 5001);
    let (replies, _told) = unbounded_channel();
    let late = Request::new(View::Base, Op::RollingLogprob { text: "late".to_owned() });
    let late = Ask { questions: VecDeque::from([(0, late)]), replies, follows: false };
    assert!(bench.worker.ask(late).is_err());
    assert_eq!(bench.worker.stop(), Ok(()), "a second stop has nothing to do");
}

#[test]
fn an_engine_that_can_not_be_made_is_told() {
    let make: MakeEngine = Box::new(|| Err("no memory".to_owned()));
    assert_eq!(Worker::start(make).err(), Some("no memory".to_owned()));
}
