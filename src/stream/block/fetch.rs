//! Who brings bytes from where they are.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Object;

/// Brings bytes of objects. It tries again by itself where that may help: what it gives back is final.
pub trait Fetch: Send + Sync + 'static {
    /// Brings the bytes of `range`, which lies within the object and is not empty.
    ///
    /// It runs on the runtime of a [`Blocks`](super::Blocks), and is dropped where it stands once nobody wants the bytes any more. The bytes
    /// should own no more memory than they show: what waits to be read is weighed by its length.
    fn fetch(&self, object: &Object, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, FetchError>>;
}

/// Why bytes did not come. Several may wait for one block, and each is told.
#[derive(Clone)]
pub struct FetchError(Arc<dyn Error + Send + Sync>);

impl FetchError {
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(cause.into()))
    }

    /// What it was made of.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
