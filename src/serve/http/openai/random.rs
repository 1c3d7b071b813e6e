//! Numbers that nobody asked to be the same again.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Another number each time: for seeds that a client leaves to the daemon, and for ids. No secret.
pub fn random() -> u64 {
    // The standard library keys each of its hash tables anew.
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_differ() {
        assert_eq!((0..1000).map(|_| random()).collect::<BTreeSet<_>>().len(), 1000);
    }
}
