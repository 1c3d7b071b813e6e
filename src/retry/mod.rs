//! How a request is tried again: what both who asks endpoints and who reads from stores keep to. A leaf room.

mod causes;
mod jitter;
mod retry_after;

pub use causes::causes;
pub use jitter::Jitter;
pub use retry_after::retry_after;
