//! What a name says about the bytes, and what they say themselves.

use serde::{Deserialize, Serialize};

use super::error::Cause;

/// How an object is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Format {
    pub layout: Layout,
    /// Around the layout. Parquet has its own, inside.
    pub compression: Option<Compression>,
}

/// What the rows of an object are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A JSON value a line.
    Jsonl,
    /// Records with a header; the byte that separates fields.
    Csv(u8),
    /// A text a line.
    Text,
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// So many first bytes tell all that [`Format::seen_in`] looks for.
pub(super) const MAGIC: usize = 4;

impl Format {
    /// What a name or URI says by its ending. Of a URL, the query is passed over.
    pub fn told_by(uri: &str) -> Option<Self> {
        let path = if uri.contains("://") { uri.split(['?', '#']).next().unwrap_or(uri) } else { uri };
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
        let (name, compression) = if let Some(name) = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".gzip")) {
            (name, Some(Compression::Gzip))
        } else if let Some(name) = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".zstd")) {
            (name, Some(Compression::Zstd))
        } else {
            (name.as_str(), None)
        };
        let layout = match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" | "json-lines" | "jsonlines" => Layout::Jsonl,
            "csv" => Layout::Csv(b','),
            "tsv" => Layout::Csv(b'\t'),
            "txt" => Layout::Text,
            "parquet" if compression.is_none() => Layout::Parquet,
            _ => return None,
        };
        Some(Self { layout, compression })
    }

    /// The endings that [`Self::told_by`] knows, for messages.
    pub const ENDINGS: &str =
        "`.jsonl`, `.ndjson`, `.csv`, `.tsv` and `.txt`, each also with `.gz` or `.zst` behind it, and `.parquet`";

    /// How bytes that begin so are packed.
    ///
    /// Gzip or zstd under a plain name is read: stores keep files under their plain names and packed (`Content-Encoding`), no text begins so
    /// (neither magic is UTF-8), and each checks itself. The other way round is refused: a name that says packed over bytes that are not
    /// is a download that was cut off before its first byte, an error page, or a file that something unpacked or renamed.
    ///
    /// # Errors
    /// Bytes that are not what the name says, by what they are.
    pub(super) fn seen_in(self, magic: &[u8]) -> Result<Option<Compression>, Cause> {
        let seen = match magic {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            // A skippable frame may come first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
            _ => None,
        };
        let refuse = |message: String| Err(Cause::Format(message));
        let other = match magic {
            [b'P', b'A', b'R', b'1'] => Some(("Parquet", "name it `.parquet`")),
            [b'P', b'A', b'R', b'E'] => Some(("encrypted Parquet", "decrypt it first")),
            [b'P', b'K', 3, 4] => Some(("a ZIP archive", "unpack it, or pack its files with gzip or zstd")),
            [b'B', b'Z', b'h', _] => Some(("bzip2", "pack it with gzip or zstd")),
            [0xfd, b'7', b'z', b'X'] => Some(("xz", "pack it with gzip or zstd")),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(("UTF-16", "write it as UTF-8")),
            _ => None,
        };
        if self.layout == Layout::Parquet {
            return match (seen, other) {
                (_, Some(("Parquet", _))) => Ok(None),
                (Some(packed), _) => refuse(format!(
                    "named as Parquet, but it is {0}\nhint: Parquet packs its own pages; unpack the {0} around it",
                    packed.name()
                )),
                (_, Some((what, hint))) => refuse(format!("named as Parquet, but it is {what}\nhint: {hint}")),
                _ => refuse("named as Parquet, but does not begin as Parquet does".to_owned()),
            };
        }
        if let Some((what, hint)) = other {
            return refuse(format!("it is {what}, which is not what its name says\nhint: {hint}"));
        }
        match (self.compression, seen) {
            (Some(named), Some(seen)) if named != seen => {
                refuse(format!("named as {}, but it is {}\nhint: name it by what it is", named.name(), seen.name()))
            }
            (Some(named), None) => refuse(format!(
                "named as {0}, but does not begin as {0} does\nhint: it was cut off, replaced by an error page, or unpacked and not renamed",
                named.name()
            )),
            (_, seen) => Ok(seen),
        }
    }
}
