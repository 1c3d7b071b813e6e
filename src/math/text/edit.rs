use super::error::{TextError, Unit, alignable};

/// 1 − d/l, in [0, 1]: d the least number of characters to insert, delete or replace so that one text becomes the other
/// (Levenshtein 1966), l the length of the longer one, in characters. 1 for two empty texts. Case and white space count.
///
/// # Errors
///
/// [`TextError::TooLong`] where the product of the lengths is over 2·10⁸, as of two texts of 14,000 characters.
pub fn levenshtein_similarity(a: &str, b: &str) -> Result<f64, TextError> {
    alignable(a.chars().count(), b.chars().count(), Unit::Characters)?;
    Ok(strsim::normalized_levenshtein(a, b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_words_have_known_distances() {
        for (a, b, similarity) in [
            ("kitten", "sitting", 1.0 - 3.0 / 7.0),
            ("", "", 1.0),
            ("", "abc", 0.0),
            ("naïve", "naive", 0.8),
            ("日本語", "日本", 2.0 / 3.0),
            ("e\u{301}", "é", 0.0),
        ] {
            assert!((levenshtein_similarity(a, b).unwrap() - similarity).abs() < 1e-15, "{a} {b}");
        }
    }

    #[test]
    fn texts_too_long_to_align_are_refused() {
        let text = "é".repeat(15_000);
        let error = levenshtein_similarity(&text, &text).unwrap_err();
        assert!(matches!(error, TextError::TooLong { left: 15_000, right: 15_000, unit: Unit::Characters, .. }), "{error}");
        assert_eq!(levenshtein_similarity(&text, ""), Ok(0.0));
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_only_equal_texts_are_alike(a in any::<String>(), b in any::<String>()) {
            let similarity = levenshtein_similarity(&a, &b).unwrap();
            prop_assert!((0.0..=1.0).contains(&similarity));
            prop_assert_eq!(similarity.to_bits(), levenshtein_similarity(&b, &a).unwrap().to_bits());
            prop_assert_eq!(a == b, similarity >= 1.0);
            prop_assert_eq!(levenshtein_similarity(&a, &a), Ok(1.0));
        }
    }
}
