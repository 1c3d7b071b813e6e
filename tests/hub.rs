//! The hub's files, from a hub on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/hub_server.rs"]
mod hub_server;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub_server::{Door, Fault, Host, HubServer};
use sway::model::hub::{HubError, HubSettings, Network, Progress, Silent, Snapshot, Source, Wanted, fetch};
use tempfile::TempDir;

const REPO: &str = "people/model";
const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";
const TOKEN: &str = "hf_VerySecret";

/// A folder served as a repository, and an empty cache.
struct World {
    folder: TempDir,
    cache: TempDir,
    server: HubServer,
}

impl World {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), files);
        let server = HubServer::serve(REPO, FIRST, folder.path());
        Self { folder, cache: tempfile::tempdir().expect("a cache"), server }
    }

    fn base() -> Self {
        Self::of(&[
            (".gitattributes", "*"),
            ("README.md", "# model"),
            ("config.json", "{}"),
            ("generation_config.json", "{\"a\":1}"),
            ("model.gguf", "gguf"),
            ("model.onnx", "onnx"),
            ("model.safetensors", &"weights ".repeat(1000)),
            ("pytorch_model.bin", "pickle"),
            ("tokenizer.json", &"{ }".repeat(2000)),
            ("training_args.bin", "pickle"),
        ])
    }

    fn sharded() -> Self {
        Self::of(&[
            ("config.json", "{}"),
            ("model-00001-of-00002.safetensors", "first"),
            ("model-00002-of-00002.safetensors", "second"),
            ("model-00003-of-00003.safetensors", "of another split"),
            ("model.safetensors.index.json", INDEX),
            ("tokenizer.json", "{ }"),
        ])
    }

    fn settings(&self) -> HubSettings {
        HubSettings {
            endpoint: self.server.endpoint().to_owned(),
            cache_dir: self.cache.path().to_owned(),
            token: None,
            network: Network::Online,
            patience: Duration::from_secs(20),
        }
    }

    fn offline(&self) -> HubSettings {
        HubSettings { network: Network::Offline, ..self.settings() }
    }

    fn with_token(&self) -> HubSettings {
        HubSettings { token: Some(TOKEN.to_owned()), ..self.settings() }
    }

    fn fetch(&self) -> Result<Snapshot, HubError> {
        base(&self.settings(), None)
    }

    /// Where the files of a commit would be, relative to the cache's root.
    fn repo_dir(&self) -> PathBuf {
        self.cache.path().join("models--people--model")
    }

    fn blobs(&self) -> Vec<String> {
        names(&self.repo_dir().join("blobs")).into_iter().filter(|name| !name.ends_with(".incomplete")).collect()
    }
}

const INDEX: &str = r#"{"metadata":{},"weight_map":{
    "a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}}"#;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("a file of the repository");
    }
}

fn base(settings: &HubSettings, revision: Option<&str>) -> Result<Snapshot, HubError> {
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    fetch(settings, Source { repo: REPO, revision, wanted: Wanted::Base }, &silent)
}

fn adapter(settings: &HubSettings) -> Result<Snapshot, HubError> {
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    fetch(settings, Source { repo: REPO, revision: None, wanted: Wanted::Adapter }, &silent)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn message(result: Result<Snapshot, HubError>) -> String {
    result.expect_err("an error").to_string()
}

const BASE_FILES: [&str; 4] = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];

#[test]
fn only_the_files_that_are_read_are_fetched() {
    let world = World::base();
    let snapshot = world.fetch().expect("a snapshot");
    assert_eq!(snapshot.commit, FIRST);
    assert_eq!(world.server.downloads(), BASE_FILES);
    assert_eq!(names(&snapshot.dir), BASE_FILES);
    assert!(world.server.requests().iter().all(|request| !request.path.contains("xet")));
    for file in BASE_FILES {
        assert_eq!(fs::read(snapshot.dir.join(file)).unwrap(), fs::read(world.folder.path().join(file)).unwrap(), "{file}");
    }
}

#[test]
fn the_second_time_no_body_is_asked_for() {
    let world = World::base();
    let first = world.fetch().expect("a snapshot");
    world.server.forget_requests();
    assert_eq!(world.fetch().expect("the same snapshot"), first);
    assert_eq!(world.server.downloads(), Vec::<String>::new());
    let asked: Vec<String> = world.server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, [format!("/api/models/{REPO}/revision/main"), format!("/api/models/{REPO}/paths-info/{FIRST}")]);
}

#[test]
fn the_cache_is_laid_out_as_pythons_is() {
    let world = World::base();
    let snapshot = world.fetch().expect("a snapshot");
    assert_eq!(snapshot.dir, world.repo_dir().join("snapshots").join(FIRST));
    assert_eq!(fs::read_to_string(world.repo_dir().join("refs/main")).unwrap(), FIRST);
    assert_eq!(world.blobs().len(), BASE_FILES.len());
    assert!(fs::read_link(snapshot.dir.join("model.safetensors")).unwrap().starts_with("../../blobs"));
}

#[test]
fn an_adapter_brings_its_tokenizer_where_it_has_one() {
    let files = [("adapter_config.json", "{}"), ("adapter_model.safetensors", "lora"), ("optimizer.pt", "x"), ("README.md", "x")];
    let world = World::of(&files);
    adapter(&world.settings()).expect("a snapshot");
    assert_eq!(world.server.downloads(), ["adapter_config.json", "adapter_model.safetensors"]);

    write(world.folder.path(), &[("tokenizer.json", "{ }"), ("chat_template.jinja", "{{ messages }}")]);
    adapter(&world.settings()).expect("a snapshot");
    assert_eq!(
        world.server.downloads(),
        ["adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "tokenizer.json"]
    );
}

#[test]
fn of_sharded_weights_the_shards_of_the_index_are_fetched() {
    let world = World::sharded();
    world.fetch().expect("a snapshot");
    assert_eq!(
        world.server.downloads(),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json"
        ]
    );
    base(&world.offline(), None).expect("the same, offline");
}

#[test]
fn a_shard_that_the_repository_lacks_is_named() {
    let world = World::sharded();
    fs::remove_file(world.folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let error = world.fetch().expect_err("an error");
    assert!(matches!(&error, HubError::FileNotFound { file, .. } if file == "model-00002-of-00002.safetensors"), "{error}");
    assert!(!world.repo_dir().join("refs/main").exists(), "no reference to half a model");
}

#[test]
fn a_push_moves_main_and_leaves_the_commit_that_was_asked_for() {
    let world = World::base();
    world.fetch().expect("the first");
    let newer = tempfile::tempdir().unwrap();
    write(newer.path(), &[("config.json", "{\"new\":1}"), ("model.safetensors", "new"), ("tokenizer.json", &"{ }".repeat(2000))]);
    world.server.push("main", SECOND, newer.path());
    world.server.forget_requests();

    let snapshot = world.fetch().expect("the second");
    assert_eq!(snapshot.commit, SECOND);
    assert_eq!(fs::read_to_string(snapshot.dir.join("model.safetensors")).unwrap(), "new");
    // The tokenizer is the same blob as before.
    assert_eq!(world.server.downloads(), ["config.json", "model.safetensors"]);
    for request in world.server.requests().iter().filter(|request| request.path.contains("/resolve/")) {
        assert!(request.path.contains(&format!("/resolve/{SECOND}/")), "by commit, not by branch: {}", request.path);
    }

    let pinned = base(&world.settings(), Some(FIRST)).expect("the first again");
    assert_eq!(pinned.commit, FIRST);
    assert_eq!(fs::read_to_string(world.repo_dir().join("refs/main")).unwrap(), SECOND);
}

#[test]
fn a_revision_with_a_slash_is_one_revision() {
    let world = World::base();
    world.server.push("refs/pr/1", SECOND, world.folder.path());
    assert_eq!(base(&world.settings(), Some("refs/pr/1")).expect("a snapshot").commit, SECOND);
    assert_eq!(base(&world.offline(), Some("refs/pr/1")).expect("a snapshot").commit, SECOND);
}

#[test]
fn offline_a_warm_cache_is_enough_and_nothing_is_sent() {
    let world = World::base();
    let online = world.fetch().expect("a snapshot");
    world.server.forget_requests();
    for revision in [None, Some("main"), Some(FIRST)] {
        assert_eq!(base(&world.offline(), revision).expect("a snapshot"), online);
    }
    assert!(world.server.requests().is_empty());
}

#[test]
fn offline_what_the_cache_lacks_is_named() {
    let world = World::base();
    let error = base(&world.offline(), None).expect_err("a cold cache");
    assert!(matches!(error, HubError::RevisionNotCached { .. }), "{error}");
    assert!(error.to_string().contains(REPO) && error.to_string().contains("`main`"), "{error}");

    let snapshot = world.fetch().expect("a snapshot");
    fs::remove_file(snapshot.dir.join("tokenizer.json")).unwrap();
    let error = base(&world.offline(), None).expect_err("a file gone");
    assert!(matches!(&error, HubError::FileNotCached { file, .. } if file == "tokenizer.json"), "{error}");
    assert!(error.to_string().contains(REPO), "{error}");

    let world = World::sharded();
    let snapshot = world.fetch().expect("a snapshot");
    let shard = snapshot.dir.join("model-00002-of-00002.safetensors");
    // The link stays and leads nowhere.
    fs::remove_file(fs::canonicalize(&shard).unwrap()).unwrap();
    let error = base(&world.offline(), None).expect_err("a shard gone");
    assert!(matches!(&error, HubError::FileNotCached { file, .. } if file == "model-00002-of-00002.safetensors"), "{error}");
}

#[test]
fn half_a_body_is_refused_and_never_left_as_a_file() {
    for fault in [Fault::Cut, Fault::HalfAnnouncedAsWhole, Fault::HalfWithoutLength, Fault::ErrorPage] {
        // From the storage server, and from the hub itself.
        for file in ["model.safetensors", "tokenizer.json"] {
            let world = World::base();
            world.server.break_file(file, fault);
            let error = world.fetch().expect_err("an error");
            match (&error, fault) {
                (HubError::BrokenOff { file: named, .. }, Fault::Cut) => assert_eq!(named, file),
                (HubError::WrongSize { file: named, got, listed, .. }, _) => {
                    assert_eq!(named, file);
                    assert!(got < listed);
                }
                _ => panic!("{fault:?} of {file}: {error}"),
            }
            let commit = world.repo_dir().join("snapshots").join(FIRST);
            assert!(!names(&commit).contains(&file.to_owned()), "{fault:?} left {file}");
            let whole: Vec<u64> =
                world.blobs().iter().map(|blob| fs::metadata(world.repo_dir().join("blobs").join(blob)).unwrap().len()).collect();
            assert_eq!(whole.len(), names(&commit).len(), "{fault:?} of {file} left a blob: {whole:?}");
            base(&world.offline(), None).expect_err("half a snapshot is none");

            world.server.heal();
            let snapshot = world.fetch().expect("a later try");
            assert_eq!(fs::read(snapshot.dir.join(file)).unwrap(), fs::read(world.folder.path().join(file)).unwrap());
        }
    }
}

#[test]
fn a_file_cut_short_in_the_cache_is_fetched_again() {
    let world = World::base();
    let snapshot = world.fetch().expect("a snapshot");
    let blob = fs::canonicalize(snapshot.dir.join("model.safetensors")).unwrap();
    fs::write(&blob, "weig").unwrap();
    world.server.forget_requests();
    let again = world.fetch().expect("a snapshot");
    assert_eq!(world.server.downloads(), ["model.safetensors"]);
    assert_eq!(fs::metadata(again.dir.join("model.safetensors")).unwrap().len(), 8000);
}

#[test]
fn two_that_fetch_at_once_both_get_whole_files() {
    let world = World::base();
    let settings = world.settings();
    let snapshots: Vec<Snapshot> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| base(&settings, None).expect("a snapshot"))).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    });
    for snapshot in &snapshots {
        assert_eq!(fs::metadata(snapshot.dir.join("model.safetensors")).unwrap().len(), 8000);
    }
    let bodies = world.server.requests().into_iter().filter(|request| request.host == Host::Storage);
    assert_eq!(bodies.count(), 1, "the weights travelled once");
}

#[test]
fn a_blob_cut_short_under_another_commit_is_fetched_again() {
    let world = World::base();
    let snapshot = world.fetch().expect("a snapshot");
    fs::write(fs::canonicalize(snapshot.dir.join("model.safetensors")).unwrap(), "weig").unwrap();
    world.server.push("main", SECOND, world.folder.path());
    let again = world.fetch().expect("a snapshot");
    assert_eq!(again.commit, SECOND);
    assert_eq!(fs::metadata(again.dir.join("model.safetensors")).unwrap().len(), 8000);
}

#[test]
fn a_connection_gone_silent_is_given_up() {
    let world = World::base();
    world.server.break_file("model.safetensors", Fault::Stall);
    let settings = HubSettings { patience: Duration::from_millis(400), ..world.settings() };
    let error = base(&settings, None).expect_err("an error");
    assert!(matches!(error, HubError::Stalled { .. }), "{error}");
}

#[test]
fn the_token_is_sent_to_the_hub_and_to_no_other_host() {
    let world = World::base();
    world.server.set_door(Door::Token(TOKEN.to_owned()));
    base(&world.with_token(), None).expect("a snapshot");
    let bearer = format!("Bearer {TOKEN}");
    let requests = world.server.requests();
    assert!(requests.iter().any(|request| request.host == Host::Storage));
    for request in requests {
        let expected = if request.host == Host::Hub { Some(bearer.as_str()) } else { None };
        assert_eq!(request.authorization.as_deref(), expected, "{} {}", request.method, request.path);
    }
}

#[test]
fn without_a_token_none_is_sent() {
    let world = World::base();
    world.fetch().expect("a snapshot");
    assert!(world.server.requests().iter().all(|request| request.authorization.is_none()));
}

#[test]
fn the_ways_to_be_turned_away_are_told_apart() {
    let world = World::base();
    world.server.set_door(Door::Token("hf_Another".to_owned()));
    let error = world.fetch().expect_err("401 without a token");
    assert!(matches!(error, HubError::TokenNeeded { .. }), "{error}");
    let error = base(&world.with_token(), None).expect_err("401 with a token");
    assert!(matches!(error, HubError::TokenRejected { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(TOKEN));

    world.server.set_door(Door::Gated);
    let error = base(&world.with_token(), None).expect_err("403, gated");
    assert!(matches!(error, HubError::Gated { .. }), "{error}");
    assert!(error.to_string().contains(&format!("{}/{REPO}", world.server.endpoint())), "{error}");

    world.server.set_door(Door::Forbidden);
    let error = base(&world.with_token(), None).expect_err("403");
    assert!(matches!(error, HubError::Forbidden { .. }), "{error}");
    assert!(error.to_string().contains("not for you, Bearer ***"), "{error}");
    assert!(!format!("{error} {error:?}").contains(TOKEN));

    world.server.set_door(Door::Open);
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    let source = Source { repo: "people/nobody", revision: None, wanted: Wanted::Base };
    let error = fetch(&world.settings(), source, &silent).expect_err("404, repository");
    assert!(matches!(error, HubError::RepoNotFound { .. }), "{error}");
    let error = base(&world.settings(), Some("v9")).expect_err("404, revision");
    assert!(matches!(&error, HubError::RevisionNotFound { revision, .. } if revision == "v9"), "{error}");
    let whole = adapter(&world.settings()).expect("a whole model, to be compared with its base");
    assert!(whole.dir.join("config.json").exists() && whole.dir.join("model.safetensors").exists());
}

#[test]
fn a_pickle_is_named_and_not_fetched() {
    let world = World::of(&[("config.json", "{}"), ("pytorch_model.bin", "pickle"), ("tokenizer.json", "{}")]);
    let text = message(world.fetch());
    assert!(
        text.contains("`pytorch_model.bin`") && text.contains("unpickling runs code") && text.contains("safetensors"),
        "{text}"
    );
    assert!(world.server.downloads().is_empty());

    let world = World::of(&[("adapter_config.json", "{}"), ("adapter_model.bin", "pickle")]);
    let text = message(adapter(&world.settings()));
    assert!(text.contains("`adapter_model.bin`"), "{text}");
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let world = World::base();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = HubSettings { endpoint: format!("http://{free}"), ..world.settings() };
    let error = base(&settings, None).expect_err("an error");
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("http://{free} can't be reached: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn what_can_not_be_asked_for_is_refused_before_any_request() {
    let world = World::base();
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    for repo in ["../people", "people/model/more", "people/mo del"] {
        let source = Source { repo, revision: None, wanted: Wanted::Base };
        assert!(matches!(fetch(&world.settings(), source, &silent), Err(HubError::RepoId { .. })), "{repo}");
    }
    assert!(matches!(base(&world.settings(), Some("../../x")), Err(HubError::Revision { .. })));
    let settings = HubSettings { token: Some("hf_a\nb".to_owned()), ..world.settings() };
    let error = base(&settings, None).expect_err("a token of two lines");
    assert!(matches!(error, HubError::TokenText), "{error}");
    assert!(!error.to_string().contains("hf_a"), "{error}");
    assert!(world.server.requests().is_empty());
}

#[derive(Default)]
struct Tally(Mutex<Vec<(String, u64, u64, bool)>>);

impl Progress for Tally {
    fn started(&self, file: &str, bytes: u64) {
        self.0.lock().unwrap().push((file.to_owned(), bytes, 0, false));
    }
    fn advanced(&self, bytes: u64) {
        self.0.lock().unwrap().last_mut().expect("a file").2 += bytes;
    }
    fn finished(&self) {
        self.0.lock().unwrap().last_mut().expect("a file").3 = true;
    }
}

#[test]
fn progress_adds_up_to_each_files_bytes() {
    let world = World::base();
    let tally = Arc::new(Tally::default());
    let progress: Arc<dyn Progress> = Arc::clone(&tally) as Arc<dyn Progress>;
    fetch(&world.settings(), Source { repo: REPO, revision: None, wanted: Wanted::Base }, &progress).expect("a snapshot");
    let files = tally.0.lock().unwrap().clone();
    assert_eq!(files.len(), BASE_FILES.len());
    for (file, bytes, advanced, finished) in files {
        let size = fs::metadata(world.folder.path().join(&file)).unwrap().len();
        assert_eq!((bytes, advanced, finished), (size, size, true), "{file}");
    }
}
