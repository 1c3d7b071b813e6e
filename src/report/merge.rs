//! A merged checkpoint's record: for a person at a terminal, and as JSON.

use std::collections::BTreeMap;

use crate::record::{Distance, MergeFinding, MergeRecord, MergedAnswer, MergedModule};

use super::escape::terminal as clean;
use super::paint::{self, Paint};
use super::table::{Cell, Column, Table};
use super::{Style, number, wrap};

/// How many modules and answers that differ are listed; JSON has all.
const LISTED: usize = 8;

/// # Errors
/// None in practice: a record's keys are strings and its values plain.
pub fn json(record: &MergeRecord) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(record)? + "\n")
}

/// The verdict first, then why, then what it stands on.
#[must_use]
pub fn terminal(record: &MergeRecord, style: Style) -> String {
    let page = Page { record, paint: Paint { color: style.color }, width: style.width };
    [page.headline(), page.subjects(), page.weights(), page.answers(), page.notes(), page.modules(), page.beyond()].concat()
}

/// One of the two distances of an answer.
type Part = fn(&MergedAnswer) -> Option<Distance>;

struct Page<'a> {
    record: &'a MergeRecord,
    paint: Paint,
    width: usize,
}

impl Page<'_> {
    fn headline(&self) -> String {
        let word = self.record.verdict.name().to_uppercase();
        let indent = word.len() + 2;
        let head = format!("{}  ", self.paint.on(paint::of_verdict(self.record.verdict), &word));
        let mut text = wrap::hang(&head, indent, &clean(&self.record.message), self.width);
        for finding in &self.record.findings {
            text += &wrap::hang(&format!("{}- ", " ".repeat(indent)), indent + 2, &clean(finding), self.width);
        }
        text + "\n"
    }

    fn subjects(&self) -> String {
        let MergeRecord { base, adapter, merged, .. } = self.record;
        let commit = |commit: &Option<String>| commit.as_deref().map(|commit| format!("commit {}", clean(number::short(commit))));
        let size = |parameters| format!("{} parameters", number::parameters(parameters));
        let mut of_base = vec![clean(&base.source)];
        of_base.extend(commit(&base.commit));
        of_base.extend([clean(&base.architecture), size(base.parameters), number::short(&base.digest).to_owned()]);
        let mut of_adapter = vec![clean(&adapter.source)];
        of_adapter.extend(commit(&adapter.commit));
        of_adapter.extend([clean(&adapter.peft_type), size(adapter.parameters), number::short(&adapter.digest).to_owned()]);
        let mut of_merged = vec![clean(&merged.source)];
        of_merged.extend(commit(&merged.commit));
        let dtype = if merged.dtype == merged.merged_in {
            format!("in {}", merged.dtype)
        } else {
            format!("in {}, merged in {}", merged.dtype, merged.merged_in)
        };
        of_merged.extend([dtype, size(merged.parameters), number::short(&merged.digest).to_owned()]);
        self.labelled("base", &of_base) + &self.labelled("adapter", &of_adapter) + &self.labelled("merged", &of_merged)
    }

    /// How many tensors are what, and how large the rounding is that explains them.
    fn weights(&self) -> String {
        let modules = &self.record.modules;
        let mut counts: BTreeMap<MergeFinding, u64> = BTreeMap::new();
        for module in modules {
            *counts.entry(module.finding).or_default() += 1;
        }
        let mut pieces = vec![number::plural(modules.len() as u64, "tensor")];
        pieces.extend(counts.iter().rev().map(|(finding, count)| format!("{} {}", number::count(*count), word(*finding))));
        let mut text = self.labelled("weights", &pieces);
        let adapted = || modules.iter().filter(|module| module.adapted);
        let roundings = adapted().filter_map(|module| module.rounding);
        if let Some(rounding) = median(roundings) {
            let dtype = self.record.merged.merged_in;
            let said = format!(
                "rounding W + ΔW to {dtype} is {} % of ΔW (median of the {} that the adapter changes)",
                number::significant(100.0 * rounding),
                number::plural(adapted().count() as u64, "tensor")
            );
            text += &wrap::hang(&" ".repeat(9), 9, &said, self.width);
        }
        text
    }

    fn answers(&self) -> String {
        let answers = &self.record.answers;
        if answers.is_empty() {
            return self.labelled("answers", &["not asked: the config or a tensor's shape differs".to_owned()]);
        }
        let within = answers.iter().filter(|answer| answer.within == Some(true)).count();
        let mut text = self.labelled(
            "answers",
            &[format!("{} of {} within the floor", number::count(within as u64), number::plural(answers.len() as u64, "prompt"))],
        );
        let largest = |part: Part, of: fn(&Distance) -> f64| {
            answers.iter().filter_map(|answer| part(answer).map(|part| of(&part))).fold(0.0, f64::max)
        };
        let parts: [(&str, Part); 2] = [("next token", |answer| answer.next_token), ("text", |answer| answer.text)];
        for (name, part) in parts {
            if answers.iter().all(|answer| part(answer).is_none()) {
                continue;
            }
            let said = format!(
                "{name}: off by up to {} nats; rounding alone {}, without the adapter {}",
                number::significant(largest(part, |of| of.merged)),
                number::significant(largest(part, |of| of.rounded)),
                number::significant(largest(part, |of| of.base))
            );
            text += &wrap::hang(&" ".repeat(9), 9, &said, self.width);
        }
        text
    }

    fn notes(&self) -> String {
        let note = |note: &String| wrap::hang(&self.paint.faint("note     "), 9, &clean(note), self.width);
        self.record.notes.iter().map(note).collect()
    }

    /// The modules that differ, the gravest first, and of those that differ alike the farthest.
    fn modules(&self) -> String {
        let fine = [MergeFinding::Same, MergeFinding::Hidden];
        let mut worst: Vec<&MergedModule> = self.record.modules.iter().filter(|module| !fine.contains(&module.finding)).collect();
        if worst.is_empty() {
            return String::new();
        }
        let distance = |module: &MergedModule| module.distance.unwrap_or(f64::INFINITY);
        worst.sort_by(|a, b| a.finding.cmp(&b.finding).then(distance(b).total_cmp(&distance(a))));
        let more = worst.len().saturating_sub(LISTED);
        let table = Table {
            columns: [
                Column::left("finding", 0),
                Column::left("module", 1),
                Column::right("λ", 2),
                Column::right("distance", 3),
                Column::right("rounding", 4),
                Column::right("outside", 5),
            ],
            rows: worst.into_iter().take(LISTED).map(row).collect(),
        };
        format!("\n{}{}", table.render(self.width, self.paint), self.more(more, "more tensor"))
    }

    /// The answers beyond the floor, the farthest first.
    fn beyond(&self) -> String {
        let mut beyond: Vec<&MergedAnswer> = self.record.answers.iter().filter(|answer| answer.within != Some(true)).collect();
        if beyond.is_empty() {
            return String::new();
        }
        let times = |answer: &MergedAnswer| {
            let of = |distance: Option<Distance>| distance.map_or(0.0, |distance| distance.merged / distance.floor);
            if answer.error.is_some() { f64::INFINITY } else { of(answer.next_token).max(of(answer.text)) }
        };
        beyond.sort_by(|a, b| times(b).total_cmp(&times(a)));
        let more = beyond.len().saturating_sub(LISTED);
        let figure = |distance: Option<Distance>, of: fn(&Distance) -> f64| {
            distance.map(|distance| number::significant(of(&distance))).unwrap_or_default()
        };
        let row = |answer: &MergedAnswer| -> [Cell; 5] {
            let prompt = answer.error.as_ref().map_or_else(|| clean(&answer.prompt), |error| clean(error));
            [
                prompt.into(),
                figure(answer.next_token, |of| of.merged).into(),
                figure(answer.next_token, |of| of.floor).into(),
                figure(answer.text, |of| of.merged).into(),
                figure(answer.text, |of| of.floor).into(),
            ]
        };
        let table = Table {
            columns: [
                Column::left("prompt", 0).at_least(24),
                Column::right("next token", 1),
                Column::right("floor", 2),
                Column::right("text", 3),
                Column::right("floor", 4),
            ],
            rows: beyond.into_iter().take(LISTED).map(row).collect(),
        };
        format!("\n{}{}", table.render(self.width, self.paint), self.more(more, "more prompt"))
    }

    fn more(&self, more: usize, noun: &str) -> String {
        if more == 0 { String::new() } else { self.paint.faint(&format!("and {}", number::plural(more as u64, noun))) + "\n" }
    }

    fn labelled(&self, label: &str, pieces: &[String]) -> String {
        wrap::hang(&self.paint.faint(&format!("{label:9}")), 9, &wrap::pieces(pieces), self.width)
    }
}

fn row(module: &MergedModule) -> [Cell; 6] {
    let outside = (module.values > 0).then(|| number::percent(module.outside as f64 / module.values as f64));
    let share = |share: Option<f64>| share.map(number::significant).unwrap_or_default();
    [
        word(module.finding).into(),
        clean(&module.module).into(),
        module.scale.map(|scale| number::fixed(scale, 2)).unwrap_or_default().into(),
        share(module.distance).into(),
        share(module.rounding).into(),
        outside.unwrap_or_default().into(),
    ]
}

/// A finding, as a reader says it.
fn word(finding: MergeFinding) -> &'static str {
    match finding {
        MergeFinding::NotFinite => "not finite",
        MergeFinding::Resized => "resized",
        MergeFinding::NotMerged => "not merged",
        MergeFinding::MergedTwice => "merged twice",
        MergeFinding::OtherScale => "another scale",
        MergeFinding::Changed => "changed",
        MergeFinding::Other => "other",
        MergeFinding::Imprecise => "imprecise",
        MergeFinding::Hidden => "hidden by rounding",
        MergeFinding::Same => "as they should be",
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
