//! What is asked after: a text as it stands, a conversation, or token ids.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// A text as it stands, a conversation that the model's chat template makes a text of, or tokens.
///
/// In suites and JSON lines: a string, a list of messages, or a table of [`Conversation`]'s keys. Probes need words, so a suite knows
/// no token ids; JSON lines do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Prompt {
    Text(String),
    Chat(Conversation),
    /// What the model reads, as it is: no special token is added.
    Tokens(Vec<u32>),
}

impl Prompt {
    /// What was said, without a template: the text, or the messages' texts with a blank line between them. Nothing of token ids, whose
    /// words only a tokenizer knows.
    #[must_use]
    pub fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Tokens(_) => Cow::Borrowed(""),
            Self::Chat(conversation) => {
                let texts: Vec<String> = conversation.messages.iter().map(words_of).filter(|text| !text.is_empty()).collect();
                Cow::Owned(texts.join("\n\n"))
            }
        }
    }

    /// A text as a user's only turn; a conversation, or token ids, as they are.
    #[must_use]
    pub fn as_user_turn(self) -> Self {
        match self {
            Self::Text(text) => Self::Chat(Conversation::new(vec![turn("user", &text)])),
            other @ (Self::Chat(_) | Self::Tokens(_)) => other,
        }
    }

    /// The prompt with another text before it, a blank line between the two: before the text, or before what a user says first in
    /// the conversation. Token ids stay as they are.
    #[must_use]
    pub fn preceded_by(&self, before: &str) -> Self {
        match self {
            Self::Text(text) => Self::Text(format!("{before}\n\n{text}")),
            Self::Tokens(_) => self.clone(),
            Self::Chat(conversation) => {
                let mut conversation = conversation.clone();
                let is_user = |message: &Message| message.get("role").and_then(Value::as_str) == Some("user");
                let content =
                    conversation.messages.iter_mut().find(|message| is_user(message)).and_then(|user| user.get_mut("content"));
                match content {
                    Some(Value::String(said)) => said.insert_str(0, &format!("{before}\n\n")),
                    Some(Value::Array(parts)) => parts.insert(0, json!({"type": "text", "text": format!("{before}\n\n")})),
                    _ => {
                        let system = |message: &Message| message.get("role").and_then(Value::as_str) == Some("system");
                        let at = conversation.messages.iter().take_while(|message| system(message)).count();
                        conversation.messages.insert(at, turn("user", before));
                    }
                }
                Self::Chat(conversation)
            }
        }
    }

    /// What tells the prompt from others of its form: the text, the conversation's JSON, or the list of ids.
    #[must_use]
    pub fn identity(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Chat(conversation) => Cow::Owned(conversation.json()),
            Self::Tokens(ids) => Cow::Owned(format!("{ids:?}")),
        }
    }

    /// What is wrong with it as a probe's, if anything can be told without a model.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Text(text) if text.is_empty() => Err("`prompt` is empty".to_owned()),
            Self::Text(_) => Ok(()),
            Self::Chat(conversation) => conversation.check(),
            Self::Tokens(_) => Err("`prompt` is a list of token ids, and a probe needs its words".to_owned()),
        }
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One turn: `role`, mostly `content`, and whatever else the template reads (`tool_calls`, `name`, …).
pub type Message = Map<String, Value>;

/// What one side says in a turn.
#[must_use]
pub fn turn(role: &str, content: &str) -> Message {
    let mut message = Map::new();
    message.insert("role".to_owned(), json!(role));
    message.insert("content".to_owned(), json!(content));
    message
}

/// Messages, and what else a chat template is given. The keys are those of `transformers`' `apply_chat_template`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    pub messages: Vec<Message>,
    /// Whether the text ends where the assistant's next turn begins. Unlike in `transformers` that is the default: sway asks what
    /// comes next.
    #[serde(default = "yes")]
    pub add_generation_prompt: bool,
    /// JSON schemas of the tools on offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Value>>,
    /// The template's name, where the tokenizer has several: else `default`, or with tools `tool_use`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// Further names that the template sees: `enable_thinking`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub chat_template_kwargs: Map<String, Value>,
}

fn yes() -> bool {
    true
}

impl Conversation {
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, add_generation_prompt: true, tools: None, chat_template: None, chat_template_kwargs: Map::new() }
    }

    /// Keys in the order in which they were given: a template that writes a tool as JSON keeps it.
    fn json(&self) -> String {
        // Maps with string keys and finite numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        if self.messages.is_empty() {
            return Err("`messages` is empty".to_owned());
        }
        match self.messages.iter().position(|message| !message.get("role").is_some_and(Value::is_string)) {
            Some(index) => {
                Err(format!("message {} has no `role`\nhint: a message is {{role = \"user\", content = \"…\"}}", index + 1))
            }
            None => Ok(()),
        }
    }
}

// JSON objects are equal whatever the order of their keys; the texts that a template makes of them are not.
impl PartialEq for Conversation {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Conversation {}

impl Hash for Conversation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.json().hash(state);
    }
}

/// A message's text: its content, or the texts among the parts of its content.
fn words_of(message: &Message) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n\n"),
        _ => String::new(),
    }
}

/// The keys of a row that say what is asked after, beside others of its own: `prompt`, or `messages` and what goes with them. To be
/// flattened into the row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Asked(pub Prompt);

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Asked", 1)?;
        row.serialize_field("prompt", &self.0)?;
        row.end()
    }
}

#[derive(Deserialize)]
struct Written {
    prompt: Option<Prompt>,
    messages: Option<Vec<Message>>,
    add_generation_prompt: Option<bool>,
    tools: Option<Vec<Value>>,
    chat_template: Option<String>,
    chat_template_kwargs: Option<Map<String, Value>>,
}

impl TryFrom<Written> for Asked {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { prompt, messages, add_generation_prompt, tools, chat_template, chat_template_kwargs } = written;
        let chat_keys = [
            ("add_generation_prompt", add_generation_prompt.is_some()),
            ("tools", tools.is_some()),
            ("chat_template", chat_template.is_some()),
            ("chat_template_kwargs", chat_template_kwargs.is_some()),
        ];
        match (prompt, messages) {
            (Some(_), Some(_)) => Err("`prompt` and `messages` can't both be given".to_owned()),
            (None, None) => Err("`prompt` is missing".to_owned()),
            (Some(prompt), None) => match chat_keys.iter().find(|(_, given)| *given) {
                Some((key, _)) => Err(format!("`{key}` goes with `messages`")),
                None => Ok(Self(prompt)),
            },
            (None, Some(messages)) => {
                let conversation = Conversation {
                    messages,
                    add_generation_prompt: add_generation_prompt.unwrap_or(true),
                    tools,
                    chat_template,
                    chat_template_kwargs: chat_template_kwargs.unwrap_or_default(),
                };
                conversation.check()?;
                Ok(Self(Prompt::Chat(conversation)))
            }
        }
    }
}

/// As it is read: token ids, which are not, have no such form.
impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Chat(conversation) => conversation.serialize(serializer),
            Self::Tokens(_) => Err(S::Error::custom("a list of token ids could not be told from a list of messages")),
        }
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PromptVisitor;

        impl<'de> Visitor<'de> for PromptVisitor {
            type Value = Prompt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of messages, or a table with `messages`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Prompt, E> {
                Ok(Prompt::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Prompt, A::Error> {
                let messages = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                checked(Conversation::new(messages)).map_err(A::Error::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Prompt, A::Error> {
                let conversation = Conversation::deserialize(MapAccessDeserializer::new(map))?;
                checked(conversation).map_err(A::Error::custom)
            }
        }

        fn checked(conversation: Conversation) -> Result<Prompt, String> {
            conversation.check()?;
            Ok(Prompt::Chat(conversation))
        }

        deserializer.deserialize_any(PromptVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(json: Value) -> Result<Prompt, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_is_a_text_messages_or_a_table() {
        let message = json!({"role": "user", "content": "hi"});
        assert_eq!(prompt(json!("hi")), Ok(Prompt::from("hi")));
        assert_eq!(prompt(json!([message])), Ok(Prompt::from("hi").as_user_turn()));
        assert_eq!(prompt(json!({"messages": [message]})), Ok(Prompt::from("hi").as_user_turn()));
        let closed = prompt(json!({"messages": [message], "add_generation_prompt": false})).unwrap();
        assert!(matches!(closed, Prompt::Chat(Conversation { add_generation_prompt: false, .. })));
    }

    #[test]
    fn what_no_template_could_render_is_refused() {
        assert!(prompt(json!([])).unwrap_err().contains("`messages` is empty"));
        assert!(prompt(json!([{"content": "x"}])).unwrap_err().contains("message 1 has no `role`"));
        assert!(prompt(json!({"mesages": []})).unwrap_err().contains("unknown field `mesages`"));
        assert!(prompt(json!(3)).unwrap_err().contains("a string, a list of messages"));
    }

    #[test]
    fn token_ids_are_no_prompt_of_a_suite() {
        assert!(prompt(json!([1, 2])).unwrap_err().contains("expected a map"));
        assert!(Prompt::Tokens(vec![1, 2]).check().unwrap_err().contains("a list of token ids"));
    }

    #[test]
    fn token_ids_have_no_words_and_nothing_is_put_before_them() {
        let tokens = Prompt::Tokens(vec![1, 2]);
        assert_eq!(tokens.words(), "");
        assert_eq!(tokens.preceded_by("once"), tokens);
        assert_eq!(tokens.clone().as_user_turn(), tokens);
        assert_ne!(tokens, Prompt::from(tokens.identity().as_ref()), "a text of the same look");
    }

    #[test]
    fn conversations_that_render_to_other_texts_are_different() {
        let of = |parameters: Value| {
            let Prompt::Chat(mut chat) = Prompt::from("hi").as_user_turn() else { unreachable!() };
            chat.tools = Some(vec![parameters]);
            chat
        };
        assert_eq!(of(json!({"a": 1, "b": 2})), of(json!({"a": 1, "b": 2})));
        assert_ne!(of(json!({"a": 1, "b": 2})), of(json!({"b": 2, "a": 1})));
    }

    #[test]
    fn a_row_asks_by_a_prompt_or_by_messages() {
        let asked = |json: Value| serde_json::from_value::<Asked>(json).map(|asked| asked.0).map_err(|error| error.to_string());
        let messages = json!([{"role": "user", "content": "hi"}]);
        assert_eq!(asked(json!({"prompt": "hi", "gold": "x"})), Ok(Prompt::from("hi")));
        assert_eq!(asked(json!({"messages": messages, "gold": "x"})), Ok(Prompt::from("hi").as_user_turn()));
        assert_eq!(asked(json!({"prompt": messages})), Ok(Prompt::from("hi").as_user_turn()));
        assert!(asked(json!({"messages": messages, "prompt": "hi"})).unwrap_err().contains("can't both be given"));
        assert!(asked(json!({"gold": "x"})).unwrap_err().contains("`prompt` is missing"));
        // Passed over in silence, it would be another prompt than the one that was meant.
        assert!(asked(json!({"prompt": "hi", "add_generation_prompt": false})).unwrap_err().contains("goes with `messages`"));
    }

    #[test]
    fn a_text_comes_before_what_a_user_says_first() {
        assert_eq!(Prompt::from("hi").preceded_by("once"), Prompt::from("once\n\nhi"));
        assert_eq!(Prompt::from("hi").as_user_turn().preceded_by("once"), Prompt::from("once\n\nhi").as_user_turn());
        let words = |json: Value| prompt(json).unwrap().preceded_by("once").words().into_owned();
        let system = json!({"role": "system", "content": "be brief"});
        let parts = json!({"role": "user", "content": [{"type": "text", "text": "a"}]});
        assert_eq!(words(json!([system, parts])), "be brief\n\nonce\n\n\n\na");
        assert_eq!(words(json!([system, {"role": "assistant", "content": "a"}])), "be brief\n\nonce\n\na");
    }

    #[test]
    fn words_are_the_messages_texts() {
        let chat = prompt(json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "tool_calls": []},
        ]));
        assert_eq!(chat.unwrap().words(), "be brief\n\na\n\nb");
    }
}
