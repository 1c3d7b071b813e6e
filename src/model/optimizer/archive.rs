//! The container that `torch.save` writes: a zip archive of stored, never compressed entries.
//!
//! A reader of its own, because only this much of the format is needed, and because readers of any zip make room for as many entries as
//! a file says it has.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Flaw, invalid, pickle, refused};

/// Most bytes of a pickle, and of the list of entries. An adapter of a thousand matrices has a pickle of half a megabyte.
const LARGEST_PICKLE: u64 = 16 << 20;

/// Bytes that are read at once; whole values of every type.
const BUFFER: usize = 64 << 10;

const ENTRY: u32 = 0x0403_4b50;
const LISTED: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// An open archive.
pub(super) struct Archive {
    file: File,
    len: u64,
    /// The folder that all entries are in.
    root: String,
    entries: HashMap<String, Entry>,
}

/// Where an entry's header is, and how many bytes it holds.
#[derive(Clone, Copy)]
struct Entry {
    header: u64,
    size: u64,
}

impl Archive {
    pub(super) fn new(mut file: File) -> Result<Self, Flaw> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(invalid("it is a folder"));
        }
        let len = metadata.len();
        let mut head = [0; 4];
        file.read_exact(&mut head)?;
        if u32::from_le_bytes(head) != ENTRY {
            return Err(not_an_archive(file, head));
        }
        let listing = listing(&mut file, len)?;
        let entries = entries(&listing)?;
        let mut pickles = entries.keys().filter_map(|name| name.strip_suffix("/data.pkl"));
        let root = match (pickles.next(), pickles.next()) {
            (Some(root), None) => root.to_owned(),
            _ => return Err(invalid("it is an archive, and not one that torch.save wrote: it should hold one `data.pkl`")),
        };
        let mut archive = Self { file, len, root, entries };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// Of the whole file, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The pickle that holds everything but the tensors' values.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, Flaw> {
        self.whole("data.pkl", LARGEST_PICKLE)
    }

    /// Bytes of the storage of this key.
    pub(super) fn storage_len(&self, key: &str) -> Result<u64, Flaw> {
        Ok(self.entry(&format!("data/{key}"))?.size)
    }

    /// Gives these bytes of a storage to `take`, in pieces of whole values.
    pub(super) fn storage(&mut self, key: &str, from: u64, count: u64, mut take: impl FnMut(&[u8])) -> Result<(), Flaw> {
        let entry = self.entry(&format!("data/{key}"))?;
        if from.checked_add(count).is_none_or(|end| end > entry.size) {
            return Err(invalid(format!("a tensor lies outside of its storage `{key}`")));
        }
        let start = self.start(entry)?;
        self.file.seek(SeekFrom::Start(start + from))?;
        let mut buffer = vec![0; count.min(BUFFER as u64) as usize];
        let mut left = count;
        while left > 0 {
            let piece = &mut buffer[..left.min(BUFFER as u64) as usize];
            self.file.read_exact(piece)?;
            take(piece);
            left -= piece.len() as u64;
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<Entry, Flaw> {
        let entry = self.entries.get(&format!("{}/{name}", self.root)).copied();
        entry.ok_or_else(|| invalid(format!("its entry `{name}` is missing")))
    }

    /// Where an entry's bytes begin.
    fn start(&mut self, entry: Entry) -> Result<u64, Flaw> {
        let mut header = [0; 30];
        self.file.seek(SeekFrom::Start(entry.header))?;
        self.file.read_exact(&mut header)?;
        if u32_at(&header, 0) != ENTRY {
            return Err(invalid("its list of entries leads to something else"));
        }
        let start = entry.header + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        if start.checked_add(entry.size).is_none_or(|end| end > self.len) {
            return Err(invalid("an entry goes on beyond the end of the file"));
        }
        Ok(start)
    }

    fn whole(&mut self, name: &str, most: u64) -> Result<Vec<u8>, Flaw> {
        let entry = self.entry(name)?;
        if entry.size > most {
            return Err(refused(format!("its `{name}` has {} bytes, and at most {most} are read", entry.size)));
        }
        let start = self.start(entry)?;
        self.file.seek(SeekFrom::Start(start))?;
        // `start` has seen that the file is as long as this.
        let mut bytes = vec![0; entry.size as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn check_byte_order(&mut self) -> Result<(), Flaw> {
        let name = format!("{}/byteorder", self.root);
        // torch before 2.1 wrote none.
        if self.entries.contains_key(&name) && self.whole("byteorder", 16)? != b"little" {
            return Err(refused("its numbers are not little-endian"));
        }
        Ok(())
    }
}

/// What a file is that is no archive: torch's own format from before 1.6, any other pickle, or none.
fn not_an_archive(file: File, head: [u8; 4]) -> Flaw {
    if head[0] != 0x80 {
        return invalid("it is not a file of torch.save");
    }
    // A bare pickle: what it would run is the first thing to tell of it.
    let mut text = head.to_vec();
    match file.take(LARGEST_PICKLE).read_to_end(&mut text) {
        Err(error) => Flaw::Read(error),
        Ok(_) => match pickle::read(&text) {
            Err(Flaw::Refused(message)) => Flaw::Refused(message),
            _ => refused(
                "it is a bare pickle, the format of torch before 1.6\nhint: load it with torch where you trust it, and save it again",
            ),
        },
    }
}

/// The bytes of the central directory.
fn listing(file: &mut File, len: u64) -> Result<Vec<u8>, Flaw> {
    let mut end = [0; 22];
    file.seek(SeekFrom::Start(len.checked_sub(22).ok_or_else(|| invalid("it ends too early"))?))?;
    file.read_exact(&mut end)?;
    if u32_at(&end, 0) != END {
        return Err(invalid("it ends too early: an archive's list of entries is at its end"));
    }
    let (mut size, mut start) = (u64::from(u32_at(&end, 12)), u64::from(u32_at(&end, 16)));
    if size == u64::from(u32::MAX) || start == u64::from(u32::MAX) {
        let mut locator = [0; 20];
        file.seek(SeekFrom::Start(len.checked_sub(42).ok_or_else(|| invalid("it ends too early"))?))?;
        file.read_exact(&mut locator)?;
        let mut end = [0; 56];
        file.seek(SeekFrom::Start(u64_at(&locator, 8)))?;
        file.read_exact(&mut end)?;
        if u32_at(&locator, 0) != LOCATOR_64 || u32_at(&end, 0) != END_64 {
            return Err(invalid("its end does not say where its list of entries is"));
        }
        (size, start) = (u64_at(&end, 40), u64_at(&end, 48));
    }
    if start.checked_add(size).is_none_or(|end| end > len) {
        return Err(invalid("its list of entries goes on beyond the end of the file"));
    }
    if size > LARGEST_PICKLE {
        return Err(refused(format!("its list of entries has {size} bytes, and at most {LARGEST_PICKLE} are read")));
    }
    let mut bytes = vec![0; size as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn entries(mut listing: &[u8]) -> Result<HashMap<String, Entry>, Flaw> {
    let mut entries = HashMap::new();
    while !listing.is_empty() {
        let broken = || invalid("its list of entries is broken");
        let (head, rest) = listing.split_at_checked(46).filter(|(head, _)| u32_at(head, 0) == LISTED).ok_or_else(broken)?;
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(head, at)));
        let (name, rest) = rest.split_at_checked(name).ok_or_else(broken)?;
        let (extra, rest) = rest.split_at_checked(extra).ok_or_else(broken)?;
        listing = rest.get(comment..).ok_or_else(broken)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let (flags, method) = (u16_at(head, 8), u16_at(head, 10));
        if method != 0 || flags & 1 != 0 {
            return Err(refused(format!("its entry `{name}` is compressed or encrypted, which torch.save never does")));
        }
        let mut wide = zip64(extra);
        let mut field = |at: usize| match u32_at(head, at) {
            u32::MAX => wide.next().ok_or_else(broken),
            value => Ok(u64::from(value)),
        };
        // In the order in which the wide fields stand.
        let (size, stored, header) = (field(24)?, field(20)?, field(42)?);
        if size != stored {
            return Err(broken());
        }
        if entries.insert(name, Entry { header, size }).is_some() {
            return Err(refused("two of its entries have the same name"));
        }
    }
    Ok(entries)
}

/// The fields of a zip64 extra field.
fn zip64(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut fields: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let Some((body, rest)) = rest.split_at_checked(usize::from(u16_at(head, 2))) else { break };
        if u16_at(head, 0) == 1 {
            fields = body;
        }
        extra = rest;
    }
    fields.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
