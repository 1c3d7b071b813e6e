//! Globs over files of this machine.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::stream::place::pattern::{Hidden, Pattern};

/// A folder with files in it, and links.
struct World(tempfile::TempDir);

impl World {
    fn of(files: &[&str]) -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for file in files {
            let path = world.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        world
    }

    fn root(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn link(&self, from: &str, to: &str) {
        symlink(to, self.0.path().join(from)).unwrap();
    }

    /// What globs stand for, from the folder on.
    fn glob(&self, globs: &[&str]) -> Vec<String> {
        self.try_glob(globs).unwrap()
    }

    fn try_glob(&self, globs: &[&str]) -> Result<Vec<String>, String> {
        let uris: Vec<Uri> = globs.iter().map(|glob| Uri::parse(glob).unwrap().below(self.0.path()).unwrap()).collect();
        let found = places().list(&uris).map_err(|error| error.to_string().replace(self.root(), ""))?;
        Ok(found.objects().iter().map(|object| object.uri.strip_prefix(self.root()).unwrap()[1..].to_owned()).collect())
    }
}

#[test]
fn files_are_found_once_each_and_in_order() {
    let world = World::of(&["b.jsonl", "a.jsonl", "sub/c.jsonl", "sub/deep/d.jsonl", "sub/e.txt"]);
    assert_eq!(world.glob(&["*.jsonl"]), ["a.jsonl", "b.jsonl"]);
    assert_eq!(world.glob(&["**/*.jsonl"]), ["a.jsonl", "b.jsonl", "sub/c.jsonl", "sub/deep/d.jsonl"]);
    assert_eq!(world.glob(&["sub/**"]), ["sub/c.jsonl", "sub/deep/d.jsonl", "sub/e.txt"]);
    assert_eq!(world.glob(&["*/*.{jsonl,txt}"]), ["sub/c.jsonl", "sub/e.txt"]);
    assert_eq!(world.glob(&["sub/deep/../c.jsonl"]), ["sub/deep/../c.jsonl"], "as it was written");
    assert_eq!(world.glob(&["b.jsonl", "*.jsonl", "sub/../a.jsonl", "./a.jsonl"]), ["a.jsonl", "b.jsonl"]);
}

#[test]
fn a_url_of_a_file_is_the_file() {
    let world = World::of(&["a b/ü.txt"]);
    let uri = format!("file://{}/a%20b/*", world.root());
    assert_eq!(one(&places(), &uri).uri, format!("{}/a b/ü.txt", world.root()));
}

#[test]
fn a_relative_path_starts_at_the_working_folder() {
    // Tests run in the folder of the package.
    assert_eq!(one(&places(), "Cargo.to[m]l").uri, "Cargo.toml");
    assert_eq!(one(&places(), "./src/../Cargo.toml").uri, "src/../Cargo.toml");
    assert!(list(&places(), &["Cargo.*", "src/*.rs"]).unwrap().iter().any(|object| object.uri == "src/lib.rs"));
}

#[test]
fn odd_names_are_names() {
    let names =
        ["a[1].txt", "b*.txt", "ü/日本 語.txt", "{x}.txt", "back\\slash.txt", "q?.txt", " .txt", "new\nline.txt", "#%20.txt"];
    let world = World::of(&names);
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    assert_eq!(world.glob(&["**"]), sorted);
    for (glob, name) in [
        ("a[[]1].txt", "a[1].txt"),
        ("b[*].txt", "b*.txt"),
        ("?/日* 語.txt", "ü/日本 語.txt"),
        ("[{]x[}].txt", "{x}.txt"),
        ("back\\slash.txt", "back\\slash.txt"),
        ("new?line.txt", "new\nline.txt"),
    ] {
        assert_eq!(world.glob(&[glob]), [name], "{glob}");
    }
    let objects = list(&places(), &[&format!("{}/**", world.root())]).unwrap();
    for object in objects {
        let text = places().read(&object, 0..object.size).unwrap();
        assert!(object.uri.as_bytes().ends_with(&text), "each is read back by its name: {object:?}");
    }
}

#[test]
fn links_that_lead_round_in_circles_end() {
    let world = World::of(&["a/x.jsonl", "b/y.jsonl"]);
    world.link("a/up", "..");
    world.link("a/self", ".");
    world.link("b/a", "../a");
    world.link("a/b", "../b");
    world.link("loop", "loop");
    assert_eq!(world.glob(&["**/*.jsonl"]), ["a/x.jsonl", "b/y.jsonl"]);
    assert_eq!(world.glob(&["a/**/*.jsonl"]), ["a/b/y.jsonl", "a/x.jsonl"]);
    assert_eq!(world.glob(&["*/up/*/*.jsonl"]), ["a/up/a/x.jsonl", "a/up/b/y.jsonl"]);
}

#[test]
fn many_folders_that_all_link_to_each_other_end_soon() {
    let names: Vec<String> = (0..12).map(|nth| format!("d{nth:02}/x")).collect();
    let world = World::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for from in 0..12 {
        for to in 0..12 {
            world.link(&format!("d{from:02}/to{to:02}"), &format!("../d{to:02}"));
        }
    }
    assert_eq!(world.glob(&["**/x"]), names);
}

#[test]
fn links_are_followed_where_they_lead_to_what_is_not_here() {
    let elsewhere = World::of(&["far/z.jsonl", "one.jsonl"]);
    let world = World::of(&["a.jsonl"]);
    world.link("linked", &format!("{}/far", elsewhere.root()));
    world.link("one.jsonl", &format!("{}/one.jsonl", elsewhere.root()));
    world.link("again.jsonl", "a.jsonl");
    assert_eq!(world.glob(&["**/*.jsonl"]), ["a.jsonl", "linked/z.jsonl", "one.jsonl"], "and a file of two names once");
    assert_eq!(world.glob(&["again.jsonl"]), ["again.jsonl"]);
}

#[test]
fn a_folder_behind_a_link_is_searched_for_all_that_is_left_of_a_pattern() {
    let world = World::of(&["d/other/x.jsonl"]);
    world.link("d/sub", "other");
    assert_eq!(world.glob(&["d/**/sub/*.jsonl"]), ["d/sub/x.jsonl"], "though `**` was in it before");
}

#[test]
fn a_link_that_leads_nowhere_is_an_error_where_it_is_meant() {
    let world = World::of(&["a.jsonl"]);
    world.link("gone.jsonl", "nothing");
    world.link("loop.txt", "loop.txt");
    assert_eq!(world.glob(&["a*"]), ["a.jsonl"]);
    assert_eq!(world.try_glob(&["*.jsonl"]).unwrap_err(), "listing `/gone.jsonl`: it is a link that leads nowhere");
    assert!(world.try_glob(&["*.txt"]).unwrap_err().contains("/loop.txt`: it is a link that leads nowhere"));
}

#[test]
fn hidden_files_are_passed_over_and_counted() {
    let world =
        World::of(&["a.jsonl", ".b.jsonl", "_SUCCESS", "_c.jsonl", ".git/d.jsonl", "_year=2026/e.jsonl", "sub/_tmp/f.jsonl"]);
    let uri = Uri::parse("**/*.jsonl").unwrap().below(world.0.path()).unwrap();
    let listing = places().list(&[uri]).unwrap();
    assert_eq!(listing.objects().len(), 2, "{listing:?}");
    let mut passed: Vec<&str> = listing.passed_over().first.iter().map(|uri| uri.strip_prefix(world.root()).unwrap()).collect();
    passed.sort_unstable();
    assert_eq!(passed, ["/.b.jsonl", "/.git", "/_c.jsonl", "/sub/_tmp"]);
    assert_eq!(listing.passed_over().count, 4);
    assert_eq!(world.glob(&["_*"]), ["_SUCCESS", "_c.jsonl"]);
    assert_eq!(world.glob(&[".git/*", "sub/_tmp/*", ".b.jsonl"]), [".b.jsonl", ".git/d.jsonl", "sub/_tmp/f.jsonl"]);
}

#[test]
fn what_matches_nothing_is_an_error_with_a_hint() {
    let world = World::of(&["a.jsonl", "sub/b.jsonl", "c[1].txt", ".hidden"]);
    for (glob, words) in [
        ("*.parquet", "matches nothing\nhint: `*` stands for"),
        ("nothing/*.jsonl", "matches nothing"),
        ("a.jsonl/*", "matches nothing"),
        ("nothing.jsonl", "matches nothing\nhint: there is no such file"),
        ("c[1].txt", "matches nothing\nhint: a name that has a bracket"),
        ("{a,b}.jsonl", "b.jsonl` matches nothing\nhint: each alternative"),
        ("*sub", "matches nothing"),
        ("sub", "/sub`: it is a folder: name its files"),
    ] {
        let error = world.try_glob(&[glob]).unwrap_err();
        assert!(error.contains(words), "{glob}: {error}");
    }
    assert!(world.try_glob(&["*.jsonl", "*.nothing"]).is_err(), "each uri must stand for something");
    assert_eq!(world.glob(&["*.{jsonl,parquet}"]), ["a.jsonl"], "one alternative with wildcards is enough");
}

#[test]
fn what_is_no_file_or_has_no_name_is_refused_where_it_is_meant() {
    let world = World::of(&["a.jsonl"]);
    let path = world.0.path().join(std::ffi::OsStr::from_bytes(b"b\xff.jsonl"));
    // Not every file system has such names.
    if fs::write(path, "x").is_ok() {
        assert!(world.try_glob(&["*.jsonl"]).unwrap_err().contains("its name is not UTF-8"));
        assert_eq!(world.glob(&["a*"]), ["a.jsonl"]);
    }
    let _socket = std::os::unix::net::UnixListener::bind(world.0.path().join("c.sock")).unwrap();
    assert!(world.try_glob(&["*.sock"]).unwrap_err().contains("/c.sock`: it is no regular file"));
}

/// Lets nothing outside of one folder be read.
#[derive(Debug)]
struct Fenced(std::path::PathBuf);

impl Fenced {
    fn check<'a>(&self, path: &'a Path) -> std::io::Result<&'a Path> {
        let inside = path.canonicalize()?.starts_with(&self.0);
        if inside { Ok(path) } else { Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "it lies outside")) }
    }
}

impl crate::stream::place::Ground for Fenced {
    fn open(&self, written: &Path) -> std::io::Result<fs::File> {
        OpenGround.open(self.check(written)?)
    }

    fn read_folder(&self, written: &Path) -> std::io::Result<Vec<crate::stream::place::Entry>> {
        OpenGround.read_folder(self.check(written)?)
    }

    fn metadata(&self, written: &Path) -> std::io::Result<fs::Metadata> {
        OpenGround.metadata(self.check(written)?)
    }

    fn real_path(&self, written: &Path) -> std::io::Result<std::path::PathBuf> {
        OpenGround.real_path(self.check(written)?)
    }
}

#[test]
fn what_lies_outside_of_a_fence_is_an_error_and_not_passed_over() {
    let outside = World::of(&["secret.jsonl"]);
    let world = World::of(&["a.jsonl", "sub/b.jsonl"]);
    let ground = Arc::new(Fenced(world.0.path().canonicalize().unwrap()));
    let places = Places::new(ground, Environment::default(), patience(), Arc::default()).unwrap();
    let listed = |glob: &str| places.list(&[Uri::parse(glob).unwrap().below(world.0.path()).unwrap()]);
    assert_eq!(listed("**").unwrap().objects().len(), 2);
    world.link("sub/out", outside.root());
    assert!(listed("**").unwrap_err().to_string().contains("/sub/out`: it lies outside"));
    assert!(listed("sub/out/secret.jsonl").unwrap_err().to_string().contains("it lies outside"));
    let object = Object { uri: format!("{}/secret.jsonl", outside.root()), size: 1, tag: String::new() };
    assert!(places.read(&object, 0..1).unwrap_err().to_string().contains("it lies outside"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_walk_finds_what_the_pattern_matches(
        files in proptest::collection::btree_set("[ab._]{1,2}(/[ab._]{1,2}){0,3}", 1..10),
        globs in proptest::collection::vec(r"(\*\*|[ab*?._]{1,2})(/(\*\*|[ab*?_]{1,2})){0,3}", 1..3),
    ) {
        let plain = |path: &str| path.split('/').all(|name| name != "." && name != "..");
        prop_assume!(globs.iter().all(|glob| plain(glob) && Pattern::alternatives(glob).is_ok()));
        let dir = tempfile::tempdir().unwrap();
        let mut there = Vec::new();
        for file in files.iter().filter(|file| plain(file)) {
            let path = dir.path().join(file);
            // A name can't be a file's and a folder's.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::write(&path, "x").is_ok() {
                there.push(file.clone());
            }
        }
        let patterns: Vec<Pattern> = globs.iter().map(|glob| Pattern::alternatives(glob).unwrap().remove(0)).collect();
        let mut expected: Vec<&String> = there.iter().filter(|path| patterns.iter().any(|one| one.matches(path, Hidden::PassedOver))).collect();
        expected.sort_unstable();
        let root = dir.path().to_str().unwrap();
        let mut found = Vec::new();
        for pattern in &patterns {
            let pattern = pattern.clone().below(root[1..].split('/'));
            match crate::stream::place::walk::Walk::new(&OpenGround, &pattern, true).run(100, "") {
                Ok((files, _)) => found.extend(files.into_values().map(|object| (object.uri.clone().into_bytes(), object))),
                Err(error) => prop_assert!(pattern.literal().is_some() && error.to_string().contains("it is a folder"), "{}", error),
            }
        }
        let listing = crate::stream::place::Listing::new(found, crate::stream::place::PassedOver::default());
        let uris: Vec<&str> = listing.objects().iter().map(|object| &object.uri[root.len() + 1..]).collect();
        prop_assert_eq!(uris, expected);
    }
}
