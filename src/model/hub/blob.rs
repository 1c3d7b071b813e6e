//! A file's content, as the hub names it.

use sha1::Sha1;
use sha2::digest::Update;
use sha2::{Digest as _, Sha256};

/// What the hub lists about a file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Git's id: of the content, or of the pointer that stands in git for a large file.
    pub oid: String,
}

/// A content in the cache's `blobs` folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The file's name there: the etag, as in `huggingface_hub`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    pub proof: Proof,
}

/// What shows that a content is the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The name is the content's SHA-256: what the hub gives for large files.
    Sha256,
    /// The name is git's id of the content: SHA-1 over `blob SIZE\0` and the content.
    Git,
    /// Only the size: a mirror with etags of its own.
    Size,
}

impl Blob {
    /// `etag` without quotes. `None` where neither it nor git's id can name a file.
    pub fn of(listed: &Listed, etag: Option<&str>) -> Option<Self> {
        let name = etag.filter(|etag| is_file_name(etag)).or(Some(listed.oid.as_str()).filter(|oid| is_hex(oid)))?;
        let proof = match name.len() {
            64 if is_hex(name) => Proof::Sha256,
            // Another server's 40 digits could be anything; without an etag they may be a pointer's.
            40 if etag == Some(listed.oid.as_str()) && is_hex(name) => Proof::Git,
            _ => Proof::Size,
        };
        Some(Self { name: name.to_owned(), size: listed.size, proof })
    }

    pub fn digest(&self) -> Digest {
        match self.proof {
            Proof::Sha256 => Digest::Sha256(Sha256::new()),
            Proof::Git => Digest::Git(Sha1::new().chain(format!("blob {}\0", self.size))),
            Proof::Size => Digest::None,
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_file_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The digest of a content as far as it has come.
#[derive(Clone)]
pub enum Digest {
    Sha256(Sha256),
    Git(Sha1),
    None,
}

impl Digest {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sha) => Update::update(sha, bytes),
            Self::Git(sha) => Update::update(sha, bytes),
            Self::None => {}
        }
    }

    /// In hex; `None` without a proof.
    pub fn hex(&self) -> Option<String> {
        match self {
            Self::Sha256(sha) => Some(hex(&sha.clone().finalize())),
            Self::Git(sha) => Some(hex(&sha.clone().finalize())),
            Self::None => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `git hash-object` of a file that holds `hello\n`.
    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    /// `sha256sum` of the same.
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    fn blob(oid: &str, etag: Option<&str>) -> Option<Blob> {
        Blob::of(&Listed { file: "f".to_owned(), size: 6, oid: oid.to_owned() }, etag)
    }

    #[test]
    fn a_content_is_proven_by_the_name_that_the_hub_gives_it() {
        for (etag, proof) in [(GIT, Proof::Git), (SHA256, Proof::Sha256)] {
            let blob = blob(GIT, Some(etag)).expect("a blob");
            assert_eq!((blob.name.as_str(), blob.proof), (etag, proof));
            let mut digest = blob.digest();
            digest.update(b"hel");
            digest.update(b"lo\n");
            assert_eq!(digest.hex().as_deref(), Some(etag));
        }
    }

    #[test]
    fn a_mirrors_own_etag_proves_nothing_and_stays_in_its_folder() {
        let other = "0".repeat(40);
        for (etag, name) in [
            (Some(other.as_str()), other.as_str()),
            (Some("abc-12"), "abc-12"),
            (Some("../x"), GIT),
            (Some(""), GIT),
            (None, GIT),
        ] {
            let blob = blob(GIT, etag).expect("a blob");
            assert_eq!((blob.name.as_str(), blob.proof), (name, Proof::Size), "{etag:?}");
            assert_eq!(blob.digest().hex(), None);
        }
        assert_eq!(blob("../x", None), None);
    }
}
