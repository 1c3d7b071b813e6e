//! The training document as a suite gives it to all its probes.

use super::items::{ItemStream, Items, OpenRows};
use super::section::Section;

/// The `[[section]]` tables of a suite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// What the adapter was trained on.
    pub sections: Items<Section>,
    /// What it was not trained on, and what is like it otherwise.
    pub held_out: Items<Section>,
}

/// Where a probe keeps the sections that it asks after.
pub struct SectionSlots<'a> {
    pub sections: &'a mut Items<Section>,
    pub held_out: &'a mut Items<Section>,
}

impl SectionSlots<'_> {
    /// Puts the document's sections where the probe has none of its own; `false` where it still has none then.
    pub fn fill(self, document: &Document) -> bool {
        for (own, shared) in [(&mut *self.sections, &document.sections), (&mut *self.held_out, &document.held_out)] {
            if *own == Items::Absent {
                own.clone_from(shared);
            }
        }
        *self.sections != Items::Absent
    }
}

/// The sections that a probe asks after, and then those that were held out.
pub fn open(sections: &Items<Section>, held_out: &Items<Section>, rows: &dyn OpenRows) -> Result<ItemStream<Section>, String> {
    let trained = sections.open(rows)?;
    let held_out = held_out.open(rows).map_err(|message| format!("held_out: {message}"))?.map(|section| match section {
        Ok(section) => Ok(Section { held_out: true, ..section }),
        Err(message) => Err(format!("held_out: {message}")),
    });
    Ok(Box::new(trained.chain(held_out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probes_own_sections_go_before_the_suites() {
        let list = |text: &str| Items::Inline(vec![Section::prose(text)]);
        let document = Document { sections: list("shared"), held_out: list("kept out") };
        let filled = |mut sections: Items<Section>, mut held_out: Items<Section>, document: &Document| {
            let any = SectionSlots { sections: &mut sections, held_out: &mut held_out }.fill(document);
            (sections, held_out, any)
        };
        assert_eq!(filled(Items::Absent, Items::Absent, &document), (list("shared"), list("kept out"), true));
        assert_eq!(filled(list("own"), Items::Absent, &document), (list("own"), list("kept out"), true));
        assert_eq!(filled(Items::Absent, list("own"), &document), (list("shared"), list("own"), true));
        assert_eq!(filled(Items::Absent, Items::Absent, &Document::default()), (Items::Absent, Items::Absent, false));
        assert!(
            filled(Items::Inline(Vec::new()), Items::Absent, &document).2,
            "an empty list is a list, and a mistake of its own"
        );
    }
}
