//! What makes a vector of a text.

use std::fmt;

use serde::Deserialize;

/// What makes a vector of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum Embedder {
    /// The mean over all tokens of the hidden states after the final norm of the view that is asked: `base`, since it comes with the
    /// base model and needs nothing else.
    #[default]
    States,
    /// A sentence-embedding model: a folder, or an id on the hub. It has no views: whichever is asked, the answer is the same.
    Sentence(String),
}

impl Embedder {
    /// What stands for [`Self::States`]. A folder of this name is `./base`.
    pub const BASE: &'static str = "base";

    /// As a user writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::States => Self::BASE,
            Self::Sentence(name) => name,
        }
    }
}

impl fmt::Display for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<String> for Embedder {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            Self::BASE => Ok(Self::States),
            name if name.trim().is_empty() => Err("must be `base`, a folder, or a hub id"),
            _ => Ok(Self::Sentence(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_the_models_own_and_any_other_name_a_model_of_its_own() {
        let of = |name: &str| Embedder::try_from(name.to_owned());
        assert_eq!(of("base"), Ok(Embedder::States));
        assert_eq!(of("./base"), Ok(Embedder::Sentence("./base".to_owned())));
        assert!(of("").is_err() && of(" ").is_err());
        for name in ["base", "./base", "org/name"] {
            assert_eq!(of(name).unwrap().name(), name);
        }
    }
}
