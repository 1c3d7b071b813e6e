//! A probe's items: written in the suite, rows of a file, or rows of sources.

mod streamed;
mod written;

pub use streamed::{RowMark, RowPlace, SourceItems, SourceRows, Streamed};

use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pack::{Layout, Pack};
use super::training::{LossPoint, OptimizerMemory, Place, TrainingFile};
use crate::request::{Asked, Prompt};

/// Where a probe's items are.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Items<T> {
    /// The suite names none for this probe.
    #[default]
    Absent,
    Inline(Vec<T>),
    File(FileItems),
    /// However many the suite's sources have.
    Streamed(SourceItems),
    /// Those that come with the program.
    Shipped(Pack),
    /// One after another.
    Several(Vec<Items<T>>),
}

/// Items, one at a time, or what is wrong with one and where it is.
pub type ItemStream<T> = Box<dyn Iterator<Item = Result<T, String>> + Send>;

/// Items in a file, relative to the suite's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileItems {
    pub file: String,
    /// The field of a JSON row that holds a text; only for items that are texts.
    pub field: Option<String>,
    /// Take the first rows only.
    pub limit: Option<usize>,
    /// What a row is; the kind says.
    #[serde(skip)]
    pub layout: Layout,
}

/// One unit of inference.
///
/// Written with `rmp_serde::to_vec_named`, an item is read back as an equal one, whatever it was read from first. The same item gives the
/// same bytes in every run, and they hold all of it, its group too: they may stand for the item.
pub trait Item: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What several are called in messages: `prompts`.
    const PLURAL: &'static str;

    /// For an item that is one text: the field of a JSON row that holds it unless the suite names another.
    const TEXT_FIELD: Option<&'static str>;

    /// What is wrong with the item, if anything can be told before a model is asked.
    fn check(&self) -> Result<(), String>;

    /// Where the item's group is named, if items of its kind may come in groups that are alike, each named under `cluster`: the group
    /// is the unit of inference then.
    fn cluster(&mut self) -> Option<&mut Option<String>> {
        None
    }

    /// The item from the fields of a JSON row, where the suite names none of them.
    fn from_fields(fields: Map<String, Value>) -> Result<Self, String> {
        match Self::TEXT_FIELD {
            Some(field) => from_field(fields, field),
            None => serde_json::from_value(Value::Object(fields)).map_err(|e| e.to_string()),
        }
    }
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRow {
    /// Counted from 1.
    pub line: usize,
    pub value: Value,
}

/// The rows of a file, each with its line, or what is wrong with it and where.
pub struct ItemRows {
    /// The file as messages name it.
    pub path: String,
    pub rows: Box<dyn Iterator<Item = Result<ItemRow, String>> + Send>,
}

/// Opens the files that items are in.
pub trait OpenRows {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String>;

    /// The rows of sources, woven into one: from the first, or after a mark.
    fn open_sources(&self, items: &SourceItems, _after: Option<&RowMark>) -> Result<Box<dyn SourceRows>, String> {
        Err(format!("there is no source `{}`", items.source.join("`, `")))
    }

    /// Where a file is that a probe names.
    fn named(&self, file: &str) -> PathBuf {
        PathBuf::from(file)
    }

    /// What the training left in the adapter's folder.
    fn beside_adapter(&self, _what: TrainingFile) -> Place {
        Place::Nowhere("there is no adapter to look beside".to_owned())
    }

    /// The losses of a training's log, in the order in which they were written.
    fn losses(&self, path: &Path) -> Result<Vec<LossPoint>, String> {
        Err(format!("{} can't be opened here", path.display()))
    }

    /// An optimizer's memory, from its file, and the steps of the log beside that.
    fn optimizer(&self, path: &Path) -> Result<OptimizerMemory, String> {
        Err(format!("{} can't be opened here", path.display()))
    }
}

impl<T> Items<T> {
    /// Whether any are in a file, and not in the suite.
    pub fn in_a_file(&self) -> bool {
        match self {
            Self::Absent | Self::Inline(_) | Self::Shipped(_) => false,
            Self::File(_) | Self::Streamed(_) => true,
            Self::Several(all) => all.iter().any(Self::in_a_file),
        }
    }

    /// Whether it can be told without a look into a file that there are none.
    pub fn is_none(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Inline(items) => items.is_empty(),
            Self::File(_) | Self::Streamed(_) | Self::Shipped(_) => false,
            Self::Several(all) => all.iter().all(Self::is_none),
        }
    }

    /// The sources that they come from; those are not counted before they are asked about.
    pub fn sources(&self) -> Option<&SourceItems> {
        match self {
            Self::Streamed(items) => Some(items),
            _ => None,
        }
    }
}

impl<T: Item> Items<T> {
    /// The items, one at a time; each is checked. Inline items are copied: they are as few as somebody wrote by hand.
    pub fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<T>, String> {
        match self {
            Self::Absent => Ok(Box::new(std::iter::empty())),
            Self::Shipped(pack) => Ok(Box::new(pack.rows().enumerate().map({
                let name = pack.name;
                move |(index, row)| {
                    let item = row.and_then(|row| parse_row::<T>(row, None)).and_then(|item| item.check().map(|()| item));
                    item.map_err(|message| format!("{name}: item {}: {message}", index + 1))
                }
            }))),
            Self::Several(all) => {
                let opened: Vec<ItemStream<T>> = all.iter().map(|items| items.open(rows)).collect::<Result<_, _>>()?;
                Ok(Box::new(opened.into_iter().flatten()))
            }
            Self::Inline(items) => Ok(Box::new(items.clone().into_iter().enumerate().map(|(index, item)| match item.check() {
                Ok(()) => Ok(item),
                Err(message) => Err(format!("item {}: {message}", index + 1)),
            }))),
            Self::File(file) => {
                let field = file.field.clone();
                if field.is_some() && T::TEXT_FIELD.is_none() {
                    return Err(format!("{}: `field` goes with items that are plain texts, not with {}", file.file, T::PLURAL));
                }
                let ItemRows { path, rows } = rows.open(file)?;
                let items = rows.map(move |row| {
                    let ItemRow { line, value } = row?;
                    let item = parse_row::<T>(value, field.as_deref()).and_then(|item| item.check().map(|()| item));
                    item.map_err(|message| format!("{path}:{line}: {message}"))
                });
                Ok(Box::new(items))
            }
            Self::Streamed(items) => Ok(Box::new(Streamed::open(items, rows, None)?)),
        }
    }
}

/// A row as an item: of a JSON object the field that the suite names, or what the item knows to make of the fields; else the row itself.
fn parse_row<T: Item>(row: Value, field: Option<&str>) -> Result<T, String> {
    let Value::Object(mut fields) = row else { return serde_json::from_value(row).map_err(|e| e.to_string()) };
    let cluster = match fields.remove("cluster") {
        None | Some(Value::Null) => None,
        Some(Value::String(cluster)) => Some(cluster),
        Some(other) => return Err(format!("`cluster` must be a string, not {other}")),
    };
    let mut item = match field {
        Some(field) => from_field(fields, field),
        None => T::from_fields(fields),
    }?;
    match (cluster, item.cluster()) {
        (None, _) => {}
        (named, Some(cluster)) => *cluster = named,
        (Some(_), None) => return Err(no_cluster()),
    }
    Ok(item)
}

/// What is said of a `cluster` that no interval would heed.
fn no_cluster() -> String {
    "this kind makes no use of `cluster`: its items count one by one".to_owned()
}

/// A `cluster` in a table of a kind that makes no use of it, for `#[serde(deserialize_with)]`: refused, lest it be taken for heeded.
pub fn refuse_cluster<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom(no_cluster()))
}

fn from_field<T: Item>(mut fields: Map<String, Value>, field: &str) -> Result<T, String> {
    let Some(value) = fields.remove(field) else {
        let there: Vec<String> = fields.keys().map(|key| format!("`{key}`")).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        return Err(format!("it has no field `{field}`; it has {there}"));
    };
    serde_json::from_value(value).map_err(|e| e.to_string())
}

/// A text that no model can be asked about.
pub fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.is_empty() { Err(format!("`{name}` is empty")) } else { Ok(()) }
}

impl Item for Prompt {
    const PLURAL: &'static str = "prompts";
    const TEXT_FIELD: Option<&'static str> = Some("prompt");

    fn check(&self) -> Result<(), String> {
        Prompt::check(self)
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self, String> {
        if fields.contains_key("messages") {
            serde_json::from_value(Value::Object(fields)).map(|Asked(prompt)| prompt).map_err(|e| e.to_string())
        } else {
            from_field(fields, "prompt")
        }
    }
}
