use std::collections::HashMap;

use super::super::common_subsequence_length;
use super::error::{TextError, Unit, alignable};
use super::ngrams::Ngrams;

/// ROUGE-1 (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"): the F1 of the words that two texts share,
/// whatever their order, in [0, 1]. A word that repeats counts as often as both texts have it.
///
/// Words are the runs of ASCII letters and digits in the text in lower case, and everything else separates them: a text in
/// a script without ASCII letters has no words, and scores 0 even against itself. No stemming.
#[must_use]
pub fn rouge_1(candidate: &str, reference: &str) -> f64 {
    let (candidate, reference) = (tokens(candidate), tokens(reference));
    f_measure(Ngrams::of(&candidate, 1).matches(&Ngrams::of(&reference, 1)), candidate.len(), reference.len())
}

/// ROUGE-L (Lin 2004): the F1 of the longest common subsequence of two texts' words, in [0, 1]: the words that they share in
/// the same order, not necessarily side by side. Words as in [`rouge_1`]; a text is one sequence, whatever its lines.
///
/// # Errors
///
/// [`TextError::TooLong`] where the product of the numbers of words is over 2·10⁸, as of two texts of 14,000 words.
pub fn rouge_l(candidate: &str, reference: &str) -> Result<f64, TextError> {
    let (candidate, reference) = (tokens(candidate), tokens(reference));
    alignable(candidate.len(), reference.len(), Unit::Tokens)?;
    // Numbers in place of words: the table compares each word of one text with each of the other.
    let mut numbers = HashMap::new();
    let mut numbered = |tokens: &[String]| -> Vec<usize> {
        tokens
            .iter()
            .map(|token| {
                let next = numbers.len();
                *numbers.entry(token.clone()).or_insert(next)
            })
            .collect()
    };
    let common = common_subsequence_length(&numbered(&candidate), &numbered(&reference));
    Ok(f_measure(common, candidate.len(), reference.len()))
}

/// The words of a text in lower case. Of the characters outside ASCII two have ASCII letters for their lower case: the
/// Kelvin sign (k), and İ (i with a combining dot, which separates words like anything else).
fn tokens(text: &str) -> Vec<String> {
    let lower: String = text.chars().flat_map(char::to_lowercase).collect();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

/// The harmonic mean of precision, `matches / candidate`, and recall, `matches / reference`; 0 where nothing matches.
fn f_measure(matches: usize, candidate: usize, reference: usize) -> f64 {
    if matches == 0 { 0.0 } else { 2.0 * matches as f64 / (candidate + reference) as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_lower_case_ascii_letters_and_digits() {
        assert_eq!(tokens("It's 3,000.5 well-known_NAMES"), ["it", "s", "3", "000", "5", "well", "known", "names"]);
        assert_eq!(tokens("Zoë naïve ΑΒΓ 日本"), ["zo", "na", "ve"]);
        assert_eq!(tokens("İstanbul 300\u{212a} ı"), ["i", "stanbul", "300k"]);
        assert!(tokens(" \u{a0}…!\n").is_empty());
    }

    #[test]
    fn order_counts_for_rouge_l_alone() {
        let (candidate, reference) = ("the cat sat down", "down the cat sat");
        assert!((rouge_1(candidate, reference) - 1.0).abs() < 1e-15);
        assert!((rouge_l(candidate, reference).unwrap() - 0.75).abs() < 1e-15);
    }

    #[test]
    fn texts_too_long_to_align_are_refused_by_rouge_l_alone() {
        let text = "word ".repeat(15_000);
        let error = rouge_l(&text, &text).unwrap_err();
        assert!(matches!(error, TextError::TooLong { left: 15_000, right: 15_000, unit: Unit::Tokens, .. }), "{error}");
        assert!((rouge_1(&text, &text) - 1.0).abs() < 1e-15);
        assert!(rouge_l(&text, "word").unwrap() > 0.0);
    }

    proptest! {
        #[test]
        fn both_are_symmetric_shares_and_order_only_lowers(a in any::<String>(), b in "[a-cA-C .]{0,30}", c in "[a-c é]{0,30}") {
            for (left, right) in [(&a, &b), (&b, &c), (&a, &a), (&c, &c)] {
                let (one, longest) = (rouge_1(left, right), rouge_l(left, right).unwrap());
                prop_assert!((0.0..=1.0).contains(&one) && (0.0..=one).contains(&longest));
                prop_assert_eq!(one.to_bits(), rouge_1(right, left).to_bits());
                prop_assert_eq!(longest.to_bits(), rouge_l(right, left).unwrap().to_bits());
            }
        }

        #[test]
        fn a_text_with_words_equals_itself(text in "[a-z0-9][a-zA-Z0-9é .,]{0,40}") {
            prop_assert_eq!(rouge_1(&text, &text.to_uppercase().replace('É', "é")).to_bits(), 1.0_f64.to_bits());
            prop_assert_eq!(rouge_l(&text, &text).unwrap().to_bits(), 1.0_f64.to_bits());
        }
    }
}
