use std::ops::Range;

use toml::de::{DeTable, Error};

use super::{
    Diagnostic,
    value::{Entry, Node, Value, entries},
};

/// What could be read of a text, and where it is not TOML.
pub(super) struct Syntax {
    pub(super) root: Vec<Entry>,
    pub(super) wrong: Vec<Diagnostic>,
    /// Text of which the reading can't be trusted.
    pub(super) garbled: Vec<Range<usize>>,
}

/// Each key without a value costs another pass over the text.
const MAX_PASSES: usize = 32;
/// Past this many, mistakes of syntax only echo each other.
const MAX_WRONG: usize = 64;

impl Syntax {
    pub(super) fn read(text: &str) -> Self {
        let mut this = Self { root: Vec::new(), wrong: Vec::new(), garbled: Vec::new() };
        let mut text = text.to_owned();
        for _ in 0..MAX_PASSES {
            let (root, errors) = DeTable::parse_recoverable(&text);
            // There the parser gives up the rest of the file; without that line it goes on.
            let stopped = errors.iter().find(|error| error.message().starts_with("key with no value"));
            let line = stopped.map(|error| line_around(&text, within(&text, error.span()).start));
            let (Some(error), Some(line)) = (stopped, line.filter(|line| !text[line.clone()].trim().is_empty())) else {
                this.root = entries(root.into_inner());
                this.take(&text, &errors);
                break;
            };
            this.wrong.push(explain(&text, error));
            let blank = " ".repeat(line.len());
            text.replace_range(line.clone(), &blank);
            this.garbled.push(line);
        }
        this
    }

    fn take(&mut self, text: &str, errors: &[Error]) {
        // Where a bracket is missing, the rest of the file was read as part of the array.
        let mut swallowed: Vec<Range<usize>> = Vec::new();
        for error in errors.iter().filter(|error| error.message().starts_with("unclosed ")) {
            let end = within(text, error.span()).start;
            if let Some(span) = opened(&self.root, end)
                && !swallowed.iter().any(|outer| outer.start <= span.start)
            {
                let opening = span.start..text.ceil_char_boundary(span.start + 1);
                self.wrong.push(Diagnostic { span: opening, ..explain(text, error) }.with_label("opened here"));
                swallowed.push(span);
            }
        }
        for error in errors {
            let span = within(text, error.span());
            if swallowed.iter().any(|bad| bad.start <= span.start && span.end <= bad.end) {
                continue;
            }
            if self.wrong.len() < MAX_WRONG && !self.wrong.iter().any(|earlier| touch(&earlier.span, &span)) {
                self.wrong.push(explain(text, error));
            }
            if error.message() != "duplicate key" {
                self.garbled.push(span);
            }
        }
        self.garbled.extend(swallowed);
    }
}

pub(super) fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}

/// The narrowest value that ends where the parser missed a closing bracket.
fn opened(entries: &[Entry], end: usize) -> Option<Range<usize>> {
    fn search(node: &Node, end: usize, found: &mut Option<Range<usize>>) {
        let bracketed = matches!(node.value, Value::Array(_) | Value::Table(_));
        if bracketed && node.span.end == end && found.as_ref().is_none_or(|span| span.len() > node.span.len()) {
            *found = Some(node.span.clone());
        }
        node.value.children().for_each(|child| search(child, end, found));
    }
    let mut found = None;
    for entry in entries {
        search(&entry.node, end, &mut found);
    }
    found.filter(|span| !span.is_empty())
}

/// The parser's span, on the text and on whole characters.
fn within(text: &str, span: Option<Range<usize>>) -> Range<usize> {
    let span = span.unwrap_or_default();
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end.max(start))
}

/// The line around an offset, without its end.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline);
    start..end
}

/// The parser's message in words for someone who does not know how the parser works.
fn explain(text: &str, error: &Error) -> Diagnostic {
    let span = within(text, error.span());
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    let written = &text[span.clone()];
    if message == "duplicate key" {
        return Diagnostic::new(span.clone(), format!("duplicate key `{}`", written.trim_matches(['"', '\''])));
    }
    if message.starts_with("invalid ") && message.ends_with(" string") && expected.is_some_and(|quote| quote.len() == 3) {
        return Diagnostic::new(span, "this string has no end").with_label(format!("expected {}", expected.unwrap_or_default()));
    }
    let bare = message.starts_with("string values must be quoted") || message.starts_with("invalid boolean");
    if bare && written.is_empty() {
        return Diagnostic::new(span, "missing value");
    }
    if bare {
        let quoted = format!("{written:?}");
        let flag = ["true", "false"].into_iter().find(|flag| written.eq_ignore_ascii_case(flag));
        let hint = flag.map_or(quoted, Into::into);
        return Diagnostic::new(span, "a string needs quotes").with_hint(format!("write `{hint}`"));
    }
    let diagnostic = Diagnostic::new(span, message);
    match expected {
        Some(expected) if expected != "nothing" => diagnostic.with_label(format!("expected {expected}")),
        _ => diagnostic,
    }
}
