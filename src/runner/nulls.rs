//! How a suite has its null adapters drawn: as `[null]` says, or a `null_adapter` probe.

use super::plan::Entry;
use crate::probe::{NullControl, NullDraw};
use crate::request::Scale;
use crate::suite::{Diagnostic, NullKind, NullSpec, Suite};

/// What holds for the suite, with the ranks that nulls have beside the adapter's own; a second probe that would say is a mistake.
pub fn controlled(entries: &[Entry], suite: &Suite) -> (NullSpec, Vec<Scale>, Vec<Diagnostic>) {
    let mut controls =
        entries.iter().filter(|entry| entry.enabled).filter_map(|entry| Some((entry, entry.probe.controls_nulls()?)));
    let mut spec = suite.null.clone();
    let Some((first, NullControl { runs, kind, ranks })) = controls.next() else { return (spec, Vec::new(), Vec::new()) };
    spec.runs = runs.unwrap_or(spec.runs);
    spec.kind = match kind {
        None => spec.kind,
        Some(NullDraw::Matched) => NullKind::Matched,
        Some(NullDraw::Init) => NullKind::Init,
    };
    let wrong = controls.filter_map(|(second, _)| {
        let table = suite.probes.iter().find(|table| *table.name.get_ref() == second.name)?;
        let message = format!("`{}` says already how null adapters are drawn", first.name);
        Some(Diagnostic::new(table.name.span(), message).with_hint("a suite has one `null_adapter` probe at most"))
    });
    (spec, ranks, wrong.collect())
}
