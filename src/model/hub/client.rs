//! One repository at the endpoint: what it holds, and its files brought into the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hf_hub::repository::{HFRepository, RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFClient, HFResult};
use reqwest::Url;
use reqwest::header::{ETAG, HeaderMap};

use super::Snapshot;
use super::address::{check_endpoint, is_commit};
use super::blob::{Blob, Listed};
use super::cache::RepoCache;
use super::error::HubError;
use super::http::Http;
use super::layout::{Lack, Wanted};
use super::lock::{Wait, acquire};
use super::partial::Partial;
use super::progress::Progress;
use super::refusal::{Asked, Refusal};
use super::retry::{Backoff, Failure, Retry};
use super::settings::HubSettings;
use super::transfer::Transfer;

pub struct Hub {
    http: Http,
    repo: HFRepository<RepoTypeModel>,
    cache: RepoCache,
    refusal: Refusal,
    retry: Retry,
    progress: Arc<dyn Progress>,
}

impl Hub {
    pub fn new(settings: &HubSettings, cache: RepoCache, progress: Arc<dyn Progress>) -> Result<Self, HubError> {
        let endpoint = check_endpoint(&settings.endpoint)?;
        if settings.token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(HubError::TokenText);
        }
        let http = Http::new(settings.token.as_deref(), settings.patience)?;
        let client = HFClient::builder()
            .client(http.client())
            .endpoint(&endpoint)
            // Without a token `hf-hub` looks for one in the environment; one that is no header value it leaves out.
            .token(settings.token.as_deref().unwrap_or("\n"))
            .cache_enabled(false)
            // Its own do not heed `Retry-After`, and know no bound on what they wait for.
            .retry_max_attempts(0)
            .build()
            .map_err(|e| HubError::Endpoint { fault: e.to_string() })?;
        let (owner, name) = hf_hub::split_id(&cache.repo);
        Ok(Self {
            repo: client.model(owner, name),
            refusal: Refusal { repo: cache.repo.clone(), endpoint, token: settings.token.clone(), silence: settings.patience },
            http,
            cache,
            retry: settings.retry.clone(),
            progress,
        })
    }

    pub fn fetch(&self, revision: &str, wanted: Wanted) -> Result<Snapshot, HubError> {
        let (commit, listing) = self.resolve(revision)?;
        let plan = wanted.plan(&listing).map_err(|lack| match lack {
            Lack::File(file, hint) => self.refusal.no_file(&commit, file, hint),
            Lack::Pickle(file) => {
                HubError::Pickle { repo: self.cache.repo.clone(), file: file.to_owned(), instead: wanted.layout().weights }
            }
        })?;
        self.download_all(&commit, &plan.files)?;
        if let Some(index) = plan.index {
            let shards = self.cache.shards(&commit, index)?;
            if let Some(missing) = shards.iter().find(|shard| !listing.contains(*shard)) {
                let hint = "the index names this shard; the upload of the repository may be incomplete";
                return Err(self.refusal.no_file(&commit, missing, hint));
            }
            self.download_all(&commit, &shards.into_iter().collect::<Vec<_>>())?;
        }
        // Last, so that a reference never leads to a snapshot that lacks files.
        self.cache.record(revision, &commit)?;
        Ok(Snapshot { dir: self.cache.snapshot(&commit), commit })
    }

    /// The commit that a revision stands for now, and the names of all files in it.
    fn resolve(&self, revision: &str) -> Result<(String, BTreeSet<String>), HubError> {
        // Only these two properties: the other forty have changed type before, and one that does fails the whole reply.
        let expand = || vec!["sha".to_owned(), "siblings".to_owned()];
        let asked = Asked::Revision(revision);
        let info = self.question(asked, async || self.repo.info().revision(revision).expand(expand()).send().await)?;
        let commit =
            info.sha.filter(|sha| is_commit(sha)).ok_or_else(|| self.refusal.protocol("no commit in the repository's info"))?;
        let siblings = info.siblings.ok_or_else(|| self.refusal.protocol("no files in the repository's info"))?;
        Ok((commit, siblings.into_iter().map(|sibling| sibling.rfilename).collect()))
    }

    fn download_all(&self, commit: &str, files: &[String]) -> Result<(), HubError> {
        let listed = self.listed(commit, files)?;
        for file in files {
            let listed = listed.get(file).ok_or_else(|| self.refusal.protocol(&format!("no size for `{file}`")))?;
            if self.cache.size(commit, file) != Some(listed.size) {
                self.download(commit, listed)?;
            }
        }
        Ok(())
    }

    /// Size and id of each file. Asked of `paths-info` and not of the paginated tree, whose `Link` to the next page may
    /// name any host, which would be sent the token.
    fn listed(&self, commit: &str, files: &[String]) -> Result<BTreeMap<String, Listed>, HubError> {
        let entries = self.question(Asked::Revision(commit), async || {
            self.repo.get_paths_info().paths(files.to_vec()).revision(commit).send().await
        })?;
        let listed = entries.into_iter().filter_map(|entry| match entry {
            RepoTreeEntry::File { path, size, lfs, oid, .. } => {
                let size = lfs.and_then(|lfs| lfs.size).unwrap_or(size);
                Some((path.clone(), Listed { file: path, size, oid }))
            }
            RepoTreeEntry::Directory { .. } => None,
        });
        Ok(listed.collect())
    }

    /// Puts a file in the cache, replacing one of another size.
    fn download(&self, commit: &str, listed: &Listed) -> Result<(), HubError> {
        let file = listed.file.as_str();
        let address = self.address(commit, file)?;
        let blob = self.name(commit, listed, &address)?;
        let path = self.cache.incomplete(&blob.name);
        let _lock = self.lock(file, &blob)?;
        // Another commit may have the same content, and another process may have fetched it meanwhile.
        if self.cache.blob_size(&blob.name) != Some(blob.size) {
            let (http, refusal, progress) = (&self.http, &self.refusal, &self.progress);
            self.pull(&Transfer { http, refusal, progress, commit, file, address, path }, &blob)?;
        }
        self.cache.link(commit, file, &blob.name)
    }

    /// Each segment escaped, so that no name leads elsewhere.
    fn address(&self, commit: &str, file: &str) -> Result<Url, HubError> {
        let fault = |fault: &str| HubError::Endpoint { fault: fault.to_owned() };
        let mut address = Url::parse(&self.refusal.endpoint).map_err(|e| fault(&e.to_string()))?;
        address
            .path_segments_mut()
            .map_err(|()| fault("it has no path"))?
            .pop_if_empty()
            .extend(self.cache.repo.split('/'))
            .extend(["resolve", commit])
            .extend(file.split('/'));
        Ok(address)
    }

    /// What the hub calls the file's content.
    fn name(&self, commit: &str, listed: &Listed, address: &Url) -> Result<Blob, HubError> {
        let etag = self.persist(async || {
            let answer = self.http.head(address).await.map_err(|e| self.refusal.lost(&e))?;
            if answer.status().is_success() || answer.status().is_redirection() {
                return Ok(etag(answer.headers()));
            }
            Err(self.refusal.of_answer(&answer, Asked::File(commit, &listed.file)))
        })?;
        Blob::of(listed, etag.as_deref()).ok_or_else(|| self.refusal.protocol(&format!("no id for `{}`", listed.file)))
    }

    fn pull(&self, transfer: &Transfer<'_>, blob: &Blob) -> Result<(), HubError> {
        let cache = |cause| HubError::Cache { path: transfer.path.clone(), cause };
        let mut partial = Partial::open(transfer.path.clone(), blob).map_err(cache)?;
        let mut backoff = Backoff::new(&self.retry);
        self.progress.started(transfer.file, blob.size, partial.len());
        while let Err(failure) = self.http.wait(transfer.go_on(&mut partial)) {
            backoff.reached(partial.len());
            if let Err(error) = self.pause(failure, &mut backoff) {
                partial.leave();
                return Err(error);
            }
        }
        partial.settle(&self.cache.blob(&blob.name)).map_err(cache)?;
        self.progress.finished();
        Ok(())
    }

    fn lock(&self, file: &str, blob: &Blob) -> Result<std::fs::File, HubError> {
        let path = self.cache.lock(&blob.name);
        let wait = Wait {
            growing: &self.cache.incomplete(&blob.name),
            // As long as that process may wait in its turn.
            limit: self.refusal.silence.saturating_add(self.retry.pauses),
            sleep: &*self.retry.sleep,
            told: &|| self.progress.waiting(&format!("another process downloads `{file}`; waiting for it")),
        };
        let lock = acquire(&path, &wait).map_err(|cause| HubError::Cache { path, cause })?;
        lock.ok_or_else(|| HubError::Busy { repo: self.cache.repo.clone(), file: file.to_owned() })
    }

    /// Asks `hf-hub`, again where that may help.
    fn question<T>(&self, asked: Asked<'_>, ask: impl AsyncFn() -> HFResult<T>) -> Result<T, HubError> {
        self.persist(async || ask().await.map_err(|e| self.refusal.of(e, asked)))
    }

    fn persist<T>(&self, attempt: impl AsyncFn() -> Result<T, Failure>) -> Result<T, HubError> {
        let mut backoff = Backoff::new(&self.retry);
        loop {
            match self.http.wait(attempt()) {
                Ok(value) => return Ok(value),
                Err(failure) => self.pause(failure, &mut backoff)?,
            }
        }
    }

    /// Waits for the time to try again, or gives the error back where there is none.
    fn pause(&self, failure: Failure, backoff: &mut Backoff<'_>) -> Result<(), HubError> {
        let Some(pause) = backoff.pause(failure.again) else {
            return Err(failure.error);
        };
        let told = failure.error.to_string();
        let told = told.lines().next().unwrap_or_default();
        self.progress.waiting(&format!("{told}; trying again in {:.1} s", pause.as_secs_f32()));
        (self.retry.sleep)(pause);
        Ok(())
    }
}

/// The hub's own for large files, whose redirect has another: without quotes and the mark of a weak one.
fn etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get("x-linked-etag").or_else(|| headers.get(ETAG))?.to_str().ok()?;
    Some(etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_owned())
}
