//! Files of this machine, each read as the one that was listed.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::{Fault, Ground};
use crate::stream::Object;

/// What a local file is pinned by: its time of change, to the nanosecond where the file system has it, and its inode.
///
/// # Errors
/// What is no regular file; a file system without times.
pub fn tag(metadata: &Metadata) -> io::Result<String> {
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let modified = metadata.modified()?;
    let (sign, time) = match modified.duration_since(UNIX_EPOCH) {
        Ok(time) => ("", time),
        Err(before) => ("-", before.duration()),
    };
    Ok(format!("{sign}{}.{:09}-{}", time.as_secs(), time.subsec_nanos(), inode(metadata)))
}

/// The bytes of a range that lies inside, while the file is the one that was listed: before it is read, and afterwards.
///
/// # Errors
/// A file that can't be read, or is another by now.
pub fn read(ground: &dyn Ground, object: &Object, range: &Range<u64>) -> Result<Bytes, Fault> {
    read_by(ground, object, range, read_at)
}

fn read_by(
    ground: &dyn Ground,
    object: &Object,
    range: &Range<u64>,
    read: impl FnOnce(&File, &mut [u8], u64) -> io::Result<()>,
) -> Result<Bytes, Fault> {
    let path = Path::new(&object.uri);
    let told = |error: io::Error| Fault::File { why: error.to_string() };
    // A pipe in its place would block who opens it.
    check(object, &ground.metadata(path).map_err(told)?)?;
    let file = ground.open(path).map_err(told)?;
    check(object, &file.metadata().map_err(told)?)?;
    let length = usize::try_from(range.end - range.start).map_err(|_| Fault::OutOfRange { size: object.size })?;
    let mut bytes = vec![0; length];
    let read = read(&file, &mut bytes, range.start);
    // First of all, since a file that was cut off ends too soon.
    check(object, &file.metadata().map_err(told)?)?;
    read.map_err(told)?;
    Ok(bytes.into())
}

fn check(object: &Object, now: &Metadata) -> Result<(), Fault> {
    let changed = |how: String| Err(Fault::Changed { how });
    if now.is_file() && now.len() != object.size {
        return changed(format!("it has {} bytes, and had {}", now.len(), object.size));
    }
    match tag(now) {
        Ok(tag) if tag == object.tag => Ok(()),
        Ok(_) => changed("it was written to, or replaced".to_owned()),
        Err(error) => changed(error.to_string()),
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::stream::place::{Entry, OpenGround};

    fn listed(dir: &Path) -> Object {
        let path = dir.join("x");
        fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
        Object { uri: path.to_str().unwrap().to_owned(), size: 10, tag: tag(&file.metadata().unwrap()).unwrap() }
    }

    fn grow(path: &str) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    }

    #[test]
    fn a_file_that_is_written_to_between_two_looks_gives_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let object = listed(dir.path());
        assert_eq!(read_by(&OpenGround, &object, &(2..4), read_at).unwrap(), "23");
        let (object, uri) = (listed(dir.path()), object.uri);
        let error = read_by(&OpenGround, &object, &(2..4), |file, bytes, start| {
            read_at(file, bytes, start)?;
            grow(&uri);
            Ok(())
        });
        assert_eq!(error.unwrap_err().code(), "changed");
        let object = listed(dir.path());
        let error = read_by(&OpenGround, &object, &(2..4), |file, bytes, start| {
            OpenOptions::new().write(true).open(&uri)?.set_len(3)?;
            read_at(file, bytes, start)
        });
        assert_eq!(error.unwrap_err().code(), "changed", "and not that it ended too soon");
    }

    /// Has another file in its place by the time it is opened.
    #[derive(Debug)]
    struct Swapped;

    impl Ground for Swapped {
        fn open(&self, written: &Path) -> io::Result<File> {
            let other = written.with_file_name("other");
            fs::write(&other, "9876543210")?;
            File::open(other)
        }

        fn read_folder(&self, written: &Path) -> io::Result<Vec<Entry>> {
            OpenGround.read_folder(written)
        }

        fn metadata(&self, written: &Path) -> io::Result<Metadata> {
            OpenGround.metadata(written)
        }

        fn real_path(&self, written: &Path) -> io::Result<PathBuf> {
            OpenGround.real_path(written)
        }
    }

    #[test]
    fn a_file_that_is_replaced_before_it_is_opened_gives_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_by(&Swapped, &listed(dir.path()), &(2..4), |_, _, _| Ok(()));
        assert_eq!(error.unwrap_err().code(), "changed");
        assert_eq!(
            read_by(&Swapped, &listed(dir.path()), &(2..4), |_, _, _| panic!("it was read")).unwrap_err().code(),
            "changed"
        );
    }
}
