//! A project's files, read and checked: what every command starts from, and `tidegate check` itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Error, Exit, Place, Result, value};
use crate::check::{self, Surroundings};
use crate::connector::Connector;
use crate::engine::{Flow, Schedule, type_flow};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{self, Catalog, Diagnostic, Problem, Severity, Source};
use crate::settings::Settings;

/// A project's files and what is wrong with them.
#[derive(Debug)]
pub struct Project {
    /// What was written.
    pub catalog: Catalog,
    /// All that is wrong, by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// Inputs of flows that the command line gives, by flow.
    pub sets: BTreeMap<String, Map<String, Value>>,
}

/// Reads and checks a project. What is wrong with its files is among the diagnostics.
///
/// # Errors
/// A `--set` that makes no sense: `set_syntax`, `set_unknown`.
pub fn load(place: &Place) -> Result<Project> {
    Project::of(Catalog::load(&place.directory), &place.sets)
}

/// `tidegate check`: the same, and everything compiled as for a deployment.
///
/// # Errors
/// See [`load`].
pub fn check(place: &Place) -> Result<Project> {
    let mut project = load(place)?;
    if !project.has_errors() {
        project.compile();
    }
    Ok(project)
}

impl Project {
    /// Checks what was read.
    ///
    /// # Errors
    /// See [`load`].
    pub fn of(mut catalog: Catalog, given: &[String]) -> Result<Project> {
        let sets = sets(&catalog, given)?;
        // What the command line gives is not missing in the settings; it is checked at deployment.
        let settings: &mut Settings = Arc::make_mut(&mut catalog.settings.value);
        for (flow, inputs) in &sets {
            let written = &mut settings.flows.entry(flow.clone()).or_default().inputs;
            for (name, value) in inputs {
                written.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let surroundings = Surroundings {
            is_set: &|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            schedule: &|trigger| Schedule::of_trigger(trigger).err(),
        };
        let diagnostics = check::catalog(&catalog, &surroundings);
        Ok(Project { catalog, diagnostics, sets })
    }

    /// Whether something stops it from being deployed.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// The same, where errors are a reason to go no further.
    ///
    /// # Errors
    /// `project_unsound`, with all findings.
    pub fn sound(self) -> Result<Project> {
        if !self.has_errors() {
            return Ok(self);
        }
        let errors = self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        let message = match errors {
            1 => "the project has an error".to_owned(),
            many => format!("the project has {many} errors"),
        };
        Err(Error {
            help: Some("nothing was started; put right what is listed".to_owned()),
            diagnostics: self.diagnostics,
            files: self.catalog.files,
            ..Error::new(Exit::Problem, "project_unsound", message)
        })
    }

    /// The text of a file that a diagnostic names.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.catalog.text(path)
    }

    /// The texts of all files.
    pub fn files(&self) -> &BTreeMap<PathBuf, Arc<str>> {
        &self.catalog.files
    }

    /// The connectors as written, by name.
    pub fn connectors(&self) -> BTreeMap<String, Arc<manifest::Connector>> {
        let all = self.catalog.connectors.iter();
        all.map(|(name, loaded)| (name.clone(), Arc::clone(&loaded.value))).collect()
    }

    /// A flow's file.
    ///
    /// # Errors
    /// `flow_unknown` with a did-you-mean; the findings about its file where it has errors.
    pub fn flow(&self, name: &str) -> Result<&manifest::Loaded<manifest::Flow>> {
        if let Some(found) = self.catalog.flows.get(name) {
            return Ok(found);
        }
        if self.catalog.broken_flows.contains(name) {
            let error = Error::problem("flow_broken", format!("the file of flow `{name}` has errors"));
            return Err(Error {
                diagnostics: self.diagnostics.clone(),
                files: self.catalog.files.clone(),
                ..error.with_help("`tidegate check` tells them")
            });
        }
        Err(flow_unknown(name, self.catalog.flows.keys().map(String::as_str)))
    }

    // What checking does not find because only compiling looks that closely.
    fn compile(&mut self) {
        for loaded in self.catalog.connectors.values() {
            if let Err(problems) = Connector::compile(&loaded.value) {
                self.diagnostics.extend(diagnostics(&loaded.source, "", problems));
            }
        }
        let connectors = self.connectors();
        for loaded in self.catalog.flows.values() {
            let flow = type_flow(&loaded.value, &loaded.source, &connectors);
            if let Err(problems) = Flow::compile(&flow, &connectors) {
                self.diagnostics.extend(diagnostics(&loaded.source, "", problems));
            }
        }
    }
}

/// A name that no flow has.
pub(super) fn flow_unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    let error = Error::problem("flow_unknown", format!("there is no flow `{name}`"));
    match (did_you_mean(name, known.iter().copied()), known.is_empty()) {
        (Some(close), _) => error.with_help(format!("did you mean `{close}`?")),
        (None, true) => error.with_help("there are none: write one to flows/"),
        (None, false) => error.with_help(format!("there are: {}", known.join(", "))),
    }
}

/// Problems below `prefix` as findings about a file.
pub(super) fn diagnostics(source: &Source, prefix: &str, problems: Vec<Problem>) -> Vec<Diagnostic> {
    let told = problems.into_iter().map(|problem| {
        let pointer = format!("{prefix}{}", problem.pointer);
        let (code, message, help) = (problem.code, problem.message, problem.help);
        match problem.within {
            Some((offset, length)) => source.within(&pointer, offset, length, Severity::Error, code, message, help),
            None => source.diagnostic(&pointer, Severity::Error, code, message, help),
        }
    });
    told.collect()
}

fn sets(catalog: &Catalog, given: &[String]) -> Result<BTreeMap<String, Map<String, Value>>> {
    let mut sets: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for set in given {
        let (name, text) = set.split_once('=').ok_or_else(|| {
            Error::usage("set_syntax", format!("`--set {set}` is no `flow.input=value`"))
                .with_help("write for example --set tweet-to-sms.query='#tidegate'")
        })?;
        let (flow, input) = match name.split_once('.') {
            Some((flow, input)) => (Some(flow), input),
            None => (None, name),
        };
        let mut is_known = false;
        for (name, loaded) in &catalog.flows {
            let Some(found) = loaded.value.inputs.get(input).filter(|_| flow.is_none_or(|flow| flow == name)) else {
                continue;
            };
            is_known = true;
            let schema = Value::Object(found.schema.clone());
            let value = value::read(text, &schema, &BTreeMap::new());
            sets.entry(name.clone()).or_default().insert(input.to_owned(), value);
        }
        if !is_known {
            return Err(set_unknown(catalog, flow, input));
        }
    }
    Ok(sets)
}

fn set_unknown(catalog: &Catalog, flow: Option<&str>, input: &str) -> Error {
    let known = match flow {
        None => catalog.flows.values().flat_map(|loaded| loaded.value.inputs.keys()).collect::<Vec<_>>(),
        Some(flow) => match catalog.flows.get(flow) {
            Some(loaded) => loaded.value.inputs.keys().collect(),
            None => {
                let unknown = flow_unknown(flow, catalog.flows.keys().map(String::as_str));
                return Error { exit: Exit::Usage, ..unknown };
            }
        },
    };
    let subject = flow.map_or_else(|| "no flow has an".to_owned(), |flow| format!("the flow `{flow}` has no"));
    let error = Error::usage("set_unknown", format!("{subject} input `{input}`"));
    match did_you_mean(input, known.iter().map(|name| name.as_str())) {
        Some(close) => error.with_help(format!("did you mean `{close}`?")),
        None => error,
    }
}
