//! Files of this machine that change.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;

struct Kept {
    dir: tempfile::TempDir,
    path: PathBuf,
    object: Object,
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    fs::write(&path, "0123456789").unwrap();
    // So that a clock that ticks slowly does no harm.
    fs::File::open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    let object = one(&places(), path.to_str().unwrap());
    Kept { dir, path, object }
}

fn changed(kept: &Kept) -> String {
    let error = places().read(&kept.object, 2..5).unwrap_err();
    assert_eq!(error.code(), "changed", "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(places().fetch(&kept.object, 2..5)).unwrap_err(), error);
    error.to_string()
}

#[test]
fn a_part_of_a_file_is_read_both_ways() {
    let Kept { object, dir: _dir, .. } = kept();
    assert_eq!(object.size, 10);
    let places = places();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for range in [0..10, 2..5, 9..10, 4..4] {
        let expected = &"0123456789"[range.start as usize..range.end as usize];
        assert_eq!(places.read(&object, range.clone()).unwrap(), expected);
        assert_eq!(runtime.block_on(places.fetch(&object, range)).unwrap(), expected);
    }
    assert_eq!(code_of(places.read(&object, 5..11)), "out_of_range");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_an_error() {
    let kept = kept();
    fs::OpenOptions::new().append(true).open(&kept.path).unwrap().write_all(b"more").unwrap();
    assert!(changed(&kept).contains("it has 14 bytes, and had 10"));
}

#[test]
fn a_file_that_is_cut_off_written_to_or_replaced_is_an_error() {
    let kept_one = kept();
    fs::OpenOptions::new().write(true).open(&kept_one.path).unwrap().set_len(3).unwrap();
    assert!(changed(&kept_one).contains("it has 3 bytes, and had 10"));

    let kept_one = kept();
    fs::write(&kept_one.path, "9876543210").unwrap();
    assert!(changed(&kept_one).contains("it was written to, or replaced"));

    let kept_one = kept();
    let modified = fs::metadata(&kept_one.path).unwrap().modified().unwrap();
    let other = kept_one.dir.path().join("other");
    fs::write(&other, "9876543210").unwrap();
    fs::File::open(&other).unwrap().set_modified(modified).unwrap();
    fs::rename(&other, &kept_one.path).unwrap();
    assert!(changed(&kept_one).contains("it was written to, or replaced"), "of the same size and time");

    let kept_one = kept();
    fs::remove_file(&kept_one.path).unwrap();
    fs::create_dir(&kept_one.path).unwrap();
    assert!(changed(&kept_one).contains("it is no regular file"));
}

#[test]
fn a_file_that_is_gone_is_named() {
    let kept = kept();
    fs::remove_file(&kept.path).unwrap();
    let error = places().read(&kept.object, 2..5).unwrap_err();
    assert_eq!(error.code(), "file");
    assert!(error.to_string().starts_with(&format!("{}, bytes 2 to 5: ", kept.object.uri)), "{error}");
}

#[test]
fn a_listing_of_files_that_did_not_change_is_the_same() {
    let kept = kept();
    let uri = || Uri::parse(kept.path.to_str().unwrap()).unwrap();
    let digest = || places().list(&[uri()]).unwrap().digest();
    let before = digest();
    assert_eq!(before, digest());
    fs::write(&kept.path, "9876543210").unwrap();
    assert_ne!(before, digest());
}
