//! What reads a file, over bytes: for fuzzing. Whatever the bytes are, these return, in bounded memory.

use std::sync::Arc;

use bytes::Bytes;

use super::{Compression, Format, Layout, Options, Rows, Source, Wanted};
use crate::stream::Object;

/// Reads all rows, whole and by a field.
fn read(bytes: &[u8], layout: Layout, compression: Option<Compression>) {
    let object = Object { uri: "fuzz".to_owned(), size: bytes.len() as u64, tag: String::new() };
    let source = Source::Ranges(Arc::new(Bytes::copy_from_slice(bytes)));
    for wanted in [Wanted::Row, Wanted::Field("prompt".to_owned())] {
        let format = Format { layout, compression };
        let options = Options { format, wanted, from: None, sample: None, is_ahead: false };
        if let Ok(rows) = Rows::open(&object, &source, &options) {
            rows.for_each(drop);
        }
    }
}

pub fn fuzz_jsonl(bytes: &[u8]) {
    read(bytes, Layout::Jsonl, None);
}

pub fn fuzz_csv(bytes: &[u8]) {
    read(bytes, Layout::Csv(b','), None);
}

pub fn fuzz_text(bytes: &[u8]) {
    read(bytes, Layout::Text, None);
}

pub fn fuzz_gzip(bytes: &[u8]) {
    read(bytes, Layout::Jsonl, Some(Compression::Gzip));
}

pub fn fuzz_zstd(bytes: &[u8]) {
    read(bytes, Layout::Jsonl, Some(Compression::Zstd));
}

pub fn fuzz_parquet(bytes: &[u8]) {
    read(bytes, Layout::Parquet, None);
}
