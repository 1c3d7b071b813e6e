//! One stage: a prompt, who continues it, and how.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{Scene, Template};
use crate::request::{Conversation, Extra, Op, Parameters, Prompt, Request, Sampling, View, turn};

/// A stage as the suite writes it, checked as far as it can be alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Stage {
    text: Text,
    pub model: Who,
    params: Params,
}

/// What is sent.
#[derive(Clone, Debug)]
enum Text {
    Prompt(Template),
    /// Goes through the chat template.
    Messages(Vec<TurnTemplate>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    prompt: Option<Template>,
    messages: Option<Vec<TurnTemplate>>,
    /// Before a prompt, which then is a user's turn.
    system: Option<Template>,
    #[serde(default)]
    model: Who,
    #[serde(default)]
    params: Params,
}

/// A message whose content is a template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnTemplate {
    role: Role,
    content: Template,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// Who continues a stage's prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Who {
    /// Base and adapter, each for itself: `view`.
    #[default]
    View,
    /// The base, on both sides: `base`.
    Base,
    /// A server: the suite's endpoint of this name.
    Endpoint(String),
}

impl From<String> for Who {
    fn from(name: String) -> Self {
        match name.as_str() {
            "view" => Self::View,
            "base" => Self::Base,
            _ => Self::Endpoint(name),
        }
    }
}

/// How a prompt is continued.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    #[serde(deserialize_with = "positive")]
    max_new_tokens: usize,
    /// 0 is greedy.
    #[serde(deserialize_with = "temperature")]
    temperature: f32,
    #[serde(deserialize_with = "top_p")]
    top_p: f32,
    /// Texts that end the continuation, which does not hold them.
    stop: Vec<String>,
    /// Further fields of the request's body, for an endpoint.
    extra: Extra,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_new_tokens: 256, temperature: 0.0, top_p: 1.0, stop: Vec::new(), extra: Extra::default() }
    }
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(D::Error::custom("must be at least 1")),
        value => Ok(value),
    }
}

fn temperature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    let value = f32::deserialize(deserializer)?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(D::Error::custom(format!("must be 0 or more, not {value}"))) }
}

fn top_p<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    let value = f32::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("must lie above 0 and be at most 1, not {value}"));
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(wrong()) }
}

impl TryFrom<Written> for Stage {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { prompt, messages, system, model, params } = written;
        let text = match (prompt, messages, system) {
            (Some(prompt), None, None) => Text::Prompt(prompt),
            (Some(prompt), None, Some(system)) => Text::Messages(vec![
                TurnTemplate { role: Role::System, content: system },
                TurnTemplate { role: Role::User, content: prompt },
            ]),
            (None, Some(messages), None) if !messages.is_empty() => Text::Messages(messages),
            (None, Some(_), None) => return Err("`messages` is empty".to_owned()),
            (None, Some(_), Some(_)) => {
                return Err("`system` goes with `prompt`; among `messages` write it as {role = \"system\", …}".to_owned());
            }
            (Some(_), Some(_), _) => return Err("`prompt` and `messages` can't both be given".to_owned()),
            (None, None, _) => return Err("a stage needs a `prompt`, or `messages`".to_owned()),
        };
        if params.stop.iter().any(String::is_empty) {
            return Err("`stop` has an empty text, which would end every continuation before it begins".to_owned());
        }
        if !params.extra.0.is_empty() && !matches!(model, Who::Endpoint(_)) {
            return Err("`extra` is for endpoints: a model that sway runs knows no further parameters".to_owned());
        }
        Ok(Self { text, model, params })
    }
}

impl Stage {
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let (prompt, messages) = match &self.text {
            Text::Prompt(prompt) => (Some(prompt), &[][..]),
            Text::Messages(messages) => (None, messages.as_slice()),
        };
        prompt.into_iter().chain(messages.iter().map(|message| &message.content))
    }

    /// Whether what it sends are messages, and not one text.
    pub fn sends_messages(&self) -> bool {
        matches!(self.text, Text::Messages(_))
    }

    /// Whether the same prompt gives the same text each time.
    pub fn is_greedy(&self) -> bool {
        self.params.temperature == 0.0
    }

    /// The stage's question for one side; `seed` draws what is sampled.
    ///
    /// # Errors
    /// What its template has against the scene.
    pub fn request(&self, scene: &Scene<'_>, view: View, seed: u64, sample: usize) -> Result<Request, String> {
        let prompt = match &self.text {
            Text::Prompt(prompt) => Prompt::Text(prompt.render(scene)?),
            Text::Messages(messages) => {
                let turns = messages.iter().map(|message| Ok(turn(message.role.name(), &message.content.render(scene)?)));
                Prompt::Chat(Conversation::new(turns.collect::<Result<_, String>>()?))
            }
        };
        prompt.check()?;
        let Params { max_new_tokens, temperature, top_p, ref stop, ref extra } = self.params;
        let sampling = if self.is_greedy() { Sampling::Greedy } else { Sampling::Sample { temperature, top_p, seed } };
        let view = match &self.model {
            Who::View => view,
            Who::Base => View::Base,
            Who::Endpoint(endpoint) => {
                let (stop, extra) = (stop.clone(), extra.clone());
                let parameters = Parameters { max_new_tokens, sampling, stop, extra, sample };
                return Ok(Request::outside(Op::Complete { endpoint: endpoint.clone(), prompt, parameters }));
            }
        };
        Ok(Request::new(view, Op::Generate { prompt, max_new_tokens, sampling }))
    }

    /// A continuation up to the first of the texts that end it. (An endpoint was told of them; a model that sway runs is not.)
    pub fn until_stop<'t>(&self, text: &'t str) -> &'t str {
        let end = self.params.stop.iter().filter_map(|stop| text.find(stop.as_str())).min();
        &text[..end.unwrap_or(text.len())]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::Case;
    use super::*;

    fn stage(json: serde_json::Value) -> Result<Stage, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    fn asked(json: serde_json::Value) -> Request {
        let case = Case::try_from(json!("hi")).unwrap();
        let scene = Scene { case: &case, config: &Map::new(), outputs: &[], is_over: false };
        stage(json).unwrap().request(&scene, View::Ft, 7, 2).unwrap()
    }

    #[test]
    fn a_stage_asks_the_view_the_base_or_an_endpoint() {
        let generate =
            |view, sampling| Request::new(view, Op::Generate { prompt: Prompt::from("Say hi"), max_new_tokens: 256, sampling });
        let prompt = "Say {{ input }}";
        assert_eq!(asked(json!({"prompt": prompt})), generate(View::Ft, Sampling::Greedy));
        let sampled = Sampling::Sample { temperature: 0.5, top_p: 1.0, seed: 7 };
        assert_eq!(
            asked(json!({"prompt": prompt, "model": "base", "params": {"temperature": 0.5}})),
            generate(View::Base, sampled)
        );
        let Op::Complete { endpoint, prompt, parameters } =
            asked(json!({"prompt": prompt, "system": "Be brief.", "model": "judge", "params": {"stop": ["\n"]}})).op
        else {
            panic!("it asks no endpoint")
        };
        assert_eq!(endpoint, "judge");
        assert_eq!(prompt, Prompt::Chat(Conversation::new(vec![turn("system", "Be brief."), turn("user", "Say hi")])));
        assert_eq!((parameters.sample, parameters.stop.as_slice()), (2, &["\n".to_owned()][..]));
    }

    #[test]
    fn a_continuation_ends_before_the_first_stop() {
        let stage = stage(json!({"prompt": "x", "params": {"stop": ["\n\n", "END"]}})).unwrap();
        assert_eq!(stage.until_stop("one\ntwo END three\n\nfour"), "one\ntwo ");
        assert_eq!(stage.until_stop("one"), "one");
        assert_eq!(stage.until_stop("END"), "");
    }

    #[test]
    fn what_no_stage_can_do_is_refused() {
        for (wrong, told) in [
            (json!({}), "needs a `prompt`"),
            (json!({"prompt": "x", "messages": []}), "can't both be given"),
            (json!({"messages": []}), "`messages` is empty"),
            (json!({"messages": [{"role": "robot", "content": "x"}]}), "unknown variant `robot`"),
            (json!({"prompt": "x", "params": {"temperature": -1.0}}), "must be 0 or more"),
            (json!({"prompt": "x", "params": {"top_p": 0.0}}), "must lie above 0"),
            (json!({"prompt": "x", "params": {"max_new_tokens": 0}}), "must be at least 1"),
            (json!({"prompt": "x", "params": {"stop": [""]}}), "an empty text"),
            (json!({"prompt": "x", "params": {"extra": {"min_p": 0.1}}}), "`extra` is for endpoints"),
            (json!({"prompt": "{{ nothing }}"}), "there is no `nothing` here"),
            (json!({"prompt": "x", "modle": "base"}), "unknown field `modle`"),
        ] {
            let error = stage(wrong.clone()).unwrap_err();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}
