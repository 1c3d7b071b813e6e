//! An address that answers in OpenAI's form.

use std::net::IpAddr;

use reqwest::Url;

use super::{Patience, Secret};

/// Which of OpenAI's two forms an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Messages in, one message out: `/chat/completions`.
    Chat,
    /// A text in, what follows it out: `/completions`.
    Completions,
}

impl Form {
    /// What stands behind the base of an address.
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["chat", "completions"],
            Self::Completions => &["completions"],
        }
    }
}

/// An address that answers in OpenAI's form, and how it may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What questions and errors call it.
    pub name: String,
    /// Its base, such as `http://127.0.0.1:8000/v1`, or the whole address that is posted to.
    pub url: String,
    /// The model, as the server calls it.
    pub model: String,
    pub form: Form,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<Secret>,
    /// Questions that are put at a time.
    pub max_concurrent: usize,
    pub patience: Patience,
}

impl Endpoint {
    /// The address that questions are posted to, or what is wrong with it. What is wrong does not repeat the address: it may hold a
    /// password.
    pub(super) fn address(&self) -> Result<Url, String> {
        let mut url = Url::parse(self.url.trim()).map_err(|error| format!("its url can't be read: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("its url begins with {}: and not with http:// or https://", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("its url holds a user name or a password\nhint: give a key apart from the url".to_owned());
        }
        if url.fragment().is_some() {
            return Err("its url has a part behind #, which is never sent".to_owned());
        }
        let form = self.form_of_path(&url)?;
        let mut segments = url.path_segments_mut().map_err(|()| "its url has no path".to_owned())?;
        segments.pop_if_empty();
        if form.is_none() {
            segments.extend(self.form.path());
        }
        drop(segments);
        Ok(url)
    }

    /// The form that the path of a whole address names, where it is not only a base.
    fn form_of_path(&self, url: &Url) -> Result<Option<Form>, String> {
        let path: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        // In this order: the chat's path ends in the other's.
        let found = [Form::Chat, Form::Completions].into_iter().find(|form| path.ends_with(form.path()));
        match found {
            Some(form) if form != self.form => Err(format!(
                "its url ends in /{}, which is not what is asked for here: /{}",
                form.path().join("/"),
                self.form.path().join("/")
            )),
            found => Ok(found),
        }
    }
}

/// Whether an address leads back to this machine, where no proxy has anything to do.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str, form: Form) -> Result<String, String> {
        let endpoint = Endpoint {
            name: "judge".to_owned(),
            url: url.to_owned(),
            model: "m".to_owned(),
            form,
            key: None,
            max_concurrent: 1,
            patience: Patience::default(),
        };
        endpoint.address().map(String::from)
    }

    #[test]
    fn the_path_is_put_behind_the_base_once() {
        for base in
            ["http://h:8000/v1", "http://h:8000/v1/", " http://h:8000/v1/chat/completions", "http://h:8000/v1/chat/completions/"]
        {
            assert_eq!(address(base, Form::Chat).unwrap(), "http://h:8000/v1/chat/completions", "{base}");
        }
        for base in ["http://h/v1", "http://h/v1/completions"] {
            assert_eq!(address(base, Form::Completions).unwrap(), "http://h/v1/completions", "{base}");
        }
        assert_eq!(address("https://h", Form::Chat).unwrap(), "https://h/chat/completions");
        assert_eq!(address("https://h/my-completions", Form::Completions).unwrap(), "https://h/my-completions/completions");
        assert_eq!(address("https://h/a?api-version=7", Form::Chat).unwrap(), "https://h/a/chat/completions?api-version=7");
    }

    #[test]
    fn an_address_of_the_other_form_is_refused() {
        assert!(address("http://h/v1/chat/completions", Form::Completions).unwrap_err().contains("ends in /chat/completions"));
        assert!(address("http://h/v1/completions", Form::Chat).unwrap_err().contains("ends in /completions"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_a_password() {
        for wrong in ["", "127.0.0.1:8000", "h/v1", "http://", "ftp://h/v1", "file:///v1", "unix:/run/s", "http://h/v1#top"] {
            assert!(address(wrong, Form::Chat).is_err(), "{wrong}");
        }
        for wrong in ["http://me:hush@h/v1", "http://hush@h/v1", "http://:hush@h/v1"] {
            assert!(!address(wrong, Form::Chat).unwrap_err().contains("hush"), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let is = |url: &str| is_loopback(&Url::parse(url).unwrap());
        for near in [
            "http://127.0.0.1:1",
            "http://127.9.8.7",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]",
            "http://LocalHost",
            "http://a.localhost",
        ] {
            assert!(is(near), "{near}");
        }
        for far in ["http://10.0.0.1", "http://localhost.example", "http://mylocalhost", "http://[::2]", "http://128.0.0.1"] {
            assert!(!is(far), "{far}");
        }
    }
}
