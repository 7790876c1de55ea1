//! Finds mistakes before anything runs (design promise 4): what files name and what is there, what templates
//! read and what schemas say, what cannot be meant. Pure functions over the catalog; `app` shows what they
//! find, and refuses to deploy on an error. `docs/diagnostics.md` explains every code.

mod actions;
mod calls;
mod connector;
mod errors;
mod expressions;
mod findings;
mod flow;
mod forms;
mod inputs;
mod loops;
mod lowering;
mod names;
mod paginate;
mod requests;
mod schemas;
mod scope;
mod selectors;
mod settings;
mod shapes;
mod steps;
mod triggers;
mod types;
mod values;

pub use connector::connector;
pub use flow::flow;
pub use inputs::{Validator, inputs};
pub use settings::settings;

use crate::manifest::catalog::Catalog;
use crate::manifest::{Diagnostic, Problem, flow as written};

/// What lies outside the files, asked through functions so that checking stays pure.
pub struct Surroundings<'a> {
    /// Whether an environment variable is set.
    pub is_set: &'a dyn Fn(&str) -> bool,
    /// What is wrong with when a trigger fires; the engine knows schedules, and stands above this module.
    pub schedule: &'a dyn Fn(&written::Trigger) -> Option<Problem>,
}

/// Everything that is found in a project, what reading it found included: sorted by file, line and column,
/// each finding once.
pub fn catalog(catalog: &Catalog, surroundings: &Surroundings<'_>) -> Vec<Diagnostic> {
    let mut found = catalog.diagnostics.clone();
    for loaded in catalog.connectors.values() {
        found.extend(connector(loaded));
    }
    for (name, loaded) in &catalog.flows {
        found.extend(flow(catalog, name, loaded, surroundings));
    }
    found.extend(settings(catalog, surroundings));
    found.sort_by(|left, right| order(left).cmp(&order(right)));
    found.dedup();
    found
}

fn order(diagnostic: &Diagnostic) -> (&std::path::Path, u32, u32, crate::manifest::Severity, &str, &str) {
    (&diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.severity, diagnostic.code, &diagnostic.message)
}
