//! The hub's files, from a hub on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/hub_server.rs"]
mod hub_server;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub_server::{Door, Fault, Host, HubServer, git_blob, sha256};
use sway::model::hub::{HubError, HubSettings, Network, Progress, Retry, Silent, Snapshot, Source, TokenSource, Wanted, fetch};
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
    /// The pauses between tries, of which none is waited for.
    pauses: Arc<Mutex<Vec<Duration>>>,
}

impl World {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), files);
        let server = HubServer::serve(REPO, FIRST, folder.path());
        Self { folder, cache: tempfile::tempdir().expect("a cache"), server, pauses: Arc::default() }
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
            token_source: TokenSource::Nowhere,
            network: Network::Online,
            patience: Duration::from_secs(20),
            retry: self.retry(),
        }
    }

    /// Three tries, after pauses of one and two seconds.
    fn retry(&self) -> Retry {
        let pauses = Arc::clone(&self.pauses);
        let sleep = Arc::new(move |pause| pauses.lock().unwrap().push(pause));
        Retry { tries: 3, pause: Duration::from_secs(1), pauses: Duration::from_mins(1), gain: u64::MAX, sleep }
    }

    /// In seconds.
    fn pauses(&self) -> Vec<u64> {
        std::mem::take(&mut *self.pauses.lock().unwrap()).iter().map(Duration::as_secs).collect()
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
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file of the repository");
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
    assert!(matches!(&error, HubError::FilesNotCached { files, .. } if files.0 == ["tokenizer.json"]), "{error}");
    assert!(error.to_string().contains(REPO), "{error}");

    let world = World::sharded();
    let snapshot = world.fetch().expect("a snapshot");
    let shard = snapshot.dir.join("model-00002-of-00002.safetensors");
    // The link stays and leads nowhere.
    fs::remove_file(fs::canonicalize(&shard).unwrap()).unwrap();
    let error = base(&world.offline(), None).expect_err("a shard gone");
    assert!(
        matches!(&error, HubError::FilesNotCached { files, .. } if files.0 == ["model-00002-of-00002.safetensors"]),
        "{error}"
    );

    for file in ["tokenizer.json", "config.json", "model-00001-of-00002.safetensors"] {
        fs::remove_file(snapshot.dir.join(file)).unwrap();
    }
    let error = base(&world.offline(), None).expect_err("all of these gone");
    let all = "`config.json`, `tokenizer.json`, `model-00001-of-00002.safetensors`, `model-00002-of-00002.safetensors`";
    assert!(error.to_string().contains(all), "{error}");
}

#[test]
fn half_a_body_is_refused_and_never_left_as_a_file() {
    for fault in [Fault::Cut, Fault::HalfAnnouncedAsWhole, Fault::HalfWithoutLength, Fault::Status(500), Fault::Page] {
        // From the storage server, and from the hub itself.
        for file in ["model.safetensors", "tokenizer.json"] {
            let world = World::base();
            world.server.break_file(file, fault);
            let error = world.fetch().expect_err("an error");
            match (&error, fault) {
                (HubError::WrongSize { file: named, got, listed, .. }, Fault::HalfAnnouncedAsWhole | Fault::Page)
                | (
                    HubError::BrokenOff { file: named, got, listed, .. },
                    Fault::Cut | Fault::HalfWithoutLength | Fault::Status(_),
                ) => {
                    assert_eq!(named, file);
                    assert!(got < listed);
                }
                _ => panic!("{fault:?} of {file}: {error}"),
            }
            assert_eq!(world.pauses(), [1, 2], "{fault:?} of {file}");
            let commit = world.repo_dir().join("snapshots").join(FIRST);
            assert!(!names(&commit).contains(&file.to_owned()), "{fault:?} left {file}");
            assert_eq!(world.blobs().len(), names(&commit).len(), "{fault:?} of {file} left a blob");
            base(&world.offline(), None).expect_err("half a snapshot is none");

            world.server.heal();
            let snapshot = world.fetch().expect("a later try");
            assert_eq!(fs::read(snapshot.dir.join(file)).unwrap(), fs::read(world.folder.path().join(file)).unwrap());
            assert!(names(&world.repo_dir().join("blobs")).iter().all(|name| !name.ends_with(".incomplete")));
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
    // Here the waiting is real: it is for another thread.
    let settings = HubSettings { retry: Retry { sleep: Arc::new(std::thread::sleep), ..settings.retry }, ..settings };
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
    let settings = HubSettings { patience: Duration::from_millis(400), ..world.settings() };
    world.server.break_file("revision", Fault::Stall);
    let error = base(&settings, None).expect_err("an error");
    assert!(matches!(error, HubError::Stalled { .. }), "{error}");

    world.server.heal();
    world.server.break_file("model.safetensors", Fault::Stall);
    let error = base(&settings, None).expect_err("an error");
    // Half of 8000, half of the rest, half of that.
    assert!(matches!(&error, HubError::BrokenOff { got: 7000, listed: 8000, .. }), "{error}");
    assert!(error.to_string().contains("nothing came from 127.0.0.1:") && error.to_string().contains("for 0.4 s"), "{error}");
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
    let error = world.fetch().expect_err("401, gated");
    assert!(matches!(error, HubError::GatedTokenNeeded { .. }), "{error}");
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
    fn started(&self, file: &str, bytes: u64, kept: u64) {
        self.0.lock().unwrap().push((file.to_owned(), bytes, kept, false));
    }
    fn advanced(&self, bytes: u64) {
        self.0.lock().unwrap().last_mut().expect("a file").2 += bytes;
    }
    fn finished(&self) {
        self.0.lock().unwrap().last_mut().expect("a file").3 = true;
    }
    fn warn(&self, _message: &str) {}

    fn waiting(&self, _why: &str) {}
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

/// Distinct at each place, so that a piece at the wrong place shows.
fn numbers(bytes: usize) -> String {
    let words: Vec<String> = (0..=bytes / 5).map(|number| format!("{number:04} ")).collect();
    let mut text = words.concat();
    text.truncate(bytes);
    text
}

fn numbered() -> World {
    World::of(&[("config.json", "{}"), ("model.safetensors", &numbers(8000)), ("tokenizer.json", &numbers(6000))])
}

/// What the folder has is what the cache has, and nothing is left half done.
fn assert_whole(world: &World, snapshot: &Snapshot) {
    for file in names(&snapshot.dir) {
        assert_eq!(fs::read(snapshot.dir.join(&file)).unwrap(), fs::read(world.folder.path().join(&file)).unwrap(), "{file}");
    }
    let left: Vec<String> =
        names(&world.repo_dir().join("blobs")).into_iter().filter(|name| name.ends_with(".incomplete")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    for file in ["model.safetensors", "tokenizer.json"] {
        let world = numbered();
        let size = fs::metadata(world.folder.path().join(file)).unwrap().len() as usize;
        world.server.break_times(file, &[Fault::Cut, Fault::HalfWithoutLength]);
        let snapshot = world.fetch().expect("a snapshot");
        assert_eq!(world.server.starts(file), [0, size / 2, size / 2 + size / 4]);
        assert_eq!(world.pauses(), [1, 2]);
        assert_whole(&world, &snapshot);
    }
}

#[test]
fn the_next_run_goes_on_where_the_last_one_ended() {
    let world = numbered();
    world.server.break_file("model.safetensors", Fault::Cut);
    let error = world.fetch().expect_err("an error");
    let text = error.to_string();
    assert!(matches!(&error, HubError::BrokenOff { got: 7000, listed: 8000, .. }), "{text}");
    assert!(text.contains("`model.safetensors` of `people/model`") && text.contains("at 7000 of 8000 bytes"), "{text}");
    assert!(text.contains("hint: run it again; it goes on from there"), "{text}");
    let name = sha256(numbers(8000).as_bytes());
    let part = fs::read_to_string(world.repo_dir().join("blobs").join(format!("{name}.incomplete"))).expect("what came is kept");
    assert_eq!(part, numbers(7000));

    world.server.heal();
    world.server.forget_requests();
    let tally = Arc::new(Tally::default());
    let progress: Arc<dyn Progress> = Arc::clone(&tally) as Arc<dyn Progress>;
    let source = Source { repo: REPO, revision: None, wanted: Wanted::Base };
    let snapshot = fetch(&world.settings(), source, &progress).expect("a snapshot");
    assert_eq!(world.server.starts("model.safetensors"), [7000]);
    assert_eq!(world.server.downloads(), ["model.safetensors"], "what was complete is not fetched again");
    assert_eq!(*tally.0.lock().unwrap(), [("model.safetensors".to_owned(), 8000, 8000, true)]);
    assert_whole(&world, &snapshot);
}

#[test]
fn what_another_program_left_half_is_proven_in_the_end() {
    let left = |world: &World, text: &str| {
        let blobs = world.repo_dir().join("blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(format!("{}.incomplete", sha256(numbers(8000).as_bytes()))), text).unwrap();
    };
    // Too long, another content, holes, all of it and wrong, all of it and right.
    for (text, starts) in [
        (numbers(9000), vec![0]),
        ("x".repeat(3000), vec![3000, 0]),
        ("\0".repeat(8000), vec![0]),
        (numbers(3000), vec![3000]),
        (numbers(8000), vec![]),
    ] {
        let world = numbered();
        left(&world, &text);
        let snapshot = world.fetch().expect("a snapshot");
        assert_eq!(world.server.starts("model.safetensors"), starts, "{} bytes were left", text.len());
        assert_whole(&world, &snapshot);
    }
}

#[test]
fn a_body_of_the_right_size_and_another_content_is_refused() {
    for file in ["model.safetensors", "tokenizer.json"] {
        let world = numbered();
        world.server.break_file(file, Fault::OtherBytes);
        let error = world.fetch().expect_err("an error");
        assert!(matches!(&error, HubError::WrongContent { file: named, .. } if named == file), "{error}");
        assert!(error.to_string().contains("thrown away"), "{error}");
        assert_eq!(world.server.starts(file), [0], "the whole is not fetched again and again");
        let listed = if file == "tokenizer.json" { git_blob(numbers(6000).as_bytes()) } else { sha256(numbers(8000).as_bytes()) };
        assert!(names(&world.repo_dir().join("blobs")).iter().all(|name| !name.starts_with(&listed)), "neither whole nor half");
        assert!(!world.repo_dir().join("snapshots").join(FIRST).join(file).exists());

        // A wrong second half, and then the whole.
        world.server.break_times(file, &[Fault::Cut, Fault::OtherBytes]);
        world.server.forget_requests();
        let snapshot = world.fetch().expect("a snapshot");
        assert_eq!(world.server.starts(file).len(), 3);
        assert_eq!(world.server.starts(file)[2], 0);
        assert_whole(&world, &snapshot);
    }
}

#[test]
fn a_server_without_ranges_is_asked_for_the_whole() {
    for fault in [Fault::NoRanges, Fault::OtherRange, Fault::NoSuchRange] {
        let world = numbered();
        world.server.break_times("model.safetensors", &[Fault::Cut, fault]);
        let snapshot = world.fetch().expect("a snapshot");
        let starts = world.server.starts("model.safetensors");
        assert_eq!(starts, if fault == Fault::NoRanges { vec![0, 4000] } else { vec![0, 4000, 0] }, "{fault:?}");
        assert_whole(&world, &snapshot);
    }
}

#[test]
fn without_a_hash_a_file_comes_in_one_piece() {
    let world = numbered();
    world.server.use_own_etags();
    world.server.break_times("model.safetensors", &[Fault::Cut]);
    let snapshot = world.fetch().expect("a snapshot");
    assert_eq!(world.server.starts("model.safetensors"), [0, 0]);
    assert_eq!(fs::metadata(snapshot.dir.join("model.safetensors")).unwrap().len(), 8000);
}

#[test]
fn more_than_the_hub_lists_is_refused() {
    let world = numbered();
    world.server.break_file("model.safetensors", Fault::TwiceWithoutLength);
    let error = world.fetch().expect_err("an error");
    assert!(matches!(&error, HubError::WrongSize { got, listed: 8000, .. } if *got > 8000), "{error}");
    assert_eq!(world.blobs().len(), 2);
}

#[test]
fn a_line_that_breaks_often_and_brings_much_is_not_given_up() {
    let world = numbered();
    world.server.break_times("model.safetensors", &[Fault::Cut; 6]);
    let settings = HubSettings { retry: Retry { gain: 100, ..world.retry() }, ..world.settings() };
    let snapshot = base(&settings, None).expect("a snapshot");
    assert_eq!(world.server.starts("model.safetensors").len(), 7);
    assert_whole(&world, &snapshot);
}

#[test]
fn a_slow_answer_is_not_a_lost_one() {
    let world = numbered();
    world.server.break_file("model.safetensors", Fault::Trickle(150));
    // Less than the 1.5 s of the whole, far more than each of its pieces.
    let settings = HubSettings { patience: Duration::from_secs(1), ..world.settings() };
    let snapshot = base(&settings, None).expect("a snapshot");
    assert_whole(&world, &snapshot);
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    for what in ["revision", "paths-info", "model.safetensors", "tokenizer.json"] {
        let world = numbered();
        world.server.break_times(what, &[Fault::Wait(7), Fault::Wait(0)]);
        let snapshot = world.fetch().expect("a snapshot");
        assert_eq!(world.pauses(), [7, 2], "{what}");
        assert_whole(&world, &snapshot);
    }
}

#[test]
fn a_pause_that_is_too_long_is_told_and_not_waited_for() {
    for what in ["revision", "model.safetensors"] {
        let world = numbered();
        world.server.break_file(what, Fault::Wait(86_400));
        let error = world.fetch().expect_err("an error");
        assert!(matches!(&error, HubError::RateLimited { wait: Some(wait), .. } if wait.as_secs() == 86_400), "{error}");
        assert!(error.to_string().contains("hint: run it again in 86400 s"), "{error}");
        assert_eq!(world.pauses(), [0_u64; 0], "{what}");
    }
    let world = numbered();
    world.server.break_file("revision", Fault::Wait(25));
    let error = world.fetch().expect_err("an error");
    assert!(matches!(error, HubError::RateLimited { .. }), "{error}");
    assert_eq!(world.pauses(), [25, 25], "three tries");
}

#[test]
fn a_fault_that_passes_is_waited_out() {
    for what in ["revision", "paths-info", "model.safetensors", "tokenizer.json"] {
        for fault in [Fault::Status(500), Fault::Status(502), Fault::Status(503), Fault::Status(504), Fault::Status(408)] {
            let world = numbered();
            world.server.break_times(what, &[fault, Fault::NoAnswer]);
            let snapshot = world.fetch().unwrap_or_else(|error| panic!("{fault:?} of {what}: {error}"));
            assert_eq!(world.pauses(), [1, 2], "{fault:?} of {what}");
            assert_whole(&world, &snapshot);
        }
    }
    for what in ["revision", "paths-info"] {
        let world = numbered();
        world.server.break_times(what, &[Fault::Cut, Fault::HalfWithoutLength]);
        assert_whole(&world, &world.fetch().unwrap_or_else(|error| panic!("{what}: {error}")));
    }
}

#[test]
fn a_fault_that_stays_ends_after_the_tries() {
    for (what, fault) in [("revision", Fault::Status(503)), ("paths-info", Fault::NoAnswer), ("revision", Fault::Cut)] {
        let world = numbered();
        world.server.break_file(what, fault);
        let error = world.fetch().expect_err("an error");
        assert!(matches!(error, HubError::Status { status: 503, .. } | HubError::Lost { .. }), "{error}");
        assert_eq!(world.pauses(), [1, 2], "{fault:?} of {what}");
    }
    let world = numbered();
    world.server.break_file("model.safetensors", Fault::Status(503));
    let error = world.fetch().expect_err("an error");
    assert!(matches!(&error, HubError::BrokenOff { got: 0, listed: 8000, .. }), "{error}");
    assert!(error.to_string().contains("answered with status 503: out of order"), "{error}");
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for (what, fault) in [
        ("revision", Fault::Page),
        ("revision", Fault::Circle),
        ("model.safetensors", Fault::Circle),
        ("revision", Fault::Status(451)),
    ] {
        let world = numbered();
        world.server.break_file(what, fault);
        let error = world.fetch().expect_err("an error");
        assert!(matches!(error, HubError::Protocol { .. } | HubError::Status { status: 451, .. }), "{fault:?}: {error}");
        assert_eq!(world.pauses(), [0_u64; 0], "{fault:?} of {what}");
    }
    let world = World::base();
    world.server.set_door(Door::Forbidden);
    world.fetch().expect_err("403");
    assert_eq!(world.pauses(), [0_u64; 0]);
}

#[test]
fn what_a_storage_server_refuses_is_not_told_as_the_hubs() {
    for status in [401, 403, 404] {
        let world = numbered();
        world.server.break_file("model.safetensors", Fault::Status(status));
        let error = base(&world.with_token(), None).expect_err("an error");
        assert!(matches!(&error, HubError::Status { status: named, .. } if *named == status), "{error}");
        assert!(!error.to_string().contains(world.server.endpoint().trim_start_matches("http://")), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[test]
fn a_repository_under_a_new_name_is_followed_with_the_token() {
    let world = numbered();
    world.server.rename_from("people/before");
    world.server.set_door(Door::Token(TOKEN.to_owned()));
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    let source = Source { repo: "people/before", revision: None, wanted: Wanted::Base };
    let snapshot = fetch(&world.with_token(), source, &silent).expect("a snapshot");
    assert_eq!(fs::read_to_string(snapshot.dir.join("model.safetensors")).unwrap(), numbers(8000));
    for request in world.server.requests().iter().filter(|request| request.host == Host::Storage) {
        assert_eq!((&request.authorization, &request.referer), (&None, &None), "{}", request.path);
    }
}

#[test]
fn files_that_are_kept_in_xet_come_without_it() {
    let world = numbered();
    world.fetch().expect("a snapshot");
    for request in world.server.requests() {
        assert!(!request.path.contains("xet"), "{}", request.path);
        assert_eq!(request.referer, None, "{}", request.path);
    }
}

#[test]
fn chat_templates_in_their_folder_are_fetched_and_found_offline() {
    let world = World::of(&[
        ("config.json", "{}"),
        ("model.safetensors", "weights"),
        ("tokenizer.json", "{ }"),
        ("chat_template.jinja", "{{ messages }}"),
        ("additional_chat_templates/rag.jinja", "{{ documents }}"),
        ("additional_chat_templates/tool use.jinja", "{{ tools }}"),
        ("additional_chat_templates/notes.md", "no template"),
    ]);
    let snapshot = world.fetch().expect("a snapshot");
    let folder = snapshot.dir.join("additional_chat_templates");
    assert_eq!(names(&folder), ["rag.jinja", "tool use.jinja"]);
    assert_eq!(fs::read_to_string(folder.join("tool use.jinja")).unwrap(), "{{ tools }}");
    assert!(fs::read_link(folder.join("rag.jinja")).unwrap().starts_with("../../../blobs"));
    assert_eq!(base(&world.offline(), None).expect("the same, offline"), snapshot);
}

#[test]
fn blobs_have_the_names_that_pythons_cache_gives_them() {
    let world = numbered();
    world.fetch().expect("a snapshot");
    let mut expected = vec![git_blob(b"{}"), sha256(numbers(8000).as_bytes()), git_blob(numbers(6000).as_bytes())];
    expected.sort();
    assert_eq!(world.blobs(), expected);
}

#[test]
fn another_process_at_the_same_file_is_waited_for_while_it_gets_on() {
    let world = numbered();
    let name = sha256(numbers(8000).as_bytes());
    let locks = world.cache.path().join(".locks/models--people--model");
    fs::create_dir_all(&locks).unwrap();
    // Where huggingface_hub locks it too.
    let lock = fs::File::create(locks.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let error = world.fetch().expect_err("it stands still");
    assert!(matches!(&error, HubError::Busy { file, .. } if file == "model.safetensors"), "{error}");
    assert_eq!(world.server.starts("model.safetensors"), [0_usize; 0]);

    // It comes to its end while this one waits.
    let blobs = world.repo_dir().join("blobs");
    let (part, blob) = (blobs.join(format!("{name}.incomplete")), blobs.join(&name));
    let looks = Mutex::new((0_usize, Some(lock)));
    let sleep = move |_| {
        let mut looks = looks.lock().unwrap();
        looks.0 += 1;
        fs::write(&part, numbers((looks.0 * 10).min(8000))).unwrap();
        if looks.0 == 1000 {
            fs::rename(&part, &blob).unwrap();
            looks.1 = None;
            fs::write(&blob, numbers(8000)).unwrap();
        }
    };
    let settings = HubSettings { retry: Retry { sleep: Arc::new(sleep), ..world.retry() }, ..world.settings() };
    let snapshot = base(&settings, None).expect("a snapshot");
    assert_eq!(world.server.starts("model.safetensors"), [0_usize; 0], "the other fetched it");
    assert_whole(&world, &snapshot);
}

#[test]
fn a_fetch_may_be_waited_for_inside_an_asynchronous_runtime() {
    let world = numbered();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { world.fetch() }).expect("a snapshot");
}
