//! What a user wrote for where data is.

use std::fmt;
use std::path::{Component, Path};

use reqwest::Url;

use super::hub_pattern::HubPattern;
use super::pattern::Pattern;

/// Where data is, as a user wrote it. It holds no key: one that is written into a URL is refused.
#[derive(Clone, Debug)]
pub struct Uri {
    written: String,
    pub(super) place: Written,
}

/// What kind of place it is.
#[derive(Clone, Debug)]
pub enum Written {
    /// Files of this machine.
    Local(LocalPattern),
    /// One file of a web server.
    Web(Url),
    /// Objects of a bucket.
    Store(StorePattern),
    /// Files of a dataset of the hub.
    Hub(HubPattern),
}

/// Files of this machine.
#[derive(Clone, Debug)]
pub struct LocalPattern {
    /// Whether it starts at the root, or else at the working folder.
    pub is_absolute: bool,
    pub alternatives: Vec<Pattern>,
}

/// Objects of a bucket.
#[derive(Clone, Debug)]
pub struct StorePattern {
    pub bucket: Bucket,
    pub alternatives: Vec<Pattern>,
}

/// A bucket of S3 or Google's, or a container of Azure's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    pub cloud: Cloud,
    /// As it is written: `logs`, or `logs@account.dfs.core.windows.net`.
    pub name: String,
    /// `s3`, or another spelling of the same cloud.
    pub scheme: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    S3,
    Google,
    Azure,
}

/// Why what was written says not where data is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    #[error("a uri is empty\nhint: a path or glob, or s3://, gs://, az://, hf://datasets/, https://")]
    Empty,
    /// Nothing after the scheme is repeated.
    #[error(
        "`{scheme}://…` has a password or key in it, which records and messages would show\nhint: give keys in the environment (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY, HF_TOKEN)"
    )]
    Credentials { scheme: String },
    #[error("`{scheme}://` can't be read\nhint: {hint}")]
    Scheme { scheme: String, hint: String },
    #[error("`{uri}` can't be read: {why}{}", hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
    Malformed { uri: String, why: String, hint: Option<&'static str> },
}

const SCHEMES: &str = "a path, file://, http://, https://, s3://, gs://, az://, abfs://, abfss:// and hf://datasets/ can";

impl Uri {
    /// Reads what was written. Nothing is looked at yet.
    ///
    /// # Errors
    /// What can't be read as it is written, with a hint.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.is_empty() {
            return Err(UriError::Empty);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
                (scheme.to_ascii_lowercase(), rest)
            }
            _ => (String::new(), text),
        };
        check_secrets(&scheme, rest)?;
        let malformed = |(why, hint)| UriError::Malformed { uri: shown(text), why, hint };
        if text.chars().any(char::is_control) {
            return Err(malformed(("it holds a control character".to_owned(), None)));
        }
        if text.trim() != text {
            return Err(malformed(("it begins or ends with a blank".to_owned(), None)));
        }
        let place = match scheme.as_str() {
            "" => LocalPattern::parse(rest).map(Written::Local),
            "file" => LocalPattern::parse_url(rest).map(Written::Local),
            "http" | "https" => web(text).map(Written::Web),
            "s3" => StorePattern::parse(Cloud::S3, "s3", rest).map(Written::Store),
            "gs" => StorePattern::parse(Cloud::Google, "gs", rest).map(Written::Store),
            "az" => StorePattern::parse(Cloud::Azure, "az", rest).map(Written::Store),
            "abfs" => StorePattern::parse(Cloud::Azure, "abfs", rest).map(Written::Store),
            "abfss" => StorePattern::parse(Cloud::Azure, "abfss", rest).map(Written::Store),
            "hf" => HubPattern::parse(rest).map(Written::Hub),
            other => return Err(UriError::Scheme { scheme: shown(other), hint: scheme_hint(other) }),
        };
        Ok(Self { written: text.to_owned(), place: place.map_err(malformed)? })
    }

    /// The same, a relative path taken from a folder: that of the file in which it was written.
    ///
    /// # Errors
    /// A folder whose name is no text.
    pub fn below(self, folder: &Path) -> Result<Self, UriError> {
        let Written::Local(local) = self.place else { return Ok(self) };
        if local.is_absolute {
            return Ok(Self { place: Written::Local(local), ..self });
        }
        let (mut names, mut is_absolute) = (Vec::new(), false);
        for component in folder.components() {
            match component {
                Component::RootDir => is_absolute = true,
                Component::CurDir => {}
                Component::Prefix(_) | Component::ParentDir | Component::Normal(_) => {
                    names.push(component.as_os_str().to_str().ok_or_else(|| UriError::Malformed {
                        uri: self.written.clone(),
                        why: format!("the folder it starts at, {}, is not UTF-8", folder.display()),
                        hint: None,
                    })?);
                }
            }
        }
        let alternatives = local.alternatives.into_iter().map(|pattern| pattern.below(names.iter().copied())).collect();
        Ok(Self { place: Written::Local(LocalPattern { is_absolute, alternatives }), ..self })
    }

    /// The dataset, where it is one of the hub's.
    pub fn hub(&self) -> Option<&HubPattern> {
        match &self.place {
            Written::Hub(hub) => Some(hub),
            _ => None,
        }
    }

    /// Whether it is read from this machine's own files.
    pub fn is_local(&self) -> bool {
        matches!(self.place, Written::Local(_))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Why it is wrong, and a hint.
pub type Wrong = (String, Option<&'static str>);

pub fn wrong(why: &str) -> Wrong {
    (why.to_owned(), None)
}

/// A text as a message may show it, in one line.
pub fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

impl LocalPattern {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let is_absolute = text.starts_with('/');
        if text.ends_with('/') {
            return Err(("it is a folder".to_owned(), Some("name its files, as in `folder/*.jsonl` or `folder/**`")));
        }
        // `.` and a slash too many say nothing; `a//*` is `a/*` to the system as well.
        let names: Vec<&str> = text.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        if names.is_empty() {
            return Err(("it is a folder".to_owned(), Some("name its files, as in `*.jsonl` or `**`")));
        }
        let alternatives = Pattern::alternatives(&names.join("/")).map_err(|why| (why, None))?;
        Ok(Self { is_absolute, alternatives })
    }

    /// What comes after `file://`.
    fn parse_url(rest: &str) -> Result<Self, Wrong> {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') {
            return Err(("it names a machine, or a relative path".to_owned(), Some("file:///absolute/path, or the path alone")));
        }
        let path = percent_encoding::percent_decode_str(path).decode_utf8().map_err(|_| wrong("its path is not UTF-8"))?;
        if path.chars().any(char::is_control) {
            return Err(wrong("it holds a control character"));
        }
        Self::parse(&path)
    }
}

impl StorePattern {
    fn parse(cloud: Cloud, scheme: &'static str, rest: &str) -> Result<Self, Wrong> {
        let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
        let hint = Some("s3://bucket/key-or-glob, gs://bucket/key-or-glob, az://container/key-or-glob");
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@$".contains(&byte)) {
            return Err(("it names no bucket".to_owned(), hint));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err((
                "it names no objects in the bucket".to_owned(),
                Some("name them, as in `s3://bucket/folder/*.jsonl` or `**`"),
            ));
        }
        let alternatives = Pattern::alternatives(key).map_err(|why| (why, None))?;
        Ok(Self { bucket: Bucket { cloud, name: name.to_owned(), scheme }, alternatives })
    }
}

impl Bucket {
    /// How messages and listings name an object of it.
    pub fn uri(&self, key: &str) -> String {
        format!("{self}/{key}")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.name)
    }
}

fn web(text: &str) -> Result<Url, Wrong> {
    let one = Some("a web server lists no files: name each one, percent-encoded where a letter is odd");
    if let Some(letter) = text.chars().find(|letter| "*[]{}".contains(*letter)) {
        return Err((format!("it is a web address with a `{letter}`, which is no glob there"), one));
    }
    if text.contains(['?', '#']) {
        let why = "what follows a `?` or `#` in a web address may be a key, and is no glob there";
        return Err((why.to_owned(), Some("give an address without it, or fetch the file first")));
    }
    let url = Url::parse(text).map_err(|error| (error.to_string(), None))?;
    if !url.has_host() || url.path().ends_with('/') {
        return Err(("it names no file".to_owned(), one));
    }
    Ok(url)
}

/// Refuses what looks like a key, without repeating it.
fn check_secrets(scheme: &str, rest: &str) -> Result<(), UriError> {
    if scheme.is_empty() {
        return Ok(());
    }
    let refused = Err(UriError::Credentials { scheme: scheme.to_owned() });
    let authority = rest.split('/').next().unwrap_or_default();
    // In `abfs://container@account.…` the name of an account is no secret.
    let names_account = matches!(scheme, "abfs" | "abfss") && !authority.contains(':');
    if authority.contains('@') && !names_account {
        return refused;
    }
    let query = rest.split_once('?').map(|(_, query)| query.to_ascii_lowercase()).unwrap_or_default();
    let keys = ["sig=", "signature=", "x-amz-", "x-goog-", "token=", "key=", "keyid=", "password=", "secret=", "credential="];
    if keys.iter().any(|key| query.contains(key)) { refused } else { Ok(()) }
}

fn scheme_hint(scheme: &str) -> String {
    match scheme {
        "s3a" | "s3n" => "write s3://".to_owned(),
        "gcs" => "write gs://".to_owned(),
        "azure" | "adl" | "wasb" | "wasbs" => "write az://".to_owned(),
        _ => SCHEMES.to_owned(),
    }
}
