//! Whether the file of a store is still where it was opened. One that is moved, deleted or replaced under a host would
//! take all that the host acknowledges with it.

use std::path::Path;
use std::sync::Arc;

use super::error::{Error, Result};

/// A file, by its name and by what it was when it was opened.
#[derive(Debug)]
pub(super) struct Whereabouts {
    path: Arc<Path>,
    // None where the system does not number files: there an open one cannot be moved away.
    number: Option<(u64, u64)>,
}

impl Whereabouts {
    /// Of a file that is open.
    pub(super) fn of(path: &Arc<Path>) -> Whereabouts {
        Whereabouts { path: Arc::clone(path), number: number(path) }
    }

    /// Looks again.
    ///
    /// # Errors
    /// `store_moved`.
    pub(super) fn look(&self) -> Result<()> {
        if self.number == number(&self.path) { Ok(()) } else { Err(Error::moved(&self.path)) }
    }
}

#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn number(_path: &Path) -> Option<(u64, u64)> {
    None
}
