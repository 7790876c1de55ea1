//! `tidegate check`: everything that is wrong with a project, before anything runs.

use std::path::Path;

use super::{Error, Place};
use crate::engine::Schedule;
use crate::manifest::{Catalog, Diagnostic, Severity};

/// A project's files and what is wrong with them.
#[derive(Debug)]
pub struct Project {
    /// What was written.
    pub catalog: Catalog,
    /// All that is wrong, by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a project. It never fails: what is wrong is among the diagnostics.
pub fn load(place: &Place) -> Project {
    Project::of(Catalog::load(&place.directory))
}

impl Project {
    /// Checks what was read.
    pub fn of(catalog: Catalog) -> Project {
        let diagnostics = catalog.diagnostics.clone();
        Project { catalog, diagnostics }
    }

    /// Whether something stops it from being deployed.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// The text of a file that a diagnostic names.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.catalog.text(path)
    }
}
