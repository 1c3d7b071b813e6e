//! What the README shows is what the program says: every block that names its command is held against that command's output.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::path::Path;

use assert_cmd::Command;

const MARK: &str = "<!-- output of: sway ";

/// The arguments and the text of each marked block.
fn blocks(readme: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    readme
        .split(MARK)
        .skip(1)
        .map(|rest| {
            let (arguments, rest) = rest.split_once(" -->").unwrap();
            let block = rest.trim_start().strip_prefix("```text\n").unwrap().split("\n```").next().unwrap();
            (arguments.split(' ').collect(), block.lines().collect())
        })
        .collect()
}

#[test]
fn the_readme_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 3, "only {} blocks name their command", blocks.len());
    for (arguments, shown) in blocks {
        let output =
            Command::cargo_bin("sway").unwrap().current_dir(root).env("SWAY_STORE", "").args(&arguments).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let said: Vec<&str> = output.lines().collect();
        let mut at = 0;
        // An ellipsis stands for lines left out; what is between two of them stands together.
        for part in shown.split(|line| *line == "…").filter(|part| !part.is_empty()) {
            let place = said[at..].windows(part.len()).position(|window| window == part);
            let place = place
                .unwrap_or_else(|| panic!("`sway {}` no longer says:\n{}\nbut:\n{output}", arguments.join(" "), part.join("\n")));
            at += place + part.len();
        }
    }
}
