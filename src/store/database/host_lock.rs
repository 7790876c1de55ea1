//! The proof that one host works on a store: exclusive locks of the operating system on `<store>.lock`, which says
//! who holds it, and on the store's own file, which keeps a second one out when the first file was deleted or the store
//! has another name. Gone with the process that held them, however it ended. `<store>.lock` is never deleted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::error::{Error, Result, code};
use crate::clock::rfc3339;

/// Held from opening to closing.
#[derive(Debug)]
pub(super) struct HostLock {
    file: File,
    path: PathBuf,
    // Locked like the other one; SQLite's own locks are of another kind. Closing it would drop SQLite's (POSIX), so it
    // is closed after SQLite's.
    store: Option<File>,
}

impl HostLock {
    /// Takes the lock of `store` for a process that listens on `listen` (or says what it does instead).
    ///
    /// # Errors
    /// `store_locked`, naming the holder; `store_read_only` and `store_io` where the file cannot be made.
    pub(super) fn take(store: &Path, listen: &str, now_ms: i64) -> Result<Self> {
        let mut path = store.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let failed = |error: std::io::Error| Error::file(&path, "writing the lock file", &error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(store, &mut file)),
            Err(TryLockError::Error(error)) => return Err(Error::file(&path, "locking", &error)),
        }
        let holder = format!("process {}, {listen}, since {}", std::process::id(), rfc3339(now_ms));
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        Ok(HostLock { file, path, store: None })
    }

    /// Locks the store's own file as well.
    ///
    /// # Errors
    /// `store_locked` where another process has; `store_io`.
    pub(super) fn hold(&mut self, store: &Path) -> Result<()> {
        let file = File::open(store).map_err(|error| Error::file(store, "locking", &error))?;
        match file.try_lock() {
            Ok(()) => {
                self.store = Some(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(locked(store, "another process, under another name or lock file")),
            Err(TryLockError::Error(error)) => Err(Error::file(store, "locking", &error)),
        }
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        let released = self.file.set_len(0).and_then(|()| self.file.unlock());
        if let Err(error) = released {
            tracing::warn!(file = %self.path.display(), %error, "the lock of the store goes with the process, not before");
        }
    }
}

fn held(store: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    // Who holds it is a courtesy: where it cannot be read, the message does without.
    let holder = match file.read_to_string(&mut holder) {
        Ok(length) if length > 0 => holder.as_str(),
        _ => "another process",
    };
    locked(store, holder)
}

fn locked(store: &Path, holder: &str) -> Error {
    Error::new(
        code::LOCKED,
        format!("another host works on the store {}: {holder}", store.display()),
        "Stop that one first, or give this one a store of its own with --store",
    )
}
