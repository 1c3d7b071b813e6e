/// Whether a character separates words, as Python's `str.split` has it: Unicode's white space, and the four separators
/// among the control characters. A zero-width space is none.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words of a text: what stands between white space.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split(is_space).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_split_where_python_splits_them() {
        let spaces = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\
                      \u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
        let text: String = spaces.chars().flat_map(|space| [space, 'x']).collect();
        assert_eq!(words(&text), vec!["x"; spaces.chars().count()]);
        assert_eq!(words("a\u{200b}b\u{feff}c\u{180e}d"), ["a\u{200b}b\u{feff}c\u{180e}d"]);
        assert!(words(spaces).is_empty());
    }
}
