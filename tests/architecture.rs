//! The rooms of the crate, and who may enter them: read from the sources, so that an arrow that is not in the table fails.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which rooms each room may import. `request`, `record`, `math` and `workspace` are leaves: words, formulas and paths
/// without behaviour.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "doctor",
            "engine",
            "model",
            "probe",
            "record",
            "report",
            "request",
            "runner",
            "score",
            "serve",
            "store",
            "stream",
            "suite",
            "workspace",
        ],
    ),
    ("runner", &["engine", "math", "pipeline", "probe", "record", "request", "store", "stream", "suite", "workspace"]),
    ("score", &["request", "stream", "suite"]),
    ("doctor", &["model", "record"]),
    ("report", &["record"]),
    ("probe", &["math", "pipeline", "record", "request"]),
    ("pipeline", &["math", "request", "retry", "template"]),
    ("engine", &["model", "record", "request"]),
    ("model", &["math", "request", "template", "workspace"]),
    ("serve", &["engine", "record", "report", "request", "runner", "score", "suite", "workspace"]),
    ("retry", &[]),
    ("store", &[]),
    ("suite", &[]),
    ("stream", &["retry", "template", "workspace"]),
    ("template", &[]),
    ("workspace", &[]),
    ("record", &[]),
    ("request", &[]),
    ("math", &[]),
];

/// Crates that one room alone may name.
const OWNED: &[(&str, &str)] = &[
    ("candle_core", "model"),
    ("tokenizers", "model"),
    ("hf_hub", "model"),
    ("safetensors", "model"),
    ("memmap2", "model"),
    ("pulp", "model"),
    ("half", "model"),
    ("sysinfo", "model"),
    ("fs4", "model"),
    ("jsonschema", "pipeline"),
    ("process_wrap", "pipeline"),
    ("object_store", "stream"),
    ("parquet", "stream"),
    ("rusqlite", "store"),
    ("redis", "cli"),
    ("anyhow", "cli"),
    ("indicatif", "cli"),
    ("clap", "cli"),
    ("axum", "serve"),
    ("hyper", "serve"),
    ("hyper_util", "serve"),
    ("tokio_io_timeout", "serve"),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of each room, comments left out.
fn rooms() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut rooms: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        // Folders of tests may print: some are what other tests start as a process.
        if relative.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let Some(room) = relative.parent().and_then(|dir| dir.components().next()) else { continue };
        let text = std::fs::read_to_string(&file).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        rooms.entry(room.as_os_str().to_string_lossy().into_owned()).or_default().push_str(&(code.join("\n") + "\n"));
    }
    rooms
}

/// The rooms that some code names: `crate::room::…`, also inside `use crate::{a::…, b::…}`.
fn named(code: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let group = rest.strip_prefix('{').map_or("", |group| group.split(';').next().unwrap_or_default());
        let first: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        names.insert(first);
        names.extend(group.split([',', '{', '}']).filter_map(|part| part.trim().split("::").next()).map(str::to_owned));
    }
    names.intersection(known).cloned().collect()
}

#[test]
fn every_room_is_in_the_table() {
    let rooms: Vec<String> = rooms().into_keys().collect();
    let mut table: Vec<String> = ARROWS.iter().map(|(room, _)| (*room).to_owned()).collect();
    table.sort();
    assert_eq!(rooms, table);
}

#[test]
fn rooms_import_only_what_the_arrows_allow() {
    let rooms = rooms();
    let known: BTreeSet<String> = rooms.keys().cloned().collect();
    for (room, allowed) in ARROWS {
        let extra: Vec<String> =
            named(&rooms[*room], &known).into_iter().filter(|name| name != room && !allowed.contains(&name.as_str())).collect();
        assert!(extra.is_empty(), "{room} imports {extra:?}, which no arrow allows");
    }
}

#[test]
fn a_crate_that_belongs_to_one_room_is_named_in_no_other() {
    for (room, code) in rooms() {
        for (owned, owner) in OWNED {
            let named = code
                .match_indices(&format!("{owned}::"))
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
            assert!(!named || room == *owner, "{room} names {owned}, which belongs to {owner}");
        }
    }
}

#[test]
fn only_the_command_line_prints() {
    for (room, code) in rooms() {
        let prints = ["println!", "print!(", "eprintln!", "io::stdout", "io::stderr", "process::exit"]
            .iter()
            .any(|word| code.contains(word));
        assert!(!prints || room == "cli", "{room} prints or exits");
    }
}
