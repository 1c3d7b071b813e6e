//! What the columns of a file are together: structs, lists and maps.

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use serde_json::Value;

use super::super::error::Wrong;
use super::cell::Cell;
use super::{Cause, Wanted};

/// The columns that are needed, as a row is put together from them.
pub(super) struct Shape {
    pub(super) fields: Vec<(String, Node)>,
    /// Of each leaf, by its place among the leaves that are read: its place in the file, and how it is read.
    pub(super) leaves: Vec<(usize, Cell)>,
}

/// A part of a row.
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The leaves below it.
    pub(super) leaves: Range<usize>,
}

pub(super) enum Kind {
    Leaf,
    /// It is there where the definition level is so high.
    Optional {
        definition: i16,
        inner: Box<Node>,
    },
    /// It is not empty where the definition level is so high, and goes on while the repetition level is this one.
    List {
        definition: i16,
        repetition: i16,
        element: Box<Node>,
    },
    /// The same, of keys and values.
    Map {
        definition: i16,
        repetition: i16,
        key: Box<Node>,
        value: Box<Node>,
    },
    Struct(Vec<(String, Node)>),
}

/// Above a part of the schema.
#[derive(Clone, Copy)]
struct Levels {
    definition: i16,
    repetition: i16,
}

/// Goes down the schema, as deep as the footer was found to be.
struct Walk<'a> {
    schema: &'a SchemaDescriptor,
    /// The next leaf of the file.
    column: usize,
    leaves: Vec<(usize, Cell)>,
}

impl Shape {
    pub(super) fn new(schema: &SchemaDescriptor, wanted: &Wanted) -> Result<Self, Cause> {
        let top = schema.root_schema().get_fields();
        for (index, field) in top.iter().enumerate() {
            if top[..index].iter().any(|other| other.name() == field.name()) {
                return Err(Cause::Column { column: field.name().to_owned(), why: "two columns have that name".to_owned() });
            }
        }
        let is_there = |column: &String| top.iter().any(|field| field.name() == column);
        if let Some(missing) = wanted.columns().and_then(|columns| columns.iter().find(|column| !is_there(column))) {
            let columns = top.iter().map(|field| field.name().to_owned()).collect();
            return Err(Cause::NoColumn { column: missing.clone(), columns });
        }
        let mut walk = Walk { schema, column: 0, leaves: Vec::new() };
        let mut fields = Vec::new();
        for field in top {
            if wanted.columns().is_none_or(|columns| columns.iter().any(|column| column == field.name())) {
                let node = walk.node(field, Levels { definition: 0, repetition: 0 });
                let node = node.map_err(|why| Cause::Column { column: field.name().to_owned(), why })?;
                fields.push((field.name().to_owned(), node));
            } else {
                walk.column += leaves_of(field);
            }
        }
        if let Some(columns) = wanted.columns() {
            // In the order that was asked for.
            fields.sort_by_key(|(name, _)| columns.iter().position(|column| column == name));
        }
        if walk.leaves.is_empty() {
            return Err(Cause::Parquet("it has no columns".to_owned()));
        }
        Ok(Self { fields, leaves: walk.leaves })
    }
}

fn leaves_of(field: &Type) -> usize {
    if field.is_primitive() { 1 } else { field.get_fields().iter().map(|field| leaves_of(field)).sum() }
}

fn repetition_of(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), Some(LogicalType::List)) || info.converted_type() == ConvertedType::LIST
}

fn is_map(field: &Type) -> bool {
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), Some(LogicalType::Map))
        || matches!(info.converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
}

impl Walk<'_> {
    fn node(&mut self, field: &Type, above: Levels) -> Result<Node, String> {
        let first = self.leaves.len();
        let kind = match repetition_of(field) {
            Repetition::REQUIRED => return self.required(field, above),
            Repetition::OPTIONAL => {
                let levels = Levels { definition: above.definition + 1, ..above };
                Kind::Optional { definition: levels.definition, inner: Box::new(self.required(field, levels)?) }
            }
            // Without a list around it, it is one itself.
            Repetition::REPEATED => {
                let levels = Levels { definition: above.definition + 1, repetition: above.repetition + 1 };
                let element = Box::new(self.required(field, levels)?);
                Kind::List { definition: levels.definition, repetition: levels.repetition, element }
            }
        };
        Ok(Node { kind, leaves: first..self.leaves.len() })
    }

    /// A field that is there.
    fn required(&mut self, field: &Type, levels: Levels) -> Result<Node, String> {
        let first = self.leaves.len();
        let kind = if field.is_primitive() {
            self.leaf(levels)?;
            Kind::Leaf
        } else if is_list(field) {
            self.list(field, levels)?
        } else if is_map(field) {
            self.map(field, levels)?
        } else {
            let fields = field.get_fields();
            for (index, field) in fields.iter().enumerate() {
                if fields[..index].iter().any(|other| other.name() == field.name()) {
                    return Err(format!("two of its fields are named `{}`", field.name()));
                }
            }
            let fields: Result<Vec<_>, String> =
                fields.iter().map(|field| Ok((field.name().to_owned(), self.node(field, levels)?))).collect();
            Kind::Struct(fields?)
        };
        if first == self.leaves.len() {
            return Err("it has a group without columns".to_owned());
        }
        Ok(Node { kind, leaves: first..self.leaves.len() })
    }

    fn leaf(&mut self, levels: Levels) -> Result<(), String> {
        let column = self.schema.column(self.column);
        if (column.max_def_level(), column.max_rep_level()) != (levels.definition, levels.repetition) {
            return Err("its levels are not those of its schema".to_owned());
        }
        self.leaves.push((self.column, Cell::of(&column)?));
        self.column += 1;
        Ok(())
    }

    /// The backward compatibility rules of
    /// <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists> tell what is an element.
    fn list(&mut self, field: &Type, levels: Levels) -> Result<Kind, String> {
        let [repeated] = field.get_fields() else {
            return Err("it is a list of several columns".to_owned());
        };
        if repetition_of(repeated) != Repetition::REPEATED {
            return Err("it is a list of something that does not repeat".to_owned());
        }
        let inner = Levels { definition: levels.definition + 1, repetition: levels.repetition + 1 };
        let is_element = repeated.is_primitive()
            || fields_of(repeated).len() > 1
            || fields_of(repeated).iter().any(|field| repetition_of(field) == Repetition::REPEATED)
            || is_list(repeated)
            || is_map(repeated)
            || repeated.name() == "array"
            || repeated.name() == format!("{}_tuple", field.name());
        let element = match fields_of(repeated) {
            [element] if !is_element => self.node(element, inner)?,
            _ => self.required(repeated, inner)?,
        };
        Ok(Kind::List { definition: inner.definition, repetition: inner.repetition, element: Box::new(element) })
    }

    fn map(&mut self, field: &Type, levels: Levels) -> Result<Kind, String> {
        let entries = match field.get_fields() {
            [entries] if repetition_of(entries) == Repetition::REPEATED => entries,
            _ => return Err("it is a map of something that does not repeat".to_owned()),
        };
        let inner = Levels { definition: levels.definition + 1, repetition: levels.repetition + 1 };
        let [key, value] = fields_of(entries) else {
            return Err("it is a map without keys or values".to_owned());
        };
        let first = self.leaves.len();
        let key = self.node(key, inner)?;
        let is_text = matches!(key.kind, Kind::Leaf) && self.leaves.get(first).is_some_and(|(_, cell)| *cell == Cell::Text);
        if !is_text {
            return Err("it is a map with keys that are no strings, or may be null: it has no form in JSON".to_owned());
        }
        let value = self.node(value, inner)?;
        let (definition, repetition) = (inner.definition, inner.repetition);
        Ok(Kind::Map { definition, repetition, key: Box::new(key), value: Box::new(value) })
    }
}

/// A group's fields; none of a column.
fn fields_of(field: &Type) -> &[TypePtr] {
    if field.is_primitive() { &[] } else { field.get_fields() }
}

/// The string in the only column of a row.
pub(super) fn only(mut row: Value, field: &str) -> Result<Value, Wrong> {
    let found = match row.get_mut(field).map(Value::take) {
        Some(Value::String(text)) => return Ok(Value::String(text)),
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::Array(_)) => "an array",
        Some(Value::Object(_)) => "an object",
        None => return Err(Wrong::Missing { field: field.to_owned() }),
    };
    Err(Wrong::NoString { field: field.to_owned(), found })
}
