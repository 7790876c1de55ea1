//! Where the sealing key is: in the environment, in a file that was named, or in `tidegate.key` beside the
//! store, which is made at first need. A key that a rotation left half in place is put in place. What it seals
//! is the store's to know; an existing file is never written over.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::sealing::Key;

/// The environment variable that holds a key.
pub const KEY_VARIABLE: &str = "TIDEGATE_KEY";

/// The key's file unless one is named, beside the store.
pub const KEY_FILE: &str = "tidegate.key";

/// Where the sealing key is.
#[derive(Clone)]
pub enum KeyPlace {
    /// The text of an environment variable.
    Environment(Zeroizing<String>),
    /// A file that was named: it must be there.
    Named(PathBuf),
    /// The file beside the store: it is made at first need.
    Beside(PathBuf),
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// `key_missing`, `key_invalid` or `key_unreadable`.
    pub code: &'static str,
    /// What and where; never the key.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl KeyPlace {
    /// The key.
    ///
    /// # Errors
    /// `key_missing`, `key_invalid`, `key_unreadable`.
    pub fn read(&self) -> Result<Key, Error> {
        match self {
            KeyPlace::Environment(text) => Key::read(text).map_err(|error| {
                Error::new("key_invalid", format!("the variable {KEY_VARIABLE} holds no key: {error}"), WRITE_ONE)
            }),
            KeyPlace::Named(path) | KeyPlace::Beside(path) => match read(path)? {
                Some(key) => Ok(key),
                None => Err(Error::new(
                    "key_missing",
                    format!("the key file {} is not there", path.display()),
                    "put it back, or give the key with --key-file or TIDEGATE_KEY",
                )),
            },
        }
    }

    /// The key; made where the file beside the store is not there. Of two processes that make it one wins, and
    /// both get that one.
    ///
    /// # Errors
    /// As [`KeyPlace::read`].
    pub fn read_or_make(&self) -> Result<Key, Error> {
        let path = match self {
            KeyPlace::Beside(path) => path,
            KeyPlace::Environment(_) => return self.read(),
            // Nothing was ever sealed: there is none to put back.
            KeyPlace::Named(path) => {
                return self.read().map_err(|error| match error.code {
                    "key_missing" => {
                        let help = format!("make one: `(umask 077; openssl rand -base64 32 > {})`", path.display());
                        Error { help, ..error }
                    }
                    _ => error,
                });
            }
        };
        if let Some(key) = read(path)? {
            return Ok(key);
        }
        let key = Key::generate().map_err(|error| Error::new("key_unreadable", error.to_string(), "try again"))?;
        match write_new(path, &key) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.read(),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// The key with this id: the present one, or one that a rotation made and was stopped before it put it in
    /// place, which is done now.
    ///
    /// # Errors
    /// As [`KeyPlace::read`]. A key with another id is given as it is, for the store to refuse.
    pub fn find(&self, id: &str) -> Result<Key, Error> {
        let present = self.read();
        if present.as_ref().is_ok_and(|key| key.id() == id) {
            return present;
        }
        let (KeyPlace::Named(path) | KeyPlace::Beside(path)) = self else { return present };
        let next = next_to(path);
        match read(&next)? {
            Some(key) if key.id() == id => {
                fs::rename(&next, path).and_then(|()| sync_folder(path)).map_err(|error| unwritable(path, &error))?;
                Ok(key)
            }
            _ => present,
        }
    }

    /// Writes the key that a rotation is about to change to where [`KeyPlace::find`] looks for it; done once the
    /// store holds it: [`Rotation::finish`]. None for a key from the environment.
    ///
    /// # Errors
    /// `key_unreadable` where the file cannot be written.
    pub fn prepare(&self, key: &Key) -> Result<Option<Rotation>, Error> {
        let (KeyPlace::Named(path) | KeyPlace::Beside(path)) = self else { return Ok(None) };
        let next = next_to(path);
        // One that is there was never put to use: else it would have been found and put in place.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritable(&next, &error)),
            Ok(()) | Err(_) => {}
        }
        write_new(&next, key).map_err(|error| unwritable(&next, &error))?;
        Ok(Some(Rotation { next, path: path.clone() }))
    }
}

/// A rotation under way: the new key is beside the old one.
pub struct Rotation {
    next: PathBuf,
    path: PathBuf,
}

impl Rotation {
    /// Puts the new key in place of the old one.
    ///
    /// # Errors
    /// `key_unreadable` where the file cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        fs::rename(&self.next, &self.path)
            .and_then(|()| sync_folder(&self.path))
            .map_err(|error| unwritable(&self.path, &error))
    }

    /// Takes the new key back: nothing was sealed under it.
    ///
    /// # Errors
    /// `key_unreadable` where the file cannot be removed.
    pub fn abandon(self) -> Result<(), Error> {
        fs::remove_file(&self.next).map_err(|error| unwritable(&self.next, &error))
    }
}

impl Error {
    fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Error { code, message: message.into(), help: help.into() }
    }
}

impl std::fmt::Debug for KeyPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "KeyPlace({self})")
    }
}

impl std::fmt::Display for KeyPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyPlace::Environment(_) => write!(formatter, "the variable {KEY_VARIABLE}"),
            KeyPlace::Named(path) | KeyPlace::Beside(path) => write!(formatter, "the file {}", path.display()),
        }
    }
}

const WRITE_ONE: &str = "make one with `openssl rand -base64 32`";

/// Reads the key of a file; none where there is no file.
///
/// # Errors
/// `key_invalid`, `key_unreadable`.
pub fn read(path: &Path) -> Result<Option<Key>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!("the key file {} cannot be read: {error}", path.display());
            return Err(Error::new("key_unreadable", message, "let the program's user read it"));
        }
    };
    match Key::read(&text) {
        Ok(key) => Ok(Some(key)),
        Err(error) => {
            let message = format!("the file {} holds no key: {error}", path.display());
            Err(Error::new("key_invalid", message, WRITE_ONE))
        }
    }
}

// Whole or not at all, and never over another: written beside (for its owner alone, as temporary files are),
// then linked.
fn write_new(path: &Path, key: &Key) -> std::io::Result<()> {
    let folder = folder(path);
    let mut draft = tempfile::Builder::new().prefix(".tidegate-key").tempfile_in(folder)?;
    draft.write_all(key.text().as_bytes())?;
    draft.write_all(b"\n")?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(path)
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).open(folder(path))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn next_to(path: &Path) -> PathBuf {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    next.into()
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        "key_unreadable",
        format!("the key file {} cannot be written: {error}", path.display()),
        "let the program's user write there, or name another file with --key-file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let place = KeyPlace::Beside(path.clone());
        assert_eq!(place.read().unwrap_err().code, "key_missing");
        let made = place.read_or_make().unwrap();
        assert_eq!(place.read_or_make().unwrap().id(), made.id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        // A named file is never made, and what is there is never written over.
        let named = KeyPlace::Named(folder.path().join("other"));
        let error = named.read_or_make().unwrap_err();
        assert!(error.code == "key_missing" && error.help.contains("openssl rand"), "{error:?}");
        assert!(named.find("a").unwrap_err().help.contains("put it back"));
        fs::write(&path, "no key").unwrap();
        assert_eq!(place.read_or_make().unwrap_err().code, "key_invalid");
        assert_eq!(fs::read_to_string(&path).unwrap(), "no key");
    }

    #[test]
    fn threads_that_make_a_key_at_once_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::Beside(folder.path().join(KEY_FILE));
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| place.read_or_make().unwrap().id().to_owned())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_rotation_that_was_stopped_is_finished_or_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::Beside(folder.path().join(KEY_FILE));
        let old = place.read_or_make().unwrap();
        let new = Key::generate().unwrap();
        drop(place.prepare(&new).unwrap().unwrap());
        // Stopped before the store took it: the old one is what the store asks for.
        assert_eq!(place.find(old.id()).unwrap().id(), old.id());
        assert_eq!(place.read().unwrap().id(), old.id());
        // Stopped after: the new one is put in place.
        assert_eq!(place.find(new.id()).unwrap().id(), new.id());
        assert_eq!(place.read().unwrap().id(), new.id());
        assert_eq!(place.find("of nobody").unwrap().id(), new.id(), "for the store to refuse");
        let newer = Key::generate().unwrap();
        place.prepare(&newer).unwrap().unwrap().finish().unwrap();
        assert_eq!(place.read().unwrap().id(), newer.id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
