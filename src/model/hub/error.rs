//! Why a repository's files can't be had.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use super::address::DEFAULT_ENDPOINT;

/// Why a repository's files can't be had. No message holds the token, or the query of an address (where storage
/// servers keep their signatures).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    #[error(
        "`{repo}` is no repository id: {fault}\nhint: an id is `org/name` or `name`, as in the address of its page on the hub; a folder must exist where it is looked for"
    )]
    RepoId { repo: String, fault: &'static str },

    #[error("`{revision}` is no revision: {fault}\nhint: a revision is a branch, a tag, `refs/pr/N` or a commit")]
    Revision { revision: String, fault: &'static str },

    #[error("the hub's address can't be used: {fault}\nhint: set HF_ENDPOINT to an address like {DEFAULT_ENDPOINT}, or unset it")]
    Endpoint { fault: String },

    #[error(
        "the hub's token holds characters that a token can't have\nhint: set HF_TOKEN to the token alone, which begins with `hf_`"
    )]
    TokenText,

    #[error(
        "fetching `{repo}`: {endpoint} can't be reached: {cause}\nhint: check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is in the cache"
    )]
    Unreachable { repo: String, endpoint: String, cause: String },

    #[error(
        "fetching `{repo}`: the connection to {endpoint} broke: {cause}\nhint: try again, or set HF_HUB_OFFLINE=1 to use what is in the cache"
    )]
    Lost { repo: String, endpoint: String, cause: String },

    #[error("fetching `{repo}`: nothing came from {endpoint} for {} s\nhint: try again, or set HF_HUB_DOWNLOAD_TIMEOUT to more seconds", silence.as_secs_f32())]
    Stalled { repo: String, endpoint: String, silence: Duration },

    #[error(
        "fetching `{repo}`: {endpoint} does not show it without a token: it is private, or it does not exist\nhint: check the name; for a private repository set HF_TOKEN, or log in with `hf auth login`"
    )]
    TokenNeeded { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: {endpoint} does not accept the token\nhint: the token may have expired or be mistyped; make another in your hub settings and put it in HF_TOKEN"
    )]
    TokenRejected { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: the repository is gated, and the token's account has no access to it\nhint: accept its terms at {endpoint}/{repo} with that account, or wait until its owner has granted access; a fine-grained token also needs the right to read gated repositories"
    )]
    Gated { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: the repository is gated, and no token says who asks\nhint: accept its terms at {endpoint}/{repo}, then set HF_TOKEN to a token of that account, or log in with `hf auth login`"
    )]
    GatedTokenNeeded { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: {endpoint} forbids it: {cause}\nhint: the token may lack the right to read this repository; give it read access in your hub settings"
    )]
    Forbidden { repo: String, endpoint: String, cause: String },

    #[error(
        "fetching `{repo}`: {endpoint} has no such repository\nhint: check the name; a private repository needs a token that may read it in HF_TOKEN"
    )]
    RepoNotFound { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: it has no revision `{revision}`\nhint: its branches and tags are listed at {endpoint}/{repo}/tree/main"
    )]
    RevisionNotFound { repo: String, revision: String, endpoint: String },

    #[error("fetching `{repo}`: there is no `{file}` at {commit}\nhint: {hint}")]
    FileNotFound { repo: String, commit: String, file: String, hint: &'static str },

    #[error(
        "fetching `{repo}`: its weights are there as a pickle only (`{file}`), which is not read because unpickling runs code from the file\nhint: convert it to `{instead}`: load it with transformers or peft and save it with `save_pretrained(folder, safe_serialization=True)`, or open https://huggingface.co/spaces/safetensors/convert"
    )]
    Pickle { repo: String, file: String, instead: &'static str },

    #[error("reading `{file}` of `{repo}`: {cause}")]
    Index { repo: String, file: String, cause: String },

    #[error("fetching `{repo}` offline: revision `{revision}` is not in the cache at {}\nhint: download it first, with HF_HUB_OFFLINE unset, or set HF_HUB_CACHE to the cache that has it", cache_dir.display())]
    RevisionNotCached { repo: String, revision: String, cache_dir: PathBuf },

    #[error("fetching `{repo}` offline: not in the cache at {}, of revision `{revision}`: {files}\nhint: download what is missing first, with HF_HUB_OFFLINE unset", cache_dir.display())]
    FilesNotCached { repo: String, revision: String, files: Names, cache_dir: PathBuf },

    #[error(
        "fetching `{file}` of `{repo}`: the download broke off at {got} of {listed} bytes: {cause}\nhint: run it again; it goes on from there, and files that are complete are kept"
    )]
    BrokenOff { repo: String, file: String, cause: String, got: u64, listed: u64 },

    #[error(
        "fetching `{file}` of `{repo}`: {got} bytes came where the hub lists {listed}\nhint: try again; if it stays so, a proxy or mirror between here and the hub serves another file"
    )]
    WrongSize { repo: String, file: String, got: u64, listed: u64 },

    #[error(
        "fetching `{file}` of `{repo}`: what came is of the right size and is not what the hub lists by its hash, and was thrown away\nhint: try again; if it stays so, a proxy or mirror between here and the hub serves another file"
    )]
    WrongContent { repo: String, file: String },

    #[error(
        "fetching `{file}` of `{repo}`: another process has been downloading it to the cache\nhint: try again when that process is done"
    )]
    Busy { repo: String, file: String },

    #[error(
        "fetching `{repo}`: {endpoint} asks for fewer requests\nhint: run it again {}, what is complete is kept; with a token in HF_TOKEN more requests are allowed",
        later(*wait)
    )]
    RateLimited { repo: String, endpoint: String, wait: Option<Duration> },

    #[error(
        "fetching `{repo}`: {endpoint} answered with status {status}{cause}\nhint: try again later, or set HF_HUB_OFFLINE=1 to use what is in the cache"
    )]
    Status { repo: String, endpoint: String, status: u16, cause: String },

    #[error("fetching `{repo}`: {endpoint} does not answer as a hub does: {cause}\nhint: check HF_ENDPOINT")]
    Protocol { repo: String, endpoint: String, cause: String },

    #[error("starting the network client: {cause}\nhint: set HF_HUB_OFFLINE=1 to use what is in the cache")]
    Client { cause: String },

    #[error("using the cache at {}: {cause}\nhint: HF_HUB_CACHE or HF_HOME puts the cache elsewhere", path.display())]
    Cache { path: PathBuf, cause: io::Error },
}

/// Files, as a sentence tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|name| format!("`{name}`")).collect();
        f.write_str(&names.join(", "))
    }
}

fn later(wait: Option<Duration>) -> String {
    wait.map_or_else(|| "in some minutes".to_owned(), |wait| format!("in {} s", wait.as_secs()))
}
