//! From a suite's `[[section]]` tables to the training document.

use crate::probe::{Document, FileItems, Item, Items, Section};
use crate::suite::{Diagnostic, ProbeTable, SectionTable, Suite};

/// The document of a suite, and every mistake in it. A section with a mistake is left out.
pub fn document(suite: &Suite) -> (Document, Vec<Diagnostic>) {
    let mut wrong = Vec::new();
    let mut part = |held_out: bool| {
        let tables = suite.sections.iter().filter(|table| table.held_out == held_out);
        let items: Vec<Items<Section>> =
            tables.filter_map(|table| items(table).map_err(|found| wrong.extend(found)).ok()).collect();
        if items.is_empty() { Items::Absent } else { Items::Several(items) }
    };
    let document = Document { sections: part(false), held_out: part(true) };
    (document, wrong)
}

fn items(table: &SectionTable) -> Result<Items<Section>, Vec<Diagnostic>> {
    if table.is_file() {
        return table.config::<FileItems>().map(Items::File);
    }
    let section = table.config::<Section>()?;
    match section.check() {
        Ok(()) => Ok(Items::Inline(vec![section])),
        Err(message) => Err(vec![Diagnostic::new(table.span(), message).with_label("in this section")]),
    }
}

/// What is said of a probe that has no sections, in a suite that has none.
pub fn lacking(table: &ProbeTable) -> Diagnostic {
    let kind = table.kind.get_ref();
    Diagnostic::new(table.name.span(), format!("{kind} asks after sections of the training document, and there are none"))
        .with_label("in this probe")
        .with_hint("give the probe `sections` (a list of texts, or { file = \"document.md\" }), or write `[[section]]` tables")
}
