use std::ops::Range;

/// One mistake in a suite, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Bytes of the source's text. An empty span is a place between two characters.
    pub span: Range<usize>,
    /// What is wrong, as a lowercase sentence without a full stop.
    pub message: String,
    /// Stands beside the caret.
    pub label: Option<String>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A mistake without label or hint.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, hint: None }
    }

    /// The same with a label.
    #[must_use]
    pub fn with_label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A word that is none of those known: the nearest as the hint, or all of them.
    #[must_use]
    pub fn unknown(span: Range<usize>, what: &str, word: &str, known: &[&str]) -> Self {
        let this = Self::new(span, format!("unknown {what} `{word}`"));
        match super::nearest(word, known.iter().copied()) {
            Some(near) => this.with_hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => this,
            None => this.with_hint(format!("known here: {}", listed(known))),
        }
    }
}

/// "`a`, `b`, `c`".
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
