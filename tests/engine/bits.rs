//! Answers of real models: bit-identical alone, in any batch, and beside any view.

use std::collections::HashSet;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use proptest::prelude::*;
use safetensors::tensor::{SafeTensors, TensorView};
use sway::model::{Batch, Job, Precision, Work};
use sway::request::{Answer, Computation, Embedder, Finish, Op, Prompt, Request, RequestError, Sampling, View};

use super::models::{END, Folder, LONG, MODELS, Shared, golden, word};
use super::stub::{ask, completion, generate, next, rolling};

/// Views that differ.
const VIEWS: [&str; 7] = ["base", "ft", "scaled_0.50", "scaled_1.25", "null_1", "null_2", "null_1_rank_2.00"];

/// Among them the views that are computed as others.
const ALL_VIEWS: [&str; 10] = [
    "base",
    "ft",
    "scaled_0.50",
    "scaled_1.25",
    "null_1",
    "null_2",
    "null_1_rank_2.00",
    "scaled_0.00",
    "scaled_1.00",
    "null_1_rank_1.00",
];

fn view() -> impl Strategy<Value = View> {
    prop::sample::select(&ALL_VIEWS[..]).prop_map(|view| view.parse().unwrap())
}

fn words(words: impl IntoIterator<Item = u32>) -> String {
    words.into_iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

/// Of few words, so that prompts share beginnings, or of many, so that they differ.
fn text(length: Range<usize>) -> impl Strategy<Value = String> {
    prop_oneof![prop::collection::vec(0u32..3, length.clone()), prop::collection::vec(0u32..93, length)].prop_map(words)
}

fn sampling() -> impl Strategy<Value = Sampling> {
    prop_oneof![
        Just(Sampling::Greedy),
        (prop::sample::select(&[0.5f32, 1.0, 3.0][..]), prop::sample::select(&[0.3f32, 0.9, 1.0][..]), 0u64..3)
            .prop_map(|(temperature, top_p, seed)| Sampling::Sample { temperature, top_p, seed }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (text(1..25), prop_oneof![Just(1usize), Just(8), Just(96)], prop::option::of(view()))
            .prop_map(|(prompt, top_k, versus)| Op::NextTokenDist { prompt: prompt.into(), top_k, versus }),
        2 => (text(1..12), text(1..12)).prop_map(|(prompt, completion)| Op::LogprobOf { prompt: prompt.into(), completion: format!(" {completion}") }),
        2 => text(2..40).prop_map(|text| Op::RollingLogprob { text }),
        2 => (text(1..40), 0usize..21).prop_map(|(text, top)| Op::TokenLogprobs { prompt: text.into(), top }),
        1 => (prop::collection::vec(0u32..96, 1..40), 0usize..21).prop_map(|(ids, top)| Op::TokenLogprobs { prompt: Prompt::Tokens(ids), top }),
        2 => text(1..40).prop_map(embed),
        2 => (text(1..25), 1usize..12, sampling())
            .prop_map(|(prompt, max_new_tokens, sampling)| Op::Generate { prompt: prompt.into(), max_new_tokens, sampling }),
    ]
}

fn embed(text: String) -> Op {
    Op::Embed { text, embedder: Embedder::States }
}

fn batch(size: Range<usize>) -> impl Strategy<Value = Vec<Request>> {
    prop::collection::vec((view(), op()).prop_map(|(view, op)| Request::new(view, op)), size)
}

/// What is asked of a text that many requests share.
#[derive(Clone, Copy, Debug)]
enum About {
    Next { versus: Option<View> },
    Completion,
    Whole,
    Tokens { top: usize },
    Embedding,
    Generate(Sampling),
}

/// Requests about beginnings of one text, each with an end of its own that may be empty: growing contexts, completions of one
/// prompt, embeddings, continuations of one prompt under several seeds.
fn kin(size: Range<usize>) -> impl Strategy<Value = Vec<Request>> {
    let about = prop_oneof![
        prop::option::of(view()).prop_map(|versus| About::Next { versus }),
        Just(About::Completion),
        Just(About::Whole),
        (0usize..21).prop_map(|top| About::Tokens { top }),
        Just(About::Embedding),
        sampling().prop_map(About::Generate),
    ];
    let one = (view(), 2usize..40, prop::collection::vec(0u32..4, 0..4), about);
    (prop::collection::vec(0u32..93, 40), prop::collection::vec(one, size)).prop_map(|(stem, all)| {
        let request = |(view, length, end, about): (View, usize, Vec<u32>, About)| {
            let part = |from: usize| words(stem[from..length].iter().chain(&end).copied());
            let prompt = part(0);
            let op = match about {
                About::Next { versus } => Op::NextTokenDist { prompt: prompt.into(), top_k: 5, versus },
                About::Completion => {
                    let prompt = words(stem[..length / 2].iter().copied());
                    Op::LogprobOf { prompt: prompt.into(), completion: format!(" {}", part(length / 2)) }
                }
                About::Whole => Op::RollingLogprob { text: prompt },
                About::Tokens { top } => Op::TokenLogprobs { prompt: prompt.into(), top },
                About::Embedding => embed(prompt),
                About::Generate(sampling) => Op::Generate { prompt: prompt.into(), max_new_tokens: 1 + length % 9, sampling },
            };
            Request::new(view, op)
        };
        all.into_iter().map(request).collect()
    })
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn model() -> impl Strategy<Value = usize> {
    0..MODELS.len()
}

/// Every request has the reply that it has when it is asked alone.
fn same_alone(name: &str, model: &Shared, requests: &[Request]) -> Result<(), TestCaseError> {
    let together = model.ask(requests);
    for (request, reply) in requests.iter().zip(&together) {
        prop_assert!(reply.is_ok(), "{}: {:?}: {:?}", name, request, reply);
        prop_assert_eq!(&model.ask(std::slice::from_ref(request))[0], reply, "{}: {:?}", name, request);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn answers_are_bit_identical_alone_in_any_batch_and_beside_any_view(requests in batch(1..40), model in model()) {
        let (name, model) = &MODELS[model];
        same_alone(name, model, &requests)?;
    }

    #[test]
    fn answers_are_bit_identical_however_much_they_share(requests in kin(1..40), model in model()) {
        let (name, model) = &MODELS[model];
        same_alone(name, model, &requests)?;
        let reversed: Vec<Request> = requests.iter().rev().cloned().collect();
        prop_assert!(model.ask(&requests).iter().eq(model.ask(&reversed).iter().rev()), "{}", name);
    }

    #[test]
    fn answers_are_bit_identical_whatever_the_threads(requests in prop_oneof![batch(20..60), kin(20..60)], model in model()) {
        let (_, model) = &MODELS[model];
        let one = model.ask_with(1, &requests);
        prop_assert_eq!(&one, &model.ask_with(2, &requests));
        prop_assert_eq!(&one, &model.ask_with(3, &requests));
    }

    #[test]
    fn scaled_by_one_is_the_adapter_and_scaled_by_zero_is_the_base(op in op(), model in model()) {
        let (_, model) = &MODELS[model];
        let of = |view: &str| Request::new(view.parse().unwrap(), op.clone());
        let views = ["ft", "scaled_1.00", "base", "scaled_0.00"];
        let replies = model.ask(&views.map(of));
        prop_assert_eq!(&replies[0], &replies[1]);
        prop_assert_eq!(&replies[2], &replies[3]);
        for (view, reply) in views.iter().zip(&replies) {
            prop_assert_eq!(&model.ask(&[of(view)])[0], reply, "alone");
        }
    }

    #[test]
    fn a_comparison_has_the_numbers_of_its_own_view_and_its_mirror_image(prompt in text(1..25), a in view(), b in view(), model in model()) {
        let (_, model) = &MODELS[model];
        let dist = |view: View, versus: Option<View>| {
            let request = Request::new(view, Op::NextTokenDist { prompt: prompt.as_str().into(), top_k: 96, versus });
            let Ok(Answer::NextTokenDist(dist)) = model.ask(&[request])[0].clone() else { panic!("no distribution") };
            dist
        };
        let (alone, mut compared, mirrored) = (dist(a, None), dist(a, Some(b)), dist(b, Some(a)));
        let (there, back) = (compared.divergence.take().unwrap(), mirrored.divergence.unwrap());
        prop_assert_eq!(alone, compared);
        prop_assert_eq!((there.js, there.kl, there.kl_reverse, there.same_top), (back.js, back.kl_reverse, back.kl, back.same_top));
    }

    #[test]
    fn a_continuation_is_the_most_probable_token_step_by_step(prompt in text(1..10), view in view(), model in model()) {
        let (_, model) = &MODELS[model];
        let request = Request { view, ..generate(&prompt, 8, Sampling::Greedy) };
        let Ok(Answer::Generate(continuation)) = model.ask(&[request])[0].clone() else { panic!("no continuation") };
        let mut text = prompt;
        let mut steps = Vec::new();
        let finish = loop {
            if steps.len() == 8 {
                break Finish::Length;
            }
            let next = Op::NextTokenDist { prompt: text.as_str().into(), top_k: 1, versus: None };
            let Ok(Answer::NextTokenDist(dist)) = model.ask(&[Request::new(view, next)])[0].clone() else { panic!("no distribution") };
            let token = dist.token_ids[0];
            if token == END {
                break Finish::Eos;
            }
            steps.push(token);
            text = format!("{text} {}", word(token));
        };
        prop_assert_eq!((continuation.token_ids, continuation.finish), (steps, finish));
    }
}

/// Long enough for several passes, and for products of many rows.
#[test]
fn a_request_has_the_same_bits_at_both_ends_of_a_long_call() {
    for (name, model) in MODELS.iter() {
        let asked = |seed: u32| {
            let text = words((0..60).map(|i| (seed * 7 + i * i) % 93));
            let view = VIEWS[seed as usize % VIEWS.len()].parse().unwrap();
            Request::new(view, Op::RollingLogprob { text })
        };
        let requests: Vec<Request> = (0..80).map(asked).collect();
        let replies = model.ask(&requests);
        let reversed = model.ask(&requests.iter().rev().cloned().collect::<Vec<_>>());
        assert!(replies.iter().eq(reversed.iter().rev()), "{name}");
        for index in [0, 33, 34, 79] {
            assert_eq!(model.ask(&requests[index..=index])[0], replies[index], "{name}, request {index}");
        }
    }
}

/// A text of the long model, told apart by `seed`.
fn long_text(seed: u32, length: u32) -> String {
    words((0..length).map(|i| (seed * 17 + i * i + i / 93) % 93))
}

/// Texts that are longer than a quarter of a pass are cut, shorter ones are not; some begin as others do, and each view has its
/// own. A row sees positions of several stretches, and the window's end passes from one to the next.
#[test]
fn long_texts_have_the_same_bits_alone_and_when_they_are_cut_over_several_passes() {
    let of = |view: &str, op: Op| Request::new(view.parse().unwrap(), op);
    let rolling = |text: String| Op::RollingLogprob { text };
    let tokens = |text: String, top| Op::TokenLogprobs { prompt: text.into(), top };
    let mut requests = vec![
        of("base", rolling(long_text(0, 2300))),
        of("ft", rolling(long_text(0, 2300))),
        of("base", rolling(long_text(1, 1500))),
        of("scaled_0.50", rolling(long_text(2, 700))),
        of("scaled_0.00", rolling(long_text(0, 1900))),
        of("base", tokens(long_text(0, 2300), 20)),
        of("ft", tokens(long_text(1, 1500), 0)),
        of("ft", tokens(long_text(0, 2200), 1)),
        of("base", embed(long_text(0, 2200))),
        of("ft", embed(long_text(0, 2300))),
        of("ft", Op::NextTokenDist { prompt: long_text(0, 2100).into(), top_k: 8, versus: Some(View::Base) }),
        of("base", Op::NextTokenDist { prompt: long_text(0, 257).into(), top_k: 8, versus: None }),
    ];
    requests.extend((0..12u32).map(|i| {
        let (prompt, completion) = (long_text(3, 600 + i / 4), format!(" {}", words([i, 2 * i])));
        of(["null_1", "base"][i as usize % 2], Op::LogprobOf { prompt: prompt.into(), completion })
    }));
    requests.extend((0..6u32).map(|i| {
        let sampling =
            if i < 2 { Sampling::Greedy } else { Sampling::Sample { temperature: 1.0, top_p: 0.9, seed: u64::from(i) } };
        let prompt = long_text(0, if i % 2 == 0 { 1400 } else { 250 });
        of(["base", "ft"][i as usize / 3], Op::Generate { prompt: prompt.into(), max_new_tokens: 20, sampling })
    }));
    let together = LONG.ask_with(2, &requests);
    let reversed: Vec<Request> = requests.iter().rev().cloned().collect();
    assert!(together.iter().eq(LONG.ask_with(1, &reversed).iter().rev()), "in another order, on one thread");
    for (index, request) in requests.iter().enumerate() {
        let alone = &LONG.ask(std::slice::from_ref(request))[0];
        assert!(alone.is_ok(), "request {index}: {alone:?}");
        assert!(alone == &together[index], "request {index}, {} of {}", request.op.name(), request.view);
    }
}

/// More than enter at once: those that wait take the places of those that end.
#[test]
fn continuations_have_the_same_bits_alone_and_in_a_crowd() {
    for (name, model) in MODELS.iter() {
        let request = |i: u32| {
            let sampling = match i % 3 {
                0 => Sampling::Greedy,
                _ => Sampling::Sample { temperature: 2.0, top_p: 0.95, seed: u64::from(i / 3) },
            };
            let (view, length) = (ALL_VIEWS[(i / 2) as usize % ALL_VIEWS.len()].parse().unwrap(), 1 + (i * 5 % 50) as usize);
            let prompt = words((0..length as u32).map(|word| (i % 4 + word * word) % 93));
            Request { view, ..generate(prompt, 1 + i as usize % 17, sampling) }
        };
        let requests: Vec<Request> = (0..100).map(request).collect();
        let together = model.ask(&requests);
        for (request, reply) in requests.iter().zip(&together).step_by(9) {
            assert_eq!(&model.ask(std::slice::from_ref(request))[0], reply, "{name}: {request:?}");
        }
        let reversed: Vec<Request> = requests.iter().rev().cloned().collect();
        assert!(together.iter().eq(model.ask(&reversed).iter().rev()), "{name}");
    }
}

/// Logits of few rows are held whole at a time.
#[test]
fn distributions_have_the_same_bits_alone_and_among_more_than_are_held_at_once() {
    let (_, model) = MODELS.iter().find(|(name, _)| *name == "head").unwrap();
    let request = |i: u32| {
        let (view, versus) = (["base", "ft", "null_1"][i as usize % 3], ["ft", "base"][i as usize % 2]);
        let versus = (!i.is_multiple_of(5)).then(|| versus.parse().unwrap());
        Request::new(view.parse().unwrap(), Op::NextTokenDist { prompt: words([i % 93, i / 93]).into(), top_k: 4, versus })
    };
    let requests: Vec<Request> = (0..1500).map(request).collect();
    let together = model.ask(&requests);
    for (request, reply) in requests.iter().zip(&together).step_by(149) {
        assert_eq!(&model.ask(std::slice::from_ref(request))[0], reply, "{request:?}");
    }
}

/// Null adapters are drawn anew once others have taken their places.
#[test]
fn more_views_than_are_kept_have_the_same_bits_alone_and_side_by_side() {
    for (name, model) in MODELS.iter() {
        let requests: Vec<Request> =
            (0..80).map(|i| Request { view: View::Null(i % 40), ..rolling(words(0..3 + i as u32 / 40)) }).collect();
        let together = model.ask(&requests);
        for (request, reply) in requests.iter().zip(&together).step_by(11) {
            assert_eq!(&model.ask(std::slice::from_ref(request))[0], reply, "{name}: {request:?}");
        }
        let distinct = together[..40].iter().enumerate().all(|(i, reply)| !together[..i].contains(reply));
        assert!(distinct, "{name}: a null answers like another");
    }
}

#[test]
fn each_seed_draws_its_own_continuation() {
    for (name, model) in MODELS.iter() {
        let sample = |seed| Sampling::Sample { temperature: 3.0, top_p: 1.0, seed };
        let requests: Vec<Request> = (0..20).map(|seed| generate("w1 w2 w3", 12, sample(seed))).collect();
        let mut seen = HashSet::new();
        for reply in model.ask(&requests) {
            let Ok(Answer::Generate(continuation)) = reply else { panic!("no continuation") };
            seen.insert(continuation.token_ids);
        }
        assert!(seen.len() > 15, "{name}: {} of 20", seen.len());
    }
}

/// What the model tells of a call, batch by batch: the jobs answered, and the tokens that went through it for them.
fn batches(model: &Shared, jobs: &[Job], most: usize) -> Vec<Vec<(usize, u64)>> {
    let mut told = Vec::new();
    model
        .0
        .compute(jobs, &mut |batch: Batch| {
            told.push(batch.answers.iter().map(|(index, done)| (*index, done.tokens)).collect());
            if told.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    told
}

fn jobs(model: &Shared, requests: &[Request]) -> Vec<Job> {
    requests.iter().map(|request| model.0.prepare(request).unwrap()).collect()
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn every_job_is_answered_once_and_generations_come_last(requests in prop_oneof![batch(1..40), kin(1..40)], model in model()) {
        let (_, model) = &MODELS[model];
        let jobs = jobs(model, &requests);
        let order: Vec<usize> = batches(model, &jobs, usize::MAX).iter().flatten().map(|(index, _)| *index).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.iter().copied().eq(0..jobs.len()), "{:?}", order);
        prop_assert!(order.is_sorted_by_key(|&index| matches!(jobs[index].work, Work::Generate { .. })), "{:?}", order);
    }

    #[test]
    fn each_prefix_of_a_view_is_computed_once(requests in kin(1..40), model in model()) {
        let (_, model) = &MODELS[model];
        let jobs: Vec<Job> =
            jobs(model, &requests).into_iter().filter(|job| !matches!(job.work, Work::Generate { .. })).collect();
        let mut prefixes = HashSet::new();
        let same = |view: View| match view.to_string().as_str() {
            "scaled_0.00" => View::Base,
            "scaled_1.00" => View::Ft,
            "null_1_rank_1.00" => View::Null(1),
            _ => view,
        };
        for job in &jobs {
            let (views, length) = match job.work {
                Work::Next { versus, .. } => ([Some(job.view), versus], job.tokens.len()),
                Work::Embed => ([Some(job.view), None], job.tokens.len()),
                // Nobody asks what comes after the last token.
                _ => ([Some(job.view), None], job.tokens.len() - 1),
            };
            for view in views.into_iter().flatten() {
                prefixes.extend((1..=length).map(|end| (same(view), job.tokens[..end].to_vec())));
            }
        }
        let computed: u64 = batches(model, &jobs, usize::MAX).iter().flatten().map(|(_, tokens)| tokens).sum();
        prop_assert_eq!(computed, prefixes.len() as u64);
    }
}

#[test]
fn a_call_of_many_passes_ends_after_the_one_in_which_it_is_told_to() {
    let requests: Vec<Request> = (0..20).map(|seed| rolling(long_text(seed, 1000))).collect();
    let jobs = jobs(&LONG, &requests);
    let all = batches(&LONG, &jobs, usize::MAX);
    assert!(all.len() > 2, "{} passes", all.len());
    let two = batches(&LONG, &jobs, 2);
    assert_eq!(two, all[..2]);
    let mixed = [requests, vec![generate("w1", 5, Sampling::Greedy)]].concat();
    let mixed = self::jobs(&LONG, &mixed);
    assert_eq!(batches(&LONG, &mixed, all.len()).len(), all.len(), "no continuation is begun");
    assert_eq!(batches(&LONG, &mixed[10..], 3).len(), 3, "a continuation ends between its tokens");
}

#[test]
fn nothing_is_told_of_an_empty_call() {
    assert_eq!(batches(&LONG, &[], usize::MAX), [[]; 0]);
}

/// The noise floor is measured so; in float32 it is zero.
#[test]
fn an_exact_computation_gives_the_bits_of_float32() {
    let embedding = Request::new(View::Base, embed("w1 w2 w3".to_owned()));
    let requests = [next("w1 w2"), completion("w1 w2", " w3"), rolling("w1 w2 w3 w4"), next("w1"), embedding];
    let exactly = requests.clone().map(|request| request.computed(Computation::Exact));
    for (name, model) in MODELS.iter() {
        let replies = model.ask(&exactly);
        let exact = Shared(Arc::new(model.0.exact()));
        assert_eq!(replies, exact.ask(&requests), "{name}");
        assert!(replies == model.ask(&requests) || name.ends_with("bf16"), "{name}");
    }
    let of = |name: &str| &MODELS.iter().find(|(known, _)| *known == name).unwrap().1;
    assert_eq!(of("wide bf16").ask(&exactly), of("wide").ask(&requests));
    assert_ne!(of("wide bf16").ask(&requests), of("wide").ask(&requests), "its weights are rounded");
}

#[test]
fn an_adapter_of_zeros_answers_like_the_base() {
    let folder = Folder::copy_of(&golden("llama_default"));
    let file = folder.adapter().join("adapter_model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0u8; bytes.len()];
    let zeroed = tensors.iter().map(|(name, view)| {
        let data = if name.contains("lora_B") { &zeros[..view.data().len()] } else { view.data() };
        (name.to_owned(), TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
    });
    let written = safetensors::serialize(zeroed, None).unwrap();
    fs::write(&file, written).unwrap();
    let model = Shared::load(&folder.base(), &folder.adapter(), Precision::F32);
    let ops = [
        Op::NextTokenDist { prompt: "w1 w2 w3".into(), top_k: 96, versus: Some(View::Base) },
        Op::LogprobOf { prompt: "w1 w2".into(), completion: " w3 w4".to_owned() },
        Op::RollingLogprob { text: "w5 w6 w7 w8".to_owned() },
        Op::TokenLogprobs { prompt: "w5 w6 w7 w8".into(), top: 3 },
        embed("w5 w6 w7 w8".to_owned()),
        Op::Generate { prompt: "w9 w10".into(), max_new_tokens: 8, sampling: Sampling::Greedy },
    ];
    for op in ops {
        let of = |view: &str| Request::new(view.parse().unwrap(), op.clone());
        let replies = model.ask(&["base", "ft", "scaled_1.25", "null_3"].map(of));
        assert!(replies.iter().all(|reply| reply == &replies[0]), "{op:?}: {replies:?}");
        if let Ok(Answer::NextTokenDist(dist)) = &replies[1] {
            let divergence = dist.divergence.unwrap();
            assert!(
                divergence.same_top
                    && [divergence.js, divergence.kl, divergence.kl_reverse, divergence.rms, divergence.max_change]
                        .iter()
                        .all(|d| d.abs() < 1e-12),
                "{divergence:?}"
            );
        }
    }
}

/// Without this, the tests above would hold for a model that leaves its adapter out.
#[test]
fn the_views_do_differ() {
    for (name, model) in MODELS.iter() {
        let replies = model
            .ask(&VIEWS.map(|view| Request::new(view.parse().unwrap(), Op::RollingLogprob { text: "w1 w2 w3 w4".to_owned() })));
        for (index, reply) in replies.iter().enumerate() {
            assert!(!replies[..index].contains(reply), "{name}: {} answers like another view", VIEWS[index]);
        }
    }
}

/// The base is one copy of the weights, which no adapter, loaded, asked or dropped, writes to.
#[test]
fn the_base_answers_with_the_same_bits_before_an_adapter_beside_it_and_after_it() {
    let requests = [next("w1 w2"), completion("w1 w2", " w3"), rolling("w1 w2 w3 w4"), generate("w1", 5, Sampling::Greedy)];
    for name in ["llama_default", "qwen3_window", "gpt2", "adapter_ln_tuning", "adapter_dora", "full_finetune"] {
        let folder = |part: &str| golden(name).join(part);
        let model = Shared::load(&folder("base"), &folder("adapter"), Precision::F32);
        let under = |view| requests.clone().map(|request| Request { view, ..request });
        let mut engine = model.engine();
        let beside = ask(&mut engine, &[under(View::Ft), under(View::Base), under(View::Null(3))].concat()).unwrap();
        assert!(beside.iter().all(Result::is_ok), "{name}: {beside:?}");
        let (adapted, beside) = (&beside[..4], &beside[4..8]);
        assert_ne!(adapted, beside, "{name}: the adapter does something");
        for state in [Computation::BeforeAdapter, Computation::AfterAdapter] {
            for _ in 0..2 {
                let alone = ask(&mut engine, &requests.clone().map(|request| request.computed(state))).unwrap();
                assert_eq!(alone, beside, "{name}, {state:?}");
            }
            let adapted = ask(&mut engine, &under(View::Ft).map(|request| request.computed(state))).unwrap();
            assert!(adapted.iter().all(|reply| matches!(reply, Err(RequestError::NoAdapter { .. }))), "{name}: it is gone");
        }
    }
}
