//! `sway list-models`

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::{ListFormat, ListModelsArgs};
use super::exit::{Exit, Failure, OrExit};
use super::output::write_stdout;
use crate::model::support::{self, Kind};

pub fn list(args: &ListModelsArgs) -> Result<Exit, Failure> {
    let mut text = String::new();
    match args.format {
        ListFormat::Human => {
            let mut rows = |title: &str, kinds: &[Kind]| {
                let _ = writeln!(text, "{title}");
                for Kind { name, what } in kinds {
                    let _ = writeln!(text, "  {name:12}  {what}");
                }
            };
            rows("models, by the model_type of config.json", &support::models());
            rows("adapters, by the peft_type of adapter_config.json", &support::adapters());
            let mut words = |title: &str, words: &[&str]| {
                let _ = writeln!(text, "{title}");
                for line in lines(words) {
                    let _ = writeln!(text, "  {line}");
                }
            };
            words("rope types", &support::rope_types());
            words("options of LoRA", support::LORA_OPTIONS);
            words("options that are refused unless off", &support::refused_options());
        }
        ListFormat::Json => {
            let kinds = |kinds: Vec<Kind>| -> Vec<Value> {
                kinds.into_iter().map(|kind| json!({"name": kind.name, "what": kind.what})).collect()
            };
            let all = json!({
                "models": kinds(support::models()),
                "adapters": kinds(support::adapters()),
                "rope_types": support::rope_types(),
                "lora_options": support::LORA_OPTIONS,
                "refused_options": support::refused_options(),
            });
            text = serde_json::to_string_pretty(&all).or_exit(Exit::Internal)?;
            text.push('\n');
        }
    }
    write_stdout(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Words in lines that fit a narrow terminal.
fn lines(words: &[&str]) -> Vec<String> {
    const WIDTH: usize = 76;
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + word.len() <= WIDTH => {
                line.push_str(", ");
                line.push_str(word);
            }
            _ => lines.push((*word).to_owned()),
        }
    }
    lines
}
