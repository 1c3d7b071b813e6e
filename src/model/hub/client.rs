//! One repository at the endpoint: what it holds, and its files brought into the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hf_hub::repository::{RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFClient, HFRepositorySync, HFResult};

use super::Snapshot;
use super::address::{check_endpoint, is_commit};
use super::cache::RepoCache;
use super::error::HubError;
use super::layout::{Lack, Wanted};
use super::patience::Patience;
use super::progress::{Meter, Progress};
use super::refusal::{Asked, Refusal};
use super::settings::HubSettings;

/// After the first try; `hf-hub` doubles its pause each time, 1.4 s in all at most.
const RETRIES: usize = 3;

/// How often a body is asked for, when it arrives broken.
const TRIES_PER_BODY: usize = 2;

pub struct Hub {
    client: HFRepositorySync<RepoTypeModel>,
    cache: RepoCache,
    refusal: Refusal,
    patience: Patience,
    progress: Arc<dyn Progress>,
}

impl Hub {
    pub fn new(settings: &HubSettings, cache: RepoCache, progress: Arc<dyn Progress>) -> Result<Self, HubError> {
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
        let (owner, name) = hf_hub::split_id(&cache.repo);
        Ok(Self {
            client: client.model(owner, name),
            refusal: Refusal { repo: cache.repo.clone(), endpoint, token: settings.token.clone(), cache: cache.root.clone() },
            patience: Patience::new(settings.patience),
            cache,
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
        let asked = revision.to_owned();
        // Only these two properties: the other forty have changed type before, and one that does fails the whole reply.
        let expand = vec!["sha".to_owned(), "siblings".to_owned()];
        let info = self
            .call(move |repo| repo.info().revision(asked).expand(expand).send())?
            .map_err(|e| self.refusal.of(e, &Asked::Revision(revision)))?;
        let commit =
            info.sha.filter(|sha| is_commit(sha)).ok_or_else(|| self.refusal.protocol("no commit in the repository's info"))?;
        let siblings = info.siblings.ok_or_else(|| self.refusal.protocol("no files in the repository's info"))?;
        Ok((commit, siblings.into_iter().map(|sibling| sibling.rfilename).collect()))
    }

    fn download_all(&self, commit: &str, files: &[String]) -> Result<(), HubError> {
        let sizes = self.sizes(commit, files)?;
        let listed = |file: &String| {
            let listed = sizes.get(file).copied();
            listed.ok_or_else(|| self.refusal.protocol(&format!("no size for `{file}`")))
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
            .map_err(|e| self.refusal.of(e, &Asked::Revision(commit)))?;
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
            let meter = Meter::new(Arc::clone(&self.progress), Arc::clone(&self.patience.pulse));
            let (name, at) = (file.to_owned(), commit.to_owned());
            let result = self.call(move |repo| {
                repo.download_file().filename(name).revision(at).force_download(attempt > 0).progress(meter).send()
            })?;
            match result {
                Ok(stored) if stored != path => {
                    return Err(self.refusal.protocol("a file of another commit than was asked for"));
                }
                Ok(_) => match self.cache.size(commit, file) {
                    Some(got) if got == listed => {
                        self.progress.finished();
                        return Ok(());
                    }
                    got => {
                        self.cache.discard(&path)?;
                        fault = Some(HubError::WrongSize {
                            repo: self.cache.repo.clone(),
                            file: file.to_owned(),
                            got: got.unwrap_or(0),
                            listed,
                        });
                    }
                },
                Err(error) => match self.refusal.of(error, &Asked::File(commit, file)) {
                    broken @ HubError::BrokenOff { .. } => fault = Some(broken),
                    other => return Err(other),
                },
            }
        }
        Err(fault.unwrap_or_else(|| self.refusal.protocol("no try was made")))
    }

    fn call<T: Send + 'static>(
        &self,
        request: impl FnOnce(HFRepositorySync<RepoTypeModel>) -> HFResult<T> + Send + 'static,
    ) -> Result<HFResult<T>, HubError> {
        let client = self.client.clone();
        self.patience.wait_for(move || request(client)).ok_or_else(|| self.refusal.stalled(self.patience.limit))
    }
}
