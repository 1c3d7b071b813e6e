//! What a user types: a repository's id, a revision, the hub's address. Each is checked before anything is sent.

use super::error::HubError;

pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
pub const DEFAULT_REVISION: &str = "main";

/// `huggingface_hub`'s rules (`validate_repo_id`), for ASCII.
pub fn check_repo(repo: &str) -> Result<(), HubError> {
    let fault = |fault| Err(HubError::RepoId { repo: repo.to_owned(), fault });
    let parts: Vec<&str> = repo.split('/').collect();
    if parts.len() > 2 {
        return fault("it has more than one slash");
    }
    if parts.iter().any(|part| part.is_empty()) {
        return fault("a part of it is empty");
    }
    if repo.len() > 96 {
        return fault("it is longer than 96 characters");
    }
    if !repo.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)) {
        return fault("it may hold letters, digits, `-`, `_` and `.` only");
    }
    if parts.iter().any(|part| part.starts_with(['-', '.']) || part.ends_with(['-', '.'])) {
        return fault("neither part may begin or end with `-` or `.`");
    }
    if repo.contains("--") || repo.contains("..") {
        return fault("it may not hold `--` or `..`");
    }
    if repo.strip_suffix(".git").is_some() {
        return fault("it may not end in `.git`");
    }
    Ok(())
}

/// Git's rules for a reference, so far as they keep a revision from leaving the cache's `refs` folder.
pub fn check_revision(revision: &str) -> Result<(), HubError> {
    let fault = |fault| Err(HubError::Revision { revision: revision.to_owned(), fault });
    if revision.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with('.')) {
        return fault("a part of it is empty, or begins or ends with `.`");
    }
    if revision.contains("..") || revision.contains("@{") {
        return fault("it may not hold `..` or `@{`");
    }
    if revision.chars().any(|c| c.is_whitespace() || c.is_control() || "\\~^:?*[".contains(c)) {
        return fault("it may not hold blanks, `\\`, `~`, `^`, `:`, `?`, `*` or `[`");
    }
    if revision.len() > 200 {
        return fault("it is longer than 200 bytes");
    }
    Ok(())
}

pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

pub fn check_endpoint(endpoint: &str) -> Result<String, HubError> {
    let fault = |fault: String| Err(HubError::Endpoint { fault });
    let endpoint = endpoint.trim().trim_end_matches('/');
    let Some(rest) = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://")) else {
        return fault(format!("`{endpoint}` does not begin with http:// or https://"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Not repeated, since the part before the @ may be a password.
    if authority.contains('@') {
        return fault("it has a user name or password in it".to_owned());
    }
    if authority.is_empty() || rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
        return fault(format!("`{endpoint}` is not the address of a server"));
    }
    Ok(endpoint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_ids_follow_the_hubs_rules() {
        for good in ["gpt2", "org/name", "Org-1/na_me.v2", "a/b"] {
            assert!(check_repo(good).is_ok(), "{good}");
        }
        let long = "a".repeat(97);
        for bad in [
            "",
            "/",
            "org/",
            "/name",
            "a/b/c",
            "../etc",
            "org/..",
            "org/na--me",
            "org/-name",
            "org/name.",
            "org/na me",
            "org/näme",
            "org\\name",
            "org/name.git",
            "https://hub/org/name",
            "org/name?x",
            "org/name#x",
            &long,
        ] {
            assert!(matches!(check_repo(bad), Err(HubError::RepoId { .. })), "{bad}");
        }
    }

    #[test]
    fn a_revision_can_not_leave_the_folder_of_references() {
        for good in ["main", "v1.0", "refs/pr/1", "feature/x-y_z", "0123456789abcdef0123456789abcdef01234567"] {
            assert!(check_revision(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".hidden", "a b", "a\\b", "c:x", "a\n", "x@{1}"] {
            assert!(matches!(check_revision(bad), Err(HubError::Revision { .. })), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_a_web_address_without_a_password() {
        assert_eq!(check_endpoint("https://hub.example/").ok().as_deref(), Some("https://hub.example"));
        assert_eq!(check_endpoint("http://127.0.0.1:80/hf").ok().as_deref(), Some("http://127.0.0.1:80/hf"));
        for bad in ["", "hub.example", "ftp://hub.example", "https://", "https://hub.example?x=1", "https://a b"] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
        let message = check_endpoint("https://me:secret@hub.example").map_err(|e| e.to_string());
        assert!(message.is_err_and(|message| !message.contains("secret")));
    }
}
