//! The proxy that requests go through.

use super::settings::HubSettings;

impl HubSettings {
    /// The variable that names the proxy for the endpoint, if one does: the client reads them, by curl's rules. That `NO_PROXY`
    /// may exempt the endpoint is not looked at.
    #[must_use]
    pub fn proxy_variable(&self) -> Option<&'static str> {
        variable(&self.endpoint, |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }
}

fn variable(endpoint: &str, is_set: impl Fn(&str) -> bool) -> Option<&'static str> {
    let of_scheme =
        if endpoint.trim_start().starts_with("http://") { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]).find(|name| is_set(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_scheme_decides_which_proxy_is_used() {
        let of = |endpoint, set: &[&str]| variable(endpoint, |name| set.contains(&name));
        assert_eq!(of("https://hub", &["HTTP_PROXY", "https_proxy"]), Some("https_proxy"));
        assert_eq!(of("http://hub", &["HTTPS_PROXY", "HTTP_PROXY"]), Some("HTTP_PROXY"));
        assert_eq!(of("http://hub", &["HTTPS_PROXY", "all_proxy"]), Some("all_proxy"));
        assert_eq!(of("https://hub", &["NO_PROXY"]), None);
    }
}
