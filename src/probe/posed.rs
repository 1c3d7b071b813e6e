//! A prompt that may belong to a group.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
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
