//! Which names a glob stands for.

use super::wildcard::Wildcard;

/// Most alternatives that braces may stand for, all braces of a glob multiplied.
const MOST_ALTERNATIVES: usize = 1024;

/// Folders, and a name in them, as one alternative of a glob gives them.
///
/// `*`, `?` and `[…]` stand for letters of one name, and `**` as a whole name for any folders, also none; at the end it stands for all that
/// lies below. A backslash is a letter like any other: `[*]` is a star. Large and small letters differ.
#[derive(Clone, Debug)]
pub struct Pattern {
    segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Clone, Debug)]
pub enum Segment {
    Literal(String),
    Wild(Wild),
    /// `**`: any folders, also none. It is never the last, and never beside another.
    Any,
}

/// A name with wildcards in it.
#[derive(Clone, Debug)]
pub struct Wild {
    text: String,
    wildcard: Wildcard,
}

/// Whether wildcards stand for hidden names too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    Shown,
    PassedOver,
}

impl Pattern {
    /// The alternatives that a glob stands for: without braces there is one.
    ///
    /// # Errors
    /// In words, what is wrong: an empty name, a `**` that is not a whole name, what is opened and not closed.
    pub fn alternatives(text: &str) -> Result<Vec<Self>, String> {
        let mut texts = expanded(text)?;
        texts.sort_unstable();
        texts.dedup();
        texts.iter().map(|text| Self::new(text)).collect()
    }

    fn new(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        for name in text.split('/') {
            match Segment::new(name)? {
                Segment::Any if matches!(segments.last(), Some(Segment::Any)) => {}
                segment => segments.push(segment),
            }
        }
        if let Some(Segment::Any) = segments.last() {
            segments.push(Segment::new("*")?);
        }
        Ok(Self { segments })
    }

    /// Folders in front of it.
    #[must_use]
    pub fn below<'a>(self, folders: impl Iterator<Item = &'a str>) -> Self {
        let folders = folders.map(|name| Segment::Literal(name.to_owned()));
        Self { segments: folders.chain(self.segments).collect() }
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The one path that it stands for, where it has no wildcard.
    pub fn literal(&self) -> Option<String> {
        let names: Option<Vec<&str>> = self.segments.iter().map(Segment::literal).collect();
        names.map(|names| names.join("/"))
    }

    /// What all paths that it stands for begin with.
    pub fn prefix(&self) -> String {
        let mut prefix = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                prefix.push('/');
            }
            match segment {
                Segment::Literal(name) => prefix.push_str(name),
                Segment::Wild(wild) => {
                    prefix.push_str(wild.text.split(WILDCARDS).next().unwrap_or_default());
                    break;
                }
                Segment::Any => break,
            }
        }
        prefix
    }

    /// Whether it stands for this path.
    pub fn matches(&self, path: &str, hidden: Hidden) -> bool {
        let end = self.segments.len();
        // Which segments the next name may belong to.
        let mut open = vec![false; end + 1];
        self.enter(&mut open, 0);
        for name in path.split('/') {
            let mut next = vec![false; end + 1];
            for (at, segment) in self.segments.iter().enumerate().filter(|(at, _)| open[*at]) {
                if segment.takes(name, hidden) {
                    self.enter(&mut next, if matches!(segment, Segment::Any) { at } else { at + 1 });
                }
            }
            open = next;
        }
        open[end]
    }

    fn enter(&self, open: &mut [bool], at: usize) {
        open[at] = true;
        if let Some(Segment::Any) = self.segments.get(at) {
            self.enter(open, at + 1);
        }
    }
}

const WILDCARDS: [char; 3] = ['*', '?', '['];

impl Segment {
    fn new(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("a name in it is empty: two slashes in a row, or one at its end".to_owned());
        }
        if name == "**" {
            return Ok(Self::Any);
        }
        if name.contains("**") {
            return Err(format!("`**` stands for whole folders, and here it is a part of `{name}`"));
        }
        if !name.contains(WILDCARDS) {
            return Ok(Self::Literal(name.to_owned()));
        }
        Ok(Self::Wild(Wild { text: name.to_owned(), wildcard: Wildcard::new(name)? }))
    }

    fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(name) => Some(name),
            Self::Wild(_) | Self::Any => None,
        }
    }

    fn takes(&self, name: &str, hidden: Hidden) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Wild(wild) => wild.takes(name, hidden),
            Self::Any => hidden == Hidden::Shown || !is_hidden(name),
        }
    }
}

impl Wild {
    /// A hidden name is taken where the wildcards come after the letter that hides it.
    pub fn takes(&self, name: &str, hidden: Hidden) -> bool {
        let asked = || ['.', '_'].iter().any(|letter| self.text.starts_with(*letter) && name.starts_with(*letter));
        self.wildcard.matches(name) && (hidden == Hidden::Shown || !is_hidden(name) || asked())
    }
}

/// What wildcards pass over, as Spark, Hive and Arrow do: `.crc`, `_SUCCESS`, `_temporary`. A folder of a partition, `_year=2026`, is not
/// hidden.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}

/// Braces written out.
fn expanded(text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut pending = vec![text.to_owned()];
    while let Some(text) = pending.pop() {
        match first_braces(&text)? {
            None => done.push(text),
            Some((open, commas, close)) => {
                let ends = commas.iter().copied().chain([close]);
                let starts = [open].into_iter().chain(commas.iter().copied());
                pending.extend(
                    starts.zip(ends).map(|(start, end)| [&text[..open], &text[start + 1..end], &text[close + 1..]].concat()),
                );
            }
        }
        if done.len() + pending.len() > MOST_ALTERNATIVES {
            return Err(format!("its braces stand for more than {MOST_ALTERNATIVES} alternatives"));
        }
    }
    Ok(done)
}

/// Where the first braces open, where the commas between their alternatives are, and where they close.
fn first_braces(text: &str) -> Result<Option<(usize, Vec<usize>, usize)>, String> {
    let (mut open, mut depth, mut commas) = (0, 0_u32, Vec::new());
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            // Letters of a class stand for themselves; the first one may be the bracket that closes it.
            '[' => {
                let class = &text[at + 1..];
                let first = class.strip_prefix(['!', '^']).map_or(1, |_| 2);
                let rest = class.char_indices().nth(first).map(|(from, _)| from);
                let length = rest.and_then(|from| Some(from + class[from..].find(']')? + 1));
                let end = at + 1 + length.ok_or("a `[` in it is not closed; the letter itself is written `[[]`")?;
                while letters.offset() < end {
                    letters.next();
                }
            }
            '{' => {
                open = if depth == 0 { at } else { open };
                depth += 1;
            }
            ',' if depth == 1 => commas.push(at),
            '}' if depth == 1 => return Ok(Some((open, commas, at))),
            '}' if depth > 1 => depth -= 1,
            '}' => return Err("a `}` in it closes nothing; the letter itself is written `[}]`".to_owned()),
            _ => {}
        }
    }
    if depth > 0 { Err("a `{` in it is not closed; the letter itself is written `[{]`".to_owned()) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        let mut all = Pattern::alternatives(text).unwrap();
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0)
    }

    fn matches(text: &str, path: &str) -> bool {
        Pattern::alternatives(text).unwrap().iter().any(|pattern| pattern.matches(path, Hidden::PassedOver))
    }

    #[test]
    fn wildcards_stay_within_a_name_and_two_stars_cross_folders() {
        for (glob, path, expected) in [
            ("logs/*.jsonl", "logs/a.jsonl", true),
            ("logs/*.jsonl", "logs/deep/a.jsonl", false),
            ("logs/**/*.jsonl", "logs/a.jsonl", true),
            ("logs/**/*.jsonl", "logs/a/b/c.jsonl", true),
            ("logs/**", "logs/a/b/c.jsonl", true),
            ("logs/**", "logs", false),
            ("**/x", "x", true),
            ("**/**/x", "a/x", true),
            ("a/**/b/**/c", "a/b/x/b/y/c", true),
            ("a/**/b/**/c", "a/x/y/c", false),
            ("part-?.txt", "part-\u{e9}.txt", true),
            ("part-?.txt", "part-10.txt", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a[[]1].txt", "a[1].txt", true),
            ("a[]]b", "a]b", true),
            ("a[{]b", "a{b", true),
            (r"a\*", r"a\b", true),
            ("*.TXT", "a.txt", false),
        ] {
            assert_eq!(matches(glob, path), expected, "{glob} {path}");
        }
    }

    #[test]
    fn braces_are_alternatives_and_may_hold_folders_and_braces() {
        let literals =
            |text| -> Vec<String> { Pattern::alternatives(text).unwrap().iter().filter_map(Pattern::literal).collect() };
        assert_eq!(literals("{a/b,c}/x{1,2{3,4}}"), ["a/b/x1", "a/b/x23", "a/b/x24", "c/x1", "c/x23", "c/x24"]);
        assert_eq!(literals("x{,.gz}"), ["x", "x.gz"]);
        assert_eq!(literals("{a,a}"), ["a"]);
        assert!(matches("*.{jsonl,jsonl.gz}", "a.jsonl.gz"));
    }

    #[test]
    fn hidden_names_are_taken_only_where_they_are_asked_for() {
        for name in [".a", "_SUCCESS", "_temporary/x", ".git/x"] {
            assert!(!matches("**", name), "{name}");
            assert!(pattern("**").matches(name, Hidden::Shown), "{name}");
        }
        for (glob, name) in [("_*", "_SUCCESS"), (".*", ".a"), ("_temporary/*", "_temporary/x"), ("_SUCCESS", "_SUCCESS")] {
            assert!(matches(glob, name), "{glob}");
        }
        assert!(matches("*/x", "_year=2026/x"));
        assert!(!matches("_*/x", ".a/x"));
    }

    #[test]
    fn what_begins_all_paths_is_known() {
        for (glob, prefix) in
            [("logs/2026-*/*.jsonl", "logs/2026-"), ("logs/**/x", "logs/"), ("*", ""), ("a/b", "a/b"), ("a/[bc]", "a/")]
        {
            assert_eq!(pattern(glob).prefix(), prefix, "{glob}");
        }
        assert_eq!(pattern("a/b").literal().as_deref(), Some("a/b"));
        assert_eq!(pattern("a/?").literal(), None);
    }

    #[test]
    fn what_is_no_glob_is_refused_in_words() {
        for (text, words) in [
            ("a//b", "is empty"),
            ("a/", "is empty"),
            ("a**", "whole folders"),
            ("a[b", "`[` in it is not closed"),
            ("a[", "`[` in it is not closed"),
            ("a{b", "`{` in it is not closed"),
            ("a}b", "closes nothing"),
            ("[z-a]", "`[z-a]` in it ends before it begins"),
            ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "alternatives"),
        ] {
            let error = Pattern::alternatives(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_matches_begins_with_the_prefix(text in r"[ab*?/\[\]{},!._é-]{0,12}", path in "[ab._é/]{1,8}") {
            for pattern in Pattern::alternatives(&text).unwrap_or_default() {
                if pattern.matches(&path, Hidden::Shown) {
                    prop_assert!(path.starts_with(&pattern.prefix()));
                } else {
                    prop_assert!(!pattern.matches(&path, Hidden::PassedOver), "what is passed over would match otherwise");
                }
            }
        }

        #[test]
        fn a_path_matches_itself(path in "[ab.é-]{1,4}(/[ab.é-]{1,4}){0,3}") {
            prop_assert!(pattern(&path).matches(&path, Hidden::PassedOver));
        }

        #[test]
        fn it_agrees_with_a_matcher_that_takes_paths_whole(text in "(\\*\\*/)?[ab?]{0,2}\\*?[ab?]{1,2}(/[ab?]{1,2}){0,2}", path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
            let whole = GlobBuilder::new(&text).literal_separator(true).build().unwrap().compile_matcher();
            prop_assert_eq!(matches(&text, &path), whole.is_match(&path));
        }
    }
}
