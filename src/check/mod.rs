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

/// What may only seem to be missing in a file with errors: the key or value that is not read may have been it.
const OF_ABSENCE: &[&str] = &[
    "connection_missing",
    "field_missing",
    "if_without_condition",
    "if_without_steps",
    "foreach_without_steps",
    "repeat_without_steps",
    "input_missing",
    "path_missing",
    "host_missing",
    "step_without_keyword",
    "steps_empty",
    "trigger_missing",
];

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
    let whole = catalog;
    let catalog = drafted.as_ref().unwrap_or(whole);
    // That those inside the program have no mistakes is tested.
    for loaded in catalog.connectors.values().filter(|loaded| loaded.origin == Origin::File) {
        found.extend(connector(catalog, loaded));
    }
    for (name, loaded) in &catalog.flows {
        found.extend(flow(catalog, name, loaded, surroundings));
    }
    found.extend(settings(catalog, surroundings));
    let is_draft = |file: &std::path::Path| whole.drafts.sources().any(|source| source.holds(file));
    found.retain(|found| !OF_ABSENCE.contains(&found.code) || !is_draft(&found.file));
    found.sort_by(|left, right| order(left).cmp(&order(right)));
    found.dedup();
    found
}

fn order(diagnostic: &Diagnostic) -> (&std::path::Path, u32, u32, crate::manifest::Severity, &str, &str) {
    (&diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.severity, diagnostic.code, &diagnostic.message)
}
