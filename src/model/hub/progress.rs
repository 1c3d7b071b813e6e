//! How far a download is.

/// Told about each file that the snapshot lacks; one that it holds makes no call. One file at a time; the calls come from
/// a thread of the fetch.
pub trait Progress: Send + Sync {
    /// `kept` of its bytes are there from an earlier time. Comes again for a file that must begin anew.
    fn started(&self, file: &str, bytes: u64, kept: u64);
    /// `bytes` more of the file than at the last call.
    fn advanced(&self, bytes: u64);
    fn finished(&self);
    /// Nothing comes for now, and why: a sentence without its full stop.
    fn waiting(&self, why: &str);
    /// What the user should know of the models before they are read: a sentence without its full stop.
    fn warn(&self, message: &str);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _file: &str, _bytes: u64, _kept: u64) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self) {}
    fn waiting(&self, _why: &str) {}
    fn warn(&self, _message: &str) {}
}
