//! Requests become tokens, through small tokenizers of each kind on the weights of a golden.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::model::{NullKind, Precision};

/// The golden's model with its tokenizer edited.
fn model(edit: impl FnOnce(&mut Value)) -> Model {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/llama_default/base");
    let dir = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(file), dir.path().join(file)).unwrap();
    }
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(golden.join("tokenizer.json")).unwrap()).unwrap();
    edit(&mut tokenizer);
    fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    Model::load(dir.path(), None, NullKind::Matched, Precision::F32).unwrap_or_else(|e| panic!("{e}"))
}

/// Words `w0`, `w1`, …, split at white space: word i is token i + 3.
fn words() -> Model {
    model(|_| {})
}

/// Words, whose post-processor puts `<s>` before a text and `</s>` after it.
fn with_begin_and_end() -> Model {
    model(|tokenizer| {
        let special = |token: &str, id: u32| json!({"id": token, "ids": [id], "tokens": [token]});
        let sequence = json!([
            {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}},
        ]);
        tokenizer["post_processor"] = json!({
            "type": "TemplateProcessing", "single": sequence, "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": special("<s>", 1), "</s>": special("</s>", 2)},
        });
    })
}

/// A byte-level BPE as GPT-2's: `a`, `b`, `Ġ` (a space), `Ċ` (a line feed), `Ã` and `©` (the bytes of é), and ` b` as one token.
fn byte_level() -> Model {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    model(|tokenizer| {
        tokenizer["added_tokens"] = json!([]);
        tokenizer["model"] = json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ċ": 3, "Ġb": 4, "Ã": 5, "©": 6}, "merges": [["Ġ", "b"]],
        });
        for part in ["pre_tokenizer", "post_processor", "decoder"] {
            tokenizer[part] = byte_level.clone();
        }
    })
}

fn completion(prompt: &str, completion: &str) -> Request {
    Request::new(View::Base, Op::LogprobOf { prompt: prompt.into(), completion: completion.to_owned() })
}

fn next(prompt: &str) -> Request {
    Request::new(View::Base, Op::NextTokenDist { prompt: prompt.into(), top_k: 1, versus: None })
}

fn rolling(text: &str) -> Request {
    Request::new(View::Base, Op::RollingLogprob { text: text.to_owned() })
}

fn tokens(prompt: &str) -> Request {
    Request::new(View::Base, Op::TokenLogprobs { prompt: prompt.into(), top: 3 })
}

fn generate(prompt: &str) -> Request {
    Request::new(View::Base, Op::Generate { prompt: prompt.into(), max_new_tokens: 4, sampling: Sampling::Greedy })
}

fn truncated(request: Request) -> Request {
    Request { overflow: Overflow::KeepLast, ..request }
}

/// The tokens before the completion, and those of it.
fn parts(model: &Model, request: &Request) -> (Vec<u32>, Vec<u32>) {
    let job = model.prepare(request).unwrap();
    let Work::Score { from, .. } = job.work else { panic!("no scoring job") };
    (job.tokens[..from].to_vec(), job.tokens[from..].to_vec())
}

#[test]
fn the_completion_begins_at_the_first_token_that_ends_after_the_prompt() {
    let model = byte_level();
    assert_eq!(parts(&model, &completion("a", "b")), (vec![0], vec![1]));
    assert_eq!(parts(&model, &completion("a", " b")), (vec![0], vec![4]));
    assert_eq!(
        parts(&model, &completion("a ", "b")),
        (vec![0], vec![4]),
        "a token that begins in the prompt belongs to the completion"
    );
    assert_eq!(parts(&model, &completion("aé", "é")), (vec![0, 5, 6], vec![5, 6]));
    assert_eq!(parts(&words(), &completion("w0 w1", " w2 w3")), (vec![3, 4], vec![5, 6]));
}

#[test]
fn white_space_is_a_completion_where_the_tokenizer_has_tokens_for_it() {
    let model = byte_level();
    assert_eq!(parts(&model, &completion("a", " ")), (vec![0], vec![2]));
    assert_eq!(parts(&model, &completion("a", "\n")), (vec![0], vec![3]));
    assert_eq!(parts(&model, &completion("a b", "\n\n")), (vec![0, 4], vec![3, 3]));
    assert_eq!(words().prepare(&completion("w0", " ")), Err(RequestError::CompletionWithoutTokens));
}

#[test]
fn a_completion_that_melts_into_the_first_token_has_nothing_to_be_predicted_from() {
    assert_eq!(words().prepare(&completion("w", "1")), Err(RequestError::CompletionWithoutTokens));
}

fn ids(ids: &[u32]) -> Prompt {
    Prompt::Tokens(ids.to_vec())
}

#[test]
fn token_ids_are_read_as_they_are() {
    let model = with_begin_and_end();
    let ops = |prompt: Prompt| {
        let generate = Op::Generate { prompt: prompt.clone(), max_new_tokens: 4, sampling: Sampling::Greedy };
        let tokens = Op::TokenLogprobs { prompt: prompt.clone(), top: 1 };
        [Op::NextTokenDist { prompt, top_k: 1, versus: None }, tokens, generate].map(|op| Request::new(View::Base, op))
    };
    for request in ops(ids(&[3, 1, 1, 95])) {
        assert_eq!(model.prepare(&request).unwrap().tokens, [3, 1, 1, 95], "no special token comes before them");
    }
    for request in ops(ids(&[3, 96, 97])) {
        let error = model.prepare(&request).unwrap_err();
        assert_eq!(error, RequestError::UnknownToken { id: 96, vocab_size: 96 });
        assert_eq!(error.to_string(), "the prompt has the token id 96, and the model's vocabulary has 96 tokens");
    }
    for request in ops(ids(&[])) {
        assert_eq!(model.prepare(&request), Err(RequestError::EmptyPrompt));
    }
}

#[test]
fn a_text_does_not_complete_token_ids() {
    let request = Request::new(View::Base, Op::LogprobOf { prompt: ids(&[3]), completion: " w1".to_owned() });
    assert_eq!(words().prepare(&request), Err(RequestError::TextAfterTokens));
}

#[test]
fn the_tokenizers_own_truncation_and_padding_are_ignored() {
    let model = model(|tokenizer| {
        tokenizer["truncation"] = json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
        tokenizer["padding"] = json!({
            "strategy": {"Fixed": 10}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 2, "pad_type_id": 0, "pad_token": "</s>",
        });
    });
    assert_eq!(model.prepare(&next("w0")).unwrap().tokens, [3]);
    assert_eq!(model.prepare(&next("w0 w1 w2")).unwrap().tokens, [3, 4, 5]);
}

#[test]
fn an_end_token_that_the_post_processor_adds_is_no_part_of_a_completion() {
    let model = with_begin_and_end();
    assert_eq!(parts(&model, &completion("w0", " w1")), (vec![1, 3], vec![4]));
    assert_eq!(model.prepare(&completion("w0", " ")), Err(RequestError::CompletionWithoutTokens));
    // Elsewhere its tokens stand as it adds them.
    assert_eq!(model.prepare(&rolling("w0")).unwrap().tokens, [1, 3, 2]);
}

#[test]
fn a_rolling_text_is_scored_from_its_second_token() {
    let model = words();
    assert_eq!(parts(&model, &rolling("w0 w1 w2")), (vec![3], vec![4, 5]));
    assert_eq!(model.prepare(&rolling("w0")), Err(RequestError::TextTooShort { tokens: 1 }));
    assert_eq!(model.prepare(&rolling("")), Err(RequestError::TextTooShort { tokens: 0 }));
}

#[test]
fn what_is_empty_is_refused() {
    let model = words();
    // Blanks have no tokens here.
    for blank in ["", "  \n"] {
        assert_eq!(model.prepare(&next(blank)), Err(RequestError::EmptyPrompt));
        assert_eq!(model.prepare(&generate(blank)), Err(RequestError::EmptyPrompt));
        assert_eq!(model.prepare(&tokens(blank)), Err(RequestError::EmptyPrompt));
    }
    assert_eq!(model.prepare(&completion("", "w1")), Err(RequestError::EmptyPrompt));
    assert_eq!(model.prepare(&completion("w1", "")), Err(RequestError::EmptyCompletion));
}

#[test]
fn an_input_longer_than_the_context_is_refused_with_both_lengths_or_cut_to_its_last_tokens() {
    let model = words();
    let context = model.context();
    let text = |words: usize| (0..words).map(|i| format!("w{}", i % 90)).collect::<Vec<_>>().join(" ");
    let (fits, too_long) = (text(context), text(context + 3));
    let refused = RequestError::TooLong { tokens: context + 3, context };
    assert_eq!(refused.to_string().lines().next(), Some("the input has 67 tokens and the model's context holds 64"));
    for request in [next(&too_long), rolling(&too_long), tokens(&too_long), completion("w0", &too_long[2..]), generate(&too_long)]
    {
        assert_eq!(model.prepare(&request), Err(refused.clone()));
        if matches!(request.op, Op::LogprobOf { .. }) {
            continue;
        }
        let all: Vec<u32> = (0..context as u32 + 3).map(|i| i % 90 + 3).collect();
        let cut = model.prepare(&truncated(request)).unwrap();
        assert!(all.ends_with(&cut.tokens));
        let room = if matches!(cut.work, Work::Generate { .. }) { context - 1 } else { context };
        assert_eq!(cut.tokens.len(), room);
    }
    assert_eq!(model.prepare(&next(&fits)).unwrap().tokens.len(), context);
    assert_eq!(model.prepare(&generate(&fits)), Err(RequestError::NoRoom { context }), "there is no room for a token");
    // The boundary moves with the cut; a completion is scored whole or not at all.
    assert_eq!(parts(&model, &truncated(completion(&fits, " w7"))).1, [10]);
    assert_eq!(parts(&model, &truncated(completion("w0", &format!(" {}", text(context - 1))))).1.len(), context - 1);
    let long = model.prepare(&truncated(completion("w0", &format!(" {fits}"))));
    assert_eq!(long, Err(RequestError::CompletionTooLong { context }));
}

#[test]
fn a_token_beyond_the_vocabulary_is_refused() {
    let model = model(|tokenizer| tokenizer["model"]["vocab"]["w0"] = json!(96));
    let Err(RequestError::Tokenizer { message }) = model.prepare(&next("w1 w0")) else { panic!("it was not refused") };
    assert!(
        message.starts_with(
            "it gives the token 96, and the model's vocabulary ends at 95\nhint: the tokenizer belongs to another model"
        ),
        "{message}"
    );
}

#[test]
fn parameters_out_of_range_are_named() {
    let model = words();
    let ask = |op: Op| model.prepare(&Request::new(View::Base, op)).unwrap_err().to_string();
    for top_k in [0, 97] {
        let message = ask(Op::NextTokenDist { prompt: "w0".into(), top_k, versus: None });
        assert_eq!(message, format!("top_k must be between 1 and the vocabulary's size, 96, not {top_k}"));
    }
    let continued = |max_new_tokens, sampling| ask(Op::Generate { prompt: "w0".into(), max_new_tokens, sampling });
    let sample = |temperature, top_p| Sampling::Sample { temperature, top_p, seed: 0 };
    assert_eq!(continued(0, Sampling::Greedy), "max_new_tokens must be at least 1, not 0");
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(continued(1, sample(temperature, 1.0)).starts_with("temperature must be above 0"));
    }
    for top_p in [0.0, 1.5, f32::NAN] {
        assert!(continued(1, sample(1.0, top_p)).starts_with("top_p must be above 0 and at most 1"));
    }
}

#[test]
fn a_view_of_an_adapter_needs_one() {
    let model = words();
    assert_eq!(model.prepare(&Request { view: View::Ft, ..next("w0") }), Err(RequestError::NoAdapter { view: View::Ft }));
    let versus = Op::NextTokenDist { prompt: "w0".into(), top_k: 1, versus: Some(View::Null(3)) };
    assert_eq!(model.prepare(&Request::new(View::Base, versus)), Err(RequestError::NoAdapter { view: View::Null(3) }));
}
