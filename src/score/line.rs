//! One line of `sway score`: from JSON to a request, and from an answer to JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::request::{Answer, Asked, Embedder, ErrorBody, Op, Overflow, Prompt, Request, Sampling, View};
use crate::stream::in_one_line;
use crate::suite::nearest;

/// A line that was read: its id, and its request or what is wrong with it.
pub struct Line {
    pub id: Value,
    pub request: Result<Request, ErrorBody>,
}

impl Line {
    pub fn too_long(length: usize, limit: usize) -> Self {
        let message = format!("the line is {length} bytes long, and at most {limit} are read");
        Self { id: Value::Null, request: Err(bad(message)) }
    }
}

fn bad(message: impl Into<String>) -> ErrorBody {
    ErrorBody { code: "bad_request", message: message.into() }
}

/// Reads a line; a blank one holds no request.
pub fn read_line(bytes: &[u8]) -> Option<Line> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    match serde_json::from_slice::<Map<String, Value>>(bytes) {
        Ok(mut fields) => {
            let id = fields.remove("id").unwrap_or(Value::Null);
            Some(Line { id, request: Fields(fields).request() })
        }
        Err(error) => Some(Line { id: id_of(bytes), request: Err(bad(format!("not a JSON object: {}", in_one_line(&error)))) }),
    }
}

/// The id of a line that is not quite JSON (a lone surrogate in its prompt): ignoring a string asks less of it than reading it.
fn id_of(bytes: &[u8]) -> Value {
    #[derive(Deserialize)]
    struct Id {
        #[serde(default)]
        id: Value,
    }
    serde_json::from_slice::<Id>(bytes).map_or(Value::Null, |line| line.id)
}

/// The fields of a request, each to be taken once.
struct Fields(Map<String, Value>);

/// Keys that requests may have, whatever their op.
const KEYS: [&str; 19] = [
    "id",
    "op",
    "view",
    "prompt",
    "messages",
    "add_generation_prompt",
    "tools",
    "chat_template",
    "chat_template_kwargs",
    "completion",
    "text",
    "top",
    "top_k",
    "versus",
    "max_new_tokens",
    "temperature",
    "top_p",
    "seed",
    "truncate",
];

/// Tokens listed where `top_k` is left out.
const DEFAULT_TOP_K: usize = 8;

impl Fields {
    fn request(mut self) -> Result<Request, ErrorBody> {
        let op: String = self.required("op")?;
        let view = self.view("view")?.unwrap_or(View::Base);
        let overflow = if self.optional("truncate")?.unwrap_or(false) { Overflow::KeepLast } else { Overflow::Refuse };
        let op = match op.as_str() {
            "next_token_dist" => Op::NextTokenDist {
                prompt: self.prompt()?,
                top_k: self.optional("top_k")?.unwrap_or(DEFAULT_TOP_K),
                versus: self.view("versus")?,
            },
            "logprob_of" => Op::LogprobOf { prompt: self.prompt()?, completion: self.required("completion")? },
            "rolling_logprob" => Op::RollingLogprob { text: self.required("text")? },
            "token_logprobs" => Op::TokenLogprobs { prompt: self.prompt()?, top: self.optional("top")?.unwrap_or(0) },
            "generate" => Op::Generate {
                prompt: self.prompt()?,
                max_new_tokens: self.required("max_new_tokens")?,
                sampling: self.sampling()?,
            },
            "embed" => Op::Embed { text: self.required("text")?, embedder: Embedder::States },
            other => return Err(bad(format!("unknown op `{other}`{}", hint(other, &Op::NAMES)))),
        };
        match self.0.keys().next() {
            None => Ok(Request { overflow, ..Request::new(view, op) }),
            Some(key) if KEYS.contains(&key.as_str()) => Err(bad(format!("`{key}` does not go with {}", op.name()))),
            Some(key) => Err(bad(format!("unknown key `{key}`{}", hint(key, &KEYS)))),
        }
    }

    /// `prompt`, or `messages` and what goes with them. A list that does not begin with a message is one of token ids.
    fn prompt(&mut self) -> Result<Prompt, ErrorBody> {
        if !self.0.contains_key("messages") {
            if let Some(Value::Array(list)) = self.0.get("prompt")
                && list.first().is_none_or(Value::is_number)
            {
                return self.required("prompt").map(Prompt::Tokens);
            }
            return self.required("prompt");
        }
        let keys = ["prompt", "messages", "add_generation_prompt", "tools", "chat_template", "chat_template_kwargs"];
        let asked: Map<String, Value> = keys.iter().filter_map(|key| self.0.remove_entry(*key)).collect();
        serde_json::from_value(Value::Object(asked)).map(|Asked(prompt)| prompt).map_err(|error| bad(error.to_string()))
    }

    /// Greedy unless a temperature is given.
    fn sampling(&mut self) -> Result<Sampling, ErrorBody> {
        let temperature: Option<f32> = self.optional("temperature")?;
        let top_p: Option<f32> = self.optional("top_p")?;
        let seed: Option<u64> = self.optional("seed")?;
        match temperature {
            None if top_p.is_some() || seed.is_some() => {
                Err(bad("`top_p` and `seed` go with a `temperature`; without one the choice is greedy"))
            }
            None => Ok(Sampling::Greedy),
            Some(temperature) => Ok(Sampling::Sample { temperature, top_p: top_p.unwrap_or(1.0), seed: seed.unwrap_or(0) }),
        }
    }

    fn view(&mut self, key: &str) -> Result<Option<View>, ErrorBody> {
        let Some(text) = self.optional::<String>(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: crate::request::ViewError| bad(error.to_string()))
    }

    fn required<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<T, ErrorBody> {
        self.optional(key)?.ok_or_else(|| match self.0.keys().find(|there| nearest(there, [key]).is_some()) {
            Some(there) => bad(format!("`{key}` is missing\nhint: is `{there}` meant to be it?")),
            None => bad(format!("`{key}` is missing")),
        })
    }

    fn optional<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, ErrorBody> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|error| bad(format!("`{key}`: {error}"))),
        }
    }
}

fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("\nhint: did you mean `{near}`?"),
        None => format!("\nhint: known are {}", known.join(", ")),
    }
}

/// An answer as a line.
pub fn answer_line(id: &Value, request: &Request, answer: &Answer) -> Vec<u8> {
    #[derive(Serialize)]
    struct Full<'a, A: Serialize> {
        id: &'a Value,
        op: &'static str,
        view: View,
        #[serde(flatten)]
        answer: &'a A,
    }
    /// What a program wrote.
    #[derive(Serialize)]
    struct Text<'a> {
        text: &'a str,
    }
    fn full<A: Serialize>(id: &Value, request: &Request, answer: &A) -> Vec<u8> {
        line(&Full { id, op: request.op.name(), view: request.view, answer })
    }
    match answer {
        Answer::NextTokenDist(dist) => full(id, request, dist),
        Answer::LogprobOf(completion) => full(id, request, completion),
        Answer::RollingLogprob(rolling) => full(id, request, rolling),
        Answer::TokenLogprobs(tokens) => full(id, request, tokens),
        Answer::Generate(generation) => full(id, request, generation),
        Answer::Embedding(embedding) => full(id, request, embedding),
        Answer::Completion(completion) => full(id, request, completion),
        Answer::Output(text) => full(id, request, &Text { text }),
        Answer::Failed(failure) => line(&serde_json::json!({ "id": id, "error": failure })),
    }
}

/// A request's error as a line, in the answer's place.
pub fn error_line(id: &Value, error: &ErrorBody) -> Vec<u8> {
    #[derive(Serialize)]
    struct Refused<'a> {
        id: &'a Value,
        error: &'a ErrorBody,
    }
    line(&Refused { id, error })
}

fn line(value: &impl Serialize) -> Vec<u8> {
    // Maps with string keys and finite numbers always have a JSON form; what has none would be a fault worth seeing.
    let mut bytes = serde_json::to_vec(value)
        .unwrap_or_else(|error| format!("{{\"error\":{{\"code\":\"internal\",\"message\":\"{error}\"}}}}").into_bytes());
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, String> {
        read_line(line.as_bytes()).unwrap().request.map_err(|error| error.message)
    }

    #[test]
    fn a_request_without_a_view_asks_the_base() {
        let got = request(r#"{"id":"a","op":"logprob_of","prompt":"p","completion":"c"}"#).unwrap();
        assert_eq!(got, Request::new(View::Base, Op::LogprobOf { prompt: "p".into(), completion: "c".into() }));
    }

    #[test]
    fn a_conversation_takes_the_prompts_place() {
        let line = r#"{"op":"next_token_dist","messages":[{"role":"user","content":"hi"}]}"#;
        let op = Op::NextTokenDist { prompt: Prompt::from("hi").as_user_turn(), top_k: 8, versus: None };
        assert_eq!(request(line).unwrap(), Request::new(View::Base, op));
        let both = r#"{"op":"next_token_dist","messages":[{"role":"user","content":"hi"}],"prompt":"hi"}"#;
        assert!(request(both).unwrap_err().contains("can't both be given"));
        assert!(
            request(r#"{"op":"next_token_dist","prompt":"hi","tools":[]}"#).unwrap_err().contains("`tools` does not go with")
        );
        assert!(request(r#"{"op":"next_token_dist","messages":[]}"#).unwrap_err().contains("`messages` is empty"));
    }

    #[test]
    fn token_ids_are_a_prompt() {
        let prompt = |list: &str| {
            let request = request(&format!(r#"{{"op":"next_token_dist","prompt":{list}}}"#))?;
            Ok::<_, String>(request.op.prompt().cloned())
        };
        assert_eq!(prompt("[5, 0]"), Ok(Some(Prompt::Tokens(vec![5, 0]))));
        assert_eq!(prompt("[]"), Ok(Some(Prompt::Tokens(Vec::new()))));
        assert_eq!(prompt(r#"[{"role":"user","content":"hi"}]"#), Ok(Some(Prompt::from("hi").as_user_turn())));
        for list in ["[-1]", "[4294967296]", "[1.5]", r#"[1, "a"]"#, r#"["a"]"#] {
            assert!(prompt(list).unwrap_err().starts_with("`prompt`: invalid"), "{list}");
        }
    }

    #[test]
    fn a_misspelt_op_view_or_key_is_met_with_the_nearest_name() {
        assert!(request(r#"{"op":"logprob_off","prompt":"p"}"#).unwrap_err().contains("did you mean `logprob_of`"));
        assert!(request(r#"{"op":"rolling_logprob","text":"p","view":"scaled_0.5"}"#).unwrap_err().contains("scaled_0.50"));
        assert!(request(r#"{"op":"logprob_of","promt":"p","completion":"c"}"#).unwrap_err().contains("`prompt` is missing"));
        assert!(request(r#"{"op":"rolling_logprob","text":"p","vieww":"ft"}"#).unwrap_err().contains("did you mean `view`"));
    }

    #[test]
    fn a_key_of_another_op_is_refused() {
        assert!(
            request(r#"{"op":"rolling_logprob","text":"p","completion":"c"}"#)
                .unwrap_err()
                .contains("does not go with rolling_logprob")
        );
    }

    #[test]
    fn a_line_with_a_lone_surrogate_keeps_its_id() {
        let line = read_line(br#"{"id":"x","op":"rolling_logprob","text":"\ud800"}"#).unwrap();
        assert_eq!(line.id, "x");
        let message = line.request.unwrap_err().message;
        assert!(message.contains("half of a surrogate pair stands for no character, at column 48"), "{message}");
    }

    #[test]
    fn a_blank_line_is_no_request() {
        assert!(read_line(b"  \t\r").is_none());
    }
}
