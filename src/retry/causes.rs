//! Why a request failed, in words.

use std::error::Error;

/// What an error says, with its causes. The outermost words only repeat that a request failed, and its address.
pub fn causes(error: &dyn Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // Some repeat the words of what caused them.
        if !causes.last().is_some_and(|last| last.contains(&words)) && !words.starts_with("client error") {
            causes.push(words);
        }
        cause = inner.source();
    }
    if causes.is_empty() { "the request could not be made".to_owned() } else { causes.join(": ") }
}
