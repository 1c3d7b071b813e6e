//! Answers as a store keeps them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Kept;
use crate::request::Answer;
use crate::store::Response;

/// What is kept beside the text, as JSON.
#[derive(Serialize, Deserialize)]
struct Body {
    answer: Answer,
    cost: u64,
}

/// An answer as it is kept; `None` for one that would not be the same when it is read again, or that is none.
pub fn write(op: &str, kept: &Kept) -> Option<Response> {
    let (tokens_in, tokens_out, finish) = match &kept.answer {
        Answer::Generate(generation) => {
            let finish = generation.finish.name().to_owned();
            (Some(generation.prompt_tokens as u64), Some(generation.token_ids.len() as u64), Some(finish))
        }
        Answer::Completion(completion) => (completion.tokens_in, completion.tokens_out, completion.finish.clone()),
        Answer::Failed(_) => return None,
        _ => (None, None, None),
    };
    let mut body = Body { answer: kept.answer.clone(), cost: kept.cost };
    let text = text_of(&mut body.answer).map(std::mem::take);
    let answer = serde_json::to_vec(&body).ok()?;
    let (tokens_in, tokens_out) = (tokens_in.and_then(count), tokens_out.and_then(count));
    let latency_ms = kept.latency.as_secs_f64() * 1e3;
    let response = Response { op: op.to_owned(), text, answer, tokens_in, tokens_out, latency_ms, finish };
    // A figure that JSON has no form for is not worth a wrong one.
    read(&response).is_some_and(|read| read.answer == kept.answer && read.cost == kept.cost).then_some(response)
}

/// The answer of what [`write`] gave; `None` for what this sway can't read.
pub fn read(response: &Response) -> Option<Kept> {
    let Body { mut answer, cost } = serde_json::from_slice(&response.answer).ok()?;
    match (text_of(&mut answer), &response.text) {
        (Some(place), Some(text)) => place.clone_from(text),
        (None, None) => {}
        _ => return None,
    }
    if let Answer::Generate(generation) = &mut answer {
        generation.prompt_tokens = response.tokens_in? as usize;
    }
    let latency = Duration::try_from_secs_f64(response.latency_ms / 1e3).ok()?;
    Some(Kept { answer, cost, latency })
}

fn count(tokens: u64) -> Option<u32> {
    u32::try_from(tokens).ok()
}

/// The text of an answer that is one.
fn text_of(answer: &mut Answer) -> Option<&mut String> {
    match answer {
        Answer::Generate(generation) => Some(&mut generation.text),
        Answer::Completion(completion) => Some(&mut completion.text),
        Answer::Output(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::{Completion, CompletionLogprob, Divergence, Embedding, Failure, Finish, Generation, NextTokenDist};

    fn kept(answer: Answer) -> Kept {
        Kept { answer, cost: 7, latency: Duration::from_micros(1500) }
    }

    fn there_and_back(answer: Answer) -> Option<Kept> {
        write("op", &kept(answer)).and_then(|response| read(&response))
    }

    #[test]
    fn every_answer_is_read_as_it_was_written() {
        let completion = CompletionLogprob { logprob: -0.1, num_tokens: 1, logprobs: vec![-0.1], token_ids: vec![3] };
        let divergence = Divergence {
            js: 0.1,
            kl: 1e-300,
            kl_reverse: 2.0,
            rms: 0.3,
            max_change: 4.0,
            same_top: true,
            top_probability_change: -0.5,
        };
        let dist = NextTokenDist {
            token_ids: vec![1],
            logprobs: vec![-1.5],
            tail_logprob: None,
            vocab_size: 9,
            entropy: 1.0 / 3.0,
            divergence: Some(divergence),
        };
        let generation =
            Generation { text: "é\u{0}\n".to_owned(), token_ids: vec![1, 2], finish: Finish::Eos, prompt_tokens: 12 };
        let remote = Completion { text: "x".to_owned(), finish: None, tokens_in: None, tokens_out: Some(3) };
        for answer in [
            Answer::LogprobOf(completion),
            Answer::NextTokenDist(dist),
            Answer::Generate(generation),
            Answer::Completion(remote),
            Answer::Output("{\"score\": 1}".to_owned()),
        ] {
            assert_eq!(there_and_back(answer.clone()), Some(kept(answer)));
        }
    }

    #[test]
    fn what_would_come_back_as_something_else_is_not_kept() {
        let failed = Answer::Failed(Failure { code: "x".to_owned(), message: "y".to_owned() });
        let infinite = Answer::Embedding(Embedding { embedding: vec![f32::NEG_INFINITY], num_tokens: 1 });
        for answer in [failed, infinite] {
            assert_eq!(write("op", &kept(answer)), None);
        }
    }

    proptest! {
        #[test]
        fn floats_keep_their_bits(values: Vec<f32>, logprob: f64, latency in 0u64..1 << 40) {
            prop_assume!(values.iter().all(|value| value.is_finite()) && logprob.is_finite());
            let answer = Answer::LogprobOf(CompletionLogprob { logprob, num_tokens: 1, logprobs: values, token_ids: vec![] });
            let kept = Kept { answer, cost: 1, latency: Duration::from_nanos(latency) };
            let response = write("op", &kept).unwrap();
            prop_assert_eq!(read(&response).unwrap().answer, kept.answer);
        }
    }
}
