use super::ngrams::Ngrams;
use super::words::is_space;

/// The longest n-grams that count.
const ORDERS: usize = 6;
/// Recall weighs beta² times as much as precision.
const BETA: f64 = 2.0;

/// chrF2 (Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"), in [0, 1]: the F-score with beta 2
/// of the mean precision and the mean recall of character n-grams, n from 1 to 6, white space left out.
///
/// Equals a hundredth of `sacrebleu.sentence_chrf`: an order that either text is too short for is left out of the means; 0
/// where either text is empty. Case counts.
#[must_use]
pub fn chrf(candidate: &str, reference: &str) -> f64 {
    let (candidate, reference) = (characters(candidate), characters(reference));
    let orders = candidate.len().min(reference.len()).min(ORDERS);
    let (mut precision, mut recall) = (0.0, 0.0);
    for n in 1..=orders {
        let (ours, theirs) = (Ngrams::of(&candidate, n), Ngrams::of(&reference, n));
        let matches = ours.matches(&theirs) as f64;
        precision += matches / ours.total() as f64;
        recall += matches / theirs.total() as f64;
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / orders as f64, recall / orders as f64);
    (1.0 + BETA * BETA) * precision * recall / (BETA * BETA * precision + recall)
}

fn characters(text: &str) -> Vec<char> {
    text.chars().filter(|&c| !is_space(c)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::chrf;

    #[test]
    fn recall_weighs_four_times_as_much_as_precision() {
        // Of order 1 alone: precision 1, recall 1/2; and the other way round.
        assert!((chrf("a", "ab") - 5.0 * 0.5 / (4.0 + 0.5)).abs() < 1e-15);
        assert!((chrf("ab", "a") - 5.0 * 0.5 / (4.0 * 0.5 + 1.0)).abs() < 1e-15);
    }

    #[test]
    fn white_space_does_not_count() {
        assert!((chrf("now here\u{a0}\n", "no\twhere") - 1.0).abs() < 1e-15);
        assert!(chrf(" \n", "").abs() < 1e-300);
    }

    proptest! {
        #[test]
        fn it_is_a_share_for_any_texts(a in any::<String>(), b in "[ab é日\n]{0,40}") {
            for (candidate, reference) in [(&a, &b), (&b, &a), (&a, &a)] {
                prop_assert!((0.0..=1.0).contains(&chrf(candidate, reference)));
            }
        }

        #[test]
        fn a_text_with_characters_equals_itself(text in "[a-z日😀]\\PC{0,40}") {
            prop_assert_eq!(chrf(&text, &text).to_bits(), 1.0_f64.to_bits());
        }
    }
}
