//! A Markdown document cut at its headings.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::file::FileRow;

/// The sections of a document as rows of `text`, and of `name` where there is a heading; a row's line is that of the heading, or else
/// of the text.
///
/// A section is the Markdown, as it is written, from under a heading to the next, of whatever level; what stands before the first is one
/// too. One without a letter or a digit is left out. Headings are lines that begin with `#` (ATX); those inside of quotes and lists,
/// like what looks like one in code, cut nothing. Front matter is no text.
pub(super) fn sections(text: &str) -> Vec<FileRow> {
    let mut sections = Vec::new();
    let mut current = Under { name: None, heading: 0, start: 0 };
    // How many elements are open around an event.
    let mut depth = 0_usize;
    let mut heading: Option<String> = None;
    let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) if depth == 0 && text[range.clone()].trim_start().starts_with('#') => {
                current.end(&text[..range.start], &mut sections);
                current = Under { name: None, heading: range.start, start: range.end };
                heading = Some(String::new());
                depth += 1;
            }
            Event::Start(_) => depth += 1,
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                if let (TagEnd::Heading(_), 0, Some(name)) = (end, depth, heading.take_if(|_| depth == 0)) {
                    current.name = Some(name);
                }
                if matches!(end, TagEnd::MetadataBlock(_)) {
                    current.start = range.end;
                }
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
            }
            _ => {}
        }
    }
    current.end(text, &mut sections);
    let mut lines = Lines { text, counted: 0, line: 1 };
    sections.into_iter().map(|(start, value)| FileRow { line: lines.of(start), value }).collect()
}

/// Lines of places that come in order.
struct Lines<'a> {
    text: &'a str,
    counted: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, place: usize) -> usize {
        self.line += self.text[self.counted..place].matches('\n').count();
        self.counted = place;
        self.line
    }
}

/// The section that is being read.
struct Under {
    name: Option<String>,
    /// Where its heading begins.
    heading: usize,
    /// Where its text begins.
    start: usize,
}

impl Under {
    /// Ends the section where `read`, the document up to there, does; it is kept with the place that it is known by.
    fn end(&self, read: &str, sections: &mut Vec<(usize, Value)>) {
        let under = read.get(self.start..).unwrap_or_default();
        let text = under.trim();
        if !text.contains(char::is_alphanumeric) {
            return;
        }
        sections.push(match &self.name {
            Some(name) => (self.heading, json!({"name": name, "text": text})),
            None => (self.start + under.len() - under.trim_start().len(), json!({"text": text})),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// (line, name, text) of each section.
    fn cut(text: &str) -> Vec<(usize, String, String)> {
        let word = |value: &Value, key: &str| value[key].as_str().unwrap_or("-").to_owned();
        sections(text).iter().map(|row| (row.line, word(&row.value, "name"), word(&row.value, "text"))).collect()
    }

    fn section(line: usize, name: &str, text: &str) -> (usize, String, String) {
        (line, name.to_owned(), text.to_owned())
    }

    #[test]
    fn headings_of_every_level_cut() {
        let text = "Before.\n\n# One\n\nFirst.\n\nStill first.\n## Two `x` ##\nSecond.\n";
        let expected = [section(1, "-", "Before."), section(3, "One", "First.\n\nStill first."), section(8, "Two x", "Second.")];
        assert_eq!(cut(text), expected);
    }

    #[test]
    fn a_heading_without_words_under_it_is_no_section() {
        assert_eq!(cut("# Title\n\n***\n\n## Part\nWords.\n# End\n"), [section(5, "Part", "Words.")]);
        assert!(cut("").is_empty());
        assert!(cut("# Only a title").is_empty());
    }

    #[test]
    fn what_looks_like_a_heading_in_code_or_in_a_quote_cuts_nothing() {
        let text = "# One\n```sh\n# a comment\n```\n> # quoted\n\n- # listed\n\n    # indented\n<!--\n# hidden\n-->\n\nUnder\n===\n#tag\n";
        let found = cut(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].2.starts_with("```sh\n# a comment") && found[0].2.ends_with("#tag"), "{found:?}");
    }

    #[test]
    fn front_matter_is_no_text() {
        assert_eq!(
            cut("---\ntitle: x\n---\nBefore.\n# One\nFirst.\n"),
            [section(4, "-", "Before."), section(5, "One", "First.")]
        );
    }

    #[test]
    fn line_ends_of_windows_are_line_ends() {
        assert_eq!(cut("# One\r\nFirst.\r\n# Two\r\nSecond.\r\n"), [section(1, "One", "First."), section(3, "Two", "Second.")]);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_losing_a_plain_line(text in "((#{1,3} )?[a-c]{1,3}\n){0,12}", noise in "\\PC{0,80}") {
            sections(&noise);
            let found = cut(&text);
            let kept: Vec<&str> = found.iter().flat_map(|(_, _, text)| text.lines()).collect();
            let plain: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            prop_assert_eq!(kept, plain);
            for (line, name, _) in &found {
                prop_assert!(name == "-" || text.lines().nth(line - 1).unwrap().ends_with(name.as_str()));
            }
        }
    }
}
