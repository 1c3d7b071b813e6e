//! Whether the files of a folder may have changed since they were last read, without reading them.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::ModelError;

/// Where chat templates lie beside the default one.
const TEMPLATES: &str = "additional_chat_templates";

/// A digest of the folder's one true path, and of the names, sizes and times of the files in it: another one where a file was changed,
/// replaced, added or removed. Links count as what they lead to.
///
/// # Errors
/// A folder, or a file in it, that can't be looked at.
pub fn stamp(dir: &Path) -> Result<String, ModelError> {
    let dir = fs::canonicalize(dir).map_err(|error| ModelError::read(dir, error))?;
    let mut stamp = blake3::Hasher::new();
    stamp.update(dir.as_os_str().as_encoded_bytes());
    add_files(&dir, &mut stamp)?;
    let templates = dir.join(TEMPLATES);
    if templates.is_dir() {
        add_files(&templates, &mut stamp)?;
    }
    Ok(stamp.finalize().to_hex().to_string())
}

fn add_files(dir: &Path, stamp: &mut blake3::Hasher) -> Result<(), ModelError> {
    let read = |error| ModelError::read(dir, error);
    let mut files = fs::read_dir(dir).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let name = file.file_name();
        stamp.update(&(name.len() as u64).to_le_bytes());
        stamp.update(name.as_encoded_bytes());
        // A link that leads nowhere is no file that could be read, and may become one.
        if let Ok(about) = fs::metadata(file.path())
            && about.is_file()
        {
            stamp.update(about_file(&about).as_bytes());
        }
    }
    Ok(())
}

fn about_file(about: &Metadata) -> String {
    let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{} {} {}", about.len(), modified.as_nanos(), identity(about))
}

/// What else tells a file from one that took its place.
#[cfg(unix)]
fn identity(about: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    // A file written anew with its old times still has another time of change.
    format!("{} {} {} {}", about.dev(), about.ino(), about.ctime(), about.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_about: &Metadata) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_to_a_file_is_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("config.json"), "{}").unwrap();
        let mut seen = vec![stamp(folder.path()).unwrap()];
        let mut expect_new = |what: &str| {
            let now = stamp(folder.path()).unwrap();
            assert!(!seen.contains(&now), "{what} is not seen");
            seen.push(now);
        };
        fs::write(at("model.safetensors"), "1234").unwrap();
        expect_new("a new file");
        fs::write(at("model.safetensors"), "12345").unwrap();
        expect_new("another length");
        let times = fs::FileTimes::new().set_modified(UNIX_EPOCH);
        fs::File::options().write(true).open(at("model.safetensors")).unwrap().set_times(times).unwrap();
        expect_new("another time");
        fs::rename(at("model.safetensors"), at("other.safetensors")).unwrap();
        expect_new("another name");
        fs::create_dir(at(TEMPLATES)).unwrap();
        fs::write(at(TEMPLATES).join("tools.jinja"), "").unwrap();
        expect_new("a template");
        fs::remove_file(at("other.safetensors")).unwrap();
        expect_new("a file less");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_the_folder_that_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(stamp(&real).unwrap(), stamp(&link).unwrap());
        assert_eq!(stamp(&real).unwrap(), stamp(&real.join("../link")).unwrap());
    }
}
