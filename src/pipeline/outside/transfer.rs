//! What comes over a connection, and what becomes of it.

use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;

use crate::retry::causes;

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
