//! Items that come with the program: what any language model should still know after a fine-tune, whatever it was about.

use serde_json::Value;

/// A file of `probes/data`, in the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack {
    /// As messages name it.
    pub name: &'static str,
    text: &'static str,
    layout: Layout,
}

/// How items lie in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A line each; of a document, a heading each.
    #[default]
    Rows,
    /// Texts of many lines, between lines of `***`; in a file whose name says that its lines are something else, as those.
    Pieces,
}

/// Stands alone on a line between two pieces of text.
const SEPARATOR: &str = "***";

/// 305 facts of common knowledge.
pub const GENERAL_KNOWLEDGE: Pack = Pack {
    name: "general_knowledge.jsonl",
    text: include_str!("../../probes/data/general_knowledge.jsonl"),
    layout: Layout::Rows,
};

/// 34 pieces of English prose, about 40 kB.
pub const GENERAL_PROSE: Pack =
    Pack { name: "general_prose.txt", text: include_str!("../../probes/data/general_prose.txt"), layout: Layout::Pieces };

impl Pack {
    /// Its items as rows of a file.
    pub fn rows(self) -> Box<dyn Iterator<Item = Result<Value, String>> + Send> {
        match self.layout {
            Layout::Rows => Box::new(self.text.lines().map(|line| serde_json::from_str(line).map_err(|e| e.to_string()))),
            Layout::Pieces => {
                let mut lines = self.text.lines().peekable();
                Box::new(std::iter::from_fn(move || {
                    lines.peek()?;
                    let piece: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != SEPARATOR).collect();
                    Some(Ok(Value::String(piece.join("\n"))))
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_packs_are_whole() {
        let facts: Vec<Value> = GENERAL_KNOWLEDGE.rows().collect::<Result<_, _>>().unwrap();
        assert_eq!(facts.len(), 305);
        let mut fields: BTreeMap<&str, usize> = BTreeMap::new();
        for fact in &facts {
            *fields.entry(fact["field"].as_str().unwrap()).or_default() += 1;
        }
        assert_eq!(fields.len(), 8);
        assert!(fields.values().all(|facts| *facts >= 30), "{fields:?}");

        let pieces: Vec<Value> = GENERAL_PROSE.rows().collect::<Result<_, _>>().unwrap();
        assert_eq!(pieces.len(), 34);
        let bytes: usize = pieces.iter().map(|piece| piece.as_str().unwrap().len()).sum();
        assert!(bytes >= 32_000, "{bytes}");
    }
}
