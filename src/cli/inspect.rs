//! `sway inspect`: what an adapter changes of its base, without a forward pass.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::args::{InspectArgs, ListFormat};
use super::exit::{Exit, Failure, OrExit};
use super::output::write_stdout;
use super::progress::Downloads;
use crate::engine::{self, Loaded, NullDraws, Precision, Source, Sources};
use crate::model::hub::Progress;

pub fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    let source = |name: &String| Source { name: name.clone(), revision: None, relative_to: PathBuf::new() };
    let sources = Sources {
        base: source(&args.base),
        adapter: Some(source(&args.adapter)),
        nulls: NullDraws::Matched,
        precision: Precision::F32,
    };
    let downloads: Arc<dyn Progress> = Arc::new(Downloads::new());
    let told = || format!("can't load {} with {}", args.base, args.adapter);
    let loaded = engine::load(&sources, &downloads).with_context(told).or_exit(Exit::Input)?;
    let modules = loaded.modules();
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
