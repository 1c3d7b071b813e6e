//! A folder is not trusted, and its bound is kept.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::packed::{Packed, Packing};
use super::*;

fn key(name: u64) -> Key {
    Key(blake3::hash(&name.to_le_bytes()).into())
}

fn entry(raw: &[u8]) -> Entry {
    Entry { packed: Packer::default().pack(raw), fetched: 7 }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

fn open(dir: &tempfile::TempDir, most: u64) -> Folder {
    Folder::open(dir.path(), most, None).unwrap()
}

fn read(folder: &Folder, key: &Key, len: usize) -> Found {
    folder.read(key, len as u32, &Packer::default(), at(0))
}

/// A block that is packed, one that is not, and one that is packed in fours.
fn three() -> [Vec<u8>; 3] {
    let numbers: Vec<u8> = (0_u32..200).flat_map(|nth| (nth * nth * 7 % 60_000).to_le_bytes()).collect();
    [b"a line of text\n".repeat(20), (0..60).collect(), numbers]
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}

#[test]
fn a_block_is_read_as_it_was_written_by_whoever_opens_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    for (name, raw) in (0..).zip(three()) {
        assert_eq!(entry(&raw).packed.packing, [Packing::Zstd, Packing::Raw, Packing::ShuffledZstd][name as usize]);
        open(&dir, 1 << 20).write(&key(name), &entry(&raw), &raw, at(0)).unwrap();
        let Found::Block(found, bytes) = read(&open(&dir, 1 << 20), &key(name), raw.len()) else { panic!() };
        assert_eq!((found.packed, found.fetched, &bytes[..]), (entry(&raw).packed, 7, &raw[..]));
    }
    assert!(matches!(read(&open(&dir, 1 << 20), &key(9), 60), Found::Absent));
}

#[test]
fn no_flipped_byte_and_no_cut_gives_wrong_bytes() {
    for raw in three() {
        let dir = tempfile::tempdir().unwrap();
        let folder = open(&dir, 1 << 20);
        let damage = |change: &dyn Fn(&mut Vec<u8>)| {
            folder.write(&key(1), &entry(&raw), &raw, at(0)).unwrap();
            let path = folder.place(&key(1));
            let mut file = fs::read(&path).unwrap();
            change(&mut file);
            fs::write(&path, file).unwrap();
            let found = read(&folder, &key(1), raw.len());
            let is_gone = !path.exists();
            (found, is_gone)
        };
        let len = file::HEAD + entry(&raw).packed.bytes.len();
        for byte in 0..len {
            for bits in [1, 0x80, 0xff] {
                match damage(&|file| file[byte] ^= bits) {
                    (Found::Damaged, is_gone) => assert!(is_gone),
                    // A bit of zstd's that means nothing.
                    (Found::Block(_, bytes), _) => assert!(bytes == raw && byte >= file::HEAD, "byte {byte}"),
                    (Found::Absent, _) => panic!("byte {byte}"),
                }
            }
        }
        for cut in 0..len {
            assert!(matches!(damage(&|file| file.truncate(cut)), (Found::Damaged, true)), "cut at {cut}");
        }
        assert!(matches!(damage(&|file| file.push(0)), (Found::Damaged, true)));
        assert!(matches!(damage(&|file| file.extend(vec![0; 1 << 16])), (Found::Damaged, true)));
        assert!(matches!(damage(&|file| file.fill(0)), (Found::Damaged, true)));
    }
}

#[test]
fn a_file_in_another_blocks_place_is_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let folder = open(&dir, 1 << 20);
    let raw = &three()[0];
    for name in [1, 2] {
        folder.write(&key(name), &entry(raw), raw, at(0)).unwrap();
    }
    fs::copy(folder.place(&key(1)), folder.place(&key(2))).unwrap();
    assert!(matches!(read(&folder, &key(2), raw.len()), Found::Damaged));
    assert!(matches!(read(&folder, &key(1), raw.len() - 1), Found::Damaged), "a block has the length that it must have");
}

#[test]
fn a_bomb_in_a_blocks_file_is_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let folder = open(&dir, 1 << 20);
    let bytes = Bytes::from(zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap());
    for len in [1 << 20, 64 << 20] {
        let packed = Packed { packing: Packing::Zstd, bytes: bytes.clone(), len };
        let raw = vec![0; len as usize];
        let bomb = Entry { packed, fetched: 0 };
        fs::create_dir_all(folder.place(&key(1)).parent().unwrap()).unwrap();
        fs::write(folder.place(&key(1)), [&file::head(&key(1), &bomb, &raw)[..], &bytes].concat()).unwrap();
        assert!(matches!(read(&folder, &key(1), 1 << 20), Found::Damaged));
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let folder = open(&dir, 1 << 20);
    let raw = &three()[0];
    folder.write(&key(1), &entry(raw), raw, at(0)).unwrap();
    let place = folder.place(&key(1));
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&place, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
    assert!(matches!(read(&folder, &key(1), raw.len()), Found::Absent), "a link is not followed");
    fs::remove_file(&place).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(matches!(read(&folder, &key(1), raw.len()), Found::Damaged), "a pipe is not waited for");
    fs::create_dir(&place).unwrap();
    assert!(matches!(read(&folder, &key(1), raw.len()), Found::Damaged));
}

#[cfg(unix)]
#[test]
fn blocks_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let folder = open(&dir, 1 << 20);
    folder.write(&key(1), &entry(&[1]), &[1], at(0)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.place(&key(1))), 0o600);
    assert_eq!((mode(folder.place(&key(1)).parent().unwrap()), mode(&folder.path)), (0o700, 0o700));
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o770)).unwrap();
    let refused = Folder::open(dir.path(), 1, None).err().unwrap().to_string();
    assert!(refused.ends_with("others may write to it\nhint: name a folder that is yours alone"), "{refused}");
}

#[test]
fn what_is_no_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Folder::open(&file, 1, None), Err(FolderError::Unusable { .. })));
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join(NAME), "").unwrap();
    let refused = Folder::open(&inner, 1, None).err().unwrap().to_string();
    assert!(refused.contains("it is no folder"), "{refused}");
    #[cfg(unix)]
    {
        let linked = dir.path().join("linked");
        fs::create_dir(&linked).unwrap();
        std::os::unix::fs::symlink(&inner, linked.join(NAME)).unwrap();
        assert!(Folder::open(&linked, 1, None).is_err());
    }
}

#[test]
fn the_one_that_was_not_used_for_longest_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, other) = (open(&dir, 4 * 4096 + 2048), open(&dir, 4 * 4096 + 2048));
    for name in 0..4 {
        folder.write(&key(name), &entry(&[1]), &[1], at(name)).unwrap();
    }
    // Another process reads the oldest.
    assert!(matches!(other.read(&key(0), 1, &Packer::default(), at(9)), Found::Block(..)));
    assert_eq!(folder.write(&key(4), &entry(&[1]), &[1], at(10)).unwrap().evicted, 1);
    let there: Vec<u64> = (0..5).filter(|name| matches!(read(&folder, &key(*name), 1), Found::Block(..))).collect();
    assert_eq!(there, [0, 2, 3, 4]);
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_is_not_ours_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let folder = open(&dir, 4096);
    let shelf = folder.path.join("ab");
    fs::create_dir(&shelf).unwrap();
    let make = |path: &Path, age: u64| {
        fs::write(path, "half of it").unwrap();
        File::options().write(true).open(path).unwrap().set_modified(at(1_000_000 - age)).unwrap();
    };
    let [old, new, foreign, key_like] = [".new-old", ".new-new", "notes.txt", "abc"].map(|name| shelf.join(name));
    make(&old, 3601);
    make(&new, 3600);
    make(&foreign, 1_000_000);
    make(&key_like, 1_000_000);
    make(&dir.path().join("mine"), 1_000_000);
    let swept = sweep(&folder.path, 0, 0, Some(Duration::from_secs(1)), at(1_000_000));
    assert_eq!((swept.bytes, swept.files, swept.evicted, swept.expired), (4096, 0, 0, 0));
    assert_eq!([old, new, foreign, key_like].map(|path| path.exists()), [false, true, true, true]);
    assert!(dir.path().join("mine").exists());
}

#[test]
fn another_formats_blocks_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let newer = dir.path().join("sway-blocks-2").join("ab");
    fs::create_dir_all(&newer).unwrap();
    let name = newer.join("ab".repeat(32));
    fs::write(&name, "of another version").unwrap();
    let folder = open(&dir, 4096);
    for name in 0..5 {
        folder.write(&key(name), &entry(&[1]), &[1], at(name)).unwrap();
    }
    assert_eq!(fs::read(&name).unwrap(), b"of another version");
    assert_eq!(files(&folder.path).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_process_keeps_within_the_bound(
        most in 0_u64..60_000, steps in prop::collection::vec((0_u64..12, 0_usize..9000, any::<bool>()), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(&dir, most);
        let mut written = BTreeMap::new();
        for (time, (name, len, reopens)) in (0..).zip(steps) {
            let mut raw = vec![0; len];
            blake3::Hasher::new().update(&name.to_le_bytes()).finalize_xof().fill(&mut raw);
            let raw = written.entry(name).or_insert(raw);
            folder.write(&key(name), &entry(raw), raw, at(time)).unwrap();
            let taken: u64 = files(&folder.path).iter().map(|path| weight(fs::metadata(path).unwrap().len())).sum();
            prop_assert!(taken <= most, "{} of {}", taken, most);
            for (name, raw) in &written {
                match folder.read(&key(*name), raw.len() as u32, &Packer::default(), at(time)) {
                    Found::Block(_, bytes) => prop_assert!(bytes == *raw),
                    Found::Absent => {}
                    Found::Damaged => prop_assert!(false, "damaged"),
                }
            }
            if reopens {
                folder = open(&dir, most);
            }
        }
    }
}
