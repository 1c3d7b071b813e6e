//! What fetches and listings go through.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::hub::Hub;
use super::listing::PassedOver;
use super::pattern::Pattern;
use super::spot::Spot;
use super::store::Store;
use super::tries::{Spent, persist};
use super::uri::{Bucket, Written};
use super::walk::Walk;
use super::web::Web;
use super::{Environment, Fault, FetchError, Ground, Jitter, Patience, PlaceError, Uri, local};
use crate::stream::Object;

/// Most files that one uri may stand for: each takes some hundred bytes of memory.
const MOST_OBJECTS: usize = 1 << 18;

/// What fetches and listings go through.
#[derive(Debug)]
pub struct Desk {
    pub ground: Arc<dyn Ground>,
    pub environment: Arc<Environment>,
    pub patience: Patience,
    pub jitter: Jitter,
    pub web: Web,
    pub stores: Mutex<HashMap<Bucket, Arc<Store>>>,
    pub turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Objects, each with what tells whether another one is the same, and what was passed over.
pub type Found = (Vec<(Vec<u8>, Object)>, PassedOver);

impl Desk {
    /// The objects of one uri that is not local.
    pub async fn list(&self, uri: &Uri) -> Result<Found, PlaceError> {
        let failed = |Spent { tries, fault }| PlaceError::Listing { uri: uri.to_string(), tries, fault };
        let broken = |fault| failed(Spent { tries: 1, fault });
        let (patience, jitter) = (&self.patience, &self.jitter);
        let mut passed_over = PassedOver::default();
        let (patterns, found) = match &uri.place {
            Written::Local(_) => return self.walk(uri),
            Written::Web(url) => {
                let object = persist(patience, jitter, || self.web.look(url)).await.map_err(failed)?;
                return Ok((vec![(object.uri.clone().into_bytes(), object)], passed_over));
            }
            Written::Store(pattern) => {
                let store = self.store(&pattern.bucket).map_err(broken)?;
                let mut found = Vec::new();
                for pattern in &pattern.alternatives {
                    let (objects, passed) = store.list(pattern, patience, jitter, MOST_OBJECTS).await.map_err(failed)?;
                    passed_over.join(passed);
                    found.push(objects);
                }
                (&pattern.alternatives, found)
            }
            Written::Hub(pattern) => {
                let hub = Hub::open(&self.web, &self.environment).map_err(broken)?;
                let (found, passed) = hub.list(pattern, patience, jitter, MOST_OBJECTS).await.map_err(failed)?;
                passed_over.join(passed);
                (&pattern.alternatives, found)
            }
        };
        check_found(uri, patterns, found.iter().map(Vec::len))?;
        Ok((found.into_iter().flatten().map(|object| (object.uri.clone().into_bytes(), object)).collect(), passed_over))
    }

    /// The files of a local uri.
    pub fn walk(&self, uri: &Uri) -> Result<Found, PlaceError> {
        let Written::Local(pattern) = &uri.place else { return Ok(Found::default()) };
        let (mut found, mut counts, mut passed_over) = (Vec::new(), Vec::new(), PassedOver::default());
        for alternative in &pattern.alternatives {
            let walk = Walk::new(&*self.ground, alternative, pattern.is_absolute);
            let (files, passed) = walk.run(MOST_OBJECTS, &uri.to_string())?;
            counts.push(files.len());
            passed_over.join(passed);
            found.extend(files.into_iter().map(|(real, object)| (real.into_os_string().into_encoded_bytes(), object)));
        }
        check_found(uri, &pattern.alternatives, counts.into_iter())?;
        Ok((found, passed_over))
    }

    pub async fn fetch(&self, object: &Object, range: Range<u64>) -> Result<Bytes, FetchError> {
        let failed = |Spent { tries, fault }| FetchError::Object { uri: object.uri.clone(), range: range.clone(), tries, fault };
        let broken = |fault| failed(Spent { tries: 1, fault });
        let Some(spot) = checked(object, &range).map_err(broken)? else { return Ok(Bytes::new()) };
        let turns = self.turns(&spot);
        // It is never closed.
        let _turn = turns.acquire().await.map_err(|_| FetchError::Lost)?;
        let (patience, jitter) = (&self.patience, &self.jitter);
        let tried = match &spot {
            Spot::Local => return self.read(object, range).await,
            Spot::Web(url) => persist(patience, jitter, || self.web.read(url, object, &range)).await,
            Spot::Store(bucket, key) => {
                let store = self.store(bucket).map_err(broken)?;
                persist(patience, jitter, || async { store.read(key, object, &range).await }).await
            }
            Spot::Hub(file) => {
                let hub = Hub::open(&self.web, &self.environment).map_err(broken)?;
                persist(patience, jitter, || async { hub.read(file, object, &range).await }).await
            }
        };
        tried.map_err(failed)
    }

    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Bytes, FetchError> {
        let (ground, object) = (Arc::clone(&self.ground), object.clone());
        let reading = tokio::task::spawn_blocking(move || read_local(&*ground, &object, range));
        reading.await.unwrap_or(Err(FetchError::Lost))
    }

    fn store(&self, bucket: &Bucket) -> Result<Arc<Store>, Fault> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(Store::open(bucket, &self.environment, &self.patience)?);
        stores.insert(bucket.clone(), Arc::clone(&store));
        Ok(store)
    }

    fn turns(&self, spot: &Spot) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.patience.at_once.min(Semaphore::MAX_PERMITS);
        Arc::clone(turns.entry(spot.place()).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}

/// Reads a part of a file of this machine, without a runtime.
pub fn read_local(ground: &dyn Ground, object: &Object, range: Range<u64>) -> Result<Bytes, FetchError> {
    let read = local::read(ground, object, &range);
    read.map_err(|fault| FetchError::Object { uri: object.uri.clone(), range, tries: 1, fault })
}

/// Where an object is; `None` where nothing of it is wanted.
pub fn checked(object: &Object, range: &Range<u64>) -> Result<Option<Spot>, Fault> {
    if range.start > range.end || range.end > object.size {
        return Err(Fault::OutOfRange { size: object.size });
    }
    let spot = Spot::of(object)?;
    Ok((range.start < range.end).then_some(spot))
}

/// What has no wildcard names a file, and must be there; of the rest something must.
fn check_found(uri: &Uri, patterns: &[Pattern], counts: impl Iterator<Item = usize>) -> Result<(), PlaceError> {
    let mut total = 0_usize;
    for (pattern, count) in patterns.iter().zip(counts) {
        let named = pattern.literal().filter(|_| count == 0 && patterns.len() > 1);
        if named.is_some() {
            return Err(PlaceError::Nothing { uri: uri.to_string(), alternative: named, hint: ALTERNATIVE });
        }
        total += count;
    }
    let written = uri.to_string();
    let hint = match () {
        () if written.contains(['[', ']']) => "a name that has a bracket in it is written `[[]`",
        () if written.starts_with('~') => "`~` is no folder here: write the whole path",
        () if patterns.iter().all(|pattern| pattern.literal().is_some()) => "there is no such file",
        () => "`*` stands for a part of one name and `**` for any folders; names that begin with `.` or `_` are passed over",
    };
    match total {
        0 => Err(PlaceError::Nothing { uri: written, alternative: None, hint }),
        1..=MOST_OBJECTS => Ok(()),
        _ => Err(PlaceError::TooMany { uri: written, most: MOST_OBJECTS }),
    }
}

const ALTERNATIVE: &str = "each alternative without wildcards names a file that must be there";
