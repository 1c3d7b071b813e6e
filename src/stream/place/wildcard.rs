//! A name with wildcards in it.

/// A name with `*`, `?` and `[…]` in it, by letters and not by bytes.
#[derive(Clone, Debug)]
pub struct Wildcard {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Letter(char),
    /// `?`
    One,
    /// `*`
    Any,
    /// `[…]`: the first and last letter of each range.
    Class {
        ranges: Vec<(char, char)>,
        is_negated: bool,
    },
}

impl Wildcard {
    /// # Errors
    /// In words: a class that is not closed, or a range that ends before it begins.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            pieces.push(match letter {
                '*' => Piece::Any,
                '?' => Piece::One,
                '[' => class(&mut rest)?,
                letter => Piece::Letter(letter),
            });
        }
        Ok(Self { pieces })
    }

    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut piece, mut letter) = (0, 0);
        // The last `*`, and how far what it stands for reaches by now. An earlier one never needs to stand for more.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match self.pieces.get(piece) {
                None if letter == name.len() => return true,
                Some(Piece::Any) => {
                    star = Some((piece + 1, letter));
                    piece += 1;
                    continue;
                }
                Some(single) if name.get(letter).is_some_and(|letter| single.takes(*letter)) => {
                    (piece, letter) = (piece + 1, letter + 1);
                    continue;
                }
                None | Some(_) => {}
            }
            let Some((after, reach)) = star.as_mut().filter(|(_, reach)| *reach < name.len()) else { return false };
            *reach += 1;
            (piece, letter) = (*after, *reach);
        }
    }
}

impl Piece {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Letter(own) => *own == letter,
            Self::One | Self::Any => true,
            Self::Class { ranges, is_negated } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *is_negated
            }
        }
    }
}

/// What comes after a `[`.
fn class(rest: &mut std::str::Chars<'_>) -> Result<Piece, String> {
    let open = || "a `[` in it is not closed; the letter itself is written `[[]`".to_owned();
    let is_negated = rest.as_str().starts_with(['!', '^']);
    if is_negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = rest.next().ok_or_else(open)?;
        // As the first letter it stands for itself.
        if first == ']' && !ranges.is_empty() {
            return Ok(Piece::Class { ranges, is_negated });
        }
        let mut ahead = rest.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *rest = ahead;
                last
            }
            _ => first,
        };
        if last < first {
            return Err(format!("`[{first}-{last}]` in it ends before it begins"));
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;
    use proptest::prelude::*;

    use super::*;

    fn matches(text: &str, name: &str) -> bool {
        Wildcard::new(text).unwrap().matches(name)
    }

    #[test]
    fn a_letter_is_a_letter_of_any_alphabet() {
        assert!(matches("part-?.txt", "part-\u{e9}.txt"));
        assert!(matches("[\u{e0}-\u{ff}][!a]", "\u{e9}\u{1f980}"));
        assert!(!matches("?", ""));
        assert!(!matches("??", "\u{e9}"));
    }

    #[test]
    fn brackets_may_hold_what_has_a_meaning_elsewhere() {
        for (text, name) in [("[[]", "["), ("[]]", "]"), ("[!]]", "a"), ("[*]", "*"), ("[a-]", "-"), ("[]-a]", "^"), ("[{]", "{")]
        {
            assert!(matches(text, name), "{text} {name}");
        }
        assert!(!matches("[!]]", "]") && !matches("[*]", "a") && !matches("[^a]", "a"));
        for text in ["[", "[a", "[]", "[!]", "[b-a]", "[a-"] {
            assert!(Wildcard::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn many_stars_end_soon() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
        assert!(!matches(&("*a".repeat(200) + "b"), &"a".repeat(4000)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_another_matcher(text in "[ab?*]{0,6}(\\[[ab]-c\\])?[ab?*]{0,6}", name in "[abc]{0,12}") {
            let other = GlobBuilder::new(&text.replace("**", "*").replace("**", "*").replace("**", "*").replace("**", "*")).build();
            prop_assert_eq!(matches(&text, &name), other.unwrap().compile_matcher().is_match(&name));
        }
    }
}
