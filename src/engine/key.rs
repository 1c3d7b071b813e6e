//! The cache's keys.

use std::hash::{Hash, Hasher};

use crate::request::Request;

/// Digest of a request and of the models that answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 32]);

/// Makes keys that carry the models' content: an adapter retrained in place is another key.
pub struct Keys {
    models: blake3::Hasher,
}

impl Keys {
    pub fn new(identity: &str) -> Self {
        let mut models = blake3::Hasher::new();
        models.update(identity.as_bytes());
        Self { models }
    }

    /// The request's `Hash` covers op, view, prompt and every parameter; strings end in a byte that no UTF-8 holds, so no two
    /// requests feed the same bytes.
    ///
    /// `embedder`: the content digest of the model beside these that answers it, if one does.
    pub fn of(&self, request: &Request, embedder: Option<&str>) -> Key {
        let mut digest = Digest(self.models.clone());
        embedder.hash(&mut digest);
        request.hash(&mut digest);
        Key(*digest.0.finalize().as_bytes())
    }
}

/// Feeds what `Hash` writes into a digest that does not collide.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Only the whole digest is used; a hasher must offer this all the same.
        self.0.finalize().as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Embedder, Op, View};

    #[test]
    fn an_embedder_changed_in_place_is_another_key() {
        let embed = |name: &str| {
            let embedder = Embedder::try_from(name.to_owned()).unwrap();
            Request::new(View::Base, Op::Embed { text: "a".to_owned(), embedder })
        };
        let keys = Keys::new("models");
        let known = [
            keys.of(&embed("base"), None),
            keys.of(&embed("bert"), Some("1")),
            keys.of(&embed("bert"), Some("2")),
            keys.of(&embed("bort"), Some("1")),
            Keys::new("others").of(&embed("base"), None),
        ];
        assert!((0..known.len()).all(|at| !known[..at].contains(&known[at])));
        assert_eq!(keys.of(&embed("bert"), Some("1")), known[1]);
    }
}
