//! Finds a file that is to be read, and looks at what it is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use super::{Folders, kind};
use crate::engine::Failure;

/// A file that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As it was asked for.
    pub written: String,
    /// Absolute and without links.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its media type, by its first bytes: never by its name.
    pub kind: String,
}

impl Found {
    /// Its name without folders.
    pub fn name(&self) -> String {
        Path::new(&self.written).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

impl Folders {
    /// A file below a permitted folder; a relative path is looked for in each of them, in their order.
    ///
    /// # Errors
    /// `file_refused` (outside, also by way of a link; or no ordinary file), `file_missing`, `file_unreadable`.
    pub fn find(&self, written: &str) -> Result<Found, Failure> {
        let path = Path::new(written);
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(self.refused(written, "leads out of its folder"));
        }
        let candidates = match path.is_absolute() {
            // Whether a file outside exists is not told.
            true if self.is_below(path) || self.is_really_below(path) => vec![path.to_owned()],
            true => return Err(self.refused(written, "is outside the permitted folders")),
            false => self.0.iter().map(|folder| folder.join(path)).collect(),
        };
        for candidate in candidates {
            match candidate.canonicalize() {
                Ok(real) => return self.look(written, real),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(unreadable(written, &error)),
            }
        }
        Err(Failure::not_sent("file_missing", format!("there is no file `{written}` below {}", self.listed()))
            .with_help("put it there, or permit its folder with `files` in tidegate.yaml"))
    }

    fn look(&self, written: &str, real: PathBuf) -> Result<Found, Failure> {
        if !self.is_really_below(&real) {
            return Err(self.refused(written, "is a link that leads out of the permitted folders"));
        }
        // Looked at before it is opened: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(&real).map_err(|error| unreadable(written, &error))?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "is a folder" } else { "is no ordinary file" };
            return Err(self.refused(written, what));
        }
        let mut beginning = Vec::new();
        File::open(&real)
            .and_then(|file| file.take(kind::LOOKED_AT_BYTES).read_to_end(&mut beginning))
            .map_err(|error| unreadable(written, &error))?;
        let kind = kind::of(&beginning).to_owned();
        Ok(Found { written: written.to_owned(), path: real, bytes: metadata.len(), kind })
    }
}

fn unreadable(written: &str, error: &io::Error) -> Failure {
    Failure::not_sent("file_unreadable", format!("the file `{written}` cannot be read: {error}"))
        .with_help("look whether this program's user may read it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_the_permitted_folders_only() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for folder in ["out", "files", "files/deep", "outside"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        std::fs::write(path("files/deep/a.png"), b"\x89PNG\r\n\x1a\n rest").unwrap();
        std::fs::write(path("outside/secret"), b"hunter2").unwrap();
        let link = |from: &str, to: &str| std::os::unix::fs::symlink(path(to), path(from)).unwrap();
        link("files/inside", "files/deep");
        link("files/escape", "outside/secret");
        link("files/way", "outside");
        let folders = Folders::new(vec![path("out"), path("files")]);

        let found = folders.find("deep/a.png").unwrap();
        assert_eq!((found.bytes, found.kind.as_str(), found.name().as_str()), (13, "image/png", "a.png"));
        assert_eq!(folders.find("inside/a.png").unwrap().path, found.path);
        assert_eq!(folders.find(found.path.to_str().unwrap()).unwrap().path, found.path);
        let outside = path("outside/secret");
        for (written, code) in [
            ("escape", "file_refused"),
            ("way/secret", "file_refused"),
            ("../outside/secret", "file_refused"),
            (outside.to_str().unwrap(), "file_refused"),
            ("/etc/passwd-that-is-not-there", "file_refused"),
            ("deep", "file_refused"),
            ("nothing.png", "file_missing"),
            ("deep/a.png/b", "file_missing"),
        ] {
            let failure = folders.find(written).unwrap_err();
            assert_eq!(failure.code, code, "{written}: {failure}");
            assert!(failure.help.is_some());
        }
    }
}
