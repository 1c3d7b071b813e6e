//! Where the hub is, where its files are kept, and who asks.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs};

use super::address::DEFAULT_ENDPOINT;
use super::retry::Retry;

const DEFAULT_PATIENCE: Duration = Duration::from_mins(1);

/// Where the hub is, where its files are kept, and who asks.
#[derive(Clone)]
pub struct HubSettings {
    /// An `http://` or `https://` address without a user name in it.
    pub endpoint: String,
    /// The folder with `models--org--name` in it, laid out as `huggingface_hub` lays it out.
    pub cache_dir: PathBuf,
    pub token: Option<String>,
    pub token_source: TokenSource,
    pub network: Network,
    /// How long to wait for a connection, and for the next byte, before it counts as lost.
    pub patience: Duration,
    /// What is done about what is lost.
    pub retry: Retry,
}

/// Where the token was looked for, and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// There is none.
    Nowhere,
    /// It was not looked for (`HF_HUB_DISABLE_IMPLICIT_TOKEN`).
    Disabled,
    /// `HF_TOKEN`.
    Variable,
    /// The one that `hf auth login` writes.
    File(PathBuf),
}

/// Whether the network may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Online,
    /// Only what is in the cache (`HF_HUB_OFFLINE`).
    Offline,
}

impl HubSettings {
    /// Reads `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN` (or the file that `hf auth login` wrote),
    /// `HF_HUB_OFFLINE` and `HF_HUB_DOWNLOAD_TIMEOUT`, by `huggingface_hub`'s rules.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// [`from_env`](Self::from_env) with another source of variables. An empty variable counts as unset.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let flag = |name: &str| {
            text(name).is_some_and(|value| ["1", "true", "yes", "on"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes)))
        };
        let home = set("HOME").map(PathBuf::from).or_else(std::env::home_dir).unwrap_or_else(std::env::temp_dir);
        let path = |name: &str| {
            set(name).map(PathBuf::from).map(|path| match path.strip_prefix("~") {
                Ok(below) => home.join(below),
                Err(_) => path,
            })
        };

        let hf_home = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .unwrap_or_else(|| home.join(".cache").join("huggingface"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hf_home.join("token"));
        let (token, source) = if flag("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            (None, TokenSource::Disabled)
        } else if let Some(token) = text("HF_TOKEN") {
            (Some(token), TokenSource::Variable)
        } else {
            (fs::read_to_string(&token_file).ok(), TokenSource::File(token_file))
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        Self {
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
            cache_dir: path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| hf_home.join("hub")),
            token_source: if token.is_none() && source != TokenSource::Disabled { TokenSource::Nowhere } else { source },
            token,
            network: if flag("HF_HUB_OFFLINE") { Network::Offline } else { Network::Online },
            patience: text("HF_HUB_DOWNLOAD_TIMEOUT")
                .and_then(|seconds| seconds.trim().parse().ok())
                .filter(|seconds| *seconds > 0)
                .map_or(DEFAULT_PATIENCE, Duration::from_secs),
            retry: Retry::default(),
        }
    }
}

/// Without the token's text, so that settings can be logged.
impl fmt::Debug for HubSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSettings")
            .field("endpoint", &self.endpoint)
            .field("cache_dir", &self.cache_dir)
            .field("token", &self.token.as_ref().map(|_| "set"))
            .field("token_source", &self.token_source)
            .field("network", &self.network)
            .field("patience", &self.patience)
            .field("retry", &self.retry)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_lookup(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_environment_is_read_by_huggingface_hubs_rules() {
        let plain = settings(&[("HOME", "/home/me"), ("HF_TOKEN_PATH", "/nowhere/token")]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache_dir, Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!((plain.token, plain.network), (None, Network::Online));

        assert_eq!(settings(&[("HF_HOME", "/hf")]).cache_dir, Path::new("/hf/hub"));
        assert_eq!(settings(&[("HOME", "/home/me"), ("HF_HOME", "~/hf")]).cache_dir, Path::new("/home/me/hf/hub"));
        assert_eq!(settings(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/cache")]).cache_dir, Path::new("/cache"));
        assert_eq!(settings(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/xdg")]).cache_dir, Path::new("/xdg/huggingface/hub"));
        assert_eq!(settings(&[("HF_ENDPOINT", "http://mirror")]).endpoint, "http://mirror");
        for yes in ["1", "true", "YES", "On"] {
            assert_eq!(settings(&[("HF_HUB_OFFLINE", yes)]).network, Network::Offline, "{yes}");
        }
        for no in ["", "0", "false", "no", "off"] {
            assert_eq!(settings(&[("HF_HUB_OFFLINE", no)]).network, Network::Online, "{no}");
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_or_else_the_file_and_is_not_shown() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        fs::write(home.path().join("token"), "hf_file\n")?;
        let home = home.path().to_string_lossy();
        let file = settings(&[("HF_HOME", &home)]);
        assert_eq!(file.token.as_deref(), Some("hf_file"));
        assert_eq!(file.token_source, TokenSource::File(Path::new(home.as_ref()).join("token")));
        let both = settings(&[("HF_HOME", &home), ("HF_TOKEN", "hf_variable\n")]);
        assert_eq!((both.token.as_deref(), &both.token_source), (Some("hf_variable"), &TokenSource::Variable));
        assert!(!format!("{both:?}").contains("hf_variable"));
        let disabled = settings(&[("HF_HOME", &home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]);
        assert_eq!((disabled.token, disabled.token_source), (None, TokenSource::Disabled));
        assert_eq!(settings(&[("HF_HOME", "/nowhere"), ("HF_TOKEN", " ")]).token_source, TokenSource::Nowhere);
        Ok(())
    }
}
