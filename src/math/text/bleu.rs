use super::ngrams::Ngrams;
use super::words::{is_space, words};

/// The longest n-grams that count.
const ORDERS: usize = 4;

/// BLEU of one sentence (Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"), in
/// [0, 1]: the geometric mean of the precisions of 1- to 4-grams, times a penalty for a candidate shorter than its reference.
///
/// Equals a hundredth of `sacrebleu.sentence_bleu`: the tokenizer 13a of the WMT evaluations; orders that the candidate is
/// too short for are left out of the mean; an order without a match counts as half a match, the next such as a quarter, and
/// so on (method 3 of Chen and Cherry 2014, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU"). 0
/// where nothing matches. Case counts.
#[must_use]
pub fn sentence_bleu(candidate: &str, reference: &str) -> f64 {
    let (candidate, reference) = (tokenized(candidate), tokenized(reference));
    let (candidate, reference) = (words(&candidate), words(&reference));
    let mut smoothed = 1.0;
    let mut logs = 0.0;
    let orders = candidate.len().min(ORDERS);
    for n in 1..=orders {
        let ngrams = Ngrams::of(&candidate, n);
        let matches = match ngrams.matches(&Ngrams::of(&reference, n)) {
            // Then nothing longer matches either.
            0 if n == 1 => return 0.0,
            0 => {
                smoothed /= 2.0;
                smoothed
            }
            matches => matches as f64,
        };
        logs += (matches / ngrams.total() as f64).ln();
    }
    if orders == 0 {
        return 0.0;
    }
    let brevity = (1.0 - reference.len() as f64 / candidate.len() as f64).min(0.0).exp();
    brevity * (logs / orders as f64).exp()
}

/// A text with white space between its tokens, by the rules of NIST's `mteval-v13a.pl`: lines are joined, a word that a
/// hyphen divides at the end of a line is one, four XML entities are read, and punctuation stands apart, but for apostrophes,
/// hyphens that follow no digit, and full stops and commas between digits.
fn tokenized(text: &str) -> String {
    let text = text
        .trim_end_matches(is_space)
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ")
        // In this order, one after the other: `&amp;lt;` ends as `<`.
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");

    let mut line = String::from(" ");
    for c in text.chars() {
        if is_symbol(c) {
            line.extend([' ', c, ' ']);
        } else {
            line.push(c);
        }
    }
    line.push(' ');

    let line = respaced(&line, |a, b| (!a.is_ascii_digit() && is_stop(b)).then_some([a, ' ', b, ' ']));
    let line = respaced(&line, |a, b| (is_stop(a) && !b.is_ascii_digit()).then_some([' ', a, ' ', b]));
    respaced(&line, |a, b| (a.is_ascii_digit() && b == '-').then_some([a, ' ', b, ' ']))
}

/// ASCII's punctuation and the space, without what a digit beside it decides (`,`, `.`, `-`) and the apostrophe.
fn is_symbol(c: char) -> bool {
    matches!(c, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | ',')
}

/// Writes `rule`'s characters in place of each pair of neighbours for which it has some, from left to right. A character is
/// of one such pair at most, as with a regular expression of two characters: of two full stops in a row the first can hide
/// the second from the rule.
fn respaced(line: &str, rule: impl Fn(char, char) -> Option<[char; 4]>) -> String {
    let mut written = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(first) = rest.next() {
        match rest.peek().and_then(|&second| rule(first, second)) {
            Some(spaced) => {
                written.extend(spaced);
                rest.next();
            }
            None => written.push(first),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn punctuation_stands_apart_except_in_numbers_and_words() {
        let tokens = |text| words(&tokenized(text)).join(" ");
        assert_eq!(tokens("It's $1,000.5, well-known (3-4)."), "It's $ 1,000.5 , well-known ( 3 - 4 ) .");
        assert_eq!(tokens("&lt;b&gt; &amp;lt; &quot;x&quot; &amp;amp;"), "< b > < \" x \" & amp ;");
        assert_eq!(tokens("hyphen-\nated\nlines <skipped> end-\n"), "hyphenated lines end-");
        assert_eq!(tokens("..5 a... 1.2. ,,"), ". .5 a . . . 1.2 . , ,");
        assert_eq!(tokens("a\u{a0}b\u{200b}c «d» 日。"), "a b\u{200b}c «d» 日。");
        assert_eq!(tokens("\u{1f}\r\n"), "");
    }

    #[test]
    fn a_shorter_candidate_pays_and_missing_orders_are_smoothed() {
        // All that is there matches, of orders 1 and 2: the penalty alone.
        assert!((sentence_bleu("the cat", "the cat sat down") - (1.0 - 4.0 / 2.0_f64).exp()).abs() < 1e-15);
        // Precisions 2/3, then 1/2 of 2, then 1/4 of 1.
        let expected = (2.0 / 3.0 * (0.5 / 2.0) * 0.25_f64).cbrt();
        assert!((sentence_bleu("the dog sat", "the cat sat") - expected).abs() < 1e-15);
        assert!(sentence_bleu("the", "cat").abs() < 1e-300);
    }

    proptest! {
        #[test]
        fn it_is_a_share_for_any_texts(a in any::<String>(), b in "[ab.,&;\\-0-9 \n]{0,40}") {
            for (candidate, reference) in [(&a, &b), (&b, &a), (&a, &a)] {
                prop_assert!((0.0..=1.0).contains(&sentence_bleu(candidate, reference)));
            }
        }

        #[test]
        fn a_text_with_tokens_equals_itself(text in "[a-z.,日😀][a-z0-9.,日 -]{0,40}") {
            prop_assert_eq!(sentence_bleu(&text, &text).to_bits(), 1.0_f64.to_bits());
        }
    }
}
