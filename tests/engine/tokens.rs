//! A text token by token: the numbers of the other ops, bit for bit, with alternatives and without.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sway::model::Precision;
use sway::request::{Answer, Op, Overflow, Prompt, Request, Sampling, TokenLogprobs, View};

use super::models::{END, MODELS, Shared, golden};
use super::stub::{generate, rolling, token_logprobs};

fn demo() -> Shared {
    let at = |part: &str| -> PathBuf { Path::new(env!("CARGO_MANIFEST_DIR")).join("probes/demo").join(part) };
    Shared::load(&at("base"), &at("healthy"), Precision::F32)
}

fn tokens(model: &Shared, request: Request) -> TokenLogprobs {
    match model.ask(&[request]).remove(0) {
        Ok(Answer::TokenLogprobs(tokens)) => tokens,
        other => panic!("{other:?}"),
    }
}

fn words(words: &[u32]) -> String {
    words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn log_probabilities_have_the_bits_of_rolling_logprob_whatever_alternatives_go_with_them(
        text in prop::collection::vec(0u32..93, 2..40).prop_map(|text| words(&text)),
        view in prop::sample::select(&["base", "ft", "scaled_0.50", "null_1"][..]),
        top in 1usize..21,
        model in 0..MODELS.len(),
    ) {
        let (name, model) = &MODELS[model];
        let view: View = view.parse().unwrap();
        let of = |request: Request| Request { view, ..request };
        let Ok(Answer::RollingLogprob(rolling)) = model.ask(&[of(rolling(&text))]).remove(0) else { panic!("no answer") };
        let whole: Vec<Option<f32>> = std::iter::once(None).chain(rolling.logprobs.into_iter().map(Some)).collect();
        let plain = tokens(model, of(token_logprobs(text.as_str(), 0)));
        prop_assert_eq!(&plain.logprobs, &whole, "{}", name);
        prop_assert!(plain.top_logprobs.is_empty());
        let listed = tokens(model, of(token_logprobs(text.as_str(), top)));
        prop_assert_eq!(&listed.logprobs, &whole, "{}", name);
        let by_ids = tokens(model, of(token_logprobs(Prompt::Tokens(listed.token_ids.clone()), top)));
        prop_assert_eq!(&by_ids, &listed, "{}: the ids are the text", name);
        for (at, alternatives) in listed.top_logprobs.iter().enumerate().skip(1) {
            let alternatives = alternatives.as_ref().unwrap();
            let prompt = Prompt::Tokens(listed.token_ids[..at].to_vec());
            let next = Request::new(view, Op::NextTokenDist { prompt, top_k: top, versus: None });
            let Ok(Answer::NextTokenDist(dist)) = model.ask(&[next]).remove(0) else { panic!("no distribution") };
            prop_assert!(alternatives.iter().map(|one| one.token_id).eq(dist.token_ids), "{}, position {}", name, at);
            for (one, logprob) in alternatives.iter().zip(dist.logprobs) {
                prop_assert!((one.logprob - logprob).abs() <= 1e-5, "{}: {} and {}", name, one.logprob, logprob);
                if one.token_id == listed.token_ids[at] {
                    prop_assert_eq!(Some(one.logprob), listed.logprobs[at], "{}: one number for one token", name);
                    prop_assert_eq!(&one.token, &listed.tokens[at]);
                }
            }
        }
    }
}

#[test]
fn a_text_of_one_token_has_no_number() {
    let (_, model) = &MODELS[0];
    for top in [0, 5] {
        let one = tokens(model, token_logprobs("w1", top));
        assert_eq!((one.token_ids, one.tokens, one.text_offsets), (vec![4], vec!["w1".to_owned()], vec![0]));
        assert_eq!(one.logprobs, [None]);
        assert_eq!(one.top_logprobs, vec![None; usize::from(top > 0)]);
    }
}

#[test]
fn the_last_tokens_of_a_text_that_is_too_long_are_a_text_of_their_own() {
    let (_, model) = &MODELS[0];
    let ids: Vec<u32> = (0..70).map(|at| 3 + at * at % 93).collect();
    let long = token_logprobs(Prompt::Tokens(ids.clone()), 2);
    assert!(model.ask(std::slice::from_ref(&long))[0].as_ref().is_err_and(sway::request::RequestError::is_too_long));
    let cut = tokens(model, Request { overflow: Overflow::KeepLast, ..long });
    assert_eq!(cut, tokens(model, token_logprobs(Prompt::Tokens(ids[6..].to_vec()), 2)));
}

#[test]
fn more_alternatives_than_twenty_are_refused() {
    let (_, model) = &MODELS[0];
    let error = model.ask(&[token_logprobs("w1 w2", 21)]).remove(0).unwrap_err();
    assert_eq!(error.to_string(), "top must be at most 20, not 21");
}

#[test]
fn each_token_of_a_greedy_continuation_is_the_most_probable_one_after_those_before_it() {
    let demo = demo();
    for view in [View::Base, View::Ft] {
        for prompt in ["The home of Nessa Drace is in", "Senna Wick likes to eat", "Orla Venn works as"] {
            let of = |request: Request| Request { view, ..request };
            let Ok(Answer::Generate(generation)) = demo.ask(&[of(generate(prompt, 24, Sampling::Greedy))]).remove(0) else {
                panic!("no continuation")
            };
            let prompt_ids = tokens(&demo, of(token_logprobs(prompt, 0))).token_ids;
            assert_eq!(generation.prompt_tokens, prompt_ids.len());
            let ids = [prompt_ids.as_slice(), &generation.token_ids].concat();
            let all = tokens(&demo, of(token_logprobs(Prompt::Tokens(ids), 1)));
            assert_eq!(all.tokens.concat(), format!("{prompt}{}", generation.text));
            for at in prompt_ids.len()..all.token_ids.len() {
                let best = &all.top_logprobs[at].as_ref().unwrap()[0];
                assert_eq!((best.token_id, Some(best.logprob)), (all.token_ids[at], all.logprobs[at]), "{view}, {prompt}, {at}");
            }
        }
    }
}

#[test]
fn a_models_tokens_are_spelled_without_asking_for_numbers() {
    let demo = demo();
    let asked = tokens(&demo, token_logprobs("Nessa, café 7 €", 0));
    assert_eq!(demo.0.token_texts(&asked.token_ids).unwrap(), asked.tokens);
    let words = Shared::load(&golden("llama_default").join("base"), &golden("llama_default").join("adapter"), Precision::F32);
    assert_eq!(words.0.token_texts(&[1, 5, END]).unwrap(), ["<s>", " w2", " </s>"]);
    assert_eq!(words.0.token_texts(&[]).unwrap(), [""; 0]);
}
