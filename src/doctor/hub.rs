//! Whether the hub answers.

use super::Quiet;
use crate::model::hub::{HubError, Reached};
use crate::record::{Check, Status};

/// The hub, and what it answered.
pub struct Hub<'a> {
    pub endpoint: &'a str,
    pub quiet: Quiet,
    /// The variable that names a proxy for it.
    pub proxy: Option<&'static str>,
    /// `None` where it was not asked.
    pub reached: Option<&'a Result<Reached, HubError>>,
}

impl Hub<'_> {
    pub fn check(&self) -> Check {
        let check = |figure: String, reachable: Option<bool>| {
            let proxy = self.proxy.map(str::to_owned);
            Check::ok("hub", figure)
                .with("endpoint", self.shown())
                .with("offline", self.quiet != Quiet::No)
                .with("proxy", proxy)
                .with("reachable", reachable)
        };
        match self.reached {
            None if self.quiet == Quiet::Always => check(
                "offline, because HF_HUB_OFFLINE is set: only what is in the cache is used, and nothing is sent".to_owned(),
                None,
            ),
            None => check("not asked, because of --offline".to_owned(), None),
            Some(Ok(reached)) => {
                let took = reached.took.as_millis() as u64;
                check(format!("{} answers, in {took} ms{}", self.shown(), self.by_way()), Some(true)).with("took_ms", took)
            }
            // It answered: what is wrong is told of the token.
            Some(Err(HubError::TokenRejected { .. })) => check(format!("{} answers{}", self.shown(), self.by_way()), Some(true)),
            Some(Err(error)) => self.failed(error, &check),
        }
    }

    fn failed(&self, error: &HubError, check: &dyn Fn(String, Option<bool>) -> Check) -> Check {
        let text = error.to_string();
        let mut lines = text.lines();
        let message = lines.next().unwrap_or_default();
        // Of no repository: what was asked for is sway's own affair.
        let message = message.strip_prefix("fetching `").and_then(|rest| Some(rest.split_once("`: ")?.1)).unwrap_or(message);
        let status = if matches!(error, HubError::Endpoint { .. }) { Status::Bad } else { Status::Warn };
        let mut hints: Vec<&str> = lines.filter_map(|line| line.strip_prefix("hint: ")).collect();
        if matches!(error, HubError::Stalled { .. }) {
            // Its own asks for more patience, which was cut short here.
            hints = vec![CHECK_THE_NETWORK];
        }
        let hints = hints.into_iter().map(str::to_owned).chain(self.on_the_way(error));
        hints.fold(check(message.to_owned(), Some(false)), |found, hint| found.but(status, hint))
    }

    /// What else may stand between here and the hub.
    fn on_the_way(&self, error: &HubError) -> Option<String> {
        let cause = match error {
            HubError::Unreachable { cause, .. } | HubError::Lost { cause, .. } => cause.as_str(),
            HubError::Stalled { .. } | HubError::Protocol { .. } => "",
            _ => return None,
        };
        if cause.contains("certificate") {
            let hint = "a proxy that opens encrypted connections needs its certificate among the system's, or in the file that SSL_CERT_FILE names";
            return Some(hint.to_owned());
        }
        match (self.proxy, error) {
            (Some(variable), _) => Some(format!("requests go through the proxy in {variable}: check it, and NO_PROXY")),
            (None, HubError::Protocol { .. }) => None,
            (None, _) => Some("where only a proxy leads out, put its address in HTTPS_PROXY".to_owned()),
        }
    }

    fn by_way(&self) -> String {
        self.proxy.map(|variable| format!(", through the proxy in {variable}")).unwrap_or_default()
    }

    /// The endpoint, without what may be a password.
    fn shown(&self) -> String {
        match self.endpoint.split_once('@') {
            Some((_, host)) => format!("…@{host}"),
            None => self.endpoint.trim().trim_end_matches('/').to_owned(),
        }
    }
}

const CHECK_THE_NETWORK: &str = "check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is in the cache";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(quiet: Quiet, proxy: Option<&'static str>, reached: Option<&Result<Reached, HubError>>) -> Check {
        Hub { endpoint: "https://hub/", quiet, proxy, reached }.check()
    }

    fn unreachable(cause: &str) -> HubError {
        let (repo, endpoint, cause) = ("api/models".to_owned(), "https://hub".to_owned(), cause.to_owned());
        HubError::Unreachable { repo, endpoint, cause }
    }

    #[test]
    fn a_hub_that_answers_is_well() {
        let reached = Reached { took: Duration::from_millis(80), account: None };
        let found = check(Quiet::No, Some("HTTPS_PROXY"), Some(&Ok(reached)));
        assert_eq!(found.status, Status::Ok);
        assert_eq!(found.figure, "https://hub answers, in 80 ms, through the proxy in HTTPS_PROXY");
        assert_eq!((&found.values["reachable"], &found.values["took_ms"]), (&true.into(), &80.into()));
    }

    #[test]
    fn a_hub_that_is_not_reached_is_a_warning_with_the_hub_rooms_own_words() {
        let found = check(Quiet::No, None, Some(&Err(unreachable("connection refused"))));
        assert_eq!(found.status, Status::Warn);
        assert_eq!(found.figure, "https://hub can't be reached: connection refused");
        assert_eq!(found.hints, [CHECK_THE_NETWORK, "where only a proxy leads out, put its address in HTTPS_PROXY"]);
        let found = check(Quiet::No, Some("ALL_PROXY"), Some(&Err(unreachable("connection refused"))));
        assert!(found.hints[1].contains("the proxy in ALL_PROXY"), "{:?}", found.hints);
        let found = check(Quiet::No, None, Some(&Err(unreachable("invalid peer certificate: UnknownIssuer"))));
        assert!(found.hints[1].contains("SSL_CERT_FILE"), "{:?}", found.hints);
    }

    #[test]
    fn silence_is_not_met_with_more_patience() {
        let stalled =
            HubError::Stalled { repo: String::new(), endpoint: "https://hub".to_owned(), silence: Duration::from_secs(5) };
        let found = check(Quiet::No, None, Some(&Err(stalled)));
        assert_eq!(found.figure, "nothing came from https://hub for 5 s");
        assert_eq!(found.hints[0], CHECK_THE_NETWORK);
    }

    #[test]
    fn an_address_that_can_not_be_used_is_bad_and_shows_no_password() {
        let error = Err(HubError::Endpoint { fault: "it has a user name or password in it".to_owned() });
        let found = Hub { endpoint: "https://me:secret@hub", quiet: Quiet::No, proxy: None, reached: Some(&error) }.check();
        assert_eq!(found.status, Status::Bad);
        assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        assert!(found.hints[0].contains("HF_ENDPOINT"));
    }

    #[test]
    fn offline_is_told_by_its_reason() {
        assert!(check(Quiet::Always, None, None).figure.contains("HF_HUB_OFFLINE"));
        assert!(check(Quiet::Asked, None, None).figure.contains("--offline"));
        assert_eq!(check(Quiet::Always, None, None).values["reachable"], serde_json::Value::Null);
    }
}
