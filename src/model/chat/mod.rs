//! Chat templates: from a conversation to the text that the model was trained on.
//!
//! Found and rendered as `transformers`' `apply_chat_template` does it, except that a template is a program that came with a
//! download: it gets bounded steps, memory and time ([`crate::template`]).
//!
//! - `source`: where a tokenizer keeps its templates and the special tokens that they name.
//! - `environment`: the filters, functions and methods that templates of the hub call; `json`: theirs of Python's `json.dumps`.

mod environment;
mod json;
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::{Map, Value, json};

pub use environment::Clock;
pub use source::{Found, find};

use super::error::ModelError;
use crate::request::{Conversation, Message};
use crate::template::{self, Sandbox, check_size, in_words};

/// A tokenizer's chat templates, ready to render.
pub struct ChatTemplates {
    /// Those that could be read.
    sandbox: Sandbox,
    /// By name; what is wrong with those that could not be read.
    names: BTreeMap<String, Option<String>>,
    /// `bos_token` and the others, by the names that templates know.
    specials: Map<String, Value>,
    /// Of all that goes into a text but the conversation.
    pub digest: String,
    /// Whether a template's text depends on when it is rendered.
    pub asks_the_time: bool,
}

impl ChatTemplates {
    /// The templates that an adapter ships, else those of the base; `None` where neither has any.
    ///
    /// # Errors
    /// Where a file that should hold them can't be read. A template that is wrong is told when it is asked for.
    pub fn load_for(base: Found, adapter: Option<&Path>, clock: Clock) -> Result<Option<Self>, ModelError> {
        let Some(own) = adapter.map(source::find).transpose()? else { return Ok(Self::new(base, clock)) };
        // A token that the adapter does not name is the base's.
        let mut specials = base.specials;
        specials.extend(own.specials);
        let templates = if own.templates.is_empty() { base.templates } else { own.templates };
        Ok(Self::new(Found { templates, specials }, clock))
    }

    fn new(Found { templates, specials }: Found, clock: Clock) -> Option<Self> {
        if templates.is_empty() {
            return None;
        }
        let asks_the_time = asks_the_time(&templates);
        let digest = digest(&templates, &specials, asks_the_time.then_some(clock));
        let known: Vec<String> = templates.keys().cloned().collect();
        // The engine computes what is constant in a template while it reads it: that needs bounds too.
        let (environment, names) = template::run(move || read(templates, clock)).unwrap_or_else(|why| {
            let wrong = known.into_iter().map(|name| (name, Some(why.clone()))).collect();
            (environment::new(clock), wrong)
        });
        Some(Self { sandbox: Sandbox::new(environment), names, specials, digest, asks_the_time })
    }

    /// The conversation as one text, with the special tokens that the template writes.
    ///
    /// # Errors
    /// What the template, or the engine that runs it, has against the conversation.
    pub fn render(&self, conversation: &Conversation) -> Result<String, String> {
        let name = self.choose(conversation)?;
        let mut context = Map::new();
        context.extend(self.specials.clone());
        context.extend(conversation.chat_template_kwargs.clone());
        context.insert("messages".to_owned(), conversation.messages.iter().map(for_template).collect());
        context.insert("tools".to_owned(), conversation.tools.clone().map_or(Value::Null, Value::Array));
        context.insert("documents".to_owned(), conversation.chat_template_kwargs.get("documents").cloned().unwrap_or_default());
        context.insert("add_generation_prompt".to_owned(), json!(conversation.add_generation_prompt));
        let context = minijinja::Value::from(Serde(Value::Object(context)));
        self.sandbox.render(name, context)
    }

    /// `default`, or with tools `tool_use` where there is one, unless the conversation names another.
    fn choose(&self, conversation: &Conversation) -> Result<String, String> {
        let has = |name: &str| self.names.contains_key(name);
        let name = match &conversation.chat_template {
            Some(name) => name.as_str(),
            None if conversation.tools.is_some() && has("tool_use") => "tool_use",
            None => "default",
        };
        match self.names.get(name) {
            Some(None) => Ok(name.to_owned()),
            Some(Some(wrong)) => Err(format!("it can't be read: {wrong}")),
            None => {
                let known: Vec<String> = self.names.keys().map(|name| format!("`{name}`")).collect();
                Err(format!("there is none of the name `{name}`\nhint: `chat_template` names one of {}", known.join(", ")))
            }
        }
    }
}

/// Templates by name, as [`ChatTemplates`] holds them.
fn read(templates: BTreeMap<String, String>, clock: Clock) -> (Environment<'static>, BTreeMap<String, Option<String>>) {
    let mut environment = environment::new(clock);
    let mut names = BTreeMap::new();
    for (name, text) in templates {
        let wrong = check_size(&text).err().or_else(|| {
            let text = environment::without_generation_marks(&text);
            environment.add_template_owned(name.clone(), text).err().as_ref().map(in_words)
        });
        names.insert(name, wrong);
    }
    (environment, names)
}

/// A message as templates expect it: without keys that are null, and its reasoning under each name that templates read it by.
fn for_template(message: &Message) -> Value {
    let mut message: Message =
        message.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect();
    let reasoning = ["reasoning_content", "thinking", "reasoning"].into_iter().find_map(|key| message.get(key).cloned());
    if let Some(reasoning) = reasoning {
        message.entry("thinking").or_insert_with(|| reasoning.clone());
        message.insert("reasoning_content".to_owned(), reasoning);
    }
    Value::Object(message)
}

fn asks_the_time(templates: &BTreeMap<String, String>) -> bool {
    templates.values().any(|text| text.contains("strftime_now"))
}

/// `clock`: where the texts depend on it.
fn digest(templates: &BTreeMap<String, String>, specials: &Map<String, Value>, clock: Option<Clock>) -> String {
    let date = clock.map(|clock| clock.to_string());
    blake3::hash(json!([templates, specials, date]).to_string().as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests;
