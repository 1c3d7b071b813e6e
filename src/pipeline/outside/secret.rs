//! A key that is sent, and shown nowhere.

use std::fmt;

use reqwest::header::HeaderValue;

/// What a text shows in place of a key.
const MASK: &str = "***";

/// A key that is sent, and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The header that carries it; `None` where it holds what a key can't: nothing at all, spaces, line ends, or letters beyond ASCII.
    pub(super) fn bearer(&self) -> Option<HeaderValue> {
        if self.0.is_empty() || !self.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// A text without it, also as JSON spells it: a server may repeat what it was sent.
    pub(super) fn masked(&self, text: &str) -> String {
        let quoted = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        [quoted.replace('/', "\\/"), quoted, self.0.clone()].iter().fold(text.to_owned(), |text, key| text.replace(key, MASK))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_shown() {
        let key = Secret::new("sk-hush");
        assert_eq!(format!("{key:?} {:?}", Some(&key)), "*** Some(***)");
        assert!(!format!("{:?}", key.bearer()).contains("hush"));
        assert_eq!(key.masked("wrong key sk-hush, sk-hush!"), "wrong key ***, ***!");
        let odd = Secret::new(r#"a/b"c\d"#);
        assert_eq!(odd.masked(r#"a/b"c\d a/b\"c\\d a\/b\"c\\d"#), "*** *** ***");
    }

    #[test]
    fn what_a_header_cannot_carry_is_no_key() {
        assert_eq!(Secret::new("sk-hush").bearer().unwrap(), "Bearer sk-hush");
        for wrong in ["", "sk-hush\n", "sk hush", " sk-hush", "sk-\u{e4}", "sk-\0", "sk-\u{7f}"] {
            assert_eq!(Secret::new(wrong).bearer(), None, "{wrong:?}");
        }
    }
}
