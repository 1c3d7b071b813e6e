//! One case of a pipeline.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// Any fields: templates see them as `case.*`, and `case.input` as `input`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Case {
    pub fields: Map<String, Value>,
    /// The group that it belongs to.
    pub cluster: Option<String>,
}

/// The field that a case has which is a text alone.
pub const INPUT: &str = "input";

impl TryFrom<Value> for Case {
    type Error = String;

    fn try_from(written: Value) -> Result<Self, String> {
        let mut fields = match written {
            Value::Object(fields) => fields,
            Value::String(text) => Map::from_iter([(INPUT.to_owned(), Value::String(text))]),
            other => return Err(format!("a case is a text, or a table of fields, not {other}")),
        };
        let cluster = match fields.shift_remove("cluster") {
            None | Some(Value::Null) => None,
            Some(Value::String(cluster)) => Some(cluster),
            Some(other) => return Err(format!("`cluster` must be a string, not {other}")),
        };
        Ok(Self { fields, cluster })
    }
}

/// As it is read: its fields, and its group beside them.
impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(self.fields.len() + usize::from(self.cluster.is_some())))?;
        for (name, value) in &self.fields {
            row.serialize_entry(name, value)?;
        }
        if let Some(cluster) = &self.cluster {
            row.serialize_entry("cluster", cluster)?;
        }
        row.end()
    }
}

impl Case {
    pub fn input(&self) -> Option<&Value> {
        self.fields.get(INPUT)
    }

    /// What tells the case from others: seeds are drawn from it.
    pub fn identity(&self) -> String {
        // Maps with string keys and finite numbers always have a JSON form.
        serde_json::to_string(&self.fields).unwrap_or_default()
    }
}
