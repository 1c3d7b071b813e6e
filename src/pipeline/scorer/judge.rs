//! A server that grades by a rubric.

use serde_json::Value;

use super::super::{Scene, Template};
use super::json::unfenced;
use crate::request::{Conversation, Extra, Op, Parameters, Prompt, Request, Sampling, turn};

/// A rubric, and whom it is given to.
#[derive(Clone, Debug)]
pub struct Judge {
    pub endpoint: String,
    pub rubric: Template,
    /// The worst grade, and the best.
    scale: [f64; 2],
    max_new_tokens: usize,
}

/// Longest verdict, in tokens, where the suite says nothing: room for a model that reasons first.
const LONGEST: usize = 1024;

impl Judge {
    pub fn new(endpoint: String, rubric: Template, scale: Option<[f64; 2]>, longest: Option<usize>) -> Result<Self, String> {
        let scale = scale.unwrap_or([0.0, 1.0]);
        if !(scale[0].is_finite() && scale[1].is_finite() && scale[0] < scale[1]) {
            return Err(format!("`scale` must be the worst grade and the best, two numbers that grow, not {scale:?}"));
        }
        if !rubric.names("output") {
            return Err("`rubric` does not name `output`: the judge would not see what it grades\nhint: write {{ output }} where it belongs".to_owned());
        }
        let max_new_tokens = longest.unwrap_or(LONGEST);
        if max_new_tokens == 0 {
            return Err("`max_new_tokens` must be at least 1".to_owned());
        }
        Ok(Self { endpoint, rubric, scale, max_new_tokens })
    }

    pub fn request(&self, scene: &Scene<'_>) -> Result<Request, String> {
        let [worst, best] = self.scale;
        let task = format!(
            "You grade one answer by the rubric that follows. Reply with one JSON object and nothing else: {{\"score\": S, \"reason\": \"one sentence\"}}, where S is a number from {worst} (worst) to {best} (best)."
        );
        let rubric = self.rubric.render(scene)?;
        let prompt = Prompt::Chat(Conversation::new(vec![turn("system", &task), turn("user", &rubric)]));
        let parameters = Parameters {
            max_new_tokens: self.max_new_tokens,
            sampling: Sampling::Greedy,
            stop: Vec::new(),
            extra: Extra::default(),
            sample: 0,
        };
        Ok(Request::outside(Op::Complete { endpoint: self.endpoint.clone(), prompt, parameters }))
    }

    /// The grade in a judge's answer, in [0, 1]. What it thought before (`<think>…</think>`) and a fence are passed over; anything else
    /// beside the object is not.
    pub fn read(&self, answer: &str) -> Result<f64, String> {
        let verdict = answer.trim_start().strip_prefix("<think>").and_then(|thought| thought.split_once("</think>"));
        let verdict = unfenced(verdict.map_or(answer, |(_, verdict)| verdict));
        let wrong = |why: &str| format!("the judge's answer {why}: {}", beginning(verdict));
        let Ok(Value::Object(fields)) = serde_json::from_str(verdict) else { return Err(wrong("is no JSON object")) };
        let Some(score) = fields.get("score").and_then(Value::as_f64) else {
            return Err(wrong("has no `score` that is a number"));
        };
        let [worst, best] = self.scale;
        if !(worst..=best).contains(&score) {
            return Err(wrong(&format!("has a score outside of {worst} to {best}")));
        }
        Ok((score - worst) / (best - worst))
    }
}

/// The beginning of a text, for messages.
fn beginning(text: &str) -> String {
    const MOST: usize = 120;
    let shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() { format!("{shown:?}…") } else { format!("{shown:?}") }
}
