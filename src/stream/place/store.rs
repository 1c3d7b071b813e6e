//! A bucket of S3 or Google's, or a container of Azure's.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore};

use super::listing::PassedOver;
use super::pattern::{Hidden, Pattern};
use super::transfer::{is_strong, quoted};
use super::tries::{Failure, Spent, persist};
use super::uri::{Bucket, Cloud, shown};
use super::witness::{Connector, Note, whole};
use super::{Environment, Fault, Jitter, Patience};
use crate::stream::Object;

/// Most bytes of a page of a listing, which has at most 5000 objects.
const LONGEST_PAGE: usize = 64 << 20;

/// A bucket that can be listed and read.
pub struct Store {
    bucket: Bucket,
    objects: Arc<dyn ObjectStore>,
    pages: Arc<dyn PaginatedListStore>,
    environment: Arc<Environment>,
}

impl Store {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// What the environment says of it, where that can't be used.
    pub fn open(bucket: &Bucket, environment: &Arc<Environment>, patience: &Patience) -> Result<Self, Fault> {
        let connector = Connector { patience: patience.clone(), environment: Arc::clone(environment) };
        let opened = |objects, pages| Self { bucket: bucket.clone(), objects, pages, environment: Arc::clone(environment) };
        let built = match bucket.cloud {
            Cloud::S3 => {
                check_http(
                    environment,
                    &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"],
                    "AWS_ALLOW_HTTP",
                    ALLOW_AWS,
                )?;
                let settings = environment.with_prefix("AWS_").filter_map(|(name, value)| Some((name.parse().ok()?, value)));
                let builder = settings.fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value));
                let store = builder.with_bucket_name(&bucket.name).with_http_connector(connector).build().map(Arc::new);
                store.map(|store| opened(store.clone(), store))
            }
            Cloud::Google => {
                check_http(environment, &["GOOGLE_BASE_URL"], "GOOGLE_ALLOW_HTTP", ALLOW_GOOGLE)?;
                let settings = environment.with_prefix("GOOGLE_").filter_map(|(name, value)| Some((name.parse().ok()?, value)));
                let builder = GoogleCloudStorageBuilder::new();
                let builder = match environment.get("SERVICE_ACCOUNT") {
                    Some(path) => builder.with_service_account_path(path),
                    None => builder,
                };
                let builder = settings.fold(builder, |builder, (key, value)| builder.with_config(key, value));
                let store = builder.with_bucket_name(&bucket.name).with_http_connector(connector).build().map(Arc::new);
                store.map(|store| opened(store.clone(), store))
            }
            Cloud::Azure => {
                let endpoints = ["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"];
                check_http(environment, &endpoints, "AZURE_ALLOW_HTTP", ALLOW_AZURE)?;
                let settings = environment.with_prefix("AZURE_").filter_map(|(name, value)| Some((name.parse().ok()?, value)));
                let builder = MicrosoftAzureBuilder::new();
                let builder = match environment.get("IDENTITY_ENDPOINT") {
                    Some(endpoint) => builder.with_msi_endpoint(endpoint),
                    None => builder,
                };
                let builder = settings.fold(builder, |builder, (key, value)| builder.with_config(key, value));
                let builder = if bucket.name.contains('@') {
                    builder.with_url(bucket.to_string())
                } else {
                    builder.with_container_name(&bucket.name)
                };
                let store = builder.with_http_connector(connector).build().map(Arc::new);
                store.map(|store| opened(store.clone(), store))
            }
        };
        built.map_err(|error| {
            let why = format!("{bucket} can't be asked: {}", environment.masked(&shown(&error.to_string())));
            Fault::Place { why, hint: Some(SETTINGS) }
        })
    }

    /// The objects that a pattern stands for.
    pub async fn list(
        &self,
        pattern: &Pattern,
        patience: &Patience,
        jitter: &Jitter,
        most: usize,
    ) -> Result<(Vec<Object>, PassedOver), Spent> {
        if let Some(key) = pattern.literal() {
            // Who may read an object may not be allowed to list them.
            let found = persist(patience, jitter, || self.look(&key)).await?;
            return Ok((found.into_iter().collect(), PassedOver::default()));
        }
        let (prefix, mut token) = (pattern.prefix(), None);
        let (mut found, mut passed_over, mut folders) = (Vec::new(), PassedOver::default(), HashSet::new());
        loop {
            let page = persist(patience, jitter, || self.page(&prefix, token.clone())).await?;
            for meta in page.objects {
                let key = meta.location.as_ref();
                if let Some((folder, _)) = key.rsplit_once('/').filter(|(folder, _)| !folders.contains(*folder)) {
                    folders.extend(ancestors(folder).map(str::to_owned));
                }
                if pattern.matches(key, Hidden::PassedOver) {
                    found.push(meta);
                } else if pattern.matches(key, Hidden::Shown) {
                    passed_over.add(|| self.bucket.uri(key));
                }
            }
            token = page.token;
            if token.is_none() || found.len() > most {
                break;
            }
        }
        // Some tools write empty objects so that folders are there.
        let is_mark = |path: &Path| folders.contains(path.as_ref()) || path.as_ref().ends_with("_$folder$");
        let (marks, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|meta| meta.size == 0 && is_mark(&meta.location));
        for meta in &marks {
            passed_over.add(|| self.bucket.uri(meta.location.as_ref()));
        }
        let mut pinned = Vec::with_capacity(found.len());
        for meta in &found {
            pinned.push(self.pinned(meta, patience, jitter));
        }
        // In order, so that the first that fails is always the same.
        let objects = stream::iter(pinned).buffered(patience.at_once).try_collect().await?;
        Ok((objects, passed_over))
    }

    /// An object as a listing has it. Some stores list without `ETag`s: then each is asked for.
    async fn pinned(&self, meta: &ObjectMeta, patience: &Patience, jitter: &Jitter) -> Result<Object, Spent> {
        if let Ok(object) = self.object(meta) {
            return Ok(object);
        }
        let key = meta.location.as_ref();
        let object = persist(patience, jitter, || self.look(key)).await?;
        object.ok_or_else(|| Spent { tries: 1, fault: Fault::Changed { how: format!("{key} is gone") } })
    }

    /// A range that is not empty, and lies inside.
    pub async fn read(&self, key: &str, object: &Object, range: &Range<u64>) -> Result<Bytes, Failure> {
        let path = location(key)?;
        let wanted = usize::try_from(range.end - range.start).map_err(|_| Fault::OutOfRange { size: object.size })?;
        let note = Note::new(wanted);
        let options = GetOptions {
            range: Some(range.clone().into()),
            if_match: is_strong(&object.tag).then(|| object.tag.clone()),
            extensions: note.extensions(),
            ..GetOptions::default()
        };
        let result = self.objects.get_opts(&path, options).await.map_err(|error| note.failure(&error, &self.environment))?;
        let now = self.object(&result.meta)?;
        if now.size != object.size {
            return Err(Fault::Changed { how: format!("it has {} bytes, and had {}", now.size, object.size) }.into());
        }
        if now.tag != object.tag {
            return Err(Fault::Changed { how: "its ETag is another".to_owned() }.into());
        }
        if result.range != *range {
            return Err(Fault::WrongBytes { why: format!("bytes {} to {}", result.range.start, result.range.end) }.into());
        }
        whole(result, wanted).await
    }

    async fn look(&self, key: &str) -> Result<Option<Object>, Failure> {
        let (path, note) = (location(key)?, Note::new(0));
        let options = GetOptions { head: true, extensions: note.extensions(), ..GetOptions::default() };
        match self.objects.get_opts(&path, options).await {
            Ok(result) => Ok(Some(self.object(&result.meta)?)),
            Err(error) => match note.failure(&error, &self.environment) {
                Failure { fault: Fault::Refused { status: 404, .. }, .. } => Ok(None),
                failure => Err(failure),
            },
        }
    }

    async fn page(&self, prefix: &str, token: Option<String>) -> Result<Page, Failure> {
        let note = Note::new(LONGEST_PAGE);
        let options =
            PaginatedListOptions { page_token: token, extensions: note.extensions(), ..PaginatedListOptions::default() };
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        let page = self.pages.list_paginated(prefix, options).await;
        let page = page.map_err(|error| note.listing_failure(&error, &self.environment))?;
        Ok(Page { objects: page.result.objects, token: page.page_token })
    }

    fn object(&self, meta: &ObjectMeta) -> Result<Object, Fault> {
        let tag = meta.e_tag.as_deref().filter(|tag| !tag.is_empty()).map(quoted).ok_or(Fault::Unpinned)?;
        Ok(Object { uri: self.bucket.uri(meta.location.as_ref()), size: meta.size, tag })
    }
}

struct Page {
    objects: Vec<ObjectMeta>,
    token: Option<String>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

const SETTINGS: &str = "the environment says where it is and who asks: AWS_REGION, AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
const ALLOW_AWS: &str = "set AWS_ALLOW_HTTP=true where keys and data may go unencrypted";
const ALLOW_GOOGLE: &str = "set GOOGLE_ALLOW_HTTP=true where keys and data may go unencrypted";
const ALLOW_AZURE: &str = "set AZURE_ALLOW_HTTP=true where keys and data may go unencrypted";

/// Refuses an endpoint without encryption that nobody allowed.
fn check_http(environment: &Environment, endpoints: &[&str], allow: &str, hint: &'static str) -> Result<(), Fault> {
    let is_plain =
        |name: &&&str| environment.get(name).is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("http://"));
    match endpoints.iter().find(is_plain) {
        Some(name) if !environment.says(allow) => Err(Fault::Place { why: format!("{name} is not encrypted"), hint: Some(hint) }),
        _ => Ok(()),
    }
}

fn location(key: &str) -> Result<Path, Fault> {
    Path::parse(key).map_err(|error| Fault::Place { why: format!("its key can't be asked for: {error}"), hint: None })
}

/// A folder, and those that it is in.
fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| folder.rsplit_once('/').map(|(above, _)| above))
}
