use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use toml::Spanned;

use super::{
    Chat, Decide, Diagnostic, StopWhen,
    bounds::{checked, text},
    nearest,
    table::Table,
    value::Entry,
};

/// The keys that every probe has.
const COMMON: [&str; 8] = ["name", "kind", "enabled", "weight", "decide", "min_items", "stop_when", "chat"];

/// One `[[probe]]`: the keys that all probes have, and its own, which wait for the kind that knows them.
#[derive(Debug, Clone)]
pub struct ProbeTable {
    /// Unique in the suite. Empty only beside a diagnostic.
    pub name: Spanned<String>,
    /// Not checked yet: kinds are not known here.
    pub kind: Spanned<String>,
    /// Whether it runs.
    pub enabled: bool,
    /// In its category's score: finite, 0 or more.
    pub weight: f64,
    /// In place of the gate's.
    pub decide: Option<Decide>,
    /// With fewer items the verdict is `inconclusive`.
    pub min_items: Option<usize>,
    /// When it asks about no more items, though there are some.
    pub stop_when: Option<Spanned<StopWhen>>,
    /// In place of the model's.
    pub chat: Option<Spanned<Chat>>,
    own: Table,
}

impl ProbeTable {
    /// Reads the probe's own keys into a plain struct with `#[serde(deny_unknown_fields)]`.
    ///
    /// A check that the struct makes while it is read (`serde::de::Error::custom`) gets its caret at the value; its
    /// message may end in `"\nhint: …"`, and where it begins with "must", the key is put before it. A whole number is fine where an `f64` is wanted.
    ///
    /// # Errors
    /// Every mistake at once. Without any where the probe's own text is not TOML, which [`parse`](super::parse) told.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Vec<Diagnostic>> {
        self.own.read(&COMMON).whole()
    }

    /// `None` only beside a diagnostic.
    pub(super) fn read(table: Table) -> (Option<Self>, Vec<Diagnostic>) {
        let Table { span, entries, garbled } = table;
        let mut lacking = vec!["name", "kind"];
        lacking.retain(|&key| !entries.iter().any(|entry| entry.key == key));
        // What looks like a required key that is missing is read with the common ones, so that it's told as such.
        let (common, own): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|Entry { key, .. }| COMMON.contains(&key.as_str()) || nearest(key, lacking.iter().copied()).is_some());

        let common = Table { span: span.clone(), entries: common, garbled };
        let reading = common.read::<CommonKeys>(&[]);
        let probe = reading.value.filter(|keys| !is_filled(&keys.kind)).map(|keys| Self {
            name: if is_filled(&keys.name) { Spanned::new(span.clone(), String::new()) } else { keys.name },
            kind: keys.kind,
            enabled: keys.enabled,
            weight: keys.weight,
            decide: keys.decide,
            min_items: keys.min_items,
            stop_when: keys.stop_when,
            chat: keys.chat,
            own: Table { span, entries: own, garbled },
        });
        (probe, reading.wrong)
    }
}

fn is_filled(text: &Spanned<String>) -> bool {
    text.span() == Table::FILLED
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommonKeys {
    #[serde(deserialize_with = "text")]
    name: Spanned<String>,
    #[serde(deserialize_with = "text")]
    kind: Spanned<String>,
    #[serde(default = "enabled")]
    enabled: bool,
    #[serde(default = "one", deserialize_with = "weight")]
    weight: f64,
    decide: Option<Decide>,
    #[serde(default, deserialize_with = "min_items")]
    min_items: Option<usize>,
    stop_when: Option<Spanned<StopWhen>>,
    chat: Option<Spanned<Chat>>,
}

fn enabled() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |weight: &f64| weight.is_finite() && *weight >= 0.0, "must be 0 or more, and finite")
}

fn min_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    checked(deserializer, |&items| items > 0, "must be at least 1").map(Some)
}
