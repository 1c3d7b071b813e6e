//! What the environment says of places: addresses, regions, keys.

use std::collections::BTreeMap;
use std::fmt;

/// Stores, the hub, and what `object_store` reads besides.
const PREFIXES: [&str; 4] = ["AWS_", "GOOGLE_", "AZURE_", "HF_"];
const OTHERS: [&str; 2] = ["SERVICE_ACCOUNT", "IDENTITY_ENDPOINT"];

/// Shorter values are no keys, and masking them would garble what a server says.
const SHORTEST_SECRET: usize = 6;

/// The variables by which users of `object_store`, AWS, Google, Azure and the hub say where their data is and who they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))))
    }

    /// Of all variables those that mean something here. An empty one counts as unset.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let means = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || OTHERS.contains(&name);
        Self { variables: variables.into_iter().filter(|(name, value)| means(name) && !value.is_empty()).collect() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether a variable says yes.
    pub(super) fn says(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| ["1", "true", "yes", "on"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes)))
    }

    /// Names in small letters, as `object_store` knows them, with their values.
    pub(super) fn with_prefix(&self, prefix: &'static str) -> impl Iterator<Item = (String, &str)> {
        let own = self.variables.iter().filter(move |(name, _)| name.starts_with(prefix));
        own.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// A text without the keys: a server may repeat what it was sent.
    pub(super) fn masked(&self, text: &str) -> String {
        let is_secret =
            |name: &str| ["KEY", "TOKEN", "SECRET", "PASSWORD", "SAS", "CREDENTIAL"].iter().any(|word| name.contains(word));
        let secrets = self.variables.iter().filter(|(name, value)| is_secret(name) && value.len() >= SHORTEST_SECRET);
        secrets.fold(text.to_owned(), |text, (_, secret)| text.replace(secret.trim(), "***"))
    }
}

/// The names alone.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn keys_are_shown_nowhere() {
        let environment =
            of(&[("AWS_SECRET_ACCESS_KEY", "hush-hush"), ("AWS_REGION", "us-east-1"), ("PATH", "/bin"), ("HF_TOKEN", "")]);
        assert_eq!(format!("{environment:?}"), r#"{"AWS_REGION", "AWS_SECRET_ACCESS_KEY"}"#);
        assert_eq!(environment.masked("hush-hush in us-east-1"), "*** in us-east-1");
    }

    #[test]
    fn what_says_yes_says_yes() {
        let environment = of(&[("AWS_ALLOW_HTTP", "True"), ("HF_HUB_OFFLINE", "0")]);
        assert!(environment.says("AWS_ALLOW_HTTP") && !environment.says("HF_HUB_OFFLINE") && !environment.says("HF_X"));
    }
}
