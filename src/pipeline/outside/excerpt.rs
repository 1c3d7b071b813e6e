//! What a message shows of a text that someone else wrote: a part, on one line, and nothing that a terminal obeys.

/// Stands for what is left out.
const CUT: char = '…';

/// The beginning of a text, in at most so many characters.
pub fn beginning(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for character in text.trim().chars() {
        let piece = escaped(character);
        let length = piece.chars().count();
        if count + length > most {
            shown.push(CUT);
            break;
        }
        shown.push_str(&piece);
        count += length;
    }
    shown
}

/// Several lines, each without what a terminal obeys.
pub fn lines(text: &str) -> String {
    text.trim_end().chars().map(|c| if matches!(c, '\n' | '\t') { c.to_string() } else { escaped(c) }).collect()
}

fn escaped(character: char) -> String {
    if character.is_control() || turns_or_hides(character) { character.escape_default().collect() } else { character.to_string() }
}

/// Marks that change the order in which a line is read, break it, or take no room.
fn turns_or_hides(character: char) -> bool {
    matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_spelt_out() {
        assert_eq!(beginning("  a\r\n\u{1b}[31mred\u{202e}\n", 300), "a\\r\\n\\u{1b}[31mred\\u{202e}");
        assert_eq!(lines("one\n\ttwo\u{7}\r\n\n"), "one\n\ttwo\\u{7}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(beginning("äöüß", 4), "äöüß");
        assert_eq!(beginning("äöüßx", 4), "äöüß…");
        assert_eq!(beginning("abc\nd", 4), "abc…");
    }

    proptest! {
        #[test]
        fn a_beginning_is_one_line_within_its_bound(text in any::<String>(), most in 0_usize..40) {
            let shown = beginning(&text, most);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.chars().count() <= most + 1);
        }
    }
}
