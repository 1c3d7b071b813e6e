//! What is in the places of a source.

use std::collections::BTreeMap;

use crate::stream::Object;

/// Most names that are kept of what was passed over.
const SHOWN: usize = 8;

/// The objects of several uris, as they were when they were listed: sorted by uri, none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    objects: Vec<Object>,
    passed_over: PassedOver,
}

/// What a wildcard would stand for if it were not hidden: names that begin with `.` or `_`, folders of such names with all that is in them,
/// and empty objects that only mark a folder of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Listing {
    /// `found`: each object with what tells whether another one is the same.
    pub(super) fn new(found: Vec<(Vec<u8>, Object)>, passed_over: PassedOver) -> Self {
        let mut once: BTreeMap<Vec<u8>, Object> = BTreeMap::new();
        for (identity, object) in found {
            // Of several names that one file has, the first in order, whatever the order of the uris.
            match once.get_mut(&identity) {
                Some(known) if known.uri <= object.uri => {}
                Some(known) => *known = object,
                None => drop(once.insert(identity, object)),
            }
        }
        let mut objects: Vec<Object> = once.into_values().collect();
        objects.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
        Self { objects, passed_over }
    }

    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    pub fn into_objects(self) -> Vec<Object> {
        self.objects
    }

    pub fn passed_over(&self) -> &PassedOver {
        &self.passed_over
    }

    /// Of all objects together.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).fold(0, u64::saturating_add)
    }

    /// BLAKE3 over uri, size and tag of all objects, in order. The same objects give the same digest on any machine that sees them under
    /// the same names and with the same tags; a copy of a local file is another file.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"sway listing 1\0");
        for Object { uri, size, tag } in &self.objects {
            // Lengths in front, so that no two lists run together to the same bytes.
            for text in [uri, tag] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            hasher.update(&size.to_le_bytes());
        }
        hasher.finalize()
    }
}

impl PassedOver {
    pub(super) fn add(&mut self, uri: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(uri());
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(uri: &str, size: u64, tag: &str) -> Object {
        Object { uri: uri.to_owned(), size, tag: tag.to_owned() }
    }

    fn listing(objects: &[Object]) -> Listing {
        let found = objects.iter().map(|object| (object.uri.clone().into_bytes(), object.clone())).collect();
        Listing::new(found, PassedOver::default())
    }

    #[test]
    fn a_digest_tells_every_part_of_every_object_apart() {
        let base = [object("a", 1, "x"), object("b", 2, "y")];
        let others = [
            vec![object("a", 1, "x")],
            vec![object("a", 2, "x"), object("b", 2, "y")],
            vec![object("a", 1, "xb"), object("", 2, "y")],
            vec![object("a", 1, "y"), object("b", 2, "x")],
            vec![object("a", 1, "x"), object("b", 2, "y"), object("c", 0, "")],
        ];
        for other in &others {
            assert_ne!(listing(other).digest(), listing(&base).digest(), "{other:?}");
        }
        assert_eq!(listing(&base).bytes(), 3);
    }

    #[test]
    fn a_file_of_two_names_is_listed_once_by_the_first() {
        let found = |names: [&str; 2]| names.map(|uri| (b"same".to_vec(), object(uri, 1, "t"))).to_vec();
        for names in [["a", "b"], ["b", "a"]] {
            assert_eq!(Listing::new(found(names), PassedOver::default()).objects(), [object("a", 1, "t")]);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_order_the_listing_is_the_same(names in proptest::collection::vec("[a-d/]{1,3}", 0..12), seed in 0_usize..100) {
            let mut turned = names.clone();
            if !turned.is_empty() {
                let by = seed % turned.len();
                turned.rotate_left(by);
            }
            let of = |names: &[String]| listing(&names.iter().map(|name| object(name, 1, "t")).collect::<Vec<_>>());
            let listing = of(&names);
            prop_assert_eq!(&listing, &of(&turned));
            prop_assert_eq!(listing.digest(), of(&turned).digest());
            prop_assert!(listing.objects().is_sorted_by(|a, b| a.uri < b.uri), "none twice");
        }
    }
}
