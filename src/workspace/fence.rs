//! What may be read on behalf of somebody else.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Longest path in bytes: Linux opens none that is longer, and looking at each of its folders takes time in its square.
const LONGEST_PATH: usize = 4096;

/// The folders that may be read, by their real paths: absolute, without links. The default allows nothing.
///
/// Who asks may name any path, and learns nothing of what lies outside: not even whether it is there. Who may also change links inside
/// while they are followed is not kept from racing with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// With all that is under them.
    trees: Vec<PathBuf>,
    /// With what lies in them, and nothing deeper.
    folders: Vec<PathBuf>,
}

/// A path that leads out of the fence.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what} lies under no folder that the daemon may read\nhint: start it with --allow DIR; a relative path starts where `path` or `folder` says, or else at the daemon's working folder"
)]
struct Outside {
    what: String,
}

impl Fence {
    /// Allows a folder and all that is under it.
    ///
    /// # Errors
    /// A folder that is not there.
    pub fn allow(&mut self, dir: &Path) -> io::Result<()> {
        self.trees.push(real_folder(dir)?);
        Ok(())
    }

    /// Allows a folder and what lies in it, and nothing deeper.
    ///
    /// # Errors
    /// A folder that is not there.
    pub fn allow_folder(&mut self, dir: &Path) -> io::Result<()> {
        self.folders.push(real_folder(dir)?);
        Ok(())
    }

    /// The real path of a file or folder that may be read, every link followed. A relative path starts at this process's working folder.
    ///
    /// # Errors
    /// Of kind `PermissionDenied` for a path that leads outside, whether something is there or not; what the system says of one that
    /// stays inside. They don't name the path.
    pub fn check(&self, path: &Path) -> io::Result<PathBuf> {
        let walked = self.walk(path)?;
        match walked.canonicalize() {
            Ok(real) if self.holds(&real) => Ok(real),
            _ => Err(self.refusal(&walked)),
        }
    }

    /// The real path of a folder in which no file, and none in its folders, is a link that leads outside: models are read from such
    /// folders, and from nowhere deeper.
    ///
    /// # Errors
    /// As [`Self::check`]; a link that leads outside is named.
    pub fn check_model_folder(&self, dir: &Path) -> io::Result<PathBuf> {
        let real = self.check(dir)?;
        for entry in real.read_dir()? {
            let path = self.check_entry(&entry?)?;
            if path.is_dir() {
                for entry in path.read_dir()? {
                    self.check_entry(&entry?)?;
                }
            }
        }
        Ok(real)
    }

    /// What lies in a folder is as allowed as the folder, unless it is a link.
    fn check_entry(&self, entry: &fs::DirEntry) -> io::Result<PathBuf> {
        if !entry.file_type()?.is_symlink() {
            return Ok(entry.path());
        }
        let what = || format!("`{}`, a link in it,", entry.file_name().display());
        self.check(&entry.path()).map_err(|_| outside(what()))
    }

    /// The path without `.` and `..`, its links followed as far as they lead to what is inside. Outside nothing is looked at for the sake
    /// of `..`, lest `/secret/../allowed` tell whether `/secret` is there.
    fn walk(&self, path: &Path) -> io::Result<PathBuf> {
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let path = std::path::absolute(path)?;
        // What nearly everybody asks for, without a look at each of its folders.
        if !path.components().any(|component| component == Component::ParentDir)
            && let Ok(real) = path.canonicalize()
            && self.holds(&real)
        {
            return Ok(real);
        }
        let mut walked = PathBuf::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    self.check_parent(&walked)?;
                    walked.pop();
                }
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                    walked.push(component);
                    if let Ok(real) = walked.canonicalize()
                        && self.holds(&real)
                    {
                        walked = real;
                    }
                }
            }
        }
        Ok(walked)
    }

    /// Why a path that [`Self::walk`] gave can't be read: what the system says where it is missing inside, and otherwise only that it is
    /// outside.
    fn refusal(&self, walked: &Path) -> io::Error {
        let inside = walked.ancestors().find(|path| self.is_inside(path));
        let next = inside.and_then(|inside| Some(inside.join(walked.strip_prefix(inside).ok()?.components().next()?)));
        match next.map(|next| next.symlink_metadata()) {
            Some(Err(error)) => error,
            // A link that leads outside, or to nothing; or nothing inside at all.
            Some(Ok(_)) | None => outside("it".to_owned()),
        }
    }

    /// `nothing/..` and `file/..` are no paths, for the system: inside they are not taken for any either.
    fn check_parent(&self, walked: &Path) -> io::Result<()> {
        if !walked.parent().is_some_and(|folder| self.is_inside(folder)) {
            return Ok(());
        }
        let there = walked.symlink_metadata()?;
        if there.is_dir() || there.is_symlink() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Whether it is inside, and spelt by its real path.
    fn is_inside(&self, path: &Path) -> bool {
        self.holds(path) && path.canonicalize().is_ok_and(|real| real == path)
    }

    fn holds(&self, real: &Path) -> bool {
        let in_folder = |folder: &PathBuf| real == folder || real.parent() == Some(folder);
        self.trees.iter().any(|tree| real.starts_with(tree)) || self.folders.iter().any(in_folder)
    }
}

fn real_folder(dir: &Path) -> io::Result<PathBuf> {
    let real = dir.canonicalize()?;
    if real.is_dir() { Ok(real) } else { Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder")) }
}

fn outside(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, Outside { what })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// `allowed/{file,sub/file}` inside; `allowed_not/file` and `outside/file` not.
    struct World {
        dir: tempfile::TempDir,
        fence: Fence,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for folder in ["allowed/sub", "allowed_not", "outside"] {
                fs::create_dir_all(dir.path().join(folder)).unwrap();
                fs::write(dir.path().join(folder).join("file"), "x").unwrap();
            }
            fs::write(dir.path().join("allowed/file"), "x").unwrap();
            let mut fence = Fence::default();
            fence.allow(&dir.path().join("allowed")).unwrap();
            Self { dir, fence }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn link(&self, from: &str, to: &str) {
            symlink(self.at(to), self.at(from)).unwrap();
        }

        fn check(&self, path: &str) -> Result<PathBuf, String> {
            let told = |error: io::Error| match error.kind() {
                io::ErrorKind::PermissionDenied => error.to_string(),
                kind => format!("{kind:?}"),
            };
            let root = self.dir.path().canonicalize().unwrap();
            self.fence.check(&self.at(path)).map(|real| real.strip_prefix(root).unwrap().to_owned()).map_err(told)
        }

        fn is_outside(&self, path: &str) -> bool {
            let outside = "it lies under no folder that the daemon may read\nhint: start it with --allow DIR; a relative path starts where `path` or `folder` says, or else at the daemon's working folder";
            self.check(path) == Err(outside.to_owned())
        }
    }

    #[test]
    fn what_lies_under_an_allowed_folder_may_be_read() {
        let world = World::new();
        for path in ["allowed", "allowed/file", "allowed/sub/file", "allowed/sub/../file", "allowed/./sub//file"] {
            assert!(world.check(path).unwrap().starts_with("allowed"), "{path}");
        }
    }

    #[test]
    fn what_lies_elsewhere_may_not() {
        let world = World::new();
        for path in ["", "outside/file", "allowed/../outside/file", "allowed/sub/../../outside/file", "/etc/passwd", "/"] {
            assert!(world.is_outside(path), "{path}");
        }
        assert!(Fence::default().check(&world.at("allowed/file")).is_err(), "nothing is allowed unless it is said");
    }

    #[test]
    fn a_folder_whose_name_only_begins_like_an_allowed_one_is_outside() {
        assert!(World::new().is_outside("allowed_not/file"));
    }

    #[test]
    fn a_link_that_leads_out_is_outside_wherever_it_stands() {
        let world = World::new();
        world.link("allowed/link", "outside");
        world.link("allowed/linked_file", "outside/file");
        for path in ["allowed/link", "allowed/link/file", "allowed/linked_file"] {
            assert!(world.is_outside(path), "{path}");
        }
    }

    #[test]
    fn a_link_that_leads_in_may_be_followed() {
        let world = World::new();
        world.link("door", "allowed");
        world.link("allowed/inner", "allowed/sub/file");
        assert_eq!(world.check("door/file").unwrap(), Path::new("allowed/file"));
        assert_eq!(world.check("door/inner").unwrap(), Path::new("allowed/sub/file"));
        assert_eq!(world.check("door/sub/../file").unwrap(), Path::new("allowed/file"));
    }

    #[test]
    fn an_allowed_folder_may_be_named_through_a_link() {
        let world = World::new();
        world.link("door", "allowed");
        let mut fence = Fence::default();
        fence.allow(&world.at("door")).unwrap();
        assert_eq!(fence, world.fence);
    }

    #[test]
    fn whether_something_is_outside_is_not_told() {
        let world = World::new();
        world.link("allowed/link", "outside");
        world.link("allowed/dangling", "outside/nothing");
        let nothing =
            ["nothing", "outside/nothing", "allowed/../nothing", "allowed/link/nothing", "allowed/dangling", "/no/such"];
        for path in nothing {
            assert!(world.is_outside(path), "{path}");
        }
        for secret in ["outside", "nothing"] {
            let path = format!("{secret}/../allowed/file");
            assert_eq!(world.check(&path).unwrap(), Path::new("allowed/file"), "the same with and without the folder");
            assert!(world.is_outside(&format!("allowed/link/{secret}/../file")));
        }
    }

    #[test]
    fn what_is_missing_inside_is_told_as_missing() {
        let world = World::new();
        world.link("door", "allowed");
        for path in ["allowed/nothing", "allowed/nothing/file", "allowed/sub/../nothing", "door/nothing"] {
            assert_eq!(world.check(path), Err("NotFound".to_owned()), "{path}");
        }
        assert_eq!(world.check("allowed/nothing/../file"), Err("NotFound".to_owned()));
        for path in ["allowed/file/deeper", "allowed/file/../file"] {
            assert_eq!(world.check(path), Err("NotADirectory".to_owned()), "{path}");
        }
        assert!(world.check("allowed/nul\0").is_err());
        assert_eq!(world.check(&"a/".repeat(1 << 20)), Err("InvalidFilename".to_owned()));
    }

    #[test]
    fn a_folder_alone_can_be_allowed() {
        let world = World::new();
        let mut fence = Fence::default();
        fence.allow_folder(&world.at("allowed")).unwrap();
        assert!(fence.check(&world.at("allowed")).is_ok());
        assert!(fence.check(&world.at("allowed/file")).is_ok());
        assert_eq!(fence.check(&world.at("allowed/sub/file")).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(fence.check_model_folder(&world.at("allowed")).is_ok());
    }

    #[test]
    fn what_is_no_folder_can_not_be_allowed() {
        let world = World::new();
        for path in ["nothing", "allowed/file"] {
            assert!(Fence::default().allow(&world.at(path)).is_err() && Fence::default().allow_folder(&world.at(path)).is_err());
        }
    }

    #[test]
    fn a_models_folder_is_whole_inside() {
        let world = World::new();
        world.link("allowed/model.safetensors", "allowed/sub/file");
        world.link("allowed/sub/deeper", "allowed/file");
        assert_eq!(world.fence.check_model_folder(&world.at("allowed")).unwrap(), world.at("allowed").canonicalize().unwrap());
        assert!(world.fence.check_model_folder(&world.at("outside")).is_err());
    }

    #[test]
    fn a_models_file_that_is_a_link_out_is_named() {
        for link in ["allowed/config.json", "allowed/sub/config.json"] {
            for target in ["outside/file", "outside/nothing", "allowed_not"] {
                let world = World::new();
                world.link(link, target);
                let told = world.fence.check_model_folder(&world.at("allowed")).unwrap_err().to_string();
                assert!(told.starts_with("`config.json`, a link in it, lies under no folder"), "{link} -> {target}: {told}");
            }
        }
    }
}
