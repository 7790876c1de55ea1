//! Where a command works: the global options of the command line.

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::secrets::key::KEY_FILE;
use crate::settings::Settings;
pub use crate::settings::{LISTEN, PUBLIC};

/// The store's file unless told otherwise, within the project's folder.
pub const STORE: &str = "tidegate.db";

/// Where a command works.
#[derive(Clone, Debug)]
pub struct Place {
    /// The project's folder.
    pub directory: PathBuf,
    /// Instead of the settings' `store`; relative to the process's folder.
    pub store: Option<String>,
    /// The file of the sealing key, instead of the settings' `key_file`; relative to the process's folder.
    pub key_file: Option<PathBuf>,
    /// Instead of the settings' `listen`.
    pub listen: Option<String>,
    /// `flow.input=value`, or `input=value` for every flow that has such an input.
    pub sets: Vec<String>,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Place {
    /// A project's folder and nothing else.
    pub fn new(directory: impl Into<PathBuf>) -> Place {
        Place {
            directory: directory.into(),
            store: None,
            key_file: None,
            listen: None,
            sets: Vec::new(),
            clock: Clock::System,
        }
    }

    /// Where the store is: `--store`, else the settings' (relative to the project's folder).
    pub fn store(&self, settings: &Settings) -> String {
        match (&self.store, &settings.store) {
            (Some(given), _) => given.clone(),
            (None, Some(written)) if is_address(written) => written.clone(),
            (None, written) => self.below(written.as_deref().unwrap_or(STORE)),
        }
    }

    /// Where the sealing key is unless something else is said: beside the store, or in the project's folder where
    /// that is no file.
    pub fn key_beside(&self, settings: &Settings) -> PathBuf {
        let store = self.store(settings);
        let folder = if is_address(&store) { Some(self.directory.as_path()) } else { Path::new(&store).parent() };
        folder.unwrap_or(&self.directory).join(KEY_FILE)
    }

    /// Where the host listens, or `off`.
    pub fn listen(&self, settings: &Settings) -> String {
        let given = self.listen.as_ref().or(settings.listen.as_ref());
        given.map_or_else(|| LISTEN.to_owned(), Clone::clone)
    }

    /// Where the public listener listens, or `off`: there is none unless the settings speak of it.
    pub fn public(&self, settings: &Settings) -> String {
        let public = settings.public.as_ref();
        public.map_or("off", |public| public.listen.as_deref().unwrap_or(PUBLIC)).to_owned()
    }

    fn below(&self, path: &str) -> String {
        self.directory.join(Path::new(path)).to_string_lossy().into_owned()
    }
}

/// Whether it names a database server and not a file.
pub fn is_address(store: &str) -> bool {
    store.contains("://")
}
