//! What lies in a folder of blocks, and what must go.
//!
//! Other processes write and remove at the same time: what vanishes between a look and a grip is gone, and no error.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a file takes is rounded up to the pieces that file systems give out, in bytes. So a block is never weighed lighter than what it
/// takes to know of it.
const PIECE: u64 = 4096;

/// A file that is being written has this before its name.
pub const NEW: &str = ".new-";

/// A file that was being written for so long was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_hours(1);

/// What a file of so many bytes takes.
pub fn weight(len: u64) -> u64 {
    len.div_ceil(PIECE).saturating_mul(PIECE)
}

/// What a sweep found and did.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Swept {
    /// What the files take that stay, in bytes.
    pub bytes: u64,
    pub files: u64,
    pub evicted: u64,
    pub expired: u64,
}

struct File {
    path: PathBuf,
    /// A block's file is touched when it is read.
    used: SystemTime,
    weight: u64,
}

/// Removes what was not used within `ttl`, what killed processes left behind, and, where all files take more than `most` bytes, those
/// that were not used for longest until the rest takes `enough` at most. Files that no cache has made are left alone.
pub fn sweep(folder: &Path, most: u64, enough: u64, ttl: Option<Duration>, now: SystemTime) -> Swept {
    let mut swept = Swept::default();
    let mut files = Vec::new();
    for shelf in entries(folder).filter(|entry| is_hex(entry, 2)) {
        for entry in entries(&shelf.path()) {
            let is_block = is_hex(&entry, 64);
            if !is_block && !entry.file_name().to_string_lossy().starts_with(NEW) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                continue;
            }
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let age = now.duration_since(used).unwrap_or_default();
            let file = File { path: entry.path(), used, weight: weight(metadata.len()) };
            if is_block && ttl.is_some_and(|ttl| age > ttl) {
                swept.expired += u64::from(fs::remove_file(&file.path).is_ok());
            } else if !is_block && age > LEFT_BEHIND {
                let _ = fs::remove_file(&file.path);
            } else {
                swept.bytes += file.weight;
                if is_block {
                    files.push(file);
                }
            }
        }
    }
    swept.files = files.len() as u64;
    if swept.bytes > most {
        // The path only makes it certain which of two of the same age goes.
        files.sort_unstable_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        for file in files {
            if swept.bytes <= enough {
                break;
            }
            let removed = fs::remove_file(&file.path);
            let is_gone = removed.as_ref().err().is_none_or(|error| error.kind() == std::io::ErrorKind::NotFound);
            if is_gone {
                swept.bytes -= file.weight;
                swept.files -= 1;
                swept.evicted += u64::from(removed.is_ok());
            }
        }
    }
    swept
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

fn is_hex(entry: &DirEntry, len: usize) -> bool {
    let name = entry.file_name();
    name.len() == len && name.as_encoded_bytes().iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
