//! The secret that clients show.

use std::fmt;
use std::path::Path;

/// A token, of which only the digest is kept: it can't be logged, and comparing digests takes as long whatever was guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(blake3::Hash);

/// Why a text is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token is empty")]
    Empty,
    #[error("the token has {0} characters: at least {LEAST} are needed\nhint: `openssl rand -hex 32` makes a good one")]
    Short(usize),
    #[error("the token holds a character that no HTTP header may hold")]
    Character,
    #[error("the token has more than one line")]
    Lines,
    #[error("{path}: {error}")]
    File { path: String, error: Box<TokenError> },
    #[error("can't read {path}: {source}")]
    Read { path: String, source: std::io::Error },
}

/// Fewer characters could be guessed.
const LEAST: usize = 16;

impl Token {
    /// From a text; white space around it is left out.
    ///
    /// # Errors
    /// One that is empty, too short, or that no header could carry.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        match text.chars().count() {
            0 => Err(TokenError::Empty),
            short if short < LEAST => Err(TokenError::Short(short)),
            _ if text.contains('\n') => Err(TokenError::Lines),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(TokenError::Character),
            _ => Ok(Self(blake3::hash(text.as_bytes()))),
        }
    }

    /// The content of a file.
    ///
    /// # Errors
    /// As [`Self::new`], with the file's name, and where it can't be read.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let (read, path) = (std::fs::read_to_string(path), path.display().to_string());
        match read {
            Ok(text) => Self::new(&text).map_err(|error| TokenError::File { path, error: Box::new(error) }),
            Err(source) => Err(TokenError::Read { path, source }),
        }
    }

    /// Whether somebody shows this token. Digests are compared in constant time.
    pub fn is(&self, shown: &str) -> bool {
        self.0 == blake3::hash(shown.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_the_token() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in ["", "0123456789abcdeF", "0123456789abcde", "0123456789abcdef "] {
            assert!(!token.is(other), "{other}");
        }
    }

    #[test]
    fn what_could_be_guessed_or_not_be_sent_is_refused() {
        for (text, why) in [("", "empty"), ("secret", "at least 16"), ("0123456789 abcdef", "no HTTP header")] {
            assert!(Token::new(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }

    #[test]
    fn a_token_is_not_told() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
