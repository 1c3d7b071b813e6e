//! A section of the training document: what several kinds ask after.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chunk::chunks;
use super::items::{Item, check_text};
use crate::request::{Answer, Conversation, Message, Op, Prompt, Request, View};

/// One section: a piece of prose, an instruction with its answer, or a prompt with a preferred answer.
///
/// In suites and JSON lines: a string (prose), or a table of `name`, `kind` and the kind's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    pub name: Option<String>,
    pub content: Content,
    /// Whether it is known not to have been in the training document: something to compare with.
    pub(super) held_out: bool,
    /// One of the few that a dear question is asked about.
    pub(super) sampled: bool,
}

/// What a section says, in the form in which the adapter was trained on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Content {
    Prose { text: String },
    Instruction { prompt: Prompt, answer: String },
    Preference { prompt: Prompt, chosen: String, rejected: String },
}

/// `kind` of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionKind {
    #[default]
    Prose,
    Instruction,
    Preference,
}

impl SectionKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Prose => "prose",
            Self::Instruction => "instruction",
            Self::Preference => "preference",
        }
    }
}

/// All keys of a section, whatever its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    #[serde(default)]
    kind: SectionKind,
    text: Option<String>,
    prompt: Option<Prompt>,
    messages: Option<Vec<Message>>,
    answer: Option<String>,
    chosen: Option<String>,
    rejected: Option<String>,
}

/// The keys of [`Written`]: other fields of a JSON row are someone else's.
const KEYS: [&str; 8] = ["name", "kind", "text", "prompt", "messages", "answer", "chosen", "rejected"];

impl Written {
    fn section<E: Error>(self) -> Result<Section, E> {
        let Self { name, kind, text, prompt, messages, answer, chosen, rejected } = self;
        let given = [
            ("text", text.is_some(), SectionKind::Prose),
            ("answer", answer.is_some(), SectionKind::Instruction),
            ("chosen", chosen.is_some(), SectionKind::Preference),
            ("rejected", rejected.is_some(), SectionKind::Preference),
            ("prompt", prompt.is_some() && kind == SectionKind::Prose, SectionKind::Instruction),
            ("messages", messages.is_some() && kind == SectionKind::Prose, SectionKind::Instruction),
        ];
        if let Some((key, _, other)) = given.iter().find(|(_, given, of)| *given && *of != kind) {
            let (kind, other) = (kind.name(), other.name());
            return Err(E::custom(format!(
                "`{key}` does not go with a section of kind `{kind}`\nhint: write `kind = \"{other}\"`"
            )));
        }
        let asked = |prompt: Option<Prompt>| match (prompt, messages) {
            (Some(_), Some(_)) => Err(E::custom("`prompt` and `messages` can't both be given")),
            (Some(prompt), None) => Ok(prompt),
            (None, Some(messages)) => Ok(Prompt::Chat(Conversation::new(messages))),
            (None, None) => Err(E::missing_field("prompt")),
        };
        let content = match kind {
            SectionKind::Prose => Content::Prose { text: text.ok_or_else(|| E::missing_field("text"))? },
            SectionKind::Instruction => {
                Content::Instruction { prompt: asked(prompt)?, answer: answer.ok_or_else(|| E::missing_field("answer"))? }
            }
            SectionKind::Preference => Content::Preference {
                prompt: asked(prompt)?,
                chosen: chosen.ok_or_else(|| E::missing_field("chosen"))?,
                rejected: rejected.ok_or_else(|| E::missing_field("rejected"))?,
            },
        };
        Ok(Section { name, content, held_out: false, sampled: false })
    }
}

/// A section with all that is known of it, as states of a run hold it. No suite can write this: that a section was held out is told by
/// where it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: Option<String>,
    content: Content,
    held_out: bool,
    sampled: bool,
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SectionVisitor;

        impl<'de> Visitor<'de> for SectionVisitor {
            type Value = Section;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table that describes a section")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Section, E> {
                Ok(Section::prose(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Section, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map))?.section()
            }
        }

        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(SectionVisitor);
        }
        let Stored { name, content, held_out, sampled } = Stored::deserialize(deserializer)?;
        Ok(Self { name, content, held_out, sampled })
    }
}

impl Item for Section {
    const PLURAL: &'static str = "sections";
    const TEXT_FIELD: Option<&'static str> = Some("text");

    fn check(&self) -> Result<(), String> {
        match &self.content {
            Content::Prose { text } if text.trim().is_empty() => Err("`text` is empty".to_owned()),
            Content::Prose { .. } => Ok(()),
            Content::Instruction { prompt, answer } => {
                prompt.check()?;
                check_text("answer", answer)
            }
            Content::Preference { prompt, chosen, rejected } => {
                prompt.check()?;
                check_text("chosen", chosen)?;
                check_text("rejected", rejected)
            }
        }
    }

    fn from_fields(mut fields: Map<String, Value>) -> Result<Self, String> {
        fields.retain(|key, _| KEYS.contains(&key.as_str()));
        serde_json::from_value(Value::Object(fields)).map_err(|e| e.to_string())
    }
}

/// What a view makes of a section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Sum over the scored tokens, nats.
    pub logprob: f64,
    pub tokens: usize,
}

impl Score {
    /// Mean negative log-probability of a token, nats.
    pub fn nll(&self) -> f64 {
        -self.logprob / self.tokens as f64
    }
}

/// The most of a name or a beginning that is shown.
const SHOWN: usize = 60;

impl Section {
    pub fn prose(text: impl Into<String>) -> Self {
        Self { name: None, content: Content::Prose { text: text.into() }, held_out: false, sampled: false }
    }

    pub fn kind(&self) -> SectionKind {
        match self.content {
            Content::Prose { .. } => SectionKind::Prose,
            Content::Instruction { .. } => SectionKind::Instruction,
            Content::Preference { .. } => SectionKind::Preference,
        }
    }

    /// Its name, or how it begins.
    pub fn label(&self) -> String {
        let words = match (&self.name, &self.content) {
            (Some(name), _) => name.clone(),
            (None, Content::Prose { text }) => text.trim().to_owned(),
            (None, Content::Instruction { prompt, .. } | Content::Preference { prompt, .. }) => prompt.words().into_owned(),
        };
        let line = words.lines().next().unwrap_or_default();
        match line.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", line[..end].trim_end()),
            None => line.to_owned(),
        }
    }

    /// The questions of which the answers tell how well a view knows the section: of prose the text itself, in chunks of at most
    /// `chunk_words` words; else the answer, or the chosen one, after the prompt.
    ///
    /// A chunk that is longer than the model's context is refused, as is a prompt with its answer: of a section of which only the
    /// end was scored, nothing could be said.
    pub fn questions(&self, view: View, chunk_words: usize) -> Vec<Request> {
        let after = |prompt: &Prompt, completion: &String| {
            vec![Request::new(view, Op::LogprobOf { prompt: prompt.clone(), completion: completion.clone() })]
        };
        match &self.content {
            Content::Prose { text } => {
                chunks(text, chunk_words).map(|chunk| Request::new(view, Op::RollingLogprob { text: chunk.to_owned() })).collect()
            }
            Content::Instruction { prompt, answer } => after(prompt, answer),
            Content::Preference { prompt, chosen, .. } => after(prompt, chosen),
        }
    }

    /// What the answers to [`Self::questions`] of one view say together; `None` where one is of another op, or there is none.
    pub fn score(answers: &[Answer]) -> Option<Score> {
        let mut score = Score { logprob: 0.0, tokens: 0 };
        for answer in answers {
            let (logprob, tokens) = match answer {
                Answer::RollingLogprob(rolling) => (rolling.total_logprob, rolling.num_tokens),
                Answer::LogprobOf(completion) => (completion.logprob, completion.num_tokens),
                _ => return None,
            };
            score = Score { logprob: score.logprob + logprob, tokens: score.tokens + tokens };
        }
        (score.tokens > 0).then_some(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Result<Section, String> {
        serde_json::from_value::<Section>(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_string_is_prose() {
        assert_eq!(read("a text".into()), Ok(Section::prose("a text")));
        assert_eq!(read(serde_json::json!({"text": "a text"})), Ok(Section::prose("a text")));
    }

    #[test]
    fn each_kind_has_keys_of_its_own() {
        let instruction = read(serde_json::json!({"kind": "instruction", "prompt": "p", "answer": " a"})).unwrap();
        assert_eq!(instruction.content, Content::Instruction { prompt: "p".into(), answer: " a".to_owned() });
        let preference = serde_json::json!({"name": "n", "kind": "preference", "prompt": "p", "chosen": " c", "rejected": " r"});
        let preference = read(preference).unwrap();
        assert_eq!((preference.kind(), preference.label()), (SectionKind::Preference, "n".to_owned()));
        for (wrong, said) in [
            (serde_json::json!({}), "missing field `text`"),
            (serde_json::json!({"kind": "instruction", "prompt": "p"}), "missing field `answer`"),
            (serde_json::json!({"kind": "instruction", "answer": "a"}), "missing field `prompt`"),
            (serde_json::json!({"prompt": "p", "answer": "a"}), "`answer` does not go with a section of kind `prose`"),
            (serde_json::json!({"text": "t", "prompt": "p"}), "`prompt` does not go with a section of kind `prose`"),
            (serde_json::json!({"kind": "preference", "prompt": "p", "chosen": "c"}), "missing field `rejected`"),
            (serde_json::json!({"text": "t", "txt": "t"}), "unknown field `txt`"),
        ] {
            let message = read(wrong).unwrap_err();
            assert!(message.starts_with(said), "{message}");
        }
    }

    #[test]
    fn other_fields_of_a_row_are_left_alone() {
        let Value::Object(row) = serde_json::json!({"id": 7, "text": "t"}) else { panic!() };
        assert_eq!(Section::from_fields(row), Ok(Section::prose("t")));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert_eq!(Section::prose(" \n").check(), Err("`text` is empty".to_owned()));
        let silent = read(serde_json::json!({"kind": "instruction", "prompt": "p", "answer": ""})).unwrap();
        assert_eq!(silent.check(), Err("`answer` is empty".to_owned()));
    }

    #[test]
    fn a_label_is_short_and_whole_characters() {
        let label = Section::prose("ü".repeat(80)).label();
        assert_eq!(label.chars().count(), SHOWN + 1);
        assert_eq!(Section::prose("\n first line\nsecond").label(), "first line");
    }

    #[test]
    fn a_long_text_is_scored_by_the_token_over_all_its_chunks() {
        let section = Section::prose("one two three four five six seven eight nine ten");
        assert_eq!(section.questions(View::Ft, 5).len(), 2);
        let rolling = |total_logprob, num_tokens| {
            Answer::RollingLogprob(crate::request::RollingLogprob { total_logprob, num_tokens, logprobs: Vec::new() })
        };
        let score = Section::score(&[rolling(-6.0, 2), rolling(-1.0, 5)]).unwrap();
        assert!((score.nll() - 1.0).abs() < 1e-12);
        assert_eq!(Section::score(&[]), None);
    }
}
