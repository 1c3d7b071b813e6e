use std::ops::Range;

use serde::{Deserialize, de::DeserializeOwned};

use super::{Diagnostic, table::Table, value::Entry};

/// The keys that every section has, whoever reads the rest.
const COMMON: [&str; 1] = ["held_out"];

/// One `[[section]]` of the training document: a section, or a file of them. What a section is made of is not known here.
#[derive(Debug, Clone)]
pub struct SectionTable {
    /// Whether it was kept out of the training, to compare with.
    pub held_out: bool,
    own: Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommonKeys {
    #[serde(default)]
    held_out: bool,
}

impl SectionTable {
    /// Where it stands.
    pub fn span(&self) -> Range<usize> {
        self.own.span.clone()
    }

    /// Whether it names a file of sections, and is none itself.
    pub fn is_file(&self) -> bool {
        self.own.entries.iter().any(|entry| entry.key == "file")
    }

    /// Reads its own keys, as [`ProbeTable::config`](super::ProbeTable::config) does.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Vec<Diagnostic>> {
        self.own.read(&COMMON).whole()
    }

    pub(super) fn read(table: Table) -> (Self, Vec<Diagnostic>) {
        let Table { span, entries, garbled } = table;
        let (common, own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| COMMON.contains(&entry.key.as_str()));
        let common = Table { span: span.clone(), entries: common, garbled };
        let reading = common.read::<CommonKeys>(&[]);
        let held_out = reading.value.is_some_and(|keys| keys.held_out);
        (Self { held_out, own: Table { span, entries: own, garbled } }, reading.wrong)
    }
}
