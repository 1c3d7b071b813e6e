use super::ngrams::Ngrams;
use super::words::words;

/// The share of a text's 4-grams of words that stood in it before: 1 − distinct/all, in [0, 1). 0 is a text that never
/// says four words in a row twice, or has fewer than five words; a text that loops comes near 1.
///
/// seq-rep-4 of Welleck et al. 2019 ("Neural Text Generation with Unlikelihood Training"), over words between white space
/// in place of a model's tokens, so that models with different tokenizers can be compared.
#[must_use]
pub fn repetition(text: &str) -> f64 {
    let words = words(text);
    let ngrams = Ngrams::of(&words, 4);
    (ngrams.total() - ngrams.distinct()) as f64 / ngrams.total().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_takes_two_4_grams_to_repeat_one() {
        for (text, share) in [("", 0.0), ("a a a a", 0.0), ("a a a a a", 0.5), ("a b c d e a b c d", 1.0 / 6.0)] {
            assert!((repetition(text) - share).abs() < 1e-15, "{text}");
        }
    }

    proptest! {
        /// The 4-grams of a loop of `words` different words begin at each of them, and there are no others.
        #[test]
        fn a_loop_repeats_all_but_its_first_round(words in 1_usize..12, rounds in 1_usize..12) {
            let round = (0..words).map(|i| format!("w{i}\n")).collect::<Vec<_>>().concat();
            let all = (words * rounds).saturating_sub(3);
            let expected = if all == 0 { 0.0 } else { 1.0 - words.min(all) as f64 / all as f64 };
            prop_assert!((repetition(&round.repeat(rounds)) - expected).abs() < 1e-15);
        }

        /// However often a text of n words is said, the 4-grams of all rounds but the first are repeats.
        #[test]
        fn a_text_said_again_repeats_at_least_what_was_said(text in any::<String>(), few in "([ab] ){0,20}", rounds in 2_usize..9) {
            for text in [text, few] {
                let words = words(&text).len();
                let (once, again) = (repetition(&text), repetition(&format!("{text} ").repeat(rounds)));
                prop_assert!((0.0..1.0).contains(&once) && (0.0..1.0).contains(&again));
                let all = (words * rounds).saturating_sub(3).max(1);
                prop_assert!(again >= 1.0 - words.max(1) as f64 / all as f64 - 1e-15);
            }
        }
    }
}
