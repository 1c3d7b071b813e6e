//! Seven ways to put a text a little differently, so that who knows what it says goes on as before.
//!
//! Each is a function of the text alone: the same text is changed in the same way in every run. English is what the word lists know.

use serde::{Deserialize, Serialize};

use crate::math::derive_seed;

/// One way of changing a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Perturbation {
    /// Two neighbouring letters change places, in one long word of eight.
    Typo,
    /// All lower case; of a text without capitals, all upper case.
    Case,
    /// No punctuation; of a text without any, a comma in its middle.
    Punctuation,
    /// Common words by others of about the same meaning.
    Synonym,
    /// The first two sentences, or clauses, in the other order; what is to be continued stays at the end.
    ClauseOrder,
    /// A few words before it.
    LeadIn,
    /// Contracted, or written out where it is contracted already.
    Register,
}

impl Perturbation {
    pub const ALL: [Self; 7] =
        [Self::Typo, Self::Case, Self::Punctuation, Self::Synonym, Self::ClauseOrder, Self::LeadIn, Self::Register];

    pub fn name(self) -> &'static str {
        match self {
            Self::Typo => "typo",
            Self::Case => "case",
            Self::Punctuation => "punctuation",
            Self::Synonym => "synonym",
            Self::ClauseOrder => "clause_order",
            Self::LeadIn => "lead_in",
            Self::Register => "register",
        }
    }

    /// The text, changed; `None` where there is nothing in it that could be changed in this way.
    pub fn of(self, text: &str) -> Option<String> {
        let changed = match self {
            Self::Typo => typo(text),
            Self::Case => Some(text.to_lowercase()).filter(|lower| lower != text).or_else(|| Some(text.to_uppercase())),
            Self::Punctuation => without_punctuation(text).or_else(|| with_a_comma(text)),
            Self::Synonym => replaced(text, SYNONYMS),
            Self::ClauseOrder => reordered(text),
            Self::LeadIn => Some(led_in(text)),
            Self::Register => {
                let written_out: Vec<(&str, &str)> = CONTRACTIONS.iter().map(|(long, short)| (*short, *long)).collect();
                replaced(text, CONTRACTIONS).or_else(|| replaced(text, &written_out)).or_else(|| replaced(text, CASUAL))
            }
        };
        changed.filter(|changed| changed != text)
    }
}

/// A number that the text alone decides, for one choice in it.
fn chance(text: &str, choice: &str, index: usize) -> u64 {
    derive_seed(0, &["perturbation", text, choice, &index.to_string()])
}

/// Of so many long words one gets a typo.
const WORDS_A_TYPO: usize = 8;

fn typo(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    // Inside of each long word, the first letters of pairs that differ.
    let mut words: Vec<Vec<usize>> = Vec::new();
    let mut start = 0;
    for run in letters.split(|letter| !letter.is_alphabetic()) {
        if run.len() > 3 {
            let pairs: Vec<usize> = (1..run.len() - 2).filter(|&i| run[i] != run[i + 1]).map(|i| start + i).collect();
            if !pairs.is_empty() {
                words.push(pairs);
            }
        }
        start += run.len() + 1;
    }
    let mut order: Vec<usize> = (0..words.len()).collect();
    order.sort_by_key(|&word| chance(text, "word", word));
    let mut changed = letters;
    for &word in order.iter().take(words.len().div_ceil(WORDS_A_TYPO)) {
        let pairs = &words[word];
        let at = pairs[(chance(text, "letter", word) % pairs.len() as u64) as usize];
        changed.swap(at, at + 1);
    }
    (!words.is_empty()).then(|| changed.into_iter().collect())
}

fn without_punctuation(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut bare = String::with_capacity(text.len());
    for (index, &letter) in letters.iter().enumerate() {
        let number = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
        match letter {
            // The point of a number is none of the sentence's.
            '.' | ',' | ':' if number(index.checked_sub(1)) && number(Some(index + 1)) => bare.push(letter),
            '.' | ',' | ';' | ':' | '!' | '?' | '…' | '"' | '“' | '”' | '(' | ')' => {}
            '–' | '—' => bare.push(' '),
            other => bare.push(other),
        }
    }
    (bare != text && !bare.trim().is_empty()).then_some(bare)
}

fn with_a_comma(text: &str) -> Option<String> {
    let ends: Vec<usize> =
        text.match_indices(' ').map(|(at, _)| at).filter(|at| text[..*at].ends_with(char::is_alphanumeric)).collect();
    let at = *ends.get(ends.len() / 2)?;
    Some(format!("{},{}", &text[..at], &text[at..]))
}

/// Two pieces of a text change places, unless one of them is its end.
fn reordered(text: &str) -> Option<String> {
    let sentences = pieces(text, &['.', '!', '?']);
    if let [first, second, _, ..] = sentences.as_slice() {
        return Some(format!("{second} {first}{}", &text[end_in(text, second)..]));
    }
    let clauses = pieces(text, &[',', ';']);
    let [first, second, _, ..] = clauses.as_slice() else { return None };
    // Each place keeps its mark, and the text its capital.
    let (first_words, first_mark) = first.split_at(first.len() - 1);
    let (second_words, second_mark) = second.split_at(second.len() - 1);
    Some(format!("{}{first_mark} {first_words}{second_mark}{}", capital(second_words), &text[end_in(text, second)..]))
}

/// Parts of a text that each end in one of these marks before a space, and the rest.
fn pieces<'a>(text: &'a str, marks: &[char]) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, mark) in text.match_indices(marks) {
        let end = at + mark.len();
        if text[end..].starts_with(' ') {
            pieces.push(text[start..end].trim_start());
            start = end;
        }
    }
    pieces.push(text[start..].trim_start());
    pieces.retain(|piece| piece.contains(char::is_alphanumeric));
    pieces
}

/// Where a part of a text ends in it.
fn end_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize + part.len() - text.as_ptr() as usize
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

const LEAD_INS: [&str; 6] = [
    "As it is written: ",
    "Here is how it goes. ",
    "In other words: ",
    "You may have heard this. ",
    "To put it plainly: ",
    "It says: ",
];

fn led_in(text: &str) -> String {
    let lead_in = LEAD_INS[(chance(text, "lead-in", 0) % LEAD_INS.len() as u64) as usize];
    format!("{lead_in}{text}")
}

/// Whole words, or phrases of them, by others, with the case of their first letter; `None` where there are none of them.
fn replaced(text: &str, list: &[(&str, &str)]) -> Option<String> {
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '\'' || letter == '’';
    let mut changed = String::with_capacity(text.len());
    let (mut at, mut any) = (0, false);
    while let Some(letter) = text[at..].chars().next() {
        let begins = !text[..at].ends_with(in_word);
        let fits = |from: &str| {
            let there = text.get(at..at + from.len());
            there.is_some_and(|there| there.eq_ignore_ascii_case(from)) && !text[at + from.len()..].starts_with(in_word)
        };
        if let Some((from, to)) = list.iter().find(|(from, _)| begins && fits(from)) {
            changed.push_str(&if letter.is_uppercase() { capital(to) } else { (*to).to_owned() });
            at += from.len();
            any = true;
        } else {
            changed.push(letter);
            at += letter.len_utf8();
        }
    }
    any.then_some(changed)
}

/// Words, and others that may stand in their place in most sentences, in the same form.
const SYNONYMS: &[(&str, &str)] = &[
    ("small", "little"),
    ("little", "small"),
    ("big", "large"),
    ("large", "big"),
    ("quick", "fast"),
    ("fast", "quick"),
    ("old", "aged"),
    ("tired", "weary"),
    ("begin", "start"),
    ("begins", "starts"),
    ("began", "started"),
    ("start", "begin"),
    ("starts", "begins"),
    ("started", "began"),
    ("end", "finish"),
    ("ends", "finishes"),
    ("house", "home"),
    ("home", "house"),
    ("road", "street"),
    ("street", "road"),
    ("job", "work"),
    ("trade", "craft"),
    ("letters", "notes"),
    ("find", "discover"),
    ("finds", "discovers"),
    ("likes", "loves"),
    ("like", "enjoy"),
    ("asks", "begs"),
    ("dropped", "let fall"),
    ("said", "stated"),
    ("says", "states"),
    ("told", "informed"),
    ("keeps", "holds"),
    ("sold", "traded"),
    ("use", "employ"),
    ("uses", "employs"),
    ("used", "employed"),
    ("show", "present"),
    ("shows", "presents"),
    ("make", "create"),
    ("makes", "creates"),
    ("made", "created"),
    ("help", "assist"),
    ("helps", "assists"),
    ("need", "require"),
    ("needs", "requires"),
    ("must", "have to"),
    ("also", "too"),
    ("often", "frequently"),
    ("always", "at all times"),
    ("many", "numerous"),
    ("very", "quite"),
    ("near", "close to"),
    ("under", "below"),
    ("below", "under"),
    ("about", "around"),
    ("because", "since"),
    ("but", "yet"),
    ("if", "provided that"),
    ("important", "essential"),
    ("main", "chief"),
    ("whole", "entire"),
    ("new", "recent"),
    ("right", "correct"),
    ("wrong", "incorrect"),
    ("happy", "glad"),
    ("people", "persons"),
    ("child", "youngster"),
    ("children", "youngsters"),
    ("picture", "image"),
    ("answer", "reply"),
    ("answers", "replies"),
    ("part", "portion"),
    ("parts", "portions"),
];

/// Written out, and contracted. Longer phrases stand before their parts.
const CONTRACTIONS: &[(&str, &str)] = &[
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("did not", "didn't"),
    ("is not", "isn't"),
    ("are not", "aren't"),
    ("was not", "wasn't"),
    ("were not", "weren't"),
    ("has not", "hasn't"),
    ("have not", "haven't"),
    ("had not", "hadn't"),
    ("cannot", "can't"),
    ("can not", "can't"),
    ("could not", "couldn't"),
    ("will not", "won't"),
    ("would not", "wouldn't"),
    ("should not", "shouldn't"),
    ("it is", "it's"),
    ("that is", "that's"),
    ("there is", "there's"),
    ("I am", "I'm"),
    ("he is", "he's"),
    ("she is", "she's"),
    ("we are", "we're"),
    ("you are", "you're"),
    ("they are", "they're"),
    ("I have", "I've"),
    ("we have", "we've"),
    ("you have", "you've"),
    ("they have", "they've"),
    ("I will", "I'll"),
    ("you will", "you'll"),
    ("we will", "we'll"),
    ("they will", "they'll"),
    ("it will", "it'll"),
    ("let us", "let's"),
];

/// Words of writing, and of talk.
const CASUAL: &[(&str, &str)] = &[
    ("children", "kids"),
    ("purchase", "buy"),
    ("purchased", "bought"),
    ("obtain", "get"),
    ("obtains", "gets"),
    ("obtained", "got"),
    ("receive", "get"),
    ("receives", "gets"),
    ("received", "got"),
    ("request", "ask for"),
    ("requests", "asks for"),
    ("require", "need"),
    ("requires", "needs"),
    ("assist", "help"),
    ("assists", "helps"),
    ("commence", "start"),
    ("terminate", "end"),
    ("however", "but"),
    ("therefore", "so"),
    ("approximately", "about"),
    ("sufficient", "enough"),
    ("numerous", "a lot of"),
    ("many", "lots of"),
    ("very", "really"),
    ("toils", "works hard"),
    ("father", "dad"),
    ("mother", "mum"),
    ("man", "guy"),
    ("men", "guys"),
    ("television", "TV"),
    ("yes", "yeah"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Perturbation::{Case, ClauseOrder, LeadIn, Punctuation, Register, Synonym, Typo};
    use super::*;

    fn of(perturbation: Perturbation, text: &str) -> Option<String> {
        perturbation.of(text)
    }

    #[test]
    fn a_typo_swaps_two_letters_inside_of_a_word() {
        let text = "The lantern burned all night";
        let changed = of(Typo, text).unwrap();
        let differ = text.chars().zip(changed.chars()).filter(|(a, b)| a != b).count();
        assert_eq!((differ, changed.len()), (2, text.len()), "{changed}");
        assert_eq!(of(Typo, "a bc def 1234"), None, "no word is long enough");
        assert_eq!(of(Typo, "aaaa"), None, "no two letters differ");
        let many = "lantern ".repeat(17);
        assert_eq!(many.chars().zip(of(Typo, &many).unwrap().chars()).filter(|(a, b)| a != b).count(), 6, "3 of 17 words");
    }

    #[test]
    fn case_goes_down_and_up_where_it_is_down() {
        assert_eq!(of(Case, "The End").as_deref(), Some("the end"));
        assert_eq!(of(Case, "the end").as_deref(), Some("THE END"));
        assert_eq!(of(Case, "1 + 1"), None);
    }

    #[test]
    fn punctuation_goes_but_not_out_of_numbers_and_comes_where_there_was_none() {
        assert_eq!(of(Punctuation, "Well, it's 3.5: \"no\" (yes).").as_deref(), Some("Well it's 3.5 no yes"));
        assert_eq!(of(Punctuation, "one two three four").as_deref(), Some("one two, three four"));
        assert_eq!(of(Punctuation, "one"), None);
        assert_eq!(of(Punctuation, "…"), None);
    }

    #[test]
    fn synonyms_are_whole_words_and_keep_their_capital() {
        assert_eq!(of(Synonym, "Small smallholders begin.").as_deref(), Some("Little smallholders start."));
        assert_eq!(of(Synonym, "Zyx qwv."), None);
    }

    #[test]
    fn what_is_to_be_continued_stays_at_the_end() {
        assert_eq!(of(ClauseOrder, "One is. Two was. And three").as_deref(), Some("Two was. One is. And three"));
        assert_eq!(of(ClauseOrder, "at first, then again; and so").as_deref(), Some("Then again, at first; and so"));
        assert_eq!(of(ClauseOrder, "One is. Two"), None);
        assert_eq!(of(ClauseOrder, "Same. Same. Same"), None);
    }

    #[test]
    fn a_lead_in_goes_before() {
        let changed = of(LeadIn, "the end").unwrap();
        assert!(changed.ends_with("the end") && changed.len() > 7, "{changed}");
    }

    #[test]
    fn register_contracts_else_writes_out_else_talks() {
        assert_eq!(of(Register, "It is late, and they do not know").as_deref(), Some("It's late, and they don't know"));
        assert_eq!(of(Register, "Don't go").as_deref(), Some("Do not go"));
        assert_eq!(of(Register, "The children sleep").as_deref(), Some("The kids sleep"));
        assert_eq!(of(Register, "Rain fell"), None);
    }

    proptest! {
        #[test]
        fn a_changed_text_differs_and_is_the_same_again(text in "\\PC{0,60}", words in "([A-Za-z]{1,8}[,.]? ){0,12}") {
            for text in [text, words] {
                for perturbation in Perturbation::ALL {
                    let changed = perturbation.of(&text);
                    prop_assert_ne!(changed.as_deref(), Some(text.as_str()));
                    prop_assert_eq!(&changed, &perturbation.of(&text));
                }
            }
        }
    }
}
