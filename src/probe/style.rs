//! How a text is written, as figures: none of them knows what the text is about.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

use crate::math::mean;

/// English words that carry grammar and no topic: articles, prepositions, conjunctions, pronouns, auxiliaries, *not*. Their rates
/// tell authors apart (Mosteller and Wallace 1964).
const FUNCTION_WORDS: [&str; 32] = [
    "the", "a", "an", "of", "to", "in", "on", "at", "by", "for", "with", "from", "and", "or", "but", "if", "so", "as", "that",
    "which", "it", "he", "she", "they", "we", "you", "i", "is", "was", "be", "have", "not",
];

/// Figures that are no word's rate.
const SHAPES: [&str; 6] =
    ["sentence_length", "sentence_length_sd", "type_token_ratio", "word_length", "punctuation", "paragraph_breaks"];

/// Figures of a style.
pub const FEATURES: usize = SHAPES.len() + FUNCTION_WORDS.len();

/// Their names, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.into_iter().chain(FUNCTION_WORDS)
}

/// Words over which the type–token ratio is taken: of a longer text it is the mean over all such windows, since the ratio of a
/// whole text falls with its length (MATTR: Covington and `McFall` 2010).
const WINDOW: usize = 50;

/// A text's figures: mean and standard deviation (divisor n) of its sentences' lengths in words, type–token ratio, mean length of a
/// word in characters, punctuation marks and blank lines a word, and the rate of each function word.
///
/// Sentences and words are those of Unicode's annex 29, which ends a sentence after "Mr." too: in every text alike. `None` of a
/// text without a word.
pub fn style_of(text: &str) -> Option<[f64; FEATURES]> {
    let text = text.trim();
    let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
    if words.is_empty() {
        return None;
    }
    let count = words.len() as f64;
    let sentences: Vec<f64> =
        text.unicode_sentences().map(|sentence| sentence.unicode_words().count() as f64).filter(|words| *words > 0.0).collect();
    let length = mean(&sentences).ok()?;
    let variance = sentences.iter().map(|words| (words - length).powi(2)).sum::<f64>() / sentences.len() as f64;
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    let marks = text.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control()).count();
    let shapes = [
        length,
        variance.sqrt(),
        type_token_ratio(&words),
        letters as f64 / count,
        marks as f64 / count,
        paragraph_breaks(text) as f64 / count,
    ];
    let mut style = [0.0; FEATURES];
    style[..shapes.len()].copy_from_slice(&shapes);
    for (rate, wanted) in style[shapes.len()..].iter_mut().zip(FUNCTION_WORDS) {
        *rate = words.iter().filter(|word| *word == wanted).count() as f64 / count;
    }
    Some(style)
}

/// words: not empty.
fn type_token_ratio(words: &[String]) -> f64 {
    let window = words.len().min(WINDOW);
    let windows = words.windows(window);
    let count = windows.len() as f64;
    windows.map(|words| words.iter().collect::<BTreeSet<_>>().len() as f64 / window as f64).sum::<f64>() / count
}

/// Blank lines, several together counted once, between lines that are not.
fn paragraph_breaks(text: &str) -> usize {
    let blank: Vec<bool> = text.lines().map(|line| line.trim().is_empty()).collect();
    blank.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

/// Words of a text, as they are counted here.
pub fn word_count(text: &str) -> usize {
    text.unicode_words().count()
}

/// A text in pieces of whole sentences with at least so many words each; what is left over belongs to the last.
pub fn pieces(text: &str, words: usize) -> Vec<&str> {
    let mut cuts = vec![0];
    let mut held = 0;
    for (at, sentence) in text.split_sentence_bound_indices() {
        held += word_count(sentence);
        if held >= words.max(1) {
            cuts.push(at + sentence.len());
            held = 0;
        }
    }
    match cuts.as_mut_slice() {
        [_] => cuts.push(text.len()),
        [.., last] => *last = text.len(),
        [] => {}
    }
    cuts.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figure(text: &str, name: &str) -> f64 {
        style_of(text).unwrap()[names().position(|known| known == name).unwrap()]
    }

    #[test]
    fn the_figures_of_a_small_text_can_be_counted_by_hand() {
        let text = "The cat sat. The big dog, it ran off!\n\n\nWe left.";
        assert!((figure(text, "sentence_length") - 11.0 / 3.0).abs() < 1e-12);
        assert!((figure(text, "sentence_length_sd") - (26.0_f64 / 9.0).sqrt()).abs() < 1e-12);
        assert!((figure(text, "type_token_ratio") - 10.0 / 11.0).abs() < 1e-12);
        assert!((figure(text, "word_length") - 32.0 / 11.0).abs() < 1e-12);
        assert!((figure(text, "punctuation") - 4.0 / 11.0).abs() < 1e-12);
        assert!((figure(text, "paragraph_breaks") - 1.0 / 11.0).abs() < 1e-12);
        assert!((figure(text, "the") - 2.0 / 11.0).abs() < 1e-12);
        assert!((figure(text, "it") - 1.0 / 11.0).abs() < 1e-12);
        assert!(figure(text, "of").abs() < 1e-12);
    }

    #[test]
    fn a_text_without_a_word_has_no_style() {
        for text in ["", " \n", "...", "!?"] {
            assert_eq!(style_of(text), None, "{text}");
        }
        assert!(style_of("a").is_some());
    }

    #[test]
    fn the_ratio_of_types_does_not_fall_with_the_length() {
        let once: Vec<String> = (0..60).map(|i| format!("w{i}")).collect();
        let (once, often) = (once.join(" "), vec![once.join(" "); 10].join(" "));
        assert!((figure(&once, "type_token_ratio") - 1.0).abs() < 1e-12);
        assert!((figure(&often, "type_token_ratio") - 1.0).abs() < 1e-12);
        assert!((figure("a b a b", "type_token_ratio") - 0.5).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn figures_are_finite_and_pieces_hold_the_whole_text(text in "[a-cTé .!?,\n]{0,200}", words in 0_usize..12) {
            if let Some(style) = style_of(&text) {
                prop_assert!(style.iter().all(|figure| figure.is_finite() && *figure >= 0.0));
            }
            let pieces = pieces(&text, words);
            prop_assert_eq!(pieces.concat(), text.as_str());
            prop_assert!(pieces.len() == 1 || pieces.iter().all(|piece| word_count(piece) >= words.max(1)));
        }
    }
}
