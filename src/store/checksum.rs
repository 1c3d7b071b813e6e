//! A checksum over a row: SQLite has none over its pages, and a wrong answer is worse than none.

/// FNV-1a of 64 bits (Fowler, Noll and Vo; RFC 9923). Each step is a bijection of the state, so a change within one byte is always seen;
/// other damage is missed once in 2⁶⁴. It guards against accidents, not against who forges a row.
pub(super) struct Checksum(u64);

impl Checksum {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in a field. Its length goes first, lest two fields be told apart in two ways.
    pub fn field(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).bytes(bytes)
    }

    /// Takes in a field that may be missing.
    pub fn option(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.number(1).field(bytes),
            None => self.number(0),
        }
    }

    pub fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// As an SQL integer.
    pub fn finish(self) -> i64 {
        self.0.cast_signed()
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |state, &byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_texts_have_the_checksums_of_the_rfc() {
        let of = |text: &str| Checksum::new().bytes(text.as_bytes()).finish().cast_unsigned();
        assert_eq!(of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let of = |a: &str, b: &str| Checksum::new().field(a.as_bytes()).field(b.as_bytes()).finish();
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(Checksum::new().option(None).finish(), Checksum::new().option(Some(b"")).finish());
    }

    proptest! {
        #[test]
        fn a_change_within_one_byte_is_seen(bytes in proptest::collection::vec(any::<u8>(), 1..200), at: usize, flip in 1_u8..) {
            let mut other = bytes.clone();
            other[at % bytes.len()] ^= flip;
            prop_assert_ne!(Checksum::new().field(&bytes).finish(), Checksum::new().field(&other).finish());
        }
    }
}
