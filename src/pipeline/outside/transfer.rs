//! What comes over a connection, and what becomes of it.

use std::error::Error;
use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

/// How the reading of an answer ended.
pub enum Ending {
    Whole,
    Broken(String),
    TooLong,
    TooLate,
}

/// Reads an answer up to so many bytes, within so much time.
pub async fn read(mut response: Response, most: usize, within: Duration) -> (Vec<u8>, Ending) {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    let room = most - bytes.len();
                    bytes.extend_from_slice(&piece[..piece.len().min(room)]);
                    if piece.len() > room {
                        return Ending::TooLong;
                    }
                }
                Ok(None) => return Ending::Whole,
                Err(error) => return Ending::Broken(causes(&error)),
            }
        }
    };
    let ending = timeout(within, reading).await.unwrap_or(Ending::TooLate);
    (bytes, ending)
}

/// What an error says, with its causes. The outermost words only repeat that a request failed, and its address.
pub fn causes(error: &reqwest::Error) -> String {
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
