//! How near a generated text comes to a reference, and how much a text repeats itself: pure functions of strings, each
//! with a value in [0, 1] for any text at all.
//!
//! Figures equal those of the packages that papers quote (`rouge_score` 0.1.2, `sacrebleu` 2.6.0 with the defaults of
//! their functions for single sentences), so that they can be compared with published ones; `sacrebleu` prints BLEU and
//! chrF times 100. Where both texts hold nothing that a metric counts, its packages say 0, and so do we; only
//! [`levenshtein_similarity`] finds two empty texts alike.
//!
//! Characters are Unicode scalar values, compared as they are: a letter and its accent are another text composed than
//! they are apart. Normalise first where that should not count.

mod bleu;
mod chrf;
mod edit;
mod error;
mod ngrams;
mod repetition;
mod rouge;
mod words;

#[cfg(test)]
mod golden_tests;

pub use bleu::sentence_bleu;
pub use chrf::chrf;
pub use edit::levenshtein_similarity;
pub use error::{TextError, Unit};
pub use repetition::repetition;
pub use rouge::{rouge_1, rouge_l};
