//! Everything that a project consists of: its connectors, flows and settings, read from their files, with all
//! that is wrong with each. It looks at every file by itself; what does not fit together is found by `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::loader::Loader;
use super::{Connector, Diagnostic, Flow, Severity, Source};
use crate::settings::Settings;

/// A project as it was when it was loaded. What has an error is missing from the maps.
#[derive(Debug)]
pub struct Catalog {
    /// The project's folder; empty for [`Catalog::embedded`].
    pub directory: PathBuf,
    /// By name: the project's own and those inside the program.
    pub connectors: BTreeMap<String, Loaded<Connector>>,
    /// By name.
    pub flows: BTreeMap<String, Loaded<Flow>>,
    /// `tidegate.yaml`; the defaults where it is not there.
    pub settings: Loaded<Settings>,
    /// All that is wrong, by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// The connectors that are there but have errors: `check` need not call them unknown.
    pub broken_connectors: BTreeSet<String>,
    /// The flows that are there but have errors.
    pub broken_flows: BTreeSet<String>,
    /// Every file that was read, relative to the folder, with its text: for showing diagnostics and for watching.
    pub files: BTreeMap<PathBuf, Arc<str>>,
}

/// A manifest and where it came from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What was written.
    pub value: Arc<T>,
    /// Where each value stands.
    pub source: Arc<Source>,
    /// Whose file it is.
    pub origin: Origin,
}

/// Whose file a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is inside the program.
    Embedded,
    /// The project's.
    File,
}

impl<T> Loaded<T> {
    pub(super) fn new(value: T, source: Source, origin: Origin) -> Self {
        Loaded { value: Arc::new(value), source: Arc::new(source), origin }
    }
}

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Loaded { value: Arc::clone(&self.value), source: Arc::clone(&self.source), origin: self.origin }
    }
}

impl Catalog {
    /// Reads a project's folder. It never fails: what can not be read is among the diagnostics.
    pub fn load(directory: &Path) -> Catalog {
        Loader::new(directory).project()
    }

    /// The connectors and flows inside the program, with default settings.
    pub fn embedded() -> Catalog {
        Loader::new(Path::new("")).embedded()
    }

    /// Whether nothing stops the project from being used.
    pub fn is_sound(&self) -> bool {
        let mut severities = self.diagnostics.iter().map(|found| found.severity);
        severities.all(|severity| severity != Severity::Error)
    }

    /// The text of a file that a diagnostic names.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.files.get(path).map(|text| &**text)
    }
}
