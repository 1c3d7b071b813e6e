//! A request in progress: counted from its head to the last byte of its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::state::Daemon;

/// Told to the meter when it is dropped.
pub struct InProgress {
    daemon: Arc<Daemon>,
    route: &'static str,
    begun: Instant,
    pub status: u16,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The status of requests whose client left before there was one.
const LEFT: u16 = 499;

impl InProgress {
    pub fn begin(daemon: Arc<Daemon>, route: &'static str, permit: Option<OwnedSemaphorePermit>) -> Self {
        let begun = daemon.meter.begin(route);
        Self { daemon, route, begun, status: LEFT, _permit: permit }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.daemon.meter.end(self.route, self.status, self.begun.elapsed());
    }
}

/// A body that keeps its request in progress.
pub struct Tracked {
    pub body: Body,
    pub _in_progress: InProgress,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
