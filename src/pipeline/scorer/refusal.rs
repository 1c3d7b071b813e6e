//! Whether a text declines to answer.

/// Phrases with which answers decline.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// In lower case.
    phrases: Vec<String>,
}

/// What chat models say in English.
const PHRASES: [&str; 16] = [
    "i can't help",
    "i can't assist",
    "i can't provide",
    "i can't do that",
    "i cannot",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "i am not able to",
    "i won't",
    "i will not",
    "i'm sorry, but",
    "i am sorry, but",
    "i must decline",
    "as an ai",
    "as a language model",
];

/// A refusal comes first; what an answer quotes later is none.
const BEGINNING: usize = 200;

impl Refusal {
    /// `phrases`: in place of the English ones.
    pub fn new(phrases: Option<Vec<String>>) -> Result<Self, String> {
        let phrases = phrases.unwrap_or_else(|| PHRASES.map(str::to_owned).to_vec());
        if phrases.is_empty() || phrases.iter().any(|phrase| phrase.trim().is_empty()) {
            return Err("`phrases` needs texts, none of them empty".to_owned());
        }
        Ok(Self { phrases: phrases.iter().map(|phrase| plain(phrase)).collect() })
    }

    /// Whether one of the phrases is among the first 200 characters.
    pub fn is_in(&self, text: &str) -> bool {
        let beginning = plain(&text.chars().take(BEGINNING).collect::<String>());
        self.phrases.iter().any(|phrase| beginning.contains(phrase.as_str()))
    }
}

/// Lower case, with the typewriter's apostrophe and single spaces.
fn plain(text: &str) -> String {
    text.to_lowercase().replace(['’', '‘'], "'").split_whitespace().collect::<Vec<_>>().join(" ")
}
