//! Unpacking a page, to no more than its header says.

use std::io::{self, Read};

use parquet::basic::Compression;

use super::Cause;

/// Unpacks to exactly `size` bytes.
pub(super) fn unpack(codec: Compression, packed: &[u8], size: usize) -> Result<Vec<u8>, Cause> {
    let broken = |why: String| Cause::Parquet(format!("a page can't be unpacked: {why}"));
    let unpacked = match codec {
        Compression::UNCOMPRESSED => Ok(packed.to_vec()),
        Compression::SNAPPY => match snap::raw::decompress_len(packed) {
            Ok(length) if length == size => snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| error.to_string()),
            Ok(length) => Err(format!("{length} bytes instead of {size}")),
            Err(error) => Err(error.to_string()),
        },
        Compression::LZ4_RAW => {
            let mut unpacked = vec![0; size];
            lz4_flex::block::decompress_into(packed, &mut unpacked)
                .map(|length| unpacked[..length].to_vec())
                .map_err(|error| error.to_string())
        }
        Compression::ZSTD(_) => zstd::bulk::decompress(packed, size).map_err(|error| error.to_string()),
        Compression::GZIP(_) => up_to(flate2::read::MultiGzDecoder::new(packed), size).map_err(|error| error.to_string()),
        Compression::BROTLI(_) => {
            up_to(brotli_decompressor::Decompressor::new(packed, 4096), size).map_err(|error| error.to_string())
        }
        Compression::LZ4 => Err("it is packed with the old form of LZ4\nhint: write it with snappy, zstd or LZ4_RAW".to_owned()),
        Compression::LZO => Err("it is packed with LZO\nhint: write it with snappy or zstd".to_owned()),
    };
    let unpacked = unpacked.map_err(broken)?;
    if unpacked.len() != size {
        return Err(broken(format!("not {size} bytes")));
    }
    Ok(unpacked)
}

/// At most one byte more, which tells that there were more.
fn up_to(reader: impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    reader.take(size as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}
