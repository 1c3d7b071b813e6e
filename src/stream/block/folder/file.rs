//! A block's file.
//!
//! What is read from a folder is not trusted. A file is a block only if it has the length that its head says, its head the length that
//! the block must have, and its digest, which covers the head, the block's key and the unpacked bytes, is right.

use bytes::Bytes;

use super::super::divided::Key;
use super::super::memory::Entry;
use super::super::packed::{Packed, Packer, Packing};

/// Names the format. Another one gets another word, and another folder ([`super::NAME`]).
const MAGIC: [u8; 8] = *b"swayblk1";

/// Bytes before the block's own: the word, how it is packed, its length unpacked and as it is kept, when it was fetched, the digest.
pub const HEAD: usize = 8 + 4 + 4 + 4 + 8 + 32;

const DIGEST_AT: usize = HEAD - 32;

/// The head of a block's file; all numbers are little-endian.
pub fn head(key: &Key, entry: &Entry, raw: &[u8]) -> [u8; HEAD] {
    let packing: u32 = match entry.packed.packing {
        Packing::Raw => 0,
        Packing::Zstd => 1,
        Packing::ShuffledZstd => 2,
    };
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&packing.to_le_bytes());
    head[12..16].copy_from_slice(&entry.packed.len.to_le_bytes());
    head[16..20].copy_from_slice(&(entry.packed.bytes.len() as u32).to_le_bytes());
    head[20..28].copy_from_slice(&entry.fetched.to_le_bytes());
    let digest = digest(key, &head[..DIGEST_AT], raw);
    head[DIGEST_AT..].copy_from_slice(digest.as_bytes());
    head
}

/// The block in a file, with its bytes unpacked; `None` where the file is damaged, or another block's. `len` is what the block must have.
pub fn read(key: &Key, len: u32, file: &Bytes, packer: &Packer) -> Option<(Entry, Bytes)> {
    let head = file.get(..HEAD)?;
    let packing = match number(head, 8) {
        0 => Packing::Raw,
        1 => Packing::Zstd,
        2 => Packing::ShuffledZstd,
        _ => return None,
    };
    let is_whole = number(head, 12) == len && number(head, 16) as usize == file.len() - HEAD;
    if head[..8] != MAGIC || !is_whole {
        return None;
    }
    let fetched = u64::from(number(head, 20)) | u64::from(number(head, 24)) << 32;
    // A copy, where it will be kept: the file's head is no part of it.
    let entry = Entry { packed: Packed { packing, bytes: Bytes::copy_from_slice(&file[HEAD..]), len }, fetched };
    let raw = packer.unpack(&entry.packed)?;
    let digest = digest(key, &head[..DIGEST_AT], &raw);
    (*digest.as_bytes() == head[DIGEST_AT..]).then_some((entry, raw))
}

fn digest(key: &Key, head: &[u8], raw: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    hasher.update(head);
    hasher.update(raw);
    hasher.finalize()
}

fn number(head: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}
