//! What is asked, in the words that both endpoints have.

use serde_json::{Value, json};

use super::fields::{Fields, wrong};
use super::random::random;
use super::stops::Stops;
use crate::request::{Prompt, Sampling};
use crate::serve::http::refusal::Refusal;

/// Most continuations of one prompt.
const MOST_CHOICES: usize = 16;

/// Most tokens that are listed beside each.
pub const MOST_ALTERNATIVES: usize = 20;

/// Continuations that are asked for, and what is to be told of them.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The model, as the client names it.
    pub model: String,
    pub prompts: Vec<Prompt>,
    /// `None` for as many as there is room for.
    pub max_tokens: Option<usize>,
    /// Whether the prompt is told with what continues it.
    pub echo: bool,
    /// How many tokens are listed beside each, where log-probabilities are asked for.
    pub top: Option<usize>,
    pub manner: Manner,
}

/// How prompts are to be continued.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Continuations of each.
    pub n: usize,
    temperature: f32,
    top_p: f32,
    seed: Option<u64>,
    pub stops: Stops,
    pub streamed: Option<Streamed>,
}

/// An answer that is told while it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Whether it ends with how many tokens there were.
    pub with_usage: bool,
}

impl Manner {
    /// The fields that both endpoints have.
    pub fn take(fields: &mut Fields) -> Result<Self, Refusal> {
        // Compared in float32, which is what the sampler is given.
        let temperature = fields.number("temperature", "a number from 0 to 2", |t| (0.0..=2.0).contains(&t))?;
        let top_p = fields.number("top_p", "a number above 0 and at most 1", |p| p > 0.0 && p <= 1.0)?;
        Ok(Self {
            n: fields.count("n", 1, MOST_CHOICES)?.unwrap_or(1),
            temperature: temperature.unwrap_or(1.0),
            top_p: top_p.unwrap_or(1.0),
            seed: seed(fields)?,
            stops: Stops::take(fields)?,
            streamed: streamed(fields)?,
        })
    }

    /// How each continuation of one prompt is chosen.
    pub fn samplings(&self) -> Vec<Sampling> {
        // Whoever gives no seed wants other samples each time, of the same prompt in one request too.
        let first = self.seed.unwrap_or_else(random);
        let of = |at: u64| match self.temperature {
            0.0 => Sampling::Greedy,
            temperature => Sampling::Sample { temperature, top_p: self.top_p, seed: first.wrapping_add(at) },
        };
        (0..self.n as u64).map(of).collect()
    }
}

/// Any integer of 64 bits, with a sign or without.
fn seed(fields: &mut Fields) -> Result<Option<u64>, Refusal> {
    let Some(value) = fields.take("seed") else { return Ok(None) };
    let seed = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
    seed.map(Some).ok_or_else(|| wrong("seed", "an integer", &value))
}

fn streamed(fields: &mut Fields) -> Result<Option<Streamed>, Refusal> {
    let streams = fields.switch("stream")?.unwrap_or(false);
    let with_usage = match fields.take("stream_options") {
        None => false,
        Some(_) if !streams => return Err(Refusal::bad("`stream_options` go with `stream`")),
        Some(Value::Object(options)) => {
            let mut options = Fields::new(options);
            let with_usage = options.switch("include_usage")?.unwrap_or(false);
            options.refuse_unless(&[("include_obfuscation", &[json!(false)])])?;
            options.finish(&["include_usage"])?;
            with_usage
        }
        Some(other) => return Err(wrong("stream_options", "an object", &other)),
    };
    Ok(streams.then_some(Streamed { with_usage }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner(json: Value) -> Result<Manner, String> {
        Manner::take(&mut Fields::new(serde_json::from_value(json).unwrap())).map_err(|refusal| refusal.message)
    }

    fn seeds(manner: &Manner) -> Vec<u64> {
        let seed = |sampling| if let Sampling::Sample { seed, .. } = sampling { seed } else { panic!("greedy") };
        manner.samplings().into_iter().map(seed).collect()
    }

    #[test]
    fn each_choice_has_a_seed_of_its_own() {
        assert_eq!(seeds(&manner(json!({"n": 3, "seed": 7})).unwrap()), [7, 8, 9]);
        assert_eq!(seeds(&manner(json!({"n": 2, "seed": -1})).unwrap()), [u64::MAX, 0]);
        let unseeded = manner(json!({})).unwrap();
        assert_ne!(seeds(&unseeded), seeds(&unseeded));
    }

    #[test]
    fn a_temperature_of_zero_is_greedy() {
        for zero in [json!(0), json!(0.0), json!(-0.0), json!(1e-60)] {
            assert_eq!(manner(json!({"temperature": zero, "n": 2})).unwrap().samplings(), [Sampling::Greedy; 2]);
        }
    }

    #[test]
    fn parameters_out_of_their_bounds_are_told_by_name() {
        for (field, value) in [
            ("n", json!(0)),
            ("n", json!(17)),
            ("n", json!("2")),
            ("temperature", json!(-0.1)),
            ("temperature", json!(2.1)),
            ("top_p", json!(0)),
            ("top_p", json!(1.1)),
            ("seed", json!(1.5)),
            ("stream", json!("yes")),
            ("stream_options", json!({})),
        ] {
            assert!(manner(json!({field: value})).unwrap_err().starts_with(&format!("`{field}`")), "{field}");
        }
        let options = |options: Value| manner(json!({"stream": true, "stream_options": options}));
        assert_eq!(options(json!({"include_usage": true})).unwrap().streamed, Some(Streamed { with_usage: true }));
        assert!(options(json!({"include_usages": true})).unwrap_err().contains("did you mean `include_usage`"));
        assert!(options(json!([])).unwrap_err().starts_with("`stream_options` must be an object"));
    }
}
