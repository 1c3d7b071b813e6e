//! The rows of one row group, put together from its columns.
//!
//! From repetition and definition levels, as in Melnik et al., *Dremel: Interactive Analysis of Web-Scale Datasets*, VLDB 2010.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::LONGEST_ROW;
use super::super::error::Wrong;
use super::super::weight::weight;
use super::column::{Column, allowance};
use super::footer::Footer;
use super::page::Pages;
use super::shape::{Kind, Node, Shape};
use super::{Cause, Read, ReadAt};

pub(super) struct Group {
    columns: Vec<Column>,
}

/// What a row that is put together came to so far.
#[derive(Default)]
struct Assembly {
    /// Bytes of its values in memory.
    weight: usize,
    /// The first thing that was wrong. The rest of the row is passed over, so that the next one is found.
    wrong: Option<Wrong>,
}

impl Group {
    pub(super) fn open(ranges: &Arc<dyn ReadAt>, footer: &Footer, shape: &Shape, group: usize) -> Result<Self, Cause> {
        let chunks = shape.leaves.iter().map(|(column, _)| footer.chunk(group, *column)).collect::<Result<Vec<_>, _>>()?;
        ranges.will_need(&chunks);
        let columns = shape.leaves.iter().zip(chunks).map(|((column, _), left)| {
            let chunk = footer.metadata().row_group(group).column(*column);
            let descr = footer.schema().column(*column);
            let pages = Pages {
                ranges: Arc::clone(ranges),
                left,
                codec: chunk.compression(),
                physical: descr.physical_type(),
                is_repeated: descr.max_rep_level() > 0,
                allowance: allowance(),
                has_dictionary: false,
                ahead: None,
            };
            Column::new(descr, pages)
        });
        Ok(Self { columns: columns.collect() })
    }

    /// Passes over so many rows; none may have been read.
    pub(super) fn skip(&mut self, rows: u64) -> Result<(), Cause> {
        self.columns.iter_mut().try_for_each(|column| column.skip(rows))
    }

    /// After the last row there may be nothing left.
    pub(super) fn end(&mut self) -> Result<(), Cause> {
        self.columns
            .iter_mut()
            .try_for_each(|column| if column.load()? { Err(column.broken("more rows than its row group")) } else { Ok(()) })
    }

    pub(super) fn row(&mut self, shape: &Shape) -> Result<Read, Cause> {
        for column in &mut self.columns {
            if !column.load()? {
                return Err(column.broken("fewer rows than its row group"));
            }
        }
        let mut assembly = Assembly::default();
        let mut row = Map::with_capacity(shape.fields.len());
        for (name, node) in &shape.fields {
            let value = self.value(node, shape, &mut assembly)?;
            row.insert(name.clone(), value);
        }
        for column in &self.columns {
            if column.repetition() != 0 {
                return Err(column.broken("a row that goes on longer than its siblings'"));
            }
        }
        Ok(assembly.wrong.map_or(Ok(Value::Object(row)), Err))
    }

    /// The columns below a node agree on whether it is there, and that is it.
    fn is_there(&self, node: &Node, definition: i16) -> Result<bool, Cause> {
        let columns = &self.columns[node.leaves.clone()];
        let is_there = columns.first().is_some_and(|column| column.definition() >= definition);
        match columns.iter().find(|column| !column.has_more() || (column.definition() >= definition) != is_there) {
            Some(column) => Err(column.broken("other nulls or lists than its siblings")),
            None => Ok(is_there),
        }
    }

    /// A list that has begun goes on in all columns, or in none.
    fn goes_on(&self, node: &Node, repetition: i16) -> Result<bool, Cause> {
        let columns = &self.columns[node.leaves.clone()];
        let goes_on = columns.first().is_some_and(|column| column.repetition() == repetition);
        match columns.iter().find(|column| column.repetition() > repetition || (column.repetition() == repetition) != goes_on) {
            Some(column) => Err(column.broken("lists of another length than its siblings")),
            None => Ok(goes_on),
        }
    }

    fn pass(&mut self, node: &Node) -> Result<(), Cause> {
        self.columns[node.leaves.clone()].iter_mut().try_for_each(|column| column.take().map(drop))
    }

    fn value(&mut self, node: &Node, shape: &Shape, assembly: &mut Assembly) -> Result<Value, Cause> {
        match &node.kind {
            Kind::Leaf => self.leaf(node.leaves.start, shape, assembly),
            Kind::Optional { definition, inner } => {
                if self.is_there(node, *definition)? {
                    return self.value(inner, shape, assembly);
                }
                self.pass(node)?;
                Ok(Value::Null)
            }
            Kind::Struct(fields) => {
                let mut group = Map::with_capacity(fields.len());
                for (name, node) in fields {
                    let value = self.value(node, shape, assembly)?;
                    assembly.add(name.len());
                    if assembly.wrong.is_none() {
                        group.insert(name.clone(), value);
                    }
                }
                Ok(Value::Object(group))
            }
            Kind::List { definition, repetition, element } => {
                let mut elements = Vec::new();
                if !self.is_there(node, *definition)? {
                    self.pass(node)?;
                    return Ok(Value::Array(elements));
                }
                loop {
                    let value = self.value(element, shape, assembly)?;
                    if assembly.wrong.is_none() {
                        elements.push(value);
                    }
                    if !self.goes_on(node, *repetition)? {
                        return Ok(Value::Array(elements));
                    }
                }
            }
            Kind::Map { definition, repetition, key, value } => {
                let mut entries = Map::new();
                if !self.is_there(node, *definition)? {
                    self.pass(node)?;
                    return Ok(Value::Object(entries));
                }
                loop {
                    let name = self.value(key, shape, assembly)?;
                    let value = self.value(value, shape, assembly)?;
                    if let (Value::String(name), None) = (name, &assembly.wrong)
                        && entries.insert(name, value).is_some()
                    {
                        let column = self.columns[node.leaves.start].descr.path().string();
                        assembly.wrong = Some(Wrong::Value { column, why: "a map with a key twice" });
                    }
                    if !self.goes_on(node, *repetition)? {
                        return Ok(Value::Object(entries));
                    }
                }
            }
        }
    }

    fn leaf(&mut self, leaf: usize, shape: &Shape, assembly: &mut Assembly) -> Result<Value, Cause> {
        let column = &mut self.columns[leaf];
        let Some(at) = column.take()? else {
            return Err(column.broken("nulls where there can be none"));
        };
        if assembly.wrong.is_some() {
            return Ok(Value::Null);
        }
        match shape.leaves[leaf].1.value(&column.values, at) {
            Ok(value) => {
                assembly.add(weight(&value));
                Ok(value)
            }
            Err(why) => {
                assembly.wrong = Some(Wrong::Value { column: column.descr.path().string(), why });
                Ok(Value::Null)
            }
        }
    }
}

impl Assembly {
    fn add(&mut self, weight: usize) {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > LONGEST_ROW && self.wrong.is_none() {
            self.wrong = Some(Wrong::TooLong);
        }
    }
}
