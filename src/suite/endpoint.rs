use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{Diagnostic, bounds, bounds::checked, table::Table};

/// One `[[endpoint]]`: a server that continues prompts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// Unique in the suite, and neither `view` nor `base`, which stages know as models already.
    #[serde(deserialize_with = "name")]
    pub name: Spanned<String>,
    pub kind: EndpointKind,
    /// Where its paths begin: `http://127.0.0.1:8000/v1`.
    #[serde(deserialize_with = "bounds::text")]
    pub url: Spanned<String>,
    /// As the server calls it.
    #[serde(deserialize_with = "bounds::text")]
    pub model: Spanned<String>,
    /// Which of its paths is asked.
    #[serde(default)]
    pub form: EndpointForm,
    /// The variable of the environment that holds the key, if it needs one.
    #[serde(default, deserialize_with = "bounds::optional_text")]
    pub api_key_env: Option<Spanned<String>>,
    /// Questions that are under way at once, at most.
    #[serde(default = "four", deserialize_with = "at_least_one")]
    pub max_concurrent: usize,
    /// How long one try may take, seconds.
    #[serde(default = "minute", deserialize_with = "seconds")]
    pub timeout: f64,
    /// How long one question may take, with all tries and the pauses between them, seconds.
    #[serde(default = "five_minutes", deserialize_with = "seconds")]
    pub deadline: f64,
    /// How often a question is asked at most, the first time counted.
    #[serde(default = "four", deserialize_with = "at_least_one")]
    pub tries: usize,
}

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointKind {
    /// The form of `OpenAI`'s server, which many others know.
    Openai,
}

/// Which of `OpenAI`'s forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointForm {
    /// Messages: `/chat/completions`.
    #[default]
    Chat,
    /// A text that is continued: `/completions`.
    Completions,
}

fn four() -> usize {
    4
}

fn minute() -> f64 {
    60.0
}

fn five_minutes() -> f64 {
    300.0
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    checked(deserializer, |&count| count > 0, "must be at least 1")
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    /// A day: what is longer is no bound, and was meant otherwise.
    const LONGEST: f64 = 86_400.0;
    checked(deserializer, |seconds: &f64| *seconds > 0.0 && *seconds <= LONGEST, "must lie above 0 seconds, and be a day at most")
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spanned<String>, D::Error> {
    let name = bounds::text(deserializer)?;
    match name.get_ref().as_str() {
        taken @ ("view" | "base" | "ft") => {
            Err(serde::de::Error::custom(format!("must be another name than `{taken}`, which is one of the models under test")))
        }
        _ => Ok(name),
    }
}

impl EndpointSpec {
    pub(super) fn read(table: &Table) -> (Option<Self>, Vec<Diagnostic>) {
        let reading = table.read::<Self>(&[]);
        (reading.value.filter(|_| !reading.filled), reading.wrong)
    }
}
