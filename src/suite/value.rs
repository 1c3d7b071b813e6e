use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A value and where it stands. A table with a header of its own stands at its header.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// What TOML can say; it borrows nothing.
#[derive(Debug, Clone)]
pub(super) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    /// In the file's order.
    Table(Vec<Entry>),
    /// A number out of any range, or one that the parser complained about.
    Unreadable,
    /// Taken out because it was wrong.
    Wrong,
    /// Taken out because no one knows its key.
    Foreign,
}

impl Value {
    /// "an array".
    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::Float(_) | Self::Unreadable => "a number",
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
            Self::Datetime => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Wrong | Self::Foreign => "nothing",
        }
    }

    /// Whether it was taken out.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Wrong | Self::Foreign)
    }

    pub(super) fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match self {
            Self::Array(nodes) => Box::new(nodes.iter()),
            Self::Table(entries) => Box::new(entries.iter().map(|entry| &entry.node)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// The entries of a parsed table, in the file's order.
pub(super) fn entries(table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, node)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            node: Node { span: node.span(), value: value(node.into_inner()) },
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn value(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(digits) => {
            i128::from_str_radix(digits.as_str(), digits.radix()).map_or(Value::Unreadable, Value::Integer)
        }
        DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
            // 1e999 is no infinity that someone asked for.
            Ok(number) if number.is_finite() || !digits.as_str().contains(|c: char| c.is_ascii_digit()) => Value::Float(number),
            _ => Value::Unreadable,
        },
        DeValue::Boolean(flag) => Value::Boolean(flag),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(nodes) => Value::Array(
            nodes.into_iter().map(|node| Node { span: node.span(), value: self::value(node.into_inner()) }).collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table)),
    }
}
