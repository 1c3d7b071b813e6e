//! Neutral text to put before a prompt: the shipped prose, from its beginning, for as many words as are asked for.

use std::sync::LazyLock;

const SHIPPED: &str = include_str!("../../probes/data/general_prose.txt");

/// The shipped pieces one after the other, and where each word ends.
struct Prose {
    text: String,
    /// Bytes, ascending.
    ends: Vec<usize>,
}

static PROSE: LazyLock<Prose> = LazyLock::new(|| {
    let pieces: Vec<&str> = SHIPPED.split("***").map(str::trim).collect();
    let text = pieces.join("\n\n");
    let ends = text.split_whitespace().map(|word| word.as_ptr() as usize + word.len() - text.as_ptr() as usize).collect();
    Prose { text, ends }
});

/// The first words of the prose, which begins again where it ends. Of two lengths the shorter text begins the longer one.
pub fn first_words(words: usize) -> String {
    let Prose { text, ends } = &*PROSE;
    let mut stuffing = format!("{text}\n\n").repeat(words / ends.len());
    match words % ends.len() {
        0 => stuffing.truncate(stuffing.trim_end().len()),
        rest => stuffing.push_str(&text[..ends[rest - 1]]),
    }
    stuffing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_words_as_were_asked_for() {
        let all = PROSE.ends.len();
        for words in [0, 1, 2, 500, all - 1, all, all + 1, 2 * all, 2 * all + 7] {
            let text = first_words(words);
            assert_eq!(text.split_whitespace().count(), words);
            assert_eq!(text.trim_end(), text);
        }
    }

    #[test]
    fn the_shorter_begins_the_longer_and_no_mark_of_the_file_is_left() {
        let all = PROSE.ends.len();
        for words in [1, 40, all - 1, all] {
            assert!(first_words(words + 9).starts_with(&first_words(words)));
        }
        assert!(!first_words(all).contains("***") && first_words(9).starts_with("The last bus out of Hartwell"));
    }
}
