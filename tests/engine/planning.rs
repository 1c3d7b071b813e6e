//! How a call's batches become its replies, whatever batches the model makes of it, and how a call ends early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sway::engine::{CacheLimits, EngineError, Question, Step};
use sway::request::{Computation, Request, Sampling};

use super::stub::{Bench, NON_FINITE, REFUSED, Stub, generate, next, rolling};

/// A prompt of that many of the stub's tokens, told apart by `name`.
fn long(name: char, tokens: usize) -> Request {
    next(name.to_string().repeat(tokens))
}

fn in_batches_of(batch: usize) -> Bench {
    Bench::with(Stub { batch: Some(batch), ..Stub::default() }, CacheLimits::default())
}

/// Questions of one asker.
fn questions(requests: &[Request]) -> Vec<Question<'_>> {
    requests.iter().map(|request| Question { asker: "test", request }).collect()
}

#[test]
fn a_call_gives_all_its_misses_to_the_model_at_once() {
    let mut bench = in_batches_of(2);
    bench.ask(&[long('a', 1000), long('b', 5000), long('c', 1), generate("d", 3, Sampling::Greedy), long('e', 49)]);
    assert_eq!(bench.sent(), [5]);
    let stats = bench.engine.stats();
    assert_eq!((stats.batches_sent, stats.batched_prompts, stats.max_batch_size), (3, 5, 2));
}

#[test]
fn replies_stand_in_the_order_of_the_requests_whatever_the_order_of_the_answers() {
    let requests =
        [generate("a", 3, Sampling::Greedy), next("b"), next(REFUSED), rolling("c"), next("b"), next(NON_FINITE), next("d")];
    let alone: Vec<_> = requests.iter().flat_map(|request| Bench::new().ask(std::slice::from_ref(request))).collect();
    for batch in [None, Some(1), Some(2), Some(3)] {
        for backwards in [false, true] {
            let mut bench = Bench::with(Stub { batch, backwards, ..Stub::default() }, CacheLimits::default());
            assert_eq!(bench.ask(&requests), alone);
            let stats = bench.engine.stats();
            assert_eq!((stats.cache_hits, stats.cache_misses, stats.forward_passes), (1, 5, 5));
        }
    }
}

#[test]
fn progress_is_told_after_each_batch_and_adds_up() {
    let mut bench = in_batches_of(1);
    bench.ask(&[long('a', 10)]);
    let requests = [long('a', 10), long('b', 2000), long('b', 2000), next(REFUSED), long('c', 2000)];
    let mut told = Vec::new();
    let mut hear = |step: &Step<'_>| told.push((step.answered, step.tokens, step.replies.iter().flatten().count()));
    bench.engine.answer(&questions(&requests), &mut hear).unwrap();
    assert_eq!(told, [(2, 0, 2), (2, 2000, 4), (1, 2000, 5)]);
}

#[test]
fn an_interrupt_ends_the_call_between_batches_and_keeps_what_was_computed() {
    let interrupt = Arc::new(AtomicBool::new(false));
    let stub = Stub { interrupt: Some(Arc::clone(&interrupt)), batch: Some(2), ..Stub::default() };
    let mut bench = Bench::with(stub, CacheLimits::default());
    bench.engine.set_interrupt(Arc::clone(&interrupt));
    let requests = [next("a"), next(REFUSED), next("b"), next("a"), next("c"), next("d"), next("e")];
    let Err(EngineError::Interrupted { replies }) = bench.try_ask(&requests) else { panic!("it was not interrupted") };
    let there: Vec<bool> = replies.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, true, true, false, false, false], "what was settled before it has its reply");
    assert_eq!(replies[0], replies[3]);
    assert_eq!(bench.sent(), [5]);
    assert!(matches!(bench.try_ask(&requests[4..]), Err(EngineError::Interrupted { .. })));
    assert_eq!(bench.sent(), [0; 0], "nothing is begun after it");
    assert_eq!(Some(&bench.ask(&requests[..1])[0]), replies[0].as_ref(), "what the cache has needs no model");
    interrupt.store(false, Ordering::Relaxed);
    // Two misses of five are known.
    assert!(matches!(bench.try_ask(&requests), Err(EngineError::Interrupted { .. })));
    assert_eq!(bench.sent(), [3]);
    let stats = bench.engine.stats();
    assert_eq!((stats.batches_sent, stats.forward_passes), (2, 4), "only what was computed is counted");
}

#[test]
fn an_interrupt_in_the_last_batch_comes_too_late_to_take_replies_away() {
    let interrupt = Arc::new(AtomicBool::new(false));
    let stub = Stub { interrupt: Some(Arc::clone(&interrupt)), ..Stub::default() };
    let mut bench = Bench::with(stub, CacheLimits::default());
    bench.engine.set_interrupt(Arc::clone(&interrupt));
    assert_eq!(bench.ask(&[next("a"), next("b")]).len(), 2);
}

/// Each computation but the shared one, with the sizes of the calls that it makes of three requests.
const OTHERWISE: [(Computation, &[usize]); 3] =
    [(Computation::Alone, &[1, 1, 1]), (Computation::Exact, &[1, 1, 1]), (Computation::Reversed, &[3])];

#[test]
fn what_is_computed_otherwise_is_computed_every_time_and_changes_no_entry() {
    for (computation, sizes) in OTHERWISE {
        let mut bench = in_batches_of(5);
        let requests = [next("a"), next("b"), next("c"), next(REFUSED)];
        let replies = bench.ask(&requests);
        bench.sent();
        let otherwise = requests.clone().map(|request| request.computed(computation));
        for _ in 0..2 {
            assert_eq!(bench.ask(&otherwise), replies);
            assert_eq!(bench.sent(), sizes, "{computation:?}");
        }
        assert_eq!(bench.ask(&requests), replies);
        assert_eq!(bench.sent(), [0; 0]);
    }
}

#[test]
fn computations_of_one_question_in_one_call_are_all_made_and_twins_of_each_once() {
    let mut bench = in_batches_of(5);
    let requests: Vec<Request> = [Computation::Shared, Computation::Alone, Computation::Exact, Computation::Alone]
        .map(|computation| next("a").computed(computation))
        .to_vec();
    let replies = bench.ask(&requests);
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    assert_eq!(bench.sent(), [1, 1, 1]);
}

#[test]
fn reversed_jobs_come_to_the_model_last_first() {
    let mut bench = in_batches_of(5);
    let prompts = |bench: &Bench| bench.calls.lock().unwrap().concat().iter().map(|job| job.tokens.clone()).collect::<Vec<_>>();
    let requests = [next("a"), next("b")].map(|request| request.computed(Computation::Reversed));
    bench.ask(&requests);
    assert_eq!(prompts(&bench), [[u32::from(b'b')], [u32::from(b'a')]]);
}

#[test]
fn a_backend_that_can_not_be_read_anew_says_so() {
    let mut bench = in_batches_of(5);
    for computation in [Computation::BeforeAdapter, Computation::AfterAdapter] {
        let request = next("a").computed(computation);
        let error = bench.engine.answer(&questions(std::slice::from_ref(&request)), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("read from anew"), "{error}");
    }
}
