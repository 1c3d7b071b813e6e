//! A text cut where it may be cut: between paragraphs, else sentences, else words.

use std::ops::Range;

/// Chunks of a text, in order, each a part of it, with all its words. A text that needs no cut is given as it is, blank space at
/// its ends aside.
///
/// A chunk has at most `most` words, but that a rest of less than an eighth of that (of at least 4 words) is not left alone: it stays
/// with its neighbour.
pub fn chunks(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let rest = (most / 8).max(4).min(most / 4);
    let mut parts = Vec::new();
    cut(text, 0..text.len(), most.max(1), &CUTS, &mut parts);
    let count = |range: &Range<usize>| text[range.clone()].split_whitespace().count();
    let full = joined(parts, |last, part| count(&(last.start..part.end)) <= most);
    // No two rests lie side by side: together they would have been one chunk.
    let whole = joined(full, |last, part| count(part) < rest || count(last) < rest);
    whole.into_iter().map(|range| text[range].trim())
}

/// Neighbours made one wherever `belong` says so of what is there and what comes next.
fn joined(parts: Vec<Range<usize>>, belong: impl Fn(&Range<usize>, &Range<usize>) -> bool) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if belong(last, &part) => last.end = part.end,
            _ => joined.push(part),
        }
    }
    joined
}

/// Whether a text may be cut before a word: what lies between it and the word before, and that word.
type Cut = fn(gap: &str, before: &str) -> bool;

/// From the best place to the worst.
const CUTS: [Cut; 3] = [
    |gap, _| gap.matches('\n').count() > 1,
    |_, before| before.trim_end_matches(['"', '\'', '”', '’', ')']).ends_with(['.', '!', '?', '。', '！', '？']),
    |_, _| true,
];

/// Parts of at most `limit` words, cut at the best places that give such.
fn cut(text: &str, range: Range<usize>, limit: usize, cuts: &[Cut], parts: &mut Vec<Range<usize>>) {
    let words = words(text, range);
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
    let ([may_cut, worse @ ..], true) = (cuts, words.len() > limit) else {
        parts.push(first.start..last.end);
        return;
    };
    let mut start = first.start;
    for pair in words.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        if may_cut(&text[before.end..after.start], &text[before.clone()]) {
            cut(text, start..before.end, limit, worse, parts);
            start = after.start;
        }
    }
    cut(text, start..last.end, limit, worse, parts);
}

/// Where the words of a range are.
fn words(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let base = text.as_ptr() as usize;
    let place = |word: &str| word.as_ptr() as usize - base;
    text[range].split_whitespace().map(|word| place(word)..place(word) + word.len()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut_into(text: &str, most: usize) -> Vec<&str> {
        chunks(text, most).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_chunk_as_it_stands() {
        assert_eq!(cut_into(" a b\n\nc. d\n", 4), ["a b\n\nc. d"]);
        assert!(cut_into(" \n", 4).is_empty());
    }

    #[test]
    fn paragraphs_stay_whole_where_they_can_and_then_sentences() {
        assert_eq!(cut_into("a b c d\n\ne f g h\n\ni j k l", 8), ["a b c d\n\ne f g h", "i j k l"]);
        assert_eq!(cut_into("a b c d\n\ne f g h\n\ni j k l", 7), ["a b c d", "e f g h", "i j k l"]);
        assert_eq!(cut_into("A b c d. E f g \"h.\" I j k l.", 6), ["A b c d.", "E f g \"h.\"", "I j k l."]);
        assert_eq!(cut_into("a b c d e f g h i j", 5), ["a b c d e", "f g h i j"]);
    }

    #[test]
    fn a_few_words_are_not_left_alone_whichever_end_they_are_at() {
        let sentence = |words: usize| "w ".repeat(words - 1) + "w.";
        let cut_of = |lengths: [usize; 3], most| {
            let text = lengths.map(sentence).join(" ");
            cut_into(&text, most).iter().map(|chunk| chunk.split_whitespace().count()).collect::<Vec<_>>()
        };
        assert_eq!(cut_of([16, 15, 3], 16), [16, 18]);
        assert_eq!(cut_of([3, 16, 16], 16), [19, 16]);
        assert_eq!(cut_of([16, 15, 4], 16), [16, 15, 4]);
    }

    proptest! {
        #[test]
        fn all_words_are_in_a_chunk_in_order_and_no_chunk_is_too_long(
            text in "([a-d]{1,3}[.?]?( |\n|\n\n|\n\n\n)){0,60}",
            most in 1_usize..40,
        ) {
            let cut = cut_into(&text, most);
            let words: Vec<&str> = cut.iter().flat_map(|chunk| chunk.split_whitespace()).collect();
            prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
            for chunk in cut {
                prop_assert!(text.contains(chunk) && chunk == chunk.trim());
                // A rest at each end, at most.
                prop_assert!(chunk.split_whitespace().count() <= most + 2 * (most / 4));
            }
        }
    }
}
