//! Random calls of random models, held against the reference and against each other.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use proptest::prelude::*;
use safetensors::tensor::Dtype;

use super::log_softmax;
use super::small::{Small, small};
use crate::model::batch::Batch;
use crate::model::busy::Clock;
use crate::model::kernel::pairs;
use crate::model::pages::Pages;
use crate::model::plan::{Budget, Planner};
use crate::model::readout::{States, Wanted};
use crate::model::{Device, Job, Model, NullKind, Precision, Work, effective};
use crate::request::{Answer, Divergence, Finish, Generation, NextTokenDist, RequestError, Sampling, Scale, View};

/// Most that a log-probability in float32 may differ from the reference, in nats.
const TOLERANCE: f64 = 1e-4;

fn view() -> impl Strategy<Value = View> {
    let scaled = |hundredths| View::Scaled(Scale::from_hundredths(hundredths));
    prop::sample::select(vec![
        View::Base,
        View::Ft,
        scaled(50),
        scaled(125),
        scaled(0),
        scaled(100),
        View::Null(1),
        View::Null(2),
        View::NullOfRank { seed: 1, multiplier: Scale::from_hundredths(50) },
    ])
}

/// Token sequences that begin alike, and others; ids are taken modulo the vocabulary.
fn sequences(count: std::ops::Range<usize>, longest: usize) -> impl Strategy<Value = Vec<(View, Vec<u32>)>> {
    let free = prop::collection::vec(0u32..5000, 2..longest.min(24));
    let of_stem = (2..longest, prop::collection::vec(0u32..5000, 0..4));
    let one = (view(), prop_oneof![free.prop_map(Ok), of_stem.prop_map(Err)]);
    (prop::collection::vec(0u32..5000, longest), prop::collection::vec(one, count)).prop_map(|(stem, all)| {
        let tokens = |from: Result<Vec<u32>, (usize, Vec<u32>)>| match from {
            Ok(tokens) => tokens,
            Err((length, end)) => stem[..length].iter().chain(&end).copied().collect(),
        };
        all.into_iter().map(|(view, from)| (view, tokens(from))).collect()
    })
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() }
}

fn compute(model: &Model, jobs: &[Job]) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = vec![None; jobs.len()];
    model
        .compute(jobs, &mut |batch: Batch| {
            for (index, done) in batch.answers {
                assert!(answers[index].replace(done.answer.unwrap_or_else(|e| panic!("{e}"))).is_none());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    answers.into_iter().map(|answer| answer.expect("every job is answered")).collect()
}

/// What the reference says of the sequences of each view: by view and tokens.
struct Expected(HashMap<(View, Vec<u32>), Vec<Vec<f64>>>);

impl Expected {
    fn of<'a>(model: &Model, sequences: impl IntoIterator<Item = (View, &'a [u32])>) -> Self {
        let mut by_view: BTreeMap<View, Vec<&[u32]>> = BTreeMap::new();
        for (view, tokens) in sequences {
            by_view.entry(view).or_default().push(tokens);
        }
        let mut all = HashMap::new();
        for (view, sequences) in by_view {
            let found = log_softmax(model, view, &sequences);
            all.extend(sequences.iter().map(|tokens| (view, tokens.to_vec())).zip(found));
        }
        Self(all)
    }

    fn at(&self, view: View, tokens: &[u32]) -> &[Vec<f64>] {
        &self.0[&(view, tokens.to_vec())]
    }
}

/// Holds scored tokens against the reference; gives the largest difference.
fn scored(logprobs: &[f32], expected: &[Vec<f64>], tokens: &[u32], from: usize) -> f64 {
    assert_eq!(logprobs.len(), tokens.len() - from);
    let of = |(at, got): (usize, &f32)| (f64::from(*got) - expected[from + at - 1][tokens[from + at] as usize]).abs();
    logprobs.iter().enumerate().map(of).fold(0.0, f64::max)
}

fn close(what: &str, got: f64, want: f64, tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert!((got - want).abs() <= tolerance, "{}: {} where the reference has {}", what, got, want);
    Ok(())
}

/// Holds a distribution against the reference's `p`, and its divergence against that of `p` from `q`.
fn check_next(dist: &NextTokenDist, p: &[f64], q: Option<&[f64]>, top_k: usize, tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!((dist.token_ids.len(), dist.logprobs.len(), dist.vocab_size), (top_k, top_k, p.len()));
    for (&token, &logprob) in dist.token_ids.iter().zip(&dist.logprobs) {
        close("a log-probability", f64::from(logprob), p[token as usize], tolerance)?;
    }
    prop_assert!(dist.logprobs.is_sorted_by(|a, b| a >= b));
    let listed = |token: &usize| dist.token_ids.contains(&(*token as u32));
    let least = dist.token_ids.iter().map(|&token| p[token as usize]).fold(f64::INFINITY, f64::min);
    let left: Vec<f64> = (0..p.len()).filter(|token| !listed(token)).map(|token| p[token]).collect();
    prop_assert!(left.iter().all(|logprob| *logprob <= least + 2.0 * tolerance), "a more probable token is not listed");
    prop_assert_eq!(dist.tail_logprob.is_some(), !left.is_empty());
    if let Some(tail) = dist.tail_logprob {
        close("the tail", tail, left.iter().map(|logprob| logprob.exp()).sum::<f64>().ln(), tolerance)?;
    }
    close("the entropy", dist.entropy, -p.iter().map(|p| p.exp() * p).sum::<f64>(), 10.0 * tolerance)?;
    prop_assert_eq!(dist.divergence.is_some(), q.is_some());
    if let (Some(divergence), Some(q)) = (dist.divergence, q) {
        check_divergence(&divergence, p, q, tolerance)?;
    }
    Ok(())
}

fn check_divergence(got: &Divergence, p: &[f64], q: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
    let kl = |p: &[f64], q: &[f64]| -> f64 { p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum() };
    let middle: Vec<f64> = p.iter().zip(q).map(|(p, q)| (0.5 * (p.exp() + q.exp())).ln()).collect();
    close("KL", got.kl, kl(p, q), 10.0 * tolerance)?;
    close("reverse KL", got.kl_reverse, kl(q, p), 10.0 * tolerance)?;
    close("JS", got.js, 0.5 * (kl(p, &middle) + kl(q, &middle)), tolerance)?;
    let mean = p.iter().zip(q).map(|(p, q)| p - q).sum::<f64>() / p.len() as f64;
    let changes: Vec<f64> = p.iter().zip(q).map(|(p, q)| p - q - mean).collect();
    close("the rms", got.rms, (changes.iter().map(|c| c * c).sum::<f64>() / p.len() as f64).sqrt(), 4.0 * tolerance)?;
    close("the largest change", got.max_change, changes.iter().fold(0.0, |a, c| f64::max(a, c.abs())), 4.0 * tolerance)
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn scored_tokens_have_the_references_log_probabilities(
        small in small(), sequences in sequences(1..10, 40), splits in prop::collection::vec(0usize..1000, 10), rolling: bool,
    ) {
        let model = small.load(Precision::F32);
        let job = |((view, tokens), split): (&(View, Vec<u32>), &usize)| {
            let tokens: Vec<u32> = tokens.iter().map(|token| token % small.vocab as u32).collect();
            let from = if rolling { 1 } else { 1 + split % (tokens.len() - 1) };
            Job { view: *view, tokens, work: Work::Score { from, rolling } }
        };
        let jobs: Vec<Job> = sequences.iter().zip(&splits).map(job).collect();
        let expected = Expected::of(&model, jobs.iter().map(|job| (job.view, job.tokens.as_slice())));
        for (job, answer) in jobs.iter().zip(compute(&model, &jobs)) {
            let Work::Score { from, .. } = job.work else { unreachable!() };
            let (total, logprobs) = match answer {
                Answer::LogprobOf(scored) => {
                    prop_assert!(!rolling && scored.token_ids == job.tokens[from..]);
                    (scored.logprob, scored.logprobs)
                }
                Answer::RollingLogprob(scored) => (scored.total_logprob, scored.logprobs),
                other => panic!("{other:?}"),
            };
            let worst = scored(&logprobs, expected.at(job.view, &job.tokens), &job.tokens, from);
            prop_assert!(worst <= TOLERANCE, "{} nats off under {}", worst, job.view);
            close("the sum", total, logprobs.iter().map(|logprob| f64::from(*logprob)).sum(), 1e-4)?;
        }
    }

    #[test]
    fn distributions_are_the_references(
        small in small(), sequences in sequences(1..8, 30), top_k in 1usize..96, versus in prop::collection::vec(prop::option::of(view()), 8),
    ) {
        let model = small.load(Precision::F32);
        let job = |((view, tokens), versus): (&(View, Vec<u32>), &Option<View>)| {
            let tokens = tokens.iter().map(|token| token % small.vocab as u32).collect();
            Job { view: *view, tokens, work: Work::Next { top_k, versus: *versus } }
        };
        let jobs: Vec<Job> = sequences.iter().zip(&versus).map(job).collect();
        let sides = jobs.iter().zip(&versus).flat_map(|(job, versus)| {
            std::iter::once(job.view).chain(*versus).map(|view| (view, job.tokens.as_slice()))
        });
        let expected = Expected::of(&model, sides);
        for ((job, versus), answer) in jobs.iter().zip(&versus).zip(compute(&model, &jobs)) {
            let Answer::NextTokenDist(dist) = answer else { panic!("{answer:?}") };
            let last = |view: View| expected.at(view, &job.tokens).last().unwrap().as_slice();
            check_next(&dist, last(job.view), versus.map(last), top_k, TOLERANCE)?;
        }
    }

    #[test]
    fn a_greedy_continuation_takes_what_the_reference_holds_most_probable(
        small in small(), sequences in sequences(1..10, 30), lengths in prop::collection::vec(1usize..12, 10),
    ) {
        // A continuation that crosses the original context is refused before it comes here.
        prop_assume!(small.golden != "phi3_longrope");
        let model = small.load(Precision::F32);
        let job = |((view, tokens), max_new_tokens): (&(View, Vec<u32>), &usize)| {
            let tokens = tokens.iter().map(|token| token % small.vocab as u32).collect();
            Job { view: *view, tokens, work: Work::Generate { max_new_tokens: *max_new_tokens, sampling: Sampling::Greedy } }
        };
        let jobs: Vec<Job> = sequences.iter().zip(&lengths).map(job).collect();
        let generated: Vec<Generation> = compute(&model, &jobs)
            .into_iter()
            .map(|answer| if let Answer::Generate(generation) = answer { generation } else { panic!("{answer:?}") })
            .collect();
        let wholes: Vec<(View, Vec<u32>)> = jobs.iter().zip(&generated).map(|(job, generation)| (job.view, [job.tokens.as_slice(), &generation.token_ids].concat())).collect();
        let expected = Expected::of(&model, wholes.iter().map(|(view, tokens)| (*view, tokens.as_slice())));
        for (((job, max_new_tokens), generation), (view, whole)) in jobs.iter().zip(&lengths).zip(&generated).zip(&wholes) {
            let after = &expected.at(*view, whole)[job.tokens.len() - 1..];
            let end = (generation.finish == Finish::Eos).then_some(END);
            prop_assert!(end.is_some() || generation.token_ids.len() == *max_new_tokens);
            for (token, logprobs) in generation.token_ids.iter().copied().chain(end).zip(after) {
                let best = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                prop_assert!(logprobs[token as usize] >= best - TOLERANCE, "token {} is {} nats below the best", token, best - logprobs[token as usize]);
            }
            prop_assert!(!generation.token_ids.contains(&END));
        }
    }

    #[test]
    fn products_in_bf16_are_those_of_rounded_weights(mut small in small(), sequences in sequences(1..6, 20)) {
        // Where the CPU multiplies pairs, activations are rounded too.
        let tolerance = if pairs::fast() { 0.3 } else { TOLERANCE };
        small.dtype = if small.seed % 2 == 0 { Dtype::BF16 } else { Dtype::F32 };
        let model = small.load(Precision::Bf16);
        let job = |(view, tokens): &(View, Vec<u32>)| {
            let tokens = tokens.iter().map(|token| token % small.vocab as u32).collect();
            Job { view: *view, tokens, work: Work::Score { from: 1, rolling: true } }
        };
        let jobs: Vec<Job> = sequences.iter().map(job).collect();
        let expected = Expected::of(&model, jobs.iter().map(|job| (job.view, job.tokens.as_slice())));
        for (job, answer) in jobs.iter().zip(compute(&model, &jobs)) {
            let Answer::RollingLogprob(rolling) = answer else { panic!("{answer:?}") };
            let worst = scored(&rolling.logprobs, expected.at(job.view, &job.tokens), &job.tokens, 1);
            prop_assert!(worst <= tolerance, "{} nats off under {}", worst, job.view);
        }
    }

    #[test]
    fn answers_have_the_same_bits_whatever_the_budgets(
        small in small(), sequences in sequences(1..24, 60), rows in 1usize..120, kept in 0usize..8,
    ) {
        // The beginning of a long text is another text there.
        prop_assume!(small.golden != "phi3_longrope");
        let model = small.load(if small.seed % 4 == 0 { Precision::Bf16 } else { Precision::F32 });
        let sequences: Vec<(View, Vec<u32>)> = sequences
            .into_iter()
            .map(|(view, tokens)| (view, tokens.iter().map(|token| token % small.vocab as u32).collect()))
            .collect();
        let ample = Budget { rows: 1 << 20, kept_bytes: usize::MAX };
        let kept_bytes = kept * Pages::new(model.decoder.shape.heads, model.decoder.layers.len()).page_bytes();
        let together = under(&model, &sequences, ample);
        prop_assert_eq!(&under(&model, &sequences, Budget { rows, kept_bytes }), &together);
        prop_assert_eq!(&under(&model, &sequences, Budget { rows, kept_bytes: usize::MAX }), &together);
        let jobs: Vec<Job> = sequences
            .iter()
            .map(|(view, tokens)| Job { view: *view, tokens: tokens.clone(), work: Work::Score { from: 1, rolling: true } })
            .collect();
        for (answer, together) in compute(&model, &jobs).iter().zip(&together) {
            let Answer::RollingLogprob(rolling) = answer else { panic!("{answer:?}") };
            let same = together.iter().map(|bits| f64::from_bits(*bits) as f32);
            prop_assert!(rolling.logprobs.iter().map(|logprob| logprob.to_bits()).eq(same.map(f32::to_bits)));
        }
    }
}

/// The goldens' end token.
const END: u32 = 2;

/// The log-probability of every token but the first, as bits, planned under a budget.
fn under(model: &Model, sequences: &[(View, Vec<u32>)], budget: Budget) -> Vec<Vec<u64>> {
    let mut planner = Planner::new(budget, model.trunk() > 0);
    let mut reads: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    for (index, (view, tokens)) in sequences.iter().enumerate() {
        let path = planner.add(effective(*view), model.is_long(tokens.len()), &tokens[..tokens.len() - 1], false);
        for at in 0..tokens.len() - 1 {
            reads.entry(planner.ask(path, at)).or_default().push((index, at));
        }
    }
    planner.arrange();
    let mut pages = Pages::new(model.decoder.shape.heads, model.decoder.layers.len());
    let mut found: Vec<Vec<u64>> = sequences.iter().map(|(_, tokens)| vec![0; tokens.len() - 1]).collect();
    while let Some(planned) = planner.next_pass(&mut pages, usize::MAX) {
        if planned.rows.tokens.is_empty() {
            continue;
        }
        let clock = Clock::default();
        let forward = model.forward(&clock);
        let updates = model.updates_of(&planned.rows.views);
        let hidden = forward.run(&planned.rows, planned.trunk.as_ref(), &updates, &mut pages);
        let places = (0..hidden.picked.rows.len()).filter(|&place| hidden.picked.rows[place].is_some());
        let (mut wanted, mut of) = (Vec::new(), Vec::new());
        for (row, node) in places.zip(&planned.asked) {
            for &(index, at) in &reads[node] {
                wanted.push(Wanted { row, token: sequences[index].1[at + 1], top: 0 });
                of.push((index, at));
            }
        }
        let states = States { picked: &hidden.picked, panels: &hidden.states, updates: &updates };
        for ((index, at), scored) in of.into_iter().zip(forward.logprobs(&states, &wanted)) {
            found[index][at] = scored.map_or(f64::NAN, |scored| scored.logprob).to_bits();
        }
    }
    assert_eq!(pages.used(), 0);
    found
}

/// One model of each kind of window, for what is long.
fn long_models() -> Vec<Small> {
    let of = |golden, window, from_layer| Small {
        golden,
        vocab: 97,
        hidden: 20,
        intermediate: 24,
        key_values: 2,
        group: 3,
        dim: 8,
        layers: 3,
        window,
        rank: 3,
        adapted: vec!["q_proj", "v_proj", "down_proj"],
        from_layer,
        dtype: Dtype::F32,
        nulls: NullKind::Matched,
        seed: 11,
    };
    vec![of("llama_default", 0, 0), of("qwen3_window", 130, 1), of("mistral_window", 40, 2)]
}

/// Longer than several stretches of attention, and than several panels.
#[test]
fn long_sequences_have_the_references_log_probabilities() {
    for small in long_models() {
        let model = small.load(Precision::F32);
        let tokens = |seed: u32, length: u32| (0..length).map(|i| (seed * 7 + i * i + i / 5) % 97).collect::<Vec<u32>>();
        let view = |i: usize| [View::Base, View::Ft, View::Null(1)][i % 3];
        let lengths = [(1, 420), (1, 420), (1, 300), (2, 129), (1, 257), (2, 260), (3, 128)];
        let job = |(i, &(seed, length)): (usize, &(u32, u32))| Job {
            view: view(i),
            tokens: tokens(seed, length),
            work: Work::Score { from: 1, rolling: true },
        };
        let jobs: Vec<Job> = lengths.iter().enumerate().map(job).collect();
        let expected = Expected::of(&model, jobs.iter().map(|job| (job.view, job.tokens.as_slice())));
        for (job, answer) in jobs.iter().zip(compute(&model, &jobs)) {
            let Answer::RollingLogprob(rolling) = answer else { panic!("{answer:?}") };
            let worst = scored(&rolling.logprobs, expected.at(job.view, &job.tokens), &job.tokens, 1);
            assert!(worst <= TOLERANCE, "{}: {worst} nats off under {} in {} tokens", small.golden, job.view, job.tokens.len());
        }
        let sequences: Vec<(View, Vec<u32>)> = jobs.iter().map(|job| (job.view, job.tokens.clone())).collect();
        let ample = under(&model, &sequences, Budget { rows: 1 << 20, kept_bytes: usize::MAX });
        assert!(under(&model, &sequences, Budget { rows: 100, kept_bytes: 0 }) == ample, "{}", small.golden);
    }
}

#[test]
fn a_continuation_ends_where_the_context_does() {
    let model = long_models()[0].load(Precision::F32);
    let job = |length: usize| Job {
        view: View::Ft,
        tokens: (0..length).map(|i| (i % 90) as u32 + 3).collect(),
        work: Work::Generate { max_new_tokens: 50, sampling: Sampling::Greedy },
    };
    let room = [1, 2, 17];
    for (room, answer) in room.iter().zip(compute(&model, &room.map(|room| job(Small::CONTEXT - room)))) {
        let Answer::Generate(generation) = answer else { panic!("{answer:?}") };
        assert!(generation.finish == Finish::Eos || generation.token_ids.len() == *room, "{room}: {generation:?}");
    }
}

/// A model whose embedding of one token overflows, and whose other tokens answer.
#[test]
fn a_logit_that_is_not_finite_is_an_error_of_its_own_request() {
    let mut small = long_models()[0].clone();
    small.adapted = vec!["lm_head"];
    small.nulls = NullKind::Init;
    let mut model = small.load(Precision::F32);
    let spoiled = {
        let adapter = model.adapter.as_ref().unwrap();
        let (&site, change) = adapter.changes.sites.iter().next().unwrap();
        let update = change.low.as_ref().unwrap();
        let mut b = update.b.as_slice().to_vec();
        // The logit of token 30 overflows under `ft`.
        b[30 * update.b.cols..31 * update.b.cols].fill(f32::MAX);
        let b = crate::model::weights::Weight::owned(update.b.rows, update.b.cols, b);
        let update = crate::model::adapter::LowRank { b, scale: 1e30, ..update.clone() };
        let changes = crate::model::Changes { sites: [(site, update.into())].into(), ..adapter.changes.clone() };
        crate::model::Adapter { changes, digest: adapter.digest.clone(), ..*adapter.as_ref() }
    };
    model.adapter = Some(spoiled.into());
    let tokens = vec![5u32, 6, 7];
    let of = |view, work| Job { view, tokens: tokens.clone(), work };
    let next = |versus| Work::Next { top_k: 3, versus };
    let score = Work::Score { from: 2, rolling: false };
    let generate = Work::Generate { max_new_tokens: 3, sampling: Sampling::Greedy };
    let sample = Work::Generate { max_new_tokens: 3, sampling: Sampling::Sample { temperature: 1.0, top_p: 1.0, seed: 0 } };
    let jobs = [
        of(View::Ft, next(None)),
        of(View::Base, next(None)),
        of(View::Base, next(Some(View::Ft))),
        of(View::Ft, score),
        of(View::Base, score),
        of(View::Ft, generate),
        of(View::Ft, sample),
        of(View::Base, generate),
        of(View::Ft, Work::Tokens { top: 2 }),
        of(View::Base, Work::Tokens { top: 2 }),
    ];
    for device in [Device::Cpu, Device::Candle] {
        let model = model.clone().on(device).unwrap();
        let mut answers: Vec<Option<Result<Answer, RequestError>>> = vec![None; jobs.len()];
        model
            .compute(&jobs, &mut |batch: Batch| {
                batch.answers.into_iter().for_each(|(index, done)| answers[index] = Some(done.answer));
                ControlFlow::Continue(())
            })
            .unwrap();
        let error = |position| Some(Err(RequestError::NonFinite { view: View::Ft, position, token: 30 }));
        for (index, position) in [(0, 2), (2, 2), (3, 1), (5, 2), (6, 2), (8, 0)] {
            assert_eq!(answers[index], error(position), "{:?}", jobs[index]);
        }
        for index in [1, 4, 7, 9] {
            assert!(matches!(answers[index], Some(Ok(_))), "{:?}: {:?}", jobs[index], answers[index]);
        }
    }
}

#[test]
fn experts_answer_a_row_with_the_same_bits_alone_and_beside_others() {
    let model = Small {
        golden: "mixtral",
        vocab: 100,
        hidden: 24,
        intermediate: 20,
        key_values: 2,
        group: 2,
        dim: 8,
        layers: 2,
        window: 8,
        rank: 3,
        adapted: vec!["q_proj", "o_proj"],
        from_layer: 0,
        dtype: Dtype::F32,
        nulls: NullKind::Matched,
        seed: 5,
    }
    .load(Precision::F32);
    let job = |view: View, seed: u32| {
        let tokens = (0..40).map(|i| (i * i + seed * 7 + i / 3 * seed) % 100).collect();
        Job { view, tokens, work: Work::Score { from: 1, rolling: true } }
    };
    let jobs: Vec<Job> = (0..9).map(|seed| job(if seed % 2 == 0 { View::Base } else { View::Ft }, seed)).collect();
    let together = compute(&model, &jobs);
    for (job, answer) in jobs.iter().zip(&together) {
        assert_eq!(&compute(&model, std::slice::from_ref(job))[0], answer);
    }
}
