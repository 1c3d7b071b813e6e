//! What is kept, what is computed, and what is counted.

use sway::engine::{CacheError, CacheLimits, Engine};
use sway::request::{Op, Overflow, Request, RequestError, Sampling, View};

use super::stub::{Bench, Fault, NON_FINITE, REFUSED, Stub, completion, generate, next, rolling};

#[test]
fn a_capacity_of_zero_is_refused() {
    let of =
        |entries, bytes| Engine::new(Box::new(Stub::default()), CacheLimits { entries, bytes }, std::time::Duration::ZERO).err();
    assert_eq!(of(0, 1), Some(CacheError::NoEntries));
    assert_eq!(of(1, 0), Some(CacheError::NoBytes));
    assert_eq!(of(0, 1).unwrap().to_string(), "maxsize must be positive");
}

#[test]
fn hits_are_answered_from_the_cache_and_only_misses_are_computed() {
    let mut bench = Bench::new();
    let first = bench.ask(&[next("a"), next("b")]);
    assert_eq!(bench.sent(), [2]);
    let second = bench.ask(&[next("b"), next("c"), next("a")]);
    assert_eq!(bench.sent(), [1]);
    assert_eq!((&second[0], &second[2]), (&first[1], &first[0]));
    assert_eq!(bench.ask(&[next("c")]), second[1..2]);
    assert_eq!(bench.sent(), [0; 0]);
}

#[test]
fn a_get_promotes_and_eviction_takes_the_least_recently_used() {
    let mut bench = Bench::of_entries(2);
    bench.ask(&[next("a"), next("b")]);
    bench.ask(&[next("a")]);
    bench.ask(&[next("c")]);
    bench.sent();
    bench.ask(&[next("a"), next("c")]);
    assert_eq!(bench.sent(), [0; 0], "a was used after b");
    bench.ask(&[next("b")]);
    assert_eq!(bench.sent(), [1], "b had gone");
}

#[test]
fn the_cache_is_bounded_in_bytes() {
    let mut bench = Bench::with(Stub::default(), CacheLimits { entries: 1 << 20, bytes: 1000 });
    let many: Vec<Request> = (0..100).map(next).collect();
    bench.ask(&many);
    bench.sent();
    bench.ask(&many[95..]);
    let again = bench.sent().iter().sum::<usize>();
    bench.ask(&many[..50]);
    assert!(again < 5, "some of the last are kept: {again} of 5 were computed again");
    assert_eq!(bench.sent(), [50], "the first went");
}

#[test]
fn another_op_view_top_k_completion_or_sampling_is_another_entry() {
    let view = |view: &str, request: Request| Request { view: view.parse().unwrap(), ..request };
    let top_k = |top_k, versus| Request::new(View::Base, Op::NextTokenDist { prompt: "p".into(), top_k, versus });
    let sample = |temperature, top_p, seed| generate("p", 4, Sampling::Sample { temperature, top_p, seed });
    let all = vec![
        next("p"),
        next("q"),
        rolling("p"),
        completion("p", "c"),
        completion("p", "d"),
        completion("pc", "c"),
        completion("p", "cc"),
        top_k(2, None),
        top_k(1, Some(View::Base)),
        top_k(1, Some(View::Ft)),
        view("ft", next("p")),
        view("scaled_0.50", next("p")),
        view("scaled_1.00", next("p")),
        view("null_1", next("p")),
        view("null_2", next("p")),
        Request { overflow: Overflow::KeepLast, ..next("p") },
        generate("p", 4, Sampling::Greedy),
        generate("p", 5, Sampling::Greedy),
        sample(1.0, 1.0, 0),
        sample(0.5, 1.0, 0),
        sample(1.0, 0.5, 0),
        sample(1.0, 1.0, 1),
    ];
    let mut bench = Bench::new();
    for request in &all {
        bench.ask(std::slice::from_ref(request));
        assert_eq!(bench.sent(), [1], "{request:?} was taken for another");
    }
    bench.ask(&all);
    assert_eq!(bench.sent(), [0; 0]);
}

#[test]
fn duplicates_in_a_call_are_computed_once() {
    let mut bench = Bench::new();
    let replies = bench.ask(&[next("a"), next("b"), next("a"), next("a")]);
    assert_eq!(bench.sent(), [2]);
    assert_eq!((&replies[2], &replies[3]), (&replies[0], &replies[0]));
    assert_ne!(replies[0], replies[1]);
    let stats = bench.engine.stats();
    assert_eq!((stats.cache_hits, stats.cache_misses, stats.forward_passes), (2, 2, 2));
}

#[test]
fn an_empty_call_computes_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(&[]), []);
    assert_eq!(bench.sent(), [0; 0]);
    assert_eq!(bench.engine.stats().batches_sent, 0);
}

#[test]
fn a_model_that_returns_the_wrong_number_of_answers_is_a_backend_bug() {
    let cases = [
        (Fault::Missing(1), "2 jobs were given and 1 answers came back"),
        (Fault::Missing(2), "2 jobs were given and 0 answers came back"),
        (Fault::Unknown, "2 jobs were given and an answer came back for job 2, counted from 0"),
        (Fault::Twice, "two answers came back for job 0, counted from 0"),
    ];
    for (fault, message) in cases {
        for batch in [None, Some(1)] {
            let mut bench = Bench::with(Stub { batch, fault, ..Stub::default() }, CacheLimits::default());
            let error = bench.try_ask(&[next("a"), next("b")]).unwrap_err().to_string();
            assert_eq!(error, format!("backend bug: {message}"));
            assert_eq!(bench.sent(), [2]);
        }
    }
}

#[test]
fn a_request_that_has_no_answer_leaves_the_others_theirs_and_is_not_kept() {
    let mut bench = Bench::new();
    let requests = [next("a"), next(REFUSED), next(NON_FINITE), next("b"), next(NON_FINITE), next(REFUSED)];
    let replies = bench.ask(&requests);
    assert_eq!(bench.sent(), [3]);
    assert!(replies[0].is_ok() && replies[3].is_ok());
    assert_eq!(replies[1], Err(RequestError::EmptyPrompt));
    assert!(matches!(replies[2], Err(RequestError::NonFinite { .. })));
    assert_eq!((&replies[4], &replies[5]), (&replies[2], &replies[1]));
    assert_eq!(bench.ask(&requests), replies);
    assert_eq!(bench.sent(), [1], "only the one that the model may yet answer");
}

#[test]
fn rates_are_zero_when_nothing_ran() {
    let stats = Bench::new().engine.stats();
    assert_eq!((stats.hit_rate.to_bits(), stats.avg_batch_size.to_bits()), (0, 0));
    assert_eq!(
        (stats.cache_hits, stats.cache_misses, stats.forward_passes, stats.batches_sent, stats.batched_prompts),
        (0, 0, 0, 0, 0)
    );
    assert_eq!((stats.max_batch_size, stats.tokens_requested, stats.tokens_computed), (0, 0, 0));
    assert_eq!((stats.scoring_wall_s.to_bits(), stats.load_s.to_bits()), (0, 2f64.to_bits()));
    assert_eq!([stats.product_share, stats.attention_share, stats.rest_share].map(f64::to_bits), [0; 3]);
}

#[test]
fn what_was_done_is_counted() {
    let mut bench = Bench::new();
    // A refused request was neither looked up nor computed.
    bench.ask(&[next("aaa"), next("bb"), next("aaa"), next(REFUSED)]);
    bench.ask(&[next("aaa"), rolling("cccc")]);
    bench.ask(&[generate("d", 5, Sampling::Greedy)]);
    let stats = bench.engine.stats();
    assert_eq!((stats.cache_hits, stats.cache_misses, stats.forward_passes), (2, 4, 4));
    assert!((stats.hit_rate - 2.0 / 6.0).abs() < 1e-12);
    assert_eq!((stats.batches_sent, stats.batched_prompts, stats.max_batch_size), (3, 4, 2));
    assert!((stats.avg_batch_size - 4.0 / 3.0).abs() < 1e-12);
    assert_eq!((stats.tokens_requested, stats.tokens_computed), (3 + 2 + 3 + 3 + 4 + 5, 3 + 2 + 4 + 5));
    assert!(stats.scoring_wall_s > 0.0);
    // Of each of the stub's batches a quarter is products, a quarter attention.
    let shares = [stats.product_share, stats.attention_share, stats.rest_share];
    assert!(shares.iter().zip([0.25, 0.25, 0.5]).all(|(got, want)| (got - want).abs() < 1e-12), "{shares:?}");
    assert_eq!(stats.product_flops, 3 * 1000);
    assert!(!cfg!(target_os = "linux") || stats.peak_rss_bytes > 1 << 20);
}
