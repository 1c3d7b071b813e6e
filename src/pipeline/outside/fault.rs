//! Why an endpoint gave no answer.

use std::time::Duration;

/// Why an endpoint gave no answer. No message holds the key; what the server said is cut, and without control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The question can't be put to this endpoint; nothing was sent.
    #[error("{why}")]
    Question { why: String },
    #[error("no connection to {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("it refuses with status {status}: {message}")]
    Refused { status: u16, message: String },
    /// It is not followed: the key would go elsewhere.
    #[error("it redirects (status {status}) to {to}, which is not followed")]
    Redirect { status: u16, to: String },
    /// `what` is `HTML`, a content type, or what there is otherwise.
    #[error("it answers {what} where JSON should be{}", if beginning.is_empty() { String::new() } else { format!(": {beginning}") })]
    NotJson { what: String, beginning: String },
    /// With a status that says success.
    #[error("it answers with an error: {message}")]
    ErrorBody { message: String },
    #[error("its answer has no text: {why}")]
    Malformed { why: String },
    #[error("no whole answer came: {why}")]
    CutOff { why: String },
    #[error("its answer is longer than {} MiB", most >> 20)]
    TooLong { most: usize },
    /// Of one try.
    #[error("no whole answer within {} s", attempt.as_secs_f64())]
    Timeout { attempt: Duration },
    /// Of all tries together.
    #[error("no answer within {} s{}{}", deadline.as_secs_f64(), told(*asked), before(last.as_deref()))]
    Deadline {
        deadline: Duration,
        /// The pause that the server asks for, where that is what does not fit.
        asked: Option<Duration>,
        /// How the try before ended.
        last: Option<Box<Fault>>,
    },
    /// Nothing was sent: so many questions in a row got no answer, the last of them for this reason.
    #[error("not asked, as the {silent} questions before got no answer; the last: {last}")]
    GivenUp { silent: usize, last: Box<Fault> },
}

impl Fault {
    /// A name for programs to read, which stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Question { .. } => "question",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::Redirect { .. } => "redirect",
            Self::NotJson { .. } => "not_json",
            Self::ErrorBody { .. } => "error_body",
            Self::Malformed { .. } => "malformed",
            Self::CutOff { .. } => "cut_off",
            Self::TooLong { .. } => "too_long",
            Self::Timeout { .. } => "timeout",
            Self::Deadline { .. } => "deadline",
            Self::GivenUp { .. } => "given_up",
        }
    }

    /// Whether another try may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            // 529: overloaded, with some.
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 529),
            Self::Unreachable { .. } | Self::CutOff { .. } | Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// Whether it looks as if nobody were there, or whoever is there can't keep up: the next question will hardly fare better.
    pub(super) fn is_silence(&self) -> bool {
        self.is_passing() || matches!(self, Self::Deadline { .. })
    }

    /// Whether the server wants `max_completion_tokens` in place of `max_tokens`. Some name it where the number is only too large.
    pub(super) fn wants_other_limit(&self) -> bool {
        matches!(self, Self::Refused { status: 400, message }
            if message.contains("max_completion_tokens") && (message.contains("instead") || message.contains("support")))
    }

    /// What may help.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some("check that the server runs, and the endpoint's url"),
            Self::Refused { status: 401 | 403, .. } => Some("check the endpoint's key"),
            Self::Refused { status: 404, .. } => Some("check the endpoint's url, which usually ends in /v1, and its model"),
            Self::Redirect { .. } => Some("give the url that it leads to, where the key may be sent there"),
            Self::NotJson { .. } => Some("check the endpoint's url, which usually ends in /v1"),
            Self::Timeout { .. } | Self::Deadline { .. } => Some("give the endpoint more time, or fewer questions at a time"),
            Self::GivenUp { last, .. } => last.hint(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, message: &str) -> Fault {
        Fault::Refused { status, message: message.to_owned() }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [408, 429, 500, 502, 503, 504, 529] {
            assert!(refused(status, "").is_passing(), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 413, 422, 501, 505] {
            assert!(!refused(status, "").is_passing(), "{status}");
        }
        assert!(!Fault::ErrorBody { message: String::new() }.is_passing());
    }

    #[test]
    fn the_other_limit_is_wanted_only_where_it_is_named_as_what_helps() {
        let wants = |status, message| refused(status, message).wants_other_limit();
        assert!(wants(400, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."));
        assert!(!wants(400, "'max_tokens' or 'max_completion_tokens' is too large: 9000"));
        assert!(!wants(400, "use less instead"));
        assert!(!wants(422, "Use 'max_completion_tokens' instead."));
    }

    #[test]
    fn a_deadline_tells_what_was_in_the_way() {
        let deadline = Fault::Deadline {
            deadline: Duration::from_mins(1),
            asked: Some(Duration::from_hours(1)),
            last: Some(Box::new(refused(429, "slow down"))),
        };
        assert_eq!(
            deadline.to_string(),
            "no answer within 60 s: it asks to be left alone for 3600 s; the last try: it refuses with status 429: slow down"
        );
    }
}
