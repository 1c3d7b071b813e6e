//! Models and adapters from the Hugging Face hub, through the cache that Python's `huggingface_hub` uses.
//!
//! A revision is resolved to a commit once, and every file is asked for by that commit, so a push in the middle of a
//! fetch can't mix two versions. Each file is then compared with the size that the hub lists for it: `hf-hub` itself
//! stores whatever body arrives, be it cut short or an error page (see [`Hub::download`]).
//!
//! Requests go to the endpoint and to where it sends us: its redirects, and, for files that it announces as
//! xet-backed, the storage server that it names. Offline, nothing is sent and the network client isn't even built.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{fmt, fs, io, panic, thread};

use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};
use hf_hub::repository::{RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFClient, HFError, HFRepositorySync, HFResult};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const DEFAULT_REVISION: &str = "main";
const DEFAULT_PATIENCE: Duration = Duration::from_mins(1);
/// After the first try; `hf-hub` doubles its pause each time, 1.4 s in all at most.
const RETRIES: usize = 3;
/// How often a body is asked for, when it arrives broken.
const TRIES_PER_BODY: usize = 2;

/// Where the hub is, where its files are kept, and who asks.
#[derive(Clone)]
pub struct HubSettings {
    /// An `http://` or `https://` address without a user name in it.
    pub endpoint: String,
    /// The folder with `models--org--name` in it, laid out as `huggingface_hub` lays it out.
    pub cache_dir: PathBuf,
    pub token: Option<String>,
    pub network: Network,
    /// How long to wait for the next byte before giving up.
    pub patience: Duration,
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
        let token = if flag("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            text("HF_TOKEN").or_else(|| fs::read_to_string(token_file).ok())
        };
        Self {
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
            cache_dir: path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| hf_home.join("hub")),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            network: if flag("HF_HUB_OFFLINE") { Network::Offline } else { Network::Online },
            patience: text("HF_HUB_DOWNLOAD_TIMEOUT")
                .and_then(|seconds| seconds.trim().parse().ok())
                .filter(|seconds| *seconds > 0)
                .map_or(DEFAULT_PATIENCE, Duration::from_secs),
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
            .field("network", &self.network)
            .field("patience", &self.patience)
            .finish()
    }
}

/// Which files of which repository.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `org/name`, or `name`.
    pub repo: &'a str,
    /// A branch, a tag, `refs/pr/N` or a commit; `main` where there is none.
    pub revision: Option<&'a str>,
    pub wanted: Wanted,
}

/// What a repository is read as, and so which of its files are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `config.json`, the tokenizer, and the weights: `model.safetensors`, or else the shards that
    /// `model.safetensors.index.json` names.
    Base,
    /// `adapter_config.json`, `adapter_model.safetensors`, and a tokenizer where the adapter brings its own.
    Adapter,
}

/// The files of one commit in a folder of the cache. The folder may hold others of the repository's files too, put
/// there by other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub dir: PathBuf,
    /// 40 hex digits.
    pub commit: String,
}

/// Told about each file that the snapshot lacks; one that it holds makes no call. The calls come from threads of the
/// network client, one file at a time, and `started` comes again for a file whose first body arrived broken.
pub trait Progress: Send + Sync {
    fn started(&self, file: &str, bytes: u64);
    /// `bytes` more of the file than at the last call.
    fn advanced(&self, bytes: u64);
    fn finished(&self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _file: &str, _bytes: u64) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self) {}
}

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

    #[error("fetching `{repo}`: nothing came from {endpoint} for {} s\nhint: try again, or set HF_HUB_DOWNLOAD_TIMEOUT to more seconds", patience.as_secs_f32())]
    Stalled { repo: String, endpoint: String, patience: Duration },

    #[error(
        "fetching `{repo}`: {endpoint} does not show it without a token: it is private, or it does not exist\nhint: check the name; for a private repository set HF_TOKEN, or log in with `hf auth login`"
    )]
    TokenNeeded { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: {endpoint} does not accept the token\nhint: the token may have expired or be mistyped; make another in your hub settings and put it in HF_TOKEN"
    )]
    TokenRejected { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: the repository is gated, and access to it has not been granted\nhint: accept its terms at {endpoint}/{repo}, then set HF_TOKEN to a token of that account"
    )]
    Gated { repo: String, endpoint: String },

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

    #[error("fetching `{repo}` offline: revision `{revision}` is not in the cache at {}\nhint: unset HF_HUB_OFFLINE to download it, or set HF_HUB_CACHE to the cache that has it", cache_dir.display())]
    RevisionNotCached { repo: String, revision: String, cache_dir: PathBuf },

    #[error("fetching `{repo}` offline: `{file}` of revision `{revision}` is not in the cache at {}\nhint: unset HF_HUB_OFFLINE to download it", cache_dir.display())]
    FileNotCached { repo: String, revision: String, file: String, cache_dir: PathBuf },

    #[error("fetching `{file}` of `{repo}`: the download broke off: {cause}\nhint: try again; files that are complete are kept")]
    BrokenOff { repo: String, file: String, cause: String },

    #[error(
        "fetching `{file}` of `{repo}`: {got} bytes came where the hub lists {listed}\nhint: try again; if it stays so, a proxy or mirror between here and the hub serves another file"
    )]
    WrongSize { repo: String, file: String, got: u64, listed: u64 },

    #[error(
        "fetching `{file}` of `{repo}`: another process has been downloading it to the cache\nhint: try again when that process is done"
    )]
    Busy { repo: String, file: String },

    #[error(
        "fetching `{repo}`: {endpoint} asks for fewer requests\nhint: wait a minute; with a token in HF_TOKEN more are allowed"
    )]
    RateLimited { repo: String, endpoint: String },

    #[error(
        "fetching `{repo}`: {endpoint} answered with status {status}{cause}\nhint: try again later, or set HF_HUB_OFFLINE=1 to use what is in the cache"
    )]
    Status { repo: String, endpoint: String, status: u16, cause: String },

    #[error("fetching `{repo}`: {endpoint} does not answer as a hub does: {cause}\nhint: check HF_ENDPOINT")]
    Protocol { repo: String, endpoint: String, cause: String },

    #[error("using the cache at {}: {cause}\nhint: HF_HUB_CACHE or HF_HOME puts the cache elsewhere", path.display())]
    Cache { path: PathBuf, cause: io::Error },
}

/// Makes sure that the files of `source` are in the cache, and says where.
///
/// Blocks, and may be called from any thread. The revision is looked up each time (two small requests), while a file
/// that the cache holds complete is not downloaded again.
///
/// # Errors
///
/// Any [`HubError`]; one about the repository's id or revision, the address or the token comes before any request.
pub fn fetch(settings: &HubSettings, source: Source<'_>, progress: &Arc<dyn Progress>) -> Result<Snapshot, HubError> {
    let revision = source.revision.unwrap_or(DEFAULT_REVISION);
    check_repo(source.repo)?;
    check_revision(revision)?;
    let cache = RepoCache::new(settings, source.repo);
    match settings.network {
        Network::Offline => offline(&cache, source.repo, revision, source.wanted),
        Network::Online => Hub::new(settings, source.repo, cache, Arc::clone(progress))?.fetch(revision, source.wanted),
    }
}

/// `huggingface_hub`'s rules (`validate_repo_id`), for ASCII.
fn check_repo(repo: &str) -> Result<(), HubError> {
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
fn check_revision(revision: &str) -> Result<(), HubError> {
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

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The files that make up a base model or an adapter.
struct Layout {
    config: &'static str,
    /// Besides config and weights.
    required: &'static [&'static str],
    optional: &'static [&'static str],
    weights: &'static str,
    index: Option<&'static str>,
    pickles: &'static [&'static str],
    /// Its presence, where `config` is missing, shows a repository of the other kind.
    config_of_the_other: &'static str,
    hint_for_the_other: &'static str,
}

const BASE: Layout = Layout {
    config: "config.json",
    required: &["tokenizer.json"],
    optional: &["tokenizer_config.json", "generation_config.json", "chat_template.jinja"],
    weights: "model.safetensors",
    index: Some("model.safetensors.index.json"),
    pickles: &["pytorch_model.bin", "pytorch_model.bin.index.json"],
    config_of_the_other: "adapter_config.json",
    hint_for_the_other: "this is a peft adapter; give it as the adapter, and the model it was trained on as the base",
};

const ADAPTER: Layout = Layout {
    config: "adapter_config.json",
    required: &[],
    optional: &["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"],
    weights: "adapter_model.safetensors",
    index: None,
    pickles: &["adapter_model.bin"],
    config_of_the_other: "config.json",
    hint_for_the_other: "this looks like a whole model; give it as the base, or name a peft adapter",
};

/// What a listing lacks to be a base model or an adapter.
#[derive(Debug, PartialEq, Eq)]
enum Lack {
    File(&'static str, &'static str),
    /// Only this pickle holds the weights.
    Pickle(&'static str),
}

/// Files to fetch; where the weights are sharded, the index is among them and names the shards.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    files: Vec<String>,
    index: Option<&'static str>,
}

impl Wanted {
    fn layout(self) -> &'static Layout {
        match self {
            Self::Base => &BASE,
            Self::Adapter => &ADAPTER,
        }
    }

    fn plan(self, listing: &BTreeSet<String>) -> Result<Plan, Lack> {
        let layout = self.layout();
        let has = |file: &str| listing.contains(file);
        if !has(layout.config) {
            let hint = if has(layout.config_of_the_other) {
                layout.hint_for_the_other
            } else {
                "a model is read from safetensors beside its config; other formats, such as gguf, are not"
            };
            return Err(Lack::File(layout.config, hint));
        }
        let index = layout.index.filter(|index| has(index) && !has(layout.weights));
        if index.is_none() && !has(layout.weights) {
            return Err(match layout.pickles.iter().find(|pickle| has(pickle)) {
                Some(pickle) => Lack::Pickle(pickle),
                None => Lack::File(layout.weights, "the weights must be safetensors; other formats, such as gguf, are not read"),
            });
        }
        if let Some(missing) = layout.required.iter().find(|file| !has(file)) {
            let hint = "a fast tokenizer is needed; make one with `AutoTokenizer.from_pretrained(id).save_pretrained(folder)`";
            return Err(Lack::File(missing, hint));
        }
        let optional = layout.optional.iter().filter(|file| has(file));
        let weights = index.unwrap_or(layout.weights);
        let files = [&layout.config].into_iter().chain(layout.required).chain(optional).chain([&weights]);
        Ok(Plan { files: files.map(|&file| file.to_owned()).collect(), index })
    }
}

/// The file names in an index's `weight_map`, each once.
fn shards(index: &[u8]) -> Result<BTreeSet<String>, String> {
    let json: serde_json::Value = serde_json::from_slice(index).map_err(|e| format!("it is not json: {e}"))?;
    let map = json.get("weight_map").and_then(|map| map.as_object()).ok_or("it has no `weight_map`")?;
    let names: Result<BTreeSet<String>, String> = map
        .iter()
        .map(|(tensor, file)| {
            let name = file.as_str().ok_or_else(|| format!("`weight_map` names no file for `{tensor}`"))?;
            // A bare file name: anything else could point out of the snapshot's folder.
            let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !name.starts_with('.');
            if bare && name.ends_with(".safetensors") {
                Ok(name.to_owned())
            } else {
                Err(format!("`weight_map` names `{name}`, which is not a safetensors file beside it"))
            }
        })
        .collect();
    names.and_then(|names| if names.is_empty() { Err("its `weight_map` is empty".to_owned()) } else { Ok(names) })
}

/// `models--org--name` in the cache.
struct RepoCache {
    root: PathBuf,
    dir: PathBuf,
}

impl RepoCache {
    fn new(settings: &HubSettings, repo: &str) -> Self {
        let root = settings.cache_dir.clone();
        let dir = root.join(format!("models--{}", repo.replace('/', "--")));
        Self { root, dir }
    }

    fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join("snapshots").join(commit)
    }

    fn file(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshot(commit).join(file)
    }

    /// Bytes of a file that is there, behind whatever link. `None` where it, or what the link points to, is not.
    fn size(&self, commit: &str, file: &str) -> Option<u64> {
        fs::metadata(self.file(commit, file)).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
    }

    fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.dir.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// `hf-hub` records no reference for files asked for by commit; without one, `main` can't be found offline.
    fn record(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.dir.join("refs").join(revision);
        let write = || -> io::Result<()> {
            let parent = path.parent().unwrap_or(&self.dir);
            fs::create_dir_all(parent)?;
            let file = tempfile::NamedTempFile::new_in(parent)?;
            fs::write(file.path(), commit)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|cause| HubError::Cache { path: path.clone(), cause })
    }

    /// Lets one process at a time write to the repository's folder: removing what is broken, as `hf-hub` replacing
    /// a link, would pull a file from under another process. Held until dropped.
    fn lock(&self) -> Result<fs::File, HubError> {
        let dir = self.root.join(".locks").join(self.dir.file_name().unwrap_or_default());
        let path = dir.join("sway.lock");
        let open = || {
            fs::create_dir_all(&dir)?;
            let file = fs::File::create(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|cause| HubError::Cache { path: path.clone(), cause })
    }

    /// Removes a file and the blob that it links to.
    fn discard(&self, path: &Path) -> Result<(), HubError> {
        let blob = fs::canonicalize(path).ok().filter(|blob| fs::canonicalize(&self.dir).is_ok_and(|dir| blob.starts_with(dir)));
        for path in [Some(path.to_owned()), blob].into_iter().flatten() {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(HubError::Cache { path, cause });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_shards(cache: &RepoCache, repo: &str, commit: &str, index: &str) -> Result<BTreeSet<String>, HubError> {
    let path = cache.file(commit, index);
    let bytes = fs::read(&path).map_err(|cause| HubError::Cache { path, cause })?;
    shards(&bytes).map_err(|cause| HubError::Index { repo: repo.to_owned(), file: index.to_owned(), cause })
}

fn offline(cache: &RepoCache, repo: &str, revision: &str, wanted: Wanted) -> Result<Snapshot, HubError> {
    let no_revision =
        || HubError::RevisionNotCached { repo: repo.to_owned(), revision: revision.to_owned(), cache_dir: cache.root.clone() };
    let no_file = |file: &str| HubError::FileNotCached {
        repo: repo.to_owned(),
        revision: revision.to_owned(),
        file: file.to_owned(),
        cache_dir: cache.root.clone(),
    };
    let commit = cache.commit_of(revision).ok_or_else(no_revision)?;
    let dir = cache.snapshot(&commit);
    let listing: BTreeSet<String> = fs::read_dir(&dir)
        .map_err(|_| no_revision())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| cache.size(&commit, file).is_some())
        .collect();
    let plan = wanted.plan(&listing).map_err(|lack| match lack {
        Lack::File(file, _) => no_file(file),
        // The cache may hold the pickle because another program chose it: the hub may well have safetensors.
        Lack::Pickle(_) => no_file(wanted.layout().weights),
    })?;
    if let Some(index) = plan.index
        && let Some(missing) = read_shards(cache, repo, &commit, index)?.iter().find(|shard| !listing.contains(*shard))
    {
        return Err(no_file(missing));
    }
    Ok(Snapshot { dir, commit })
}

/// One repository at the endpoint.
struct Hub {
    client: HFRepositorySync<RepoTypeModel>,
    repo: String,
    endpoint: String,
    token: Option<String>,
    patience: Duration,
    cache: RepoCache,
    progress: Arc<dyn Progress>,
    /// Counts signs of life; one that doesn't move means a stall.
    pulse: Arc<AtomicU64>,
}

impl Hub {
    fn new(settings: &HubSettings, repo: &str, cache: RepoCache, progress: Arc<dyn Progress>) -> Result<Self, HubError> {
        let endpoint = check_endpoint(&settings.endpoint)?;
        if settings.token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(HubError::TokenText);
        }
        // Without a token `hf-hub` looks for one in the environment; one that is no header value it leaves out.
        let token = settings.token.as_deref().unwrap_or("\n");
        let client = HFClient::builder()
            .endpoint(&endpoint)
            .token(token)
            .user_agent(concat!("sway/", env!("CARGO_PKG_VERSION")))
            .cache_dir(&cache.root)
            .retry_max_attempts(RETRIES)
            .build_sync()
            .map_err(|e| HubError::Endpoint { fault: e.to_string() })?;
        let (owner, name) = hf_hub::split_id(repo);
        Ok(Self {
            client: client.model(owner, name),
            repo: repo.to_owned(),
            endpoint,
            token: settings.token.clone(),
            patience: settings.patience,
            cache,
            progress,
            pulse: Arc::new(AtomicU64::new(0)),
        })
    }

    fn fetch(&self, revision: &str, wanted: Wanted) -> Result<Snapshot, HubError> {
        let (commit, listing) = self.resolve(revision)?;
        let plan = wanted.plan(&listing).map_err(|lack| match lack {
            Lack::File(file, hint) => self.no_file(&commit, file, hint),
            Lack::Pickle(file) => {
                HubError::Pickle { repo: self.repo.clone(), file: file.to_owned(), instead: wanted.layout().weights }
            }
        })?;
        self.download_all(&commit, &plan.files)?;
        if let Some(index) = plan.index {
            let shards = read_shards(&self.cache, &self.repo, &commit, index)?;
            if let Some(missing) = shards.iter().find(|shard| !listing.contains(*shard)) {
                let hint = "the index names this shard; the upload of the repository may be incomplete";
                return Err(self.no_file(&commit, missing, hint));
            }
            self.download_all(&commit, &shards.into_iter().collect::<Vec<_>>())?;
        }
        // Last, so that a reference never leads to a snapshot that lacks files.
        self.cache.record(revision, &commit)?;
        Ok(Snapshot { dir: self.cache.snapshot(&commit), commit })
    }

    /// The commit that a revision stands for now, and the names of all files in it.
    fn resolve(&self, revision: &str) -> Result<(String, BTreeSet<String>), HubError> {
        let asked = revision.to_owned();
        // Only these two properties: the other forty have changed type before, and one that does fails the whole reply.
        let expand = vec!["sha".to_owned(), "siblings".to_owned()];
        let info = self
            .call(move |repo| repo.info().revision(asked).expand(expand).send())?
            .map_err(|e| self.refused(e, &Asked::Revision(revision)))?;
        let commit = info.sha.filter(|sha| is_commit(sha)).ok_or_else(|| self.protocol("no commit in the repository's info"))?;
        let siblings = info.siblings.ok_or_else(|| self.protocol("no files in the repository's info"))?;
        Ok((commit, siblings.into_iter().map(|sibling| sibling.rfilename).collect()))
    }

    fn download_all(&self, commit: &str, files: &[String]) -> Result<(), HubError> {
        let sizes = self.sizes(commit, files)?;
        let listed = |file: &String| {
            let listed = sizes.get(file).copied();
            listed.ok_or_else(|| self.protocol(&format!("no size for `{file}`")))
        };
        let mut lock = None;
        for file in files {
            let listed = listed(file)?;
            if self.cache.size(commit, file) == Some(listed) {
                continue;
            }
            if lock.is_none() {
                lock = Some(self.cache.lock()?);
            }
            // Another process may have fetched it meanwhile.
            if self.cache.size(commit, file) != Some(listed) {
                self.download(commit, file, listed)?;
            }
        }
        Ok(())
    }

    /// Bytes of each file. Asked of `paths-info` and not of the paginated tree, whose `Link` to the next page may
    /// name any host, which would be sent the token.
    fn sizes(&self, commit: &str, files: &[String]) -> Result<BTreeMap<String, u64>, HubError> {
        let (asked, at) = (files.to_vec(), commit.to_owned());
        let entries = self
            .call(move |repo| repo.get_paths_info().paths(asked).revision(at).send())?
            .map_err(|e| self.refused(e, &Asked::Revision(commit)))?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| match entry {
                RepoTreeEntry::File { path, size, lfs, .. } => Some((path, lfs.and_then(|lfs| lfs.size).unwrap_or(size))),
                RepoTreeEntry::Directory { .. } => None,
            })
            .collect())
    }

    /// Puts a file of `listed` bytes in the cache, replacing one of another size.
    ///
    /// `hf-hub` 1.0 writes the body to `<blob>.incomplete` and renames it when the body ends. It looks neither at the
    /// status of that response nor at how much came, and then trusts what is in the cache by its name alone. Hence
    /// the comparison here, and the removal of what does not hold.
    fn download(&self, commit: &str, file: &str, listed: u64) -> Result<(), HubError> {
        let path = self.cache.file(commit, file);
        let mut fault = None;
        // The first try is content with what the cache has by that name; the second asks the server for the body.
        for attempt in 0..TRIES_PER_BODY {
            self.progress.started(file, listed);
            let meter = Meter { progress: Arc::clone(&self.progress), seen: AtomicU64::new(0), pulse: Arc::clone(&self.pulse) };
            let (name, at) = (file.to_owned(), commit.to_owned());
            let result = self.call(move |repo| {
                repo.download_file().filename(name).revision(at).force_download(attempt > 0).progress(meter).send()
            })?;
            match result {
                Ok(stored) if stored != path => {
                    return Err(self.protocol("a file of another commit than was asked for"));
                }
                Ok(_) => match self.cache.size(commit, file) {
                    Some(got) if got == listed => {
                        self.progress.finished();
                        return Ok(());
                    }
                    got => {
                        self.cache.discard(&path)?;
                        fault = Some(HubError::WrongSize {
                            repo: self.repo.clone(),
                            file: file.to_owned(),
                            got: got.unwrap_or(0),
                            listed,
                        });
                    }
                },
                Err(error) => match self.refused(error, &Asked::File(commit, file)) {
                    broken @ HubError::BrokenOff { .. } => fault = Some(broken),
                    other => return Err(other),
                },
            }
        }
        Err(fault.unwrap_or_else(|| self.protocol("no try was made")))
    }

    /// Runs a request on a thread of its own and gives up when nothing moves: `hf-hub` sets no timeout, and would
    /// wait for ever on a connection that went silent. What it was doing then is left to itself.
    fn call<T: Send + 'static>(
        &self,
        request: impl FnOnce(HFRepositorySync<RepoTypeModel>) -> HFResult<T> + Send + 'static,
    ) -> Result<HFResult<T>, HubError> {
        let (reply, replies) = mpsc::sync_channel(1);
        let client = self.client.clone();
        let worker = thread::spawn(move || {
            // Fails only if the caller has given up.
            let _ = reply.send(request(client));
        });
        let mut pulse = self.pulse.load(Ordering::Relaxed);
        loop {
            match replies.recv_timeout(self.patience) {
                Ok(result) => return Ok(result),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let now = self.pulse.load(Ordering::Relaxed);
                    if now == pulse {
                        break;
                    }
                    pulse = now;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(payload) => panic::resume_unwind(payload),
                    Ok(()) => break,
                },
            }
        }
        Err(HubError::Stalled { repo: self.repo.clone(), endpoint: self.endpoint.clone(), patience: self.patience })
    }

    fn refused(&self, error: HFError, asked: &Asked<'_>) -> HubError {
        let (repo, endpoint) = (self.repo.clone(), self.endpoint.clone());
        match error {
            HFError::AuthRequired { context } if context.error_code.as_deref() == Some("GatedRepo") => {
                HubError::Gated { repo, endpoint }
            }
            HFError::AuthRequired { .. } if self.token.is_none() => HubError::TokenNeeded { repo, endpoint },
            HFError::AuthRequired { .. } => HubError::TokenRejected { repo, endpoint },
            HFError::Forbidden { context } if context.error_code.as_deref() == Some("GatedRepo") => {
                HubError::Gated { repo, endpoint }
            }
            HFError::Forbidden { context } => {
                let cause = context.server_message.as_deref().unwrap_or("it gives no reason");
                HubError::Forbidden { repo, endpoint, cause: self.redacted(cause) }
            }
            HFError::RateLimited { .. } => HubError::RateLimited { repo, endpoint },
            HFError::RepoNotFound { context, .. }
            | HFError::RevisionNotFound { context, .. }
            | HFError::EntryNotFound { context, .. } => {
                self.not_found(context.and_then(|context| context.error_code).as_deref(), asked)
            }
            HFError::Http { context } => {
                let cause = context.server_message.as_deref().map(|message| format!(": {}", self.redacted(message)));
                HubError::Status { repo, endpoint, status: context.status.as_u16(), cause: cause.unwrap_or_default() }
            }
            HFError::Request { source, .. } if source.is_connect() => {
                // A redirect may have led to a storage server; then that is the one to name.
                let host = source.url().and_then(|url| url.host_str()).filter(|host| !self.endpoint.contains(host));
                let endpoint = host.map_or(endpoint, str::to_owned);
                HubError::Unreachable { repo, endpoint, cause: self.redacted(&root_cause(&source)) }
            }
            HFError::Request { source, .. } => self.broken_off(&source, asked),
            HFError::Io(cause) => HubError::Cache { path: self.cache.root.clone(), cause },
            HFError::CacheLockTimeout { path } => {
                let file = match asked {
                    Asked::File(_, file) => (*file).to_owned(),
                    Asked::Revision(_) => path.display().to_string(),
                };
                HubError::Busy { repo, file }
            }
            HFError::Xet { source, .. } => self.broken_off(source.as_ref(), asked),
            HFError::MalformedResponse { what, .. } => self.protocol(&what),
            other => self.protocol(&other.to_string()),
        }
    }

    fn broken_off(&self, error: &(dyn Error + 'static), asked: &Asked<'_>) -> HubError {
        let cause = root_cause(error);
        match asked {
            Asked::File(_, file) => {
                HubError::BrokenOff { repo: self.repo.clone(), file: (*file).to_owned(), cause: self.redacted(&cause) }
            }
            Asked::Revision(_) => self.protocol(&cause),
        }
    }

    /// The hub says in `X-Error-Code` what exactly is missing; without it, what was asked for is.
    fn not_found(&self, code: Option<&str>, asked: &Asked<'_>) -> HubError {
        let (repo, endpoint) = (self.repo.clone(), self.endpoint.clone());
        match (code, asked) {
            (Some("RevisionNotFound"), Asked::Revision(revision) | Asked::File(revision, _)) => {
                HubError::RevisionNotFound { repo, revision: (*revision).to_owned(), endpoint }
            }
            (Some("RepoNotFound"), _) | (None, Asked::Revision(DEFAULT_REVISION)) => HubError::RepoNotFound { repo, endpoint },
            (_, Asked::Revision(revision)) => HubError::RevisionNotFound { repo, revision: (*revision).to_owned(), endpoint },
            (_, Asked::File(commit, file)) => {
                self.no_file(commit, file, "the hub lists this file and does not serve it; try again later")
            }
        }
    }

    fn no_file(&self, commit: &str, file: &str, hint: &'static str) -> HubError {
        HubError::FileNotFound { repo: self.repo.clone(), commit: commit.to_owned(), file: file.to_owned(), hint }
    }

    fn protocol(&self, cause: &str) -> HubError {
        HubError::Protocol { repo: self.repo.clone(), endpoint: self.endpoint.clone(), cause: self.redacted(cause) }
    }

    /// A server may repeat in its message what it was sent.
    fn redacted(&self, text: &str) -> String {
        match &self.token {
            Some(token) => text.replace(token.as_str(), "***"),
            None => text.to_owned(),
        }
    }
}

enum Asked<'a> {
    Revision(&'a str),
    /// Of a commit.
    File(&'a str, &'a str),
}

/// The innermost cause: the outer ones only repeat the address, with whatever signature is in its query.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn check_endpoint(endpoint: &str) -> Result<String, HubError> {
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

/// Turns `hf-hub`'s totals into steps.
struct Meter {
    progress: Arc<dyn Progress>,
    seen: AtomicU64,
    pulse: Arc<AtomicU64>,
}

impl Meter {
    fn reached(&self, bytes: u64) {
        let before = self.seen.fetch_max(bytes, Ordering::Relaxed);
        if bytes > before {
            self.pulse.fetch_add(1, Ordering::Relaxed);
            self.progress.advanced(bytes - before);
        }
    }
}

impl ProgressHandler for Meter {
    fn on_progress(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Download(DownloadEvent::Progress { files }) => {
                for file in files {
                    self.reached(file.bytes_completed);
                }
            }
            // Of a xet-backed file; one file is fetched at a time, so the batch is the file.
            ProgressEvent::Download(DownloadEvent::AggregateProgress { bytes_completed, .. }) => self.reached(*bytes_completed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_lookup(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn listing(files: &[&str]) -> BTreeSet<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

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
        assert_eq!(settings(&[("HF_HOME", &home)]).token.as_deref(), Some("hf_file"));
        let both = settings(&[("HF_HOME", &home), ("HF_TOKEN", "hf_variable\n")]);
        assert_eq!(both.token.as_deref(), Some("hf_variable"));
        assert!(!format!("{both:?}").contains("hf_variable"));
        assert_eq!(settings(&[("HF_HOME", &home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);
        Ok(())
    }

    #[test]
    fn whole_weights_are_preferred_to_shards_and_nothing_else_is_fetched() {
        let all = listing(&[
            "README.md",
            "config.json",
            "model-00001-of-00001.safetensors",
            "model.gguf",
            "model.safetensors",
            "model.safetensors.index.json",
            "onnx",
            "pytorch_model.bin",
            "tokenizer.json",
            "tokenizer_config.json",
        ]);
        let files = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"].map(str::to_owned).to_vec();
        assert_eq!(Wanted::Base.plan(&all), Ok(Plan { files, index: None }));
    }

    #[test]
    fn a_repository_of_the_other_kind_is_told_by_its_config() {
        let adapter = listing(&["adapter_config.json", "adapter_model.safetensors"]);
        assert_eq!(Wanted::Base.plan(&adapter), Err(Lack::File("config.json", BASE.hint_for_the_other)));
        let base = listing(&["config.json", "model.safetensors"]);
        assert_eq!(Wanted::Adapter.plan(&base), Err(Lack::File("adapter_config.json", ADAPTER.hint_for_the_other)));
    }

    #[test]
    fn an_index_may_only_name_safetensors_beside_it() {
        let of = |name: &str| shards(format!(r#"{{"weight_map":{{"w":"{name}"}}}}"#).as_bytes());
        assert_eq!(of("model-1.safetensors"), Ok(listing(&["model-1.safetensors"])));
        for bad in ["../model.safetensors", "/model.safetensors", "a/b.safetensors", ".safetensors", "model.bin", ""] {
            assert!(of(bad).is_err(), "{bad}");
        }
        for bad in ["", "[]", "{}", r#"{"weight_map":{}}"#, r#"{"weight_map":{"w":1}}"#] {
            assert!(shards(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
