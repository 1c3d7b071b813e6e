//! How far sources reach: places, and the blocks that are fetched from them.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::block::{Blocks, Fetch, FetchError, Need};
use super::object::Object;
use super::place::Places;
use super::row::{self, Layout, ReadAt, ReadFrom};

/// Places, and blocks of what is in them.
pub struct Reach {
    pub places: Places,
    pub blocks: Blocks,
}

impl Reach {
    /// An object's bytes, as rows of a layout are read from them. A file of this machine is read where it is: to keep its blocks would be
    /// to keep it twice.
    pub fn bytes(self: &Arc<Self>, object: &Object, layout: Layout) -> row::Source {
        let (reach, object) = (Arc::clone(self), object.clone());
        if self.places.is_local(&object) {
            return row::Source::Ranges(Arc::new(InPlace { reach, object }));
        }
        let blocks = Arc::new(InBlocks { reach, object, need: Mutex::default() });
        match layout {
            Layout::Parquet => row::Source::Ranges(blocks),
            Layout::Jsonl | Layout::Csv(_) | Layout::Text => row::Source::Stream(blocks),
        }
    }
}

/// Has blocks fetched from where they are.
pub struct Fetching(pub Places);

impl Fetch for Fetching {
    fn fetch(&self, object: &Object, range: Range<u64>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        self.0.fetch(object, range).map(|fetched| fetched.map_err(FetchError::new)).boxed()
    }
}

/// An object that is read where it is.
struct InPlace {
    reach: Arc<Reach>,
    object: Object,
}

impl ReadAt for InPlace {
    fn len(&self) -> u64 {
        self.object.size
    }

    fn read_at(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.reach.places.read(&self.object, range).map_err(io::Error::other)
    }
}

/// An object whose bytes are read in blocks.
struct InBlocks {
    reach: Arc<Reach>,
    object: Object,
    /// What is to be read soon: what was needed before is needed no more.
    need: Mutex<Option<Need>>,
}

impl ReadFrom for InBlocks {
    fn read_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.reach.blocks.reader(&self.object, offset).map_err(io::Error::other)?))
    }
}

impl ReadAt for InBlocks {
    fn len(&self) -> u64 {
        self.object.size
    }

    fn read_at(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.reach.blocks.read_at(&self.object, range).map_err(io::Error::other)
    }

    fn will_need(&self, ranges: &[Range<u64>]) {
        // What can't be asked for is told when it is read.
        let need = self.reach.blocks.will_need(&self.object, ranges).ok();
        *self.need.lock().unwrap_or_else(PoisonError::into_inner) = need;
    }
}
