//! An answer that is written piece by piece.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that may wait for the client to take them.
const WAITING: usize = 16;

enum Piece {
    Bytes(Bytes),
    /// All of it was written. An answer that stops without is cut off where its client sees that it was.
    End,
}

/// The writing end.
pub struct Outlet {
    pieces: Sender<Piece>,
    /// How long a piece may wait.
    stall_time: Duration,
}

/// The client went away, or takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left;

/// An outlet, and the body that comes out of it.
pub fn outlet(stall_time: Duration) -> (Outlet, Body) {
    let (pieces, received) = channel(WAITING);
    (Outlet { pieces, stall_time }, Body::from_stream(stream::unfold(Some(received), next)))
}

async fn next(pieces: Option<Receiver<Piece>>) -> Option<(std::io::Result<Bytes>, Option<Receiver<Piece>>)> {
    let mut pieces = pieces?;
    match pieces.recv().await {
        Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(pieces))),
        Some(Piece::End) => None,
        None => Some((Err(std::io::Error::other("the answer was cut off")), None)),
    }
}

impl Outlet {
    /// Writes a piece, once there is room for it.
    ///
    /// # Errors
    /// Where nobody will read it.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Left> {
        self.put(Piece::Bytes(bytes.into())).await
    }

    /// Waits until [`Self::send`] would not.
    ///
    /// # Errors
    /// Where nobody will read it.
    pub async fn has_room(&self) -> Result<(), Left> {
        self.pieces.reserve().await.map(drop).map_err(|_| Left)
    }

    /// As [`Self::send`], for a thread that may wait.
    pub fn send_from_thread(&self, bytes: impl Into<Bytes>) -> Result<(), Left> {
        self.pieces.blocking_send(Piece::Bytes(bytes.into())).map_err(|_| Left)
    }

    /// Ends the answer.
    pub async fn end(&self) {
        // Who went away does not miss it.
        let _ = self.put(Piece::End).await;
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }

    async fn put(&self, piece: Piece) -> Result<(), Left> {
        self.pieces.send_timeout(piece, self.stall_time).await.map_err(|_| Left)
    }
}
