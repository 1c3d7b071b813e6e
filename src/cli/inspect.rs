//! `sway inspect`: what an adapter holds by itself, or changes of its base, without a forward pass.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};

use super::args::{InspectArgs, ListFormat};
use super::exit::{Exit, Failure, OrExit};
use super::output::write_stdout;
use super::progress::Downloads;
use super::source::source;
use crate::engine::{self, Device, Loaded, NullDraws, Precision, Sources};
use crate::model::Outline;
use crate::model::hub::{Progress, Wanted};

pub fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    match &args.base {
        None => alone(args),
        Some(base) => beside(args, base),
    }
}

/// The adapter's own files, and nothing of any base.
fn alone(args: &InspectArgs) -> Result<Exit, Failure> {
    let downloads: Arc<dyn Progress> = Arc::new(Downloads::new());
    let read = source(&args.adapter, args.revisions.adapter_revision.as_ref())
        .locate(Wanted::Adapter, &downloads)
        .and_then(|located| Outline::read(&located.dir));
    let outline = read.with_context(|| format!("can't read {}", args.adapter)).or_exit(Exit::Input)?;
    let text = match args.format {
        ListFormat::Human => outlined(&args.adapter, &outline),
        ListFormat::Json => {
            let mut all = json!({"schema_version": 1, "base": null, "source": args.adapter});
            if let (Value::Object(all), Value::Object(outline)) =
                (&mut all, serde_json::to_value(&outline).or_exit(Exit::Internal)?)
            {
                all.extend(outline);
            }
            format!("{}\n", serde_json::to_string_pretty(&all).or_exit(Exit::Internal)?)
        }
    };
    write_stdout(text.as_bytes())?;
    Ok(if outline.is_broken() { Exit::Failed } else { Exit::Ok })
}

/// What the adapter changes of its base.
fn beside(args: &InspectArgs, base: &str) -> Result<Exit, Failure> {
    let sources = Sources {
        base: source(base, args.revisions.revision.as_ref()),
        adapter: Some(source(&args.adapter, args.revisions.adapter_revision.as_ref())),
        nulls: NullDraws::Matched,
        precision: Precision::F32,
        device: Device::Cpu,
        embedders: Vec::new(),
    };
    let downloads: Arc<dyn Progress> = Arc::new(Downloads::new());
    let told = || format!("can't load {base} with {}", args.adapter);
    let mut loaded = engine::load(&sources, &downloads).with_context(told).or_exit(Exit::Input)?;
    let modules = loaded.engine.modules().with_context(told).or_exit(Exit::Input)?;
    let zero = modules.iter().filter(|module| module.relative_norm == 0.0).count();
    let text = match args.format {
        ListFormat::Human => human(&loaded, &modules, zero),
        ListFormat::Json => {
            let all = json!({
                "schema_version": 1,
                "base": loaded.base,
                "adapter": loaded.adapter,
                "tensors": loaded.adapter_tensors,
                "zero_modules": zero,
                "modules": modules,
            });
            format!("{}\n", serde_json::to_string_pretty(&all).or_exit(Exit::Internal)?)
        }
    };
    write_stdout(text.as_bytes())?;
    // What changes nothing answers as the base does.
    Ok(if zero == modules.len() { Exit::Failed } else { Exit::Ok })
}

fn human(loaded: &Loaded, modules: &[crate::record::ModuleLiveness], zero: usize) -> String {
    let mut text = String::new();
    if let Some(adapter) = &loaded.adapter {
        let _ = writeln!(text, "adapter  {}, {}, {} parameters", adapter.source, adapter.peft_type, adapter.parameters);
    }
    let _ =
        writeln!(text, "base     {}, {}, {} parameters", loaded.base.source, loaded.base.architecture, loaded.base.parameters);
    let _ = writeln!(
        text,
        "tensors  {}, each of them read; {} modules, {zero} of which change nothing\n\n|ΔW|/|W|  module",
        loaded.adapter_tensors,
        modules.len()
    );
    for module in modules {
        let _ = writeln!(text, "{:8.5}  {}", module.relative_norm, module.module);
    }
    if zero == modules.len() {
        text.push_str("\nit changes nothing, and answers as the base does; was it saved before it was trained?\n");
    }
    text
}

/// How many names of one finding are listed; JSON has all.
const LISTED: usize = 8;

fn outlined(source: &str, outline: &Outline) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "adapter  {source}, {}, {} parameters", outline.peft_type, outline.parameters);
    let made_for = outline.made_for.as_deref().map_or("its config names none".to_owned(), |base| format!("made for `{base}`"));
    let _ = writeln!(text, "base     not read; {made_for}");
    if let Some(targets) = &outline.target_modules {
        text.push_str(&hang("targets  ", &targets_in_words(targets)));
    }
    let (modules, zero) = (outline.modules.len(), outline.zero_modules);
    let _ = writeln!(text, "tensors  {}; {modules} modules, {zero} of which change nothing", outline.tensors);
    let _ = writeln!(text, "\n    |ΔW|  rank  alpha   scale  module");
    for module in &outline.modules {
        let norm = module.update_norm.map_or("?".to_owned(), |norm| format!("{norm:.5}"));
        let rank = module.rank.map(|rank| rank.to_string()).unwrap_or_default();
        let alpha = module.alpha.map(|alpha| alpha.to_string()).unwrap_or_default();
        let scale = module.scale.map(|scale| format!("{scale:.4}")).unwrap_or_default();
        // An update of low rank goes without saying.
        let brings: Vec<&str> = module.brings.iter().copied().filter(|brings| *brings != "low_rank").collect();
        let brings = if brings.is_empty() { String::new() } else { format!("  ({})", brings.join(", ")) };
        let _ = writeln!(text, "{norm:>8}  {rank:>4}  {alpha:>5}  {scale:>6}  {}{brings}", module.module);
    }
    if outline.modules.iter().any(|module| module.update_norm.is_none()) {
        text.push_str("\n? depends on the base's weights; name it with --base\n");
    }
    let mut findings = |what: &str, names: &[String]| {
        if !names.is_empty() {
            let _ = writeln!(text, "\n{what}");
            for name in names.iter().take(LISTED) {
                text.push_str(&hang("  - ", name));
            }
            if names.len() > LISTED {
                let _ = writeln!(text, "  and {} more", names.len() - LISTED);
            }
        }
    };
    findings("tensors of no layout that peft writes:", &outline.unmatched);
    findings("tensors that hold NaN or an infinity; the training diverged:", &outline.not_finite);
    findings("what does not belong together:", &outline.wrong);
    if zero == modules {
        text.push_str("\nit changes nothing, and answers as its base does; was it saved before it was trained?\n");
    }
    text
}

/// A list as words, anything else as it is.
fn targets_in_words(targets: &Value) -> String {
    match targets {
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", "),
        Value::String(pattern) => pattern.clone(),
        other => other.to_string(),
    }
}

/// Words in lines that fit a narrow terminal, later ones under the first word.
fn hang(head: &str, text: &str) -> String {
    const WIDTH: usize = 80;
    let indent = head.chars().count();
    let (mut lines, mut used) = (head.to_owned(), indent);
    for (at, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && used + 1 + length > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            used = indent;
        } else if at > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines + "\n"
}
