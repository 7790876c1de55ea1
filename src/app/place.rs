//! Where a command works: the global options of the command line.

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::settings::Settings;

/// The address that the host listens on unless told otherwise.
pub const LISTEN: &str = "127.0.0.1:7400";
/// The store's file unless told otherwise, within the project's folder.
pub const STORE: &str = "tidegate.db";

/// Where a command works.
#[derive(Clone, Debug)]
pub struct Place {
    /// The project's folder.
    pub directory: PathBuf,
    /// Instead of the settings' `store`; relative to the process's folder.
    pub store: Option<String>,
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
        Place { directory: directory.into(), store: None, listen: None, sets: Vec::new(), clock: Clock::System }
    }

    /// Where the store is: `--store`, else the settings' (relative to the project's folder).
    pub fn store(&self, settings: &Settings) -> String {
        match (&self.store, &settings.store) {
            (Some(given), _) => given.clone(),
            (None, Some(written)) if is_address(written) => written.clone(),
            (None, written) => self.below(written.as_deref().unwrap_or(STORE)),
        }
    }

    /// Where the host listens, or `off`.
    pub fn listen(&self, settings: &Settings) -> String {
        let given = self.listen.as_ref().or(settings.listen.as_ref());
        given.map_or_else(|| LISTEN.to_owned(), Clone::clone)
    }

    fn below(&self, path: &str) -> String {
        self.directory.join(Path::new(path)).to_string_lossy().into_owned()
    }
}

/// Whether it names a database server and not a file.
pub fn is_address(store: &str) -> bool {
    store.contains("://")
}
