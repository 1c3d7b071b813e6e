//! What of a row is the item.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::Serde;
use serde_json::{Map, Value};

use crate::template::TextTemplate;

/// What of a row is the item.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Shape {
    /// All of it.
    #[default]
    Row,
    /// One text.
    Text(Pick),
    /// Fields, by the names that the item has for them.
    Fields(Vec<(String, Pick)>),
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    /// That of a field.
    Field(String),
    /// A text over `row`.
    Template(TextTemplate),
}

/// What templates call a row.
const ROW: &str = "row";

impl Pick {
    /// A text with `{{` or `{%` in it is a template; any other is a field's name.
    ///
    /// # Errors
    /// What is no template, with its place.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.contains("{{") || text.contains("{%") {
            TextTemplate::read(text.to_owned(), &[ROW]).map(Self::Template)
        } else {
            Ok(Self::Field(text.to_owned()))
        }
    }

    fn of(&self, row: &Row<'_>) -> Result<Value, String> {
        match self {
            Self::Field(field) => row.field(field).cloned(),
            Self::Template(template) => {
                let context: Map<String, Value> = [(ROW.to_owned(), row.0.clone())].into_iter().collect();
                template.render(minijinja::Value::from(Serde(Value::Object(context)))).map(Value::String)
            }
        }
    }

    /// The fields that it takes; `None` where it may take any.
    fn fields(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::Field(field) => Some(BTreeSet::from([field.clone()])),
            Self::Template(template) => template.attributes(ROW),
        }
    }
}

/// A row that has fields.
struct Row<'a>(&'a Value);

impl<'a> Row<'a> {
    fn field(&self, name: &str) -> Result<&'a Value, String> {
        let Value::Object(fields) = self.0 else { return Err(format!("it has no field `{name}`: it is no object")) };
        fields.get(name).ok_or_else(|| {
            let there: Vec<Cow<'_, str>> = fields.keys().take(MOST_TOLD).map(|key| format!("`{key}`").into()).collect();
            let there = if there.is_empty() { "none".into() } else { there.join(", ") };
            let more = if fields.len() > MOST_TOLD { ", …" } else { "" };
            format!("it has no field `{name}`; it has {there}{more}")
        })
    }
}

/// Fields that an error lists.
const MOST_TOLD: usize = 20;

impl Shape {
    /// By what a suite says of a source: a text, or fields, each a field's name or a template.
    ///
    /// # Errors
    /// What is no template, with its place.
    pub fn read(field: Option<&str>, fields: Option<&BTreeMap<String, String>>) -> Result<Self, String> {
        let named = |(name, pick): (&String, &String)| {
            Pick::read(pick).map(|pick| (name.clone(), pick)).map_err(|why| format!("`{name}`: {why}"))
        };
        match (field, fields) {
            (Some(field), _) => Pick::read(field).map(Self::Text),
            (None, Some(fields)) => fields.iter().map(named).collect::<Result<_, _>>().map(Self::Fields),
            (None, None) => Ok(Self::Row),
        }
    }

    /// The item of a row.
    ///
    /// # Errors
    /// A field that the row has not, with those that it has; a template that it has no values for.
    pub fn of(&self, row: Value) -> Result<Value, String> {
        match self {
            Self::Row => Ok(row),
            Self::Text(pick) => pick.of(&Row(&row)),
            Self::Fields(fields) => {
                let row = Row(&row);
                let picked = fields.iter().map(|(name, pick)| Ok((name.clone(), pick.of(&row)?)));
                picked.collect::<Result<Map<_, _>, String>>().map(Value::Object)
            }
        }
    }

    /// The fields of a row that are looked at; `None` where any may be.
    pub fn fields(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::Row => None,
            Self::Text(pick) => pick.fields(),
            Self::Fields(fields) => {
                fields.iter().try_fold(BTreeSet::new(), |all, (_, pick)| Some(all.union(&pick.fields()?).cloned().collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(shape: &[(&str, &str)]) -> Result<Shape, String> {
        Shape::read(None, Some(&shape.iter().map(|(name, pick)| ((*name).to_owned(), (*pick).to_owned())).collect()))
    }

    #[test]
    fn an_item_is_a_field_a_text_over_fields_or_several_of_both() {
        let row = json!({"q": "Why?", "a": "Because.", "n": 3});
        let text = |field| Shape::read(Some(field), None).unwrap().of(row.clone());
        assert_eq!(text("q"), Ok(json!("Why?")));
        assert_eq!(text("n"), Ok(json!(3)));
        assert_eq!(text("Q: {{ row.q }} A: {{ row.a }}"), Ok(json!("Q: Why? A: Because.")));
        let shape = fields(&[("prompt", "{{ row.q }}!"), ("completion", "a")]).unwrap();
        assert_eq!(shape.of(row.clone()), Ok(json!({"completion": "Because.", "prompt": "Why?!"})));
        assert_eq!(Shape::default().of(row.clone()), Ok(row));
    }

    #[test]
    fn a_field_that_is_not_there_is_told_beside_those_that_are() {
        let shape = Shape::read(Some("promt"), None).unwrap();
        let told = |row| shape.of(row).unwrap_err();
        assert_eq!(told(json!({"prompt": "x", "id": 1})), "it has no field `promt`; it has `prompt`, `id`");
        assert_eq!(told(json!({})), "it has no field `promt`; it has none");
        assert_eq!(told(json!("text")), "it has no field `promt`: it is no object");
        let template = Shape::read(Some("{{ row.promt }}"), None).unwrap();
        assert!(template.of(json!({"prompt": "x"})).unwrap_err().contains("row.promt"));
    }

    #[test]
    fn a_template_that_can_not_be_is_told_before_a_row_is_read() {
        let told = Shape::read(Some("{{ rwo.q }}"), None).unwrap_err();
        assert_eq!(told, "there is no `rwo` here (line 1, column 4)\nhint: known are row");
        assert!(fields(&[("prompt", "{% if %}")]).unwrap_err().starts_with("`prompt`: it is no template"));
    }

    #[test]
    fn only_the_fields_that_are_named_are_looked_at() {
        let of = |shape: Result<Shape, String>| shape.unwrap().fields().map(|fields| fields.into_iter().collect::<Vec<_>>());
        let some = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(Shape::read(Some("q"), None)), some(&["q"]));
        assert_eq!(of(fields(&[("prompt", "{{ row.q.text }}{{ row.a }}"), ("x", "n")])), some(&["a", "n", "q"]));
        assert_eq!(of(Shape::read(Some("{{ row|tojson }}"), None)), None);
        assert_eq!(of(Shape::read(None, None)), None);
    }
}
