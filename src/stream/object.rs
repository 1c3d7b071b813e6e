//! One file of a source, as it was listed.

use serde::{Deserialize, Serialize};

/// One file of a source, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    /// As messages name it. It says exactly where the object is: nothing in it is a wildcard.
    pub uri: String,
    /// Bytes.
    pub size: u64,
    /// Pins its content: an `ETag`, a date, the hub's id of the content, or a local file's size, time of change and inode.
    pub tag: String,
}
