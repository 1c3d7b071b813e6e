//! What a probe's record says of the chat template: that it was left out, or what it does.

use std::fmt::Write;

use super::plan::Entry;
use crate::probe::{Course, TemplateEffect};
use crate::record::{ProbeRecord, Verdict};

/// Adds to a record what is to be known of the template: a pass on prompts that a chat model was asked without it is a warning.
pub fn note(record: &mut ProbeRecord, entry: &Entry, course: &dyn Course, effect: Option<TemplateEffect>, is_chat_model: bool) {
    let raw = course.asked_raw();
    if is_chat_model && raw > 0 && !entry.raw_is_meant {
        record.message.push_str(&warning(raw));
        if record.verdict == Verdict::Pass {
            record.verdict = Verdict::Warn;
        }
    }
    if let (Some(TemplateEffect { with, without }), Some(metric)) = (effect, entry.probe.kind().calibrated) {
        let _ = write!(record.message, "; {metric} is {with:.3} with the chat template and {without:.3} without it");
        record.evidence.insert("with_template".to_owned(), with.into());
        record.evidence.insert("without_template".to_owned(), without.into());
    }
}

fn warning(raw: usize) -> String {
    let prompts = if raw == 1 { "1 prompt was".to_owned() } else { format!("{raw} prompts were") };
    format!(
        "; the tokenizer has a chat template, and {prompts} asked without it: `chat = \"user\"` asks them as a user's turns, `chat = \"off\"` says that this is meant"
    )
}
