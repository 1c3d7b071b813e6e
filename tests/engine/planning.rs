//! How misses become batches, and how a call ends early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sway::engine::{CacheLimits, EngineError, Question};
use sway::request::{Request, Sampling};

use super::stub::{Bench, REFUSED, Stub, generate, next};

/// A prompt of that many of the stub's tokens, told apart by `name`.
fn long(name: char, tokens: usize) -> Request {
    next(name.to_string().repeat(tokens))
}

#[test]
fn batches_are_cut_by_their_tokens() {
    let mut bench = Bench::new();
    bench.ask(&[long('a', 1000), long('b', 1048), long('c', 1), long('d', 2000), long('e', 49)]);
    assert_eq!(bench.sent(), [2, 2, 1]);
}

#[test]
fn a_request_longer_than_the_budget_is_a_batch_of_its_own() {
    let mut bench = Bench::new();
    bench.ask(&[long('a', 10), long('b', 5000), long('c', 10)]);
    assert_eq!(bench.sent(), [1, 1, 1]);
    bench.ask(&[long('d', 5000), long('e', 5000)]);
    assert_eq!(bench.sent(), [1, 1]);
}

#[test]
fn generations_are_batched_apart_and_after() {
    let mut bench = Bench::new();
    let greedy = |prompt: char| generate(prompt, 3, Sampling::Greedy);
    let requests = [greedy('a'), next("b"), greedy('c'), next("d")];
    let replies = bench.ask(&requests);
    let generates = |call: &Vec<sway::model::Job>| {
        call.iter().map(|job| matches!(job.work, sway::model::Work::Generate { .. })).collect::<Vec<_>>()
    };
    assert_eq!(bench.calls.lock().unwrap().iter().map(generates).collect::<Vec<_>>(), [[false, false], [true, true]]);
    // The order of the replies is that of the requests all the same.
    for (request, reply) in requests.iter().zip(&replies) {
        assert_eq!(&Bench::new().ask(std::slice::from_ref(request))[0], reply);
    }
}

#[test]
fn progress_is_told_after_each_batch_and_adds_up() {
    let mut bench = Bench::new();
    bench.ask(&[long('a', 10)]);
    let requests = [long('a', 10), long('b', 2000), long('b', 2000), next(REFUSED), long('c', 2000)];
    let questions: Vec<Question<'_>> = requests.iter().map(|request| Question { asker: "test", request }).collect();
    let mut told = Vec::new();
    bench.engine.answer(&questions, &mut |step| told.push((step.answered, step.tokens))).unwrap();
    assert_eq!(told, [(2, 0), (2, 2000), (1, 2000)]);
}

#[test]
fn an_interrupt_ends_the_call_between_batches_and_keeps_what_was_computed() {
    let interrupt = Arc::new(AtomicBool::new(false));
    let mut bench = Bench::with(Stub { interrupt: Some(Arc::clone(&interrupt)), ..Stub::default() }, CacheLimits::default());
    bench.engine.set_interrupt(Arc::clone(&interrupt));
    let requests = [long('a', 2000), long('b', 2000)];
    assert!(matches!(bench.try_ask(&requests), Err(EngineError::Interrupted { .. })));
    assert_eq!(bench.sent(), [1]);
    assert!(matches!(bench.try_ask(&requests[1..]), Err(EngineError::Interrupted { .. })));
    assert_eq!(bench.sent(), [0; 0], "nothing is begun after it");
    assert!(bench.ask(&requests[..1])[0].is_ok(), "what the cache has needs no model");
    interrupt.store(false, Ordering::Relaxed);
    bench.ask(&requests);
    assert_eq!(bench.sent(), [1]);
}
