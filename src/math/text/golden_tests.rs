//! Figures of `rouge_score`, `sacrebleu` and NLTK, from `tests/goldens/text_metrics.py`.

use serde::Deserialize;

use super::{chrf, levenshtein_similarity, repetition, rouge_1, rouge_l, sentence_bleu};

const GOLDENS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/text_metrics.json"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    candidate: String,
    reference: String,
    rouge_1: f64,
    rouge_l: f64,
    sentence_bleu: f64,
    chrf: f64,
    levenshtein_similarity: f64,
    repetition: f64,
}

/// To 1e-12 relative: a few roundings, for `sacrebleu` takes logarithms and means of percentages, and ours are of shares.
#[test]
fn metrics_of_pairs_of_texts() {
    let pairs: Vec<Pair> = serde_json::from_str(GOLDENS).unwrap();
    assert!(pairs.len() >= 300, "{} pairs", pairs.len());
    for pair in &pairs {
        let (candidate, reference) = (pair.candidate.as_str(), pair.reference.as_str());
        for (metric, found, expected) in [
            ("rouge_1", rouge_1(candidate, reference), pair.rouge_1),
            ("rouge_l", rouge_l(candidate, reference).unwrap(), pair.rouge_l),
            ("sentence_bleu", sentence_bleu(candidate, reference), pair.sentence_bleu),
            ("chrf", chrf(candidate, reference), pair.chrf),
            ("levenshtein_similarity", levenshtein_similarity(candidate, reference).unwrap(), pair.levenshtein_similarity),
            ("repetition", repetition(candidate), pair.repetition),
        ] {
            assert!(
                (found - expected).abs() <= 1e-12 * expected,
                "{metric} of {candidate:?} and {reference:?}: {found}, expected {expected}"
            );
        }
    }
}
