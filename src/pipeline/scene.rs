//! What templates see.

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, json};

use super::Case;

/// What a template is rendered with.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub case: &'a Case,
    /// The probe's own values.
    pub config: &'a Map<String, serde_json::Value>,
    /// What each stage so far wrote.
    pub outputs: &'a [String],
    /// Whether all stages are done: `output` is what the last one wrote, and there is no stage any more.
    pub is_over: bool,
}

/// Everything that some template may name.
pub const NAMES: [&str; 7] = ["input", "case", "config", "stages", "prev_output", "stage_index", "output"];

impl Scene<'_> {
    /// A name that has no value here is left out, so that using it is an error.
    pub fn context(&self) -> Value {
        let stages: Vec<_> = self.outputs.iter().map(|output| json!({ "output": output })).collect();
        let mut context = Map::new();
        context.insert("case".to_owned(), serde_json::Value::Object(self.case.fields.clone()));
        context.insert("config".to_owned(), serde_json::Value::Object(self.config.clone()));
        context.insert("stages".to_owned(), stages.into());
        if let Some(input) = self.case.input() {
            context.insert("input".to_owned(), input.clone());
        }
        let last = self.outputs.last().map(String::as_str);
        if self.is_over {
            context.extend(last.map(|output| ("output".to_owned(), output.into())));
        } else {
            context.insert("stage_index".to_owned(), self.outputs.len().into());
            context.extend(last.map(|output| ("prev_output".to_owned(), output.into())));
        }
        Value::from(Serde(serde_json::Value::Object(context)))
    }
}
