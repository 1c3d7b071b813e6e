//! The files that a workspace reaches are the ground of places.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::place::{Entry, Ground};
use crate::workspace::Workspace;

impl Ground for Workspace {
    fn open(&self, written: &Path) -> io::Result<File> {
        Self::open(self, written)
    }

    fn read_folder(&self, written: &Path) -> io::Result<Vec<Entry>> {
        Self::read_folder(self, written)?.map(|entry| Entry::of(&entry?)).collect()
    }

    fn metadata(&self, written: &Path) -> io::Result<Metadata> {
        Self::metadata(self, written)
    }

    fn real_path(&self, written: &Path) -> io::Result<PathBuf> {
        Self::real_path(self, written)
    }
}
