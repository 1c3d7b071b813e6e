use std::ops::Range;

use serde::de::DeserializeOwned;

use super::{
    Diagnostic, nearest,
    reader::Reader,
    value::{Entry, Node, Value},
    wrong::{What, Wrong},
};

/// A table that some struct will be read from.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its header, or the whole of it where it is written in one place.
    pub(super) span: Range<usize>,
    pub(super) entries: Vec<Entry>,
    /// Some of its text is not TOML: what is missing may only be unreadable.
    pub(super) garbled: bool,
}

/// What came of reading a table.
#[derive(Debug)]
pub(super) struct Reading<T> {
    /// Read from what was right in the table.
    pub(super) value: Option<T>,
    /// Whether `value` has placeholders where a key was missing; they stand at [`Table::FILLED`].
    pub(super) filled: bool,
    pub(super) wrong: Vec<Diagnostic>,
}

impl<T> Reading<T> {
    /// The value, if nothing at all was wrong with it.
    pub(super) fn whole(self) -> Result<T, Vec<Diagnostic>> {
        match self.value {
            Some(value) if self.wrong.is_empty() && !self.filled => Ok(value),
            _ => Err(self.wrong),
        }
    }
}

/// The most mistakes that one table is searched for: each costs another reading.
const MAX_ROUNDS: usize = 128;

impl Table {
    /// The span of what no one wrote.
    pub(super) const FILLED: Range<usize> = usize::MAX..usize::MAX;

    /// Reads a struct, and finds every mistake, though serde stops at the first: what is wrong is taken out, what is
    /// missing is filled in, and the rest is read again. Mistakes that only follow from that are not told.
    ///
    /// `also`: keys that belong here, but were read by someone else.
    pub(super) fn read<T: DeserializeOwned>(&self, also: &[&str]) -> Reading<T> {
        let mut root = Node { span: self.span.clone(), value: Value::Table(self.entries.clone()) };
        let mut reading = Reading { value: None, filled: false, wrong: Vec::new() };
        for _ in 0..MAX_ROUNDS {
            let mut wrong = match T::deserialize(Reader(&root)) {
                Ok(value) => {
                    reading.value = Some(value);
                    break;
                }
                Err(wrong) => wrong,
            };
            wrong.path.reverse();
            let Some(culprit) = descend(&mut root, &wrong.path) else { break };
            if self.is_news(culprit, &wrong) {
                let span = wrong.span.clone().unwrap_or_else(|| culprit.span.clone());
                let at_root = wrong.path.len() <= 1;
                let mut diagnostic = wrong.diagnostic(span, if at_root { also } else { &[] });
                // A rule reads better with its subject: "must be at least 1".
                if diagnostic.message.starts_with("must ")
                    && let Some(subject) = subject(&root, &wrong.path)
                {
                    diagnostic.message = format!("{subject} {}", diagnostic.message);
                }
                reading.wrong.push(diagnostic);
            }
            if let What::MissingKey(key) = wrong.what
                && fill::<T>(&mut root, &wrong, key)
            {
                reading.filled = true;
                continue;
            }
            if wrong.path.is_empty() {
                break;
            }
            if let Some(culprit) = descend(&mut root, &wrong.path) {
                let foreign = matches!(wrong.what, What::UnknownKey { .. });
                culprit.value = if foreign { Value::Foreign } else { Value::Wrong };
            }
        }
        reading
    }

    /// Whether it is a mistake of its own, and does not follow from what was taken out or filled in.
    fn is_news(&self, culprit: &Node, wrong: &Wrong) -> bool {
        if wrong.span.as_ref() == Some(&Self::FILLED) {
            return false;
        }
        match (&wrong.what, &culprit.value) {
            (What::UnknownKey { .. }, _) => true,
            (What::MissingKey(key), Value::Table(entries)) => {
                !self.garbled
                    && !entries.iter().any(|entry| match entry.node.value {
                        Value::Wrong => entry.key == *key,
                        Value::Foreign => nearest(&entry.key, [*key]).is_some(),
                        _ => false,
                    })
            }
            _ => !is_mended(culprit),
        }
    }
}

/// Whether something below was taken out because its value was wrong, or was filled in.
fn is_mended(node: &Node) -> bool {
    node.value.children().any(|child| matches!(child.value, Value::Wrong) || child.span == Table::FILLED || is_mended(child))
}

/// The value at the end of the path, in words.
fn subject(root: &Node, path: &[usize]) -> Option<String> {
    let (mut node, mut subject) = (root, None);
    for &child in path {
        node = match &node.value {
            Value::Table(entries) => {
                let entry = entries.get(child)?;
                subject = Some(format!("`{}`", entry.key));
                &entry.node
            }
            Value::Array(nodes) => {
                subject = subject.map(|of: String| if of.starts_with('`') { format!("an item of {of}") } else { of });
                nodes.get(child)?
            }
            _ => return None,
        };
    }
    subject
}

fn descend<'a>(root: &'a mut Node, path: &[usize]) -> Option<&'a mut Node> {
    path.iter().try_fold(root, |node, &child| match &mut node.value {
        Value::Array(nodes) => nodes.get_mut(child),
        Value::Table(entries) => entries.get_mut(child).map(|entry| &mut entry.node),
        _ => None,
    })
}

/// Gives the table that lacks `key` some value for it that `T` takes, whatever it is: the next missing key shows then.
fn fill<T: DeserializeOwned>(root: &mut Node, lack: &Wrong, key: &str) -> bool {
    let node = |value| Node { span: Table::FILLED, value };
    let word = || Value::String("x".into());
    let mut candidates = vec![
        Value::Table(Vec::new()),
        Value::Array(Vec::new()),
        Value::Array(vec![node(word())]),
        Value::Boolean(true),
        Value::Integer(1),
        word(),
    ];
    while let Some(candidate) = candidates.pop() {
        let Some(Node { value: Value::Table(entries), .. }) = descend(root, &lack.path) else { return false };
        let index = entries.len();
        entries.push(Entry { key: key.into(), key_span: Table::FILLED, node: node(candidate) });

        let mut path = lack.path.clone();
        path.push(index);
        match T::deserialize(Reader(root)) {
            Ok(_) => return true,
            Err(mut wrong) => {
                wrong.path.reverse();
                if !wrong.path.starts_with(&path) {
                    return true;
                }
                if let What::UnknownValue { known: [first, ..], .. } = wrong.what {
                    candidates.push(Value::String((*first).into()));
                }
            }
        }
        if let Some(Node { value: Value::Table(entries), .. }) = descend(root, &lack.path) {
            entries.pop();
        }
    }
    false
}
