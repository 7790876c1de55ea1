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

/// Reads and checks a project. It never fails: what is wrong with its files, or with a `--set`, is among the
/// diagnostics.
pub fn load(place: &Place) -> Project {
    Project::of(Catalog::load(&place.directory), &place.sets)
}

/// `tidegate check`: the same, and everything compiled as for a deployment.
pub fn check(place: &Place) -> Project {
    let mut project = load(place);
    if !project.has_errors() {
        project.compile();
    }
    project
}

impl Project {
    /// Checks what was read; `given` is what `--set` gave.
    pub fn of(mut catalog: Catalog, given: &[String]) -> Project {
        let (sets, wrong) = sets(&catalog, given);
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
        let mut diagnostics = check::catalog(&catalog, &surroundings);
        diagnostics.extend(wrong);
        Project { catalog, diagnostics, sets }
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
            files: Arc::new(self.catalog.files),
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
                files: Arc::new(self.catalog.files.clone()),
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

type Sets = BTreeMap<String, Map<String, Value>>;

// What the command line gives to flows, and what of it makes no sense.
fn sets(catalog: &Catalog, given: &[String]) -> (Sets, Vec<Diagnostic>) {
    let mut sets = Sets::new();
    let mut wrong = Vec::new();
    for set in given {
        let Some((name, text)) = set.split_once('=') else {
            let message = format!("`{set}` is no `flow.input=value`");
            wrong.push(of_set(
                "set_syntax",
                message,
                Some("write for example --set tweet-to-sms.query='#tidegate'".to_owned()),
            ));
            continue;
        };
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
            wrong.push(set_unknown(catalog, flow, input));
        }
    }
    (sets, wrong)
}

fn set_unknown(catalog: &Catalog, flow: Option<&str>, input: &str) -> Diagnostic {
    let close =
        |name: &str, known: Vec<&str>| did_you_mean(name, known).map(|close| format!("did you mean `{close}`?"));
    let names = catalog.flows.iter().filter(|(name, _)| flow.is_none_or(|flow| flow == name.as_str()));
    let known = names.flat_map(|(_, loaded)| loaded.value.inputs.keys().map(String::as_str)).collect();
    match flow {
        Some(flow) if !catalog.flows.contains_key(flow) => {
            let known = catalog.flows.keys().map(String::as_str).collect();
            of_set("set_unknown", format!("there is no flow `{flow}`"), close(flow, known))
        }
        Some(flow) => of_set("set_unknown", format!("the flow `{flow}` has no input `{input}`"), close(input, known)),
        None => of_set("set_unknown", format!("no flow has an input `{input}`"), close(input, known)),
    }
}

fn of_set(code: &'static str, message: String, help: Option<String>) -> Diagnostic {
    Diagnostic { code, severity: Severity::Error, file: "--set".into(), line: 0, column: 0, length: 1, message, help }
}
