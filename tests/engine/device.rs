//! The passes of GPUs, on candle's CPU: as bit-stable as the CPU's own, and with its answers.

use proptest::prelude::*;
use sway::model::{Device, Model, NullKind, Precision};
use sway::request::{Answer, Divergence, Embedder, Op, Request, Sampling, View};

use super::models::{Shared, golden};
use super::stub::{completion, generate, rolling, token_logprobs};

/// Most that a log-probability of two ways to compute it may differ, in nats.
const NEAR: f64 = 1e-4;

fn shared(name: &str, device: Device, precision: Precision) -> Shared {
    let dir = golden(name);
    let model = Model::load(&dir.join("base"), Some(&dir.join("adapter")), NullKind::Matched, precision);
    Shared(model.and_then(|model| model.on(device)).unwrap_or_else(|e| panic!("{e}")).into())
}

/// Prompts that share beginnings, under every kind of view, for every op.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for view in ["base", "ft", "scaled_0.50", "null_1", "null_2", "scaled_0.00"] {
        let mut asked = vec![rolling("w9 w8 w7 w6 w5 w4 w3 w2 w1")];
        for prompt in ["w1 w2", "w1 w2 w3", "w1 w2 w3 w4 w5 w6 w7 w8 w9"] {
            let next = |top_k, versus| Request::new(View::Base, Op::NextTokenDist { prompt: prompt.into(), top_k, versus });
            let sampling = Sampling::Sample { temperature: 1.5, top_p: 0.9, seed: 3 };
            asked.extend([next(96, None), next(8, Some(View::Base)), completion(prompt, " w5 w6")]);
            asked.push(Request::new(View::Base, Op::Embed { text: prompt.to_owned(), embedder: Embedder::States }));
            asked.extend([token_logprobs(prompt, 0), token_logprobs(prompt, 3), token_logprobs("w1", 3)]);
            asked.extend([generate(prompt, 6, Sampling::Greedy), generate(prompt, 5, sampling)]);
        }
        requests.extend(asked.into_iter().map(|request| Request { view: view.parse().unwrap(), ..request }));
    }
    requests
}

fn logprobs(answer: &Answer) -> Vec<(u32, f64)> {
    let of = |ids: &[u32], logprobs: &[f32]| -> Vec<(u32, f64)> {
        let mut all: Vec<(u32, f64)> = ids.iter().copied().zip(logprobs.iter().copied().map(f64::from)).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    };
    match answer {
        Answer::NextTokenDist(dist) => of(&dist.token_ids, &dist.logprobs),
        Answer::LogprobOf(completion) => of(&completion.token_ids, &completion.logprobs),
        Answer::TokenLogprobs(tokens) => {
            let scored =
                tokens.token_ids.iter().copied().zip(tokens.logprobs.iter().map(|logprob| logprob.map_or(0.0, f64::from)));
            let alternatives = tokens.top_logprobs.iter().flatten().flatten();
            scored.chain(alternatives.map(|one| (one.token_id, f64::from(one.logprob)))).collect()
        }
        Answer::RollingLogprob(rolling) => of(&vec![0; rolling.logprobs.len()], &rolling.logprobs),
        Answer::Generate(generation) => of(&generation.token_ids, &vec![0.0; generation.token_ids.len()]),
        Answer::Embedding(embedding) => of(&vec![0; embedding.embedding.len()], &embedding.embedding),
        other @ (Answer::Completion(_) | Answer::Output(_) | Answer::Failed(_)) => panic!("no model answers {other:?}"),
    }
}

#[test]
fn every_op_and_view_is_answered_as_on_the_cpu() {
    for name in ["llama_default", "qwen3_window", "gemma2", "gpt2", "mixtral", "gpt_neox"] {
        let requests = requests();
        let [here, there] = [Device::Cpu, Device::Candle].map(|device| shared(name, device, Precision::F32).ask(&requests));
        for ((request, here), there) in requests.iter().zip(here).zip(there) {
            let (here, there) = (here.unwrap(), there.unwrap());
            let (ours, theirs) = (logprobs(&here), logprobs(&there));
            assert_eq!(ours.len(), theirs.len(), "{name}: {request:?}");
            for ((id, here), (other, there)) in ours.iter().zip(&theirs) {
                assert!(id == other && (here - there).abs() <= NEAR, "{name}: {request:?}: {id} {here}, {other} {there}");
            }
            if let (Answer::NextTokenDist(here), Answer::NextTokenDist(there)) = (&here, &there) {
                assert!((here.entropy - there.entropy).abs() <= NEAR);
                let js = |divergence: Option<Divergence>| divergence.map_or(0.0, |divergence| divergence.js);
                assert!((js(here.divergence) - js(there.divergence)).abs() <= NEAR);
            }
            if let (Answer::Generate(here), Answer::Generate(there)) = (&here, &there) {
                assert_eq!((&here.text, &here.token_ids, here.finish), (&there.text, &there.token_ids, there.finish));
            }
        }
    }
}

#[test]
fn another_device_is_another_identity() {
    let of = |device| shared("llama_default", device, Precision::F32).0.identity();
    assert_ne!(of(Device::Cpu), of(Device::Candle));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_has_the_same_bits_alone_and_in_any_company(
        chosen in prop::sample::subsequence(requests(), 2..20).prop_shuffle(),
        bf16: bool,
    ) {
        let model = shared("llama_default", Device::Candle, if bf16 { Precision::Bf16 } else { Precision::F32 });
        let together = model.ask(&chosen);
        for (request, together) in chosen.iter().zip(together) {
            let alone = model.ask(std::slice::from_ref(request));
            prop_assert_eq!(&alone[0], &together, "{:?}", request);
        }
    }
}
