//! The losses that a training logged.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::file::{FileError, in_one_line};
use crate::workspace::Workspace;

/// Largest log that is read, in bytes: some 600,000 steps.
const LARGEST_LOG: u64 = 64 << 20;

/// What was logged of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedLoss {
    /// Optimizer steps so far.
    pub step: u64,
    /// Mean loss since the last entry; not finite where the training wrote it so.
    pub loss: f64,
    pub grad_norm: Option<f64>,
}

/// A training's log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingLog {
    /// In the order in which they were written.
    pub losses: Vec<LoggedLoss>,
    /// Steps that the training took, where the log says so.
    pub global_step: Option<u64>,
}

impl TrainingLog {
    /// Reads `trainer_state.json` of the Hugging Face Trainer, whose `log_history` is a list of entries, or JSON lines, an entry each
    /// (`.jsonl`, `.ndjson`). An entry without a `loss` (an evaluation, a summary) is passed over.
    ///
    /// Python writes `NaN`, `Infinity` and `-Infinity`, which JSON has not; they are read, and so are the same words in quotes. A last line
    /// that was cut off, as of a training that was killed, is passed over.
    ///
    /// # Errors
    /// A file that can't be read, is too large, or is no JSON; an entry with a loss and without a step.
    pub fn read(workspace: &Workspace, path: &Path) -> Result<Self, FileError> {
        let format = |message: String| FileError::Format { path: path.to_owned(), message };
        let lines = match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson") => true,
            Some("json") => false,
            _ => {
                let hint = "`.json` (trainer_state.json of the Trainer) or `.jsonl` (a line of `step` and `loss` each)";
                return Err(format(format!("what kind of log it is can't be told by its name\nhint: {hint}")));
            }
        };
        let open = |source| FileError::Open { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        workspace.open(path).map_err(open)?.take(LARGEST_LOG + 1).read_to_end(&mut bytes).map_err(open)?;
        if bytes.len() as u64 > LARGEST_LOG {
            return Err(format(format!("a log may have {} MiB", LARGEST_LOG >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|e| format(format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to())))?;
        let text = quoted(text.strip_prefix('\u{feff}').unwrap_or(&text));
        if lines { of_lines(&text, path) } else { of_state(&text).map_err(format) }
    }
}

fn of_state(text: &str) -> Result<TrainingLog, String> {
    let state: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let Some(history) = state.get("log_history").and_then(Value::as_array) else {
        return Err("it has no `log_history`, which trainer_state.json of the Trainer has".to_owned());
    };
    let mut log = TrainingLog { losses: Vec::new(), global_step: state.get("global_step").and_then(whole) };
    for (index, entry) in history.iter().enumerate() {
        let entry = entry.as_object().ok_or_else(|| format!("entry {} of `log_history` is no object", index + 1))?;
        log.losses.extend(logged(entry).map_err(|message| format!("entry {} of `log_history`: {message}", index + 1))?);
    }
    Ok(log)
}

fn of_lines(text: &str, path: &Path) -> Result<TrainingLog, FileError> {
    let mut log = TrainingLog::default();
    for (index, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let error = |message: String| FileError::Row { path: path.to_owned(), line: index + 1, message };
        let entry: Map<String, Value> = match serde_json::from_str(line.trim_end()) {
            Ok(entry) => entry,
            Err(_) if !line.ends_with('\n') => break,
            Err(e) => return Err(error(format!("not a JSON object: {}", in_one_line(&e)))),
        };
        log.losses.extend(logged(&entry).map_err(error)?);
    }
    Ok(log)
}

/// `None` of an entry without a loss.
fn logged(entry: &Map<String, Value>) -> Result<Option<LoggedLoss>, String> {
    let Some(loss) = entry.get("loss") else { return Ok(None) };
    let loss = number(loss).ok_or_else(|| format!("`loss` is {loss}, and no number"))?;
    let Some(step) = entry.get("step") else { return Err("it has a `loss` and no `step`".to_owned()) };
    let step = whole(step).ok_or_else(|| format!("`step` is {step}, and no whole number"))?;
    Ok(Some(LoggedLoss { step, loss, grad_norm: entry.get("grad_norm").and_then(number) }))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(word) => NOT_JSON.iter().find(|(name, _)| *name == word).map(|(_, value)| *value),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<u64> {
    let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9e15).contains(float));
    value.as_u64().or(float.map(|float| float as u64))
}

/// What Python writes for numbers that JSON has no words for.
const NOT_JSON: [(&str, f64); 3] = [("NaN", f64::NAN), ("-Infinity", f64::NEG_INFINITY), ("Infinity", f64::INFINITY)];

/// The same text with each of [`NOT_JSON`] in quotes, wherever it does not stand in a string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(at) = rest.find(if in_string { &['"', '\\'][..] } else { &['"', 'N', 'I', '-'][..] }) {
        quoted.push_str(&rest[..at]);
        rest = &rest[at..];
        let word = NOT_JSON.iter().map(|(word, _)| *word).find(|word| !in_string && rest.starts_with(word));
        let taken = if let Some(word) = word {
            quoted.push('"');
            quoted.push_str(word);
            quoted.push('"');
            word.len()
        } else {
            in_string ^= rest.starts_with('"');
            // What is escaped ends no string; an escape is one byte, and what follows it may be several.
            let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            // Outside of a string an escape is no JSON, and no reason to pass over what follows.
            let taken = if in_string { 1 + escaped } else { 1 };
            quoted.push_str(&rest[..taken]);
            taken
        };
        rest = &rest[taken..];
    }
    quoted + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(name: &str, text: &str) -> Result<TrainingLog, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        TrainingLog::read(&Workspace::default(), &path)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    fn steps_and_losses(log: &TrainingLog) -> Vec<(u64, f64)> {
        log.losses.iter().map(|logged| (logged.step, logged.loss)).collect()
    }

    #[test]
    fn evaluations_and_summaries_are_passed_over() {
        let text = r#"{"global_step": 20, "log_history": [
            {"loss": 2.5, "grad_norm": 1.5, "step": 10}, {"eval_loss": 2.4, "step": 10}, {"loss": 2, "step": 20.0},
            {"train_loss": 2.25, "step": 20}]}"#;
        let log = read("trainer_state.json", text).unwrap();
        assert_eq!((steps_and_losses(&log), log.global_step), (vec![(10, 2.5), (20, 2.0)], Some(20)));
        assert_eq!((log.losses[0].grad_norm, log.losses[1].grad_norm), (Some(1.5), None));
        assert_eq!(read("a.json", r#"{"log_history": []}"#).unwrap(), TrainingLog::default());
    }

    #[test]
    fn numbers_that_json_does_not_have_are_read() {
        let text = r#"{"log_history": [{"loss": NaN, "grad_norm":Infinity, "step": 1}, {"note": "a \"NaN\\", "loss":-Infinity,"step":2}]}"#;
        let log = read("a.json", text).unwrap();
        assert!(log.losses[0].loss.is_nan());
        assert_eq!((log.losses[0].grad_norm, log.losses[1].loss), (Some(f64::INFINITY), f64::NEG_INFINITY));
        assert!(read("a.jsonl", "{\"step\": 3, \"loss\": \"NaN\"}\n").unwrap().losses[0].loss.is_nan());
    }

    #[test]
    fn lines_of_other_kinds_are_passed_over_and_so_is_a_last_one_that_was_cut_off() {
        let text = "{\"type\": \"banner\", \"run\": 1}\n\n{\"type\": \"step\", \"step\": 1, \"loss\": 2.0}\r\n{\"step\": 2, \"lo";
        assert_eq!(steps_and_losses(&read("a.jsonl", text).unwrap()), [(1, 2.0)]);
        assert_eq!(
            read("a.jsonl", "{\"step\": 2, \"lo\n").unwrap_err(),
            "FILE:1: not a JSON object: EOF while parsing a string at column 15"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |name, text| read(name, text).unwrap_err();
        assert_eq!(wrong("a.jsonl", "{\"loss\": 1.0}\n"), "FILE:1: it has a `loss` and no `step`");
        assert_eq!(wrong("a.jsonl", "{\"loss\": \"high\", \"step\": 1}\n"), "FILE:1: `loss` is \"high\", and no number");
        assert_eq!(wrong("a.jsonl", "{\"loss\": 1.0, \"step\": 1.5}\n"), "FILE:1: `step` is 1.5, and no whole number");
        assert_eq!(wrong("a.json", "{}"), "FILE: it has no `log_history`, which trainer_state.json of the Trainer has");
        assert_eq!(wrong("a.json", r#"{"log_history": [{}, 1]}"#), "FILE: entry 2 of `log_history` is no object");
        assert!(wrong("a.json", "{").starts_with("FILE: not JSON: "));
        assert!(wrong("losses.csv", "").contains("can't be told by its name\nhint: `.json`"));
    }

    proptest! {
        #[test]
        fn json_is_the_same_after_quoting(texts in proptest::collection::vec("[ -~é😀]{0,12}", 0..6), number in -1e9f64..1e9) {
            let json = serde_json::json!({ "texts": texts, "number": number, "NaN": -1 }).to_string();
            prop_assert_eq!(quoted(&json), json);
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,60}", words in "(NaN|-Infinity|\"|\\\\|[{}:,a1-]){0,20}") {
            quoted(&text);
            quoted(&words);
        }
    }
}
