//! The files of this machine that actions may touch: those below the folders that `files` in tidegate.yaml
//! permits, wherever links lead. Finds what is read, places what is written; used by the built-in actions, by
//! inputs with `format: file`, by `multipart` bodies and by answers that are saved.

mod find;
pub mod input;
pub mod kind;
pub mod save;

pub use self::find::Found;

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::engine::Failure;

/// The permitted folders, absolute.
#[derive(Clone, Debug, Default)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// Relative ones are below the process's folder.
    pub fn new(folders: Vec<PathBuf>) -> Folders {
        Folders(folders.into_iter().map(|folder| std::path::absolute(&folder).unwrap_or(folder)).collect())
    }

    /// The first, where files go for which no place is given.
    pub fn first(&self) -> Result<&Path, Failure> {
        self.0.first().map(PathBuf::as_path).ok_or_else(|| Failure::not_sent("file_refused", "no folder is permitted"))
    }

    /// Where a file is to be written, by its words alone: below the first folder where it is relative. Links
    /// are looked at by [`Folders::make_place`]. Fails with `file_refused`.
    pub fn place(&self, written: &str) -> Result<PathBuf, Failure> {
        let path = Path::new(written);
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(self.refused(written, "leads out of its folder"));
        }
        if path.file_name().is_none() {
            return Err(self.refused(written, "names no file"));
        }
        match path.is_absolute() {
            true if self.is_below(path) => Ok(path.to_owned()),
            true => Err(self.refused(written, "is outside the permitted folders")),
            false => Ok(self.first()?.join(path)),
        }
    }

    /// Makes the folder of a file that is to be written, once its real place is known to be permitted, and
    /// refuses to write through a link.
    pub fn make_place(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        if let Some(folder) = self.0.iter().find(|folder| parent.starts_with(folder)) {
            std::fs::create_dir_all(folder)?;
        }
        let existing = parent.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(parent);
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        if !self.is_really_below(&existing.canonicalize()?) || is_link {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "a link leads out of the permitted folders"));
        }
        std::fs::create_dir_all(parent)
    }

    fn is_below(&self, path: &Path) -> bool {
        self.0.iter().any(|folder| path.starts_with(folder))
    }

    /// Whether a path without links is below a folder, wherever links lead to that.
    fn is_really_below(&self, real: &Path) -> bool {
        self.0.iter().filter_map(|folder| folder.canonicalize().ok()).any(|folder| real.starts_with(folder))
    }

    fn refused(&self, written: &str, why: &str) -> Failure {
        Failure::not_sent("file_refused", format!("the path `{written}` {why}"))
            .with_help(format!("files may be read and written below {}; see `files` in tidegate.yaml", self.listed()))
    }

    fn listed(&self) -> String {
        let folders: Vec<String> = self.0.iter().map(|folder| folder.display().to_string()).collect();
        folders.join(", ")
    }
}
