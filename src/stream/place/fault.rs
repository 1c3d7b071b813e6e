//! What went wrong with a place.

use std::time::Duration;

/// What went wrong with a place. No message holds a key; what a server said is cut, and without control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("it has {size} bytes")]
    OutOfRange { size: u64 },
    /// What was read before and what is there now are of two contents.
    #[error("it changed since it was listed: {how}")]
    Changed { how: String },
    /// Of a file of this machine.
    #[error("{why}")]
    File { why: String },
    /// Nothing was sent: the place can't be asked as the environment has it.
    #[error("{why}")]
    Place { why: String, hint: Option<&'static str> },
    #[error("no connection: {why}")]
    Unreachable { why: String },
    #[error("it is refused with status {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Refused { status: u16, message: String },
    /// It is not followed: a key would go elsewhere, or it leads round in circles.
    #[error("it redirects (status {status}) to {to}, which is not followed")]
    Redirect { status: u16, to: String },
    #[error("not all of it came: {why}")]
    CutOff { why: String },
    #[error("nothing came for {} s", silence.as_secs_f64())]
    Silence { silence: Duration },
    /// Of one try.
    #[error("it did not come whole within {} s", attempt.as_secs_f64())]
    Timeout { attempt: Duration },
    /// Of all tries together.
    #[error("it did not come within {} s{}{}", deadline.as_secs_f64(), told(*asked), before(last.as_deref()))]
    Deadline {
        deadline: Duration,
        /// The pause that the server asks for, where that is what does not fit.
        asked: Option<Duration>,
        /// How the try before ended.
        last: Option<Box<Fault>>,
    },
    /// Other bytes came than those that were asked for, or more.
    #[error("the server sent something else than was asked for: {why}")]
    WrongBytes { why: String },
    #[error("the server sends files only whole, and this one has {size} bytes")]
    NoRanges { size: u64 },
    #[error("the server gives it no ETag and no date, so that a change could not be told")]
    Unpinned,
    #[error("what the server says of it can't be read: {why}")]
    Malformed { why: String },
}

impl Fault {
    /// A name for programs to read, which stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => "out_of_range",
            Self::Changed { .. } => "changed",
            Self::File { .. } => "file",
            Self::Place { .. } => "place",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::Redirect { .. } => "redirect",
            Self::CutOff { .. } => "cut_off",
            Self::Silence { .. } => "silence",
            Self::Timeout { .. } => "timeout",
            Self::Deadline { .. } => "deadline",
            Self::WrongBytes { .. } => "wrong_bytes",
            Self::NoRanges { .. } => "no_ranges",
            Self::Unpinned => "unpinned",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether another try may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 509 | 529),
            Self::Unreachable { .. } | Self::CutOff { .. } | Self::Silence { .. } | Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// What may help.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Changed { .. } => Some("let nothing write to it while it is read, or read a copy"),
            Self::Place { hint, .. } => *hint,
            Self::Refused { status: 401 | 403, .. } => Some(
                "check the keys in the environment (AWS_*, GOOGLE_*, AZURE_*, HF_TOKEN); for a public bucket set AWS_SKIP_SIGNATURE, GOOGLE_SKIP_SIGNATURE or AZURE_SKIP_SIGNATURE to true",
            ),
            Self::Refused { status: 404, .. } => Some("check its name, and that of its bucket or dataset"),
            Self::Refused { status: 301 | 307 | 400, .. } => Some("check AWS_REGION and AWS_ENDPOINT_URL, where it is on S3"),
            Self::NoRanges { .. } | Self::Unpinned => Some("fetch the file first, and name the copy"),
            Self::Unreachable { .. } => Some("check the network, and the address or endpoint"),
            _ => None,
        }
    }
}

fn told(asked: Option<Duration>) -> String {
    asked.map(|asked| format!(": it asks to be left alone for {} s", asked.as_secs_f64())).unwrap_or_default()
}

fn before(last: Option<&Fault>) -> String {
    last.map(|last| format!("; the last try: {last}")).unwrap_or_default()
}
