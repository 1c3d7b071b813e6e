use std::{fmt, ops::Range};

use serde::de::{Error, Expected, Unexpected};

use super::Diagnostic;

/// What a struct objected to while it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: What,
    pub(super) span: Option<Range<usize>>,
    /// From the table that was read down to the culprit: which child each time. Innermost first, as errors bubble.
    pub(super) path: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    UnknownKey { word: String, known: Vec<&'static str> },
    UnknownValue { word: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    Other { message: String, hint: Option<String> },
}

impl Wrong {
    pub(super) fn new(what: What) -> Self {
        Self { what, span: None, path: Vec::new() }
    }

    /// Unless it has a narrower place already.
    pub(super) fn at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    pub(super) fn inside(mut self, child: usize) -> Self {
        self.path.push(child);
        self
    }

    /// `also`: keys that the struct does not have, because someone else reads them.
    pub(super) fn diagnostic(&self, span: Range<usize>, also: &[&str]) -> Diagnostic {
        match &self.what {
            What::UnknownKey { word, known } => {
                let known: Vec<&str> = known.iter().chain(also).copied().collect();
                Diagnostic::unknown(span, "key", word, &known)
            }
            What::UnknownValue { word, known } => Diagnostic::unknown(span, "value", word, known),
            What::MissingKey(key) => Diagnostic::new(span, format!("missing key `{key}`")),
            What::Other { message, hint } => Diagnostic { hint: hint.clone(), ..Diagnostic::new(span, message) },
        }
    }

    fn other(message: String) -> Self {
        Self::new(What::Other { message, hint: None })
    }
}

impl Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once("\nhint: ") {
            Some((message, hint)) => Self::new(What::Other { message: message.into(), hint: Some(hint.into()) }),
            None => Self::other(message),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => "a string".into(),
            _ => in_words(found),
        };
        Self::other(format!("expected {}, found {found}", expected_in_words(expected)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::other(format!("expected {}, found {}", expected_in_words(expected), in_words(found)))
    }

    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Self::other(format!("expected {}, found {found}", expected_in_words(expected)))
    }

    fn unknown_field(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey { word: word.into(), known: known.to_vec() })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownValue { word: word.into(), known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::MissingKey(key))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.diagnostic(0..0, &[]).message)
    }
}

impl std::error::Error for Wrong {}

/// What serde and its derive say of the Rust types, said of TOML's.
fn expected_in_words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "f32" | "f64" => "a number".into(),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "an array".into(),
        "a map" => "a table".into(),
        _ if expected.starts_with("struct ") => "a table".into(),
        _ => expected,
    }
}

fn in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(flag) => flag.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Seq => "an array".into(),
        Unexpected::Map => "a table".into(),
        Unexpected::Other(words) => words.into(),
        other => other.to_string(),
    }
}
