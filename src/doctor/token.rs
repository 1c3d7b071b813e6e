//! Who asks the hub.

use crate::model::hub::{HubError, Reached, TokenSource};
use crate::record::{Check, Status};

/// The token, as far as it may be spoken of.
pub struct Token<'a> {
    pub source: &'a TokenSource,
    /// It [can be sent](can_be_sent).
    pub fits: bool,
    /// What the hub said to it; `None` where it was not asked.
    pub reached: Option<&'a Result<Reached, HubError>>,
}

/// Whether a token holds only characters that a header can carry.
pub fn can_be_sent(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Token<'_> {
    pub fn check(&self) -> Check {
        let from = match self.source {
            TokenSource::Nowhere => "not set; private and gated repositories can't be fetched".to_owned(),
            TokenSource::Disabled => "not used, because HF_HUB_DISABLE_IMPLICIT_TOKEN is set".to_owned(),
            TokenSource::Variable => "set, from HF_TOKEN".to_owned(),
            TokenSource::File(path) => format!("set, from {}", path.display()),
        };
        let is_set = matches!(self.source, TokenSource::Variable | TokenSource::File(_));
        let check = |figure: String| Check::ok("token", figure).with("set", is_set).with("source", source_name(self.source));
        if !is_set {
            return check(from);
        }
        if !self.fits {
            return check(format!("{from}; it holds characters that a token can't have")).with("accepted", false).but(
                Status::Bad,
                format!("put the token alone in {}: it begins with `hf_`, without quotes or spaces", place(self.source)),
            );
        }
        match self.reached {
            Some(Ok(Reached { account: Some(account), .. })) => {
                check(format!("{from}; of the account `{account}`")).with("accepted", true).with("account", account.as_str())
            }
            Some(Err(HubError::TokenRejected { endpoint, .. })) => {
                check(format!("{from}; {endpoint} does not accept it")).with("accepted", false).but(
                    Status::Bad,
                    format!(
                        "not even public models are served to a wrong token: make another in your hub settings and put it in {}, or remove it",
                        place(self.source)
                    ),
                )
            }
            Some(_) => check(format!("{from}; not tried out, since the hub gave no answer")).with("accepted", None::<bool>),
            None => check(format!("{from}; not tried out")).with("accepted", None::<bool>),
        }
    }
}

fn source_name(source: &TokenSource) -> &'static str {
    match source {
        TokenSource::Nowhere => "none",
        TokenSource::Disabled => "disabled",
        TokenSource::Variable => "HF_TOKEN",
        TokenSource::File(_) => "file",
    }
}

/// Where a better one belongs.
fn place(source: &TokenSource) -> &'static str {
    match source {
        TokenSource::File(_) => "that file (`hf auth login`)",
        _ => "HF_TOKEN",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn check(source: &TokenSource, reached: Option<&Result<Reached, HubError>>) -> Check {
        Token { source, fits: true, reached }.check()
    }

    #[test]
    fn no_token_is_no_fault() {
        let found = check(&TokenSource::Nowhere, None);
        assert_eq!(found.status, Status::Ok);
        assert!(found.figure.starts_with("not set;"));
        assert!(check(&TokenSource::Disabled, None).figure.contains("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
    }

    #[test]
    fn a_token_is_told_by_its_account() {
        let reached = Reached { took: Duration::ZERO, account: Some("ada".to_owned()) };
        let found = check(&TokenSource::Variable, Some(&Ok(reached)));
        assert_eq!((found.status, found.figure.as_str()), (Status::Ok, "set, from HF_TOKEN; of the account `ada`"));
        assert_eq!(found.values["accepted"], true);
    }

    #[test]
    fn a_rejected_token_is_bad_and_its_place_is_named() {
        let rejected = Err(HubError::TokenRejected { repo: "x".to_owned(), endpoint: "https://hub".to_owned() });
        let found = check(&TokenSource::File(PathBuf::from("/home/token")), Some(&rejected));
        assert_eq!(found.status, Status::Bad);
        assert_eq!(found.figure, "set, from /home/token; https://hub does not accept it");
        assert!(found.hints[0].contains("hf auth login"));
        assert!(check(&TokenSource::Variable, Some(&rejected)).hints[0].contains("put it in HF_TOKEN"));
    }

    #[test]
    fn a_token_that_can_not_be_sent_is_bad() {
        assert!(can_be_sent("hf_abc") && !can_be_sent("hf_a\nb") && !can_be_sent("hf_ä"));
        let found = Token { source: &TokenSource::Variable, fits: false, reached: None }.check();
        assert_eq!(found.status, Status::Bad);
    }

    #[test]
    fn a_token_that_nobody_saw_is_not_judged() {
        let found = check(&TokenSource::Variable, None);
        assert_eq!((found.status, &found.values["accepted"]), (Status::Ok, &serde_json::Value::Null));
    }
}
