//! What is wrong with a merged checkpoint, in sentences: the finding, and what most probably led to it.

use super::weights::TOO_ROUNDED;
use crate::engine::{LoadedMerge, Outcome};
use crate::record::{Distance, MergeFinding, MergedAnswer, MergedModule};

/// How many modules a sentence names.
const NAMED: usize = 3;

/// Sentences about config and weights, the gravest first.
pub fn of_weights(loaded: &LoadedMerge, modules: &[MergedModule]) -> Vec<String> {
    let mut causes = Vec::new();
    let with = |finding: MergeFinding| modules.iter().filter(move |module| module.finding == finding).collect::<Vec<_>>();
    let not_finite = with(MergeFinding::NotFinite);
    if !not_finite.is_empty() {
        let hold = if not_finite.len() == 1 { "holds" } else { "hold" };
        causes.push(format!("{} {hold} values that are NaN or infinite: {}", tensors(not_finite.len()), names(&not_finite)));
    }
    for compared in &loaded.modules {
        if let Outcome::Resized { base: [rows, cols], merged: [own_rows, own_cols] } = &compared.outcome {
            causes.push(format!(
                "`{}` was resized: it is {own_rows} × {own_cols}, and the base's {rows} × {cols}",
                compared.module
            ));
        }
    }
    causes.extend(loaded.config.iter().map(|difference| format!("its config differs: {difference}")));
    causes.extend(of_modules(modules, loaded.info.merged_in));
    causes
}

/// Sentences about modules that rounding does not explain.
fn of_modules(modules: &[MergedModule], dtype: &str) -> Vec<String> {
    let adapted = modules.iter().filter(|module| module.adapted).count();
    let with = |finding: MergeFinding| modules.iter().filter(|module| module.finding == finding).collect::<Vec<_>>();
    // `all 28 modules that the adapter changes are`, or `1 of the 28 … is`, and then its name.
    let share = |of: &[&MergedModule]| {
        let (adapter, be) = ("that the adapter changes", if of.len() == 1 { "is" } else { "are" });
        match (of.len(), adapted) {
            (1, 1) => (format!("the one module {adapter} {be}"), String::new()),
            (n, all) if n == all => (format!("all {all} modules {adapter} {be}"), String::new()),
            (n, all) => (format!("{n} of the {all} modules {adapter} {be}"), format!(": {}", names(of))),
        }
    };
    let mut causes = Vec::new();
    let not_merged = with(MergeFinding::NotMerged);
    if !not_merged.is_empty() {
        let (who, which) = share(&not_merged);
        causes.push(if which.is_empty() {
            format!("nothing was merged: {who} the base's")
        } else {
            format!("{who} the base's, left unmerged{which}")
        });
    }
    let twice = with(MergeFinding::MergedTwice);
    if !twice.is_empty() {
        let (who, which) = share(&twice);
        causes.push(format!("the adapter was merged twice: {who} W + 2 ΔW{which}"));
    }
    let scaled = with(MergeFinding::OtherScale);
    if !scaled.is_empty() {
        let (who, which) = share(&scaled);
        causes.push(format!(
            "it was merged with another scale: {who} W + λ ΔW with λ {}, as of another `lora_alpha`, `r` or `use_rslora`{which}",
            lambdas(&scaled)
        ));
    }
    let (other, changed) = (with(MergeFinding::Other), with(MergeFinding::Changed));
    if !other.is_empty() {
        let (who, which) = share(&other);
        let rounded = |module: &&MergedModule| module.rounding.is_some_and(|rounding| rounding > TOO_ROUNDED);
        let why = if other.iter().all(rounded) {
            "rounding is so large beside ΔW that it can't be told what they are"
        } else if other.len() == adapted {
            "it was merged into another base (a quantized one, or another revision), or with another adapter, or trained on"
        } else {
            "they were merged with another adapter or into other weights, or trained on"
        };
        causes.push(format!("{who} neither the base's nor W + ΔW: {why}{which}"));
    }
    if !changed.is_empty() {
        let are = if changed.len() == 1 { "is" } else { "are" };
        causes.push(format!(
            "{} that the adapter leaves alone {are} not the base's: {}",
            tensors(changed.len()),
            names(&changed)
        ));
    }
    let imprecise = with(MergeFinding::Imprecise);
    if !imprecise.is_empty() {
        let (who, which) = share(&imprecise);
        let off = imprecise.iter().filter_map(|module| module.distance).fold(0.0, f64::max);
        causes.push(format!(
            "{who} W + ΔW computed less precisely than {dtype}, off by up to {:.2} % of ΔW{which}; if it was merged in bf16 or f16, say so with --merged-in",
            100.0 * off
        ));
    }
    causes
}

pub fn of_tokenizer(otherwise: usize, prompts: usize) -> Option<String> {
    (otherwise > 0).then(|| format!("its tokenizer makes other tokens of {otherwise} of {prompts} prompts than the base's"))
}

/// A sentence about answers beyond the floor, or that are not there.
pub fn of_answers(answers: &[MergedAnswer]) -> Option<String> {
    let beyond: Vec<&MergedAnswer> = answers.iter().filter(|answer| answer.within == Some(false)).collect();
    if let Some(error) = beyond.iter().find_map(|answer| answer.error.as_ref()) {
        return Some(format!("it can't be asked: {error}"));
    }
    let distances = beyond.iter().flat_map(|answer| [answer.next_token, answer.text]).flatten();
    let times = |distance: &Distance| distance.merged / distance.floor;
    let worst = distances.filter(|distance| !distance.within()).max_by(|a, b| times(a).total_cmp(&times(b)))?;
    Some(format!(
        "its answers to {} of {} prompts are off by more than the floor: by {} nats where rounding explains {}",
        beyond.len(),
        answers.len(),
        nats(worst.merged),
        nats(worst.floor)
    ))
}

fn nats(value: f64) -> String {
    if value < 0.01 { format!("{value:.1e}") } else { format!("{value:.3}") }
}

fn tensors(count: usize) -> String {
    if count == 1 { "1 tensor".to_owned() } else { format!("{count} tensors") }
}

fn names(modules: &[&MergedModule]) -> String {
    let shown: Vec<String> = modules.iter().take(NAMED).map(|module| format!("`{}`", module.module)).collect();
    match modules.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", shown.join(", ")),
        None => shown.join(", "),
    }
}

/// `= 0.50`, or `from 0.50 to 1.41` where modules differ by more than a hundredth.
fn lambdas(modules: &[&MergedModule]) -> String {
    let scales = || modules.iter().filter_map(|module| module.scale);
    let (low, high) = (scales().fold(f64::INFINITY, f64::min), scales().fold(f64::NEG_INFINITY, f64::max));
    if high - low <= 0.01 * high.abs().max(1.0) {
        format!("= {:.2}", f64::midpoint(low, high))
    } else {
        format!("from {low:.2} to {high:.2}")
    }
}
