//! Finds mistakes before anything runs (design promise 4): what files name and what is there, what templates
//! read and what schemas say, what cannot be meant. Pure functions over the catalog; `app` shows what they
//! find, and refuses to deploy on an error. `docs/diagnostics.md` explains every code.

mod actions;
mod approvals;
mod calls;
mod composites;
mod connector;
mod credentials;
mod errors;
mod expressions;
mod files;
mod findings;
mod flow;
mod forms;
mod inputs;
mod loops;
mod lowering;
mod names;
mod output;
mod paginate;
mod refused;
mod repeat;
mod requests;
mod resolve;
mod restrictions;
mod schemas;
mod schemes;
mod scope;
mod selectors;
mod settings;
mod shapes;
mod steps;
mod triggers;
mod types;
mod values;
mod vault;

pub use connector::connector;
pub use flow::flow;
pub use inputs::{Validator, inputs};
pub use schemas::is_identifier;
pub use settings::{alone as connection, settings};

use crate::manifest::catalog::Catalog;
use crate::manifest::{Diagnostic, Origin, Problem, flow as written};

/// What lies outside the files, asked through functions so that checking stays pure.
pub struct Surroundings<'a> {
    /// Whether an environment variable is set.
    pub is_set: &'a dyn Fn(&str) -> bool,
    /// Whether a file is there; its path as `{file: PATH}` has it.
    pub is_there: &'a dyn Fn(&str) -> bool,
    /// What is wrong with when a trigger fires; the engine knows schedules, and stands above this module.
    pub schedule: &'a dyn Fn(&written::Trigger) -> Vec<Problem>,
}

/// Everything that is found in a project, what reading it found included: sorted by file, line and column,
/// each finding once.
pub fn catalog(catalog: &Catalog, surroundings: &Surroundings<'_>) -> Vec<Diagnostic> {
    let mut found = catalog.diagnostics.clone();
    // Of what has errors, the rest is looked at, too: everything is told at once.
    let drafted = catalog.with_drafts();
    let catalog = drafted.as_ref().unwrap_or(catalog);
    // That those inside the program have no mistakes is tested.
    for loaded in catalog.connectors.values().filter(|loaded| loaded.origin == Origin::File) {
        found.extend(connector(catalog, loaded));
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
