//! Everything that a project consists of: its connectors, flows and settings, read from their files, with all
//! that is wrong with each. It looks at every file by itself; what does not fit together is found by `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file;
use super::folder::Folder;
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
    /// What could be made of files with errors: looked at for more that is wrong, and never deployed.
    pub drafts: Drafts,
    /// The connectors that are there but have errors: `check` need not call them unknown.
    pub broken_connectors: BTreeSet<String>,
    /// The flows that are there but have errors.
    pub broken_flows: BTreeSet<String>,
    /// Whether `tidegate.yaml` has errors, so that what it says cannot be relied on.
    pub broken_settings: bool,
    /// Inputs of flows that are given outside of the files, by flow: they are not missing in these.
    pub given: BTreeMap<String, BTreeSet<String>>,
    /// Every file that was read, relative to the folder, with its text: for showing diagnostics and for watching.
    pub files: BTreeMap<PathBuf, Arc<str>>,
}

/// What could be made of files with errors: what is wrong in them is not there.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    /// By name.
    pub connectors: BTreeMap<String, Loaded<Connector>>,
    /// By name.
    pub flows: BTreeMap<String, Loaded<Flow>>,
    /// `tidegate.yaml`
    pub settings: Option<Loaded<Settings>>,
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
        Loader::new(directory, Folder::Disk(directory.to_owned())).project()
    }

    /// The same without the connectors inside the program that nothing in the project names, and without the texts of
    /// the rest: what a host needs that starts. Whoever tells what there is, or what was meant, wants all of them.
    pub fn load_frugally(directory: &Path) -> Catalog {
        Loader::new(directory, Folder::Disk(directory.to_owned())).frugal().project()
    }

    /// The same for files that were read before, by their paths within `directory`.
    pub fn of_kept(directory: &Path, files: BTreeMap<PathBuf, Arc<str>>) -> Catalog {
        Loader::new(directory, Folder::Kept(files)).project()
    }

    /// The connectors and flows inside the program, with default settings.
    pub fn embedded() -> Catalog {
        Loader::new(Path::new(""), Folder::Kept(BTreeMap::new())).embedded()
    }

    /// The same with its drafts among the rest, for `check`; `None` where there are none.
    pub fn with_drafts(&self) -> Option<Catalog> {
        let Drafts { connectors, flows, settings } = &self.drafts;
        if connectors.is_empty() && flows.is_empty() && settings.is_none() {
            return None;
        }
        let drafted = |name: &String| connectors.contains_key(name);
        Some(Catalog {
            directory: self.directory.clone(),
            connectors: self.connectors.clone().into_iter().chain(connectors.clone()).collect(),
            flows: self.flows.clone().into_iter().chain(flows.clone()).collect(),
            settings: settings.as_ref().unwrap_or(&self.settings).clone(),
            diagnostics: Vec::new(),
            drafts: Drafts::default(),
            broken_connectors: self.broken_connectors.iter().filter(|name| !drafted(name)).cloned().collect(),
            broken_flows: self.broken_flows.clone(),
            broken_settings: self.broken_settings && settings.is_none(),
            given: self.given.clone(),
            files: BTreeMap::new(),
        })
    }

    /// Whether nothing stops the project from being used.
    pub fn is_sound(&self) -> bool {
        let mut severities = self.diagnostics.iter().map(|found| found.severity);
        severities.all(|severity| severity != Severity::Error)
    }

    /// The connectors as written, by name.
    pub fn manifests(&self) -> BTreeMap<String, Arc<Connector>> {
        self.connectors.iter().map(|(name, loaded)| (name.clone(), Arc::clone(&loaded.value))).collect()
    }

    /// That the folder is no project's, where nothing in it says that it is one.
    pub fn no_project(&self) -> Option<Diagnostic> {
        let is_there = |name: &&str| self.directory.join(name).exists();
        let is_one = ["tidegate.yaml", "tidegate.yml", "flows", "connectors"].iter().any(is_there);
        (self.directory.is_dir() && !is_one).then(|| file::no_project(&self.directory))
    }

    /// The text of a file that a diagnostic names.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.files.get(path).map(|text| &**text)
    }
}
