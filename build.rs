//! Tells the crate how it is built: `sway doctor` reports it, and keys of answers that are kept carry what computed them.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only a build script hears of the first two.
    for name in ["TARGET", "OPT_LEVEL", "CARGO_CFG_FEATURE"] {
        println!("cargo::rustc-env=SWAY_{name}={}", std::env::var(name).unwrap_or_default());
    }
    println!("cargo::rustc-env=SWAY_SOURCES={:016x}", digest());
}

/// Of everything that this build is made of: the sources, the versions of what they use, and how they are compiled.
fn digest() -> u64 {
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")];
    sources(Path::new("src"), &mut files);
    files.sort();
    let mut digest = DefaultHasher::new();
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        file.hash(&mut digest);
        fs::read(&file).ok().hash(&mut digest);
    }
    for name in ["TARGET", "OPT_LEVEL", "CARGO_CFG_FEATURE", "CARGO_CFG_TARGET_FEATURE", "CARGO_ENCODED_RUSTFLAGS", "RUSTC"] {
        std::env::var_os(name).hash(&mut digest);
    }
    digest.finish()
}

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    // A folder that gets another file is another folder.
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}
