//! A prompt that may belong to a group.

use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::items::Item;
use crate::request::{Asked, Prompt};

/// A prompt, or a table of `prompt` (or `messages`) and `cluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posed {
    pub prompt: Prompt,
    cluster: Option<String>,
}

#[derive(Deserialize)]
struct InCluster {
    cluster: String,
    #[serde(flatten)]
    asked: Asked,
}

/// As it is read.
impl Serialize for Posed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(cluster) = &self.cluster else { return self.prompt.serialize(serializer) };
        let mut row = serializer.serialize_struct("Posed", 2)?;
        row.serialize_field("cluster", cluster)?;
        row.serialize_field("prompt", &self.prompt)?;
        row.end()
    }
}

impl<'de> Deserialize<'de> for Posed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, and not as an untagged enum, which would tell of a mistake that it is one.
        match Value::deserialize(deserializer)? {
            Value::Object(fields) if fields.contains_key("cluster") => {
                let InCluster { cluster, asked: Asked(prompt) } = from_value(fields.into())?;
                Ok(Self { prompt, cluster: Some(cluster) })
            }
            other => Ok(Self { prompt: from_value(other)?, cluster: None }),
        }
    }
}

fn from_value<T: DeserializeOwned, E: serde::de::Error>(value: Value) -> Result<T, E> {
    serde_json::from_value(value).map_err(E::custom)
}

impl Item for Posed {
    const PLURAL: &'static str = Prompt::PLURAL;
    const TEXT_FIELD: Option<&'static str> = Prompt::TEXT_FIELD;
    fn cluster(&mut self) -> Option<&mut Option<String>> {
        Some(&mut self.cluster)
    }

    fn check(&self) -> Result<(), String> {
        self.prompt.check()
    }

    fn from_fields(fields: Map<String, Value>) -> Result<Self, String> {
        Prompt::from_fields(fields).map(|prompt| Self { prompt, cluster: None })
    }
}
