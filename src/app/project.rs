//! A project's files, read and checked: what every command starts from, and `tidegate check` itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::deploy::connectors_of;
use super::{Error, Exit, Place, Result, open, stored, value};
use crate::check::{self, Surroundings};
use crate::connector::Connector;
use crate::engine::{Flow, Schedule, type_flow};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{self, Catalog, Diagnostic, Problem, Severity, Source};
use crate::store::accounts::Account;

// What findings name in the place of a file.
const SET: &str = "--set";

/// A project's files and what is wrong with them.
#[derive(Debug)]
pub struct Project {
    /// What was written.
    pub catalog: Catalog,
    /// All that is wrong, by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// Inputs of flows that the command line gives, by flow.
    pub sets: BTreeMap<String, Map<String, Value>>,
    /// The stored connections, as the store holds them; those that can be read are among the catalog's.
    pub stored: Vec<Account>,
}

/// Reads and checks a project. It never fails: what is wrong with its files, or with a `--set`, is among the
/// diagnostics.
pub fn load(place: &Place) -> Project {
    of_catalog(place, Catalog::load(&place.directory))
}

/// The same for what works with a store, a key or connections: where those are is not known while the settings cannot
/// be read.
///
/// # Errors
/// `folder_missing`; `settings_unsound`, with all that is wrong with the settings.
pub(super) fn settled(place: &Place) -> Result<Project> {
    folder(place)?;
    let project = load(place);
    if !project.catalog.broken_settings {
        return Ok(project);
    }
    let is_settings = |found: &&Diagnostic| found.file.file_stem().is_some_and(|stem| stem == "tidegate");
    let diagnostics = project.diagnostics.iter().filter(is_settings).cloned().collect();
    let message = "tidegate.yaml has errors, so where the store, the key and the connections are is not known";
    Err(Error {
        diagnostics,
        files: Arc::new(project.catalog.files),
        ..Error::problem("settings_unsound", message).with_help("nothing was read or changed; put right what is listed")
    })
}

/// The same without the connectors inside the program that nothing in it needs, where it is sound without them.
pub(super) fn load_frugally(place: &Place) -> Project {
    let project = of_catalog(place, Catalog::load_frugally(&place.directory));
    let connectors = &project.catalog.connectors;
    let mut used = project.catalog.settings.value.connections.values().map(|connection| &connection.connector);
    match !project.has_errors() && used.all(|connector| connectors.contains_key(connector)) {
        true => project,
        false => load(place),
    }
}

fn of_catalog(place: &Place, catalog: Catalog) -> Project {
    // Which store it would be is not known.
    if catalog.broken_settings {
        return Project::of(catalog, &place.sets, Vec::new());
    }
    match open::accounts(place, &catalog.settings.value) {
        Ok(stored) => Project::of(catalog, &place.sets, stored),
        // Whoever needs the store will fail at it; whoever does not goes on without.
        Err(error) => {
            let mut project = Project::of(catalog, &place.sets, Vec::new());
            let message = format!("stored connections cannot be seen: {}", error.message);
            project.diagnostics.push(stored::of_store("store_unreadable", message, error.help));
            project
        }
    }
}

/// The same where the store is open already.
pub(super) fn load_with(place: &Place, stored: Vec<Account>) -> Project {
    Project::of(Catalog::load(&place.directory), &place.sets, stored)
}

/// The same for files that were read before, by their paths within the project.
pub(super) fn load_kept(place: &Place, files: BTreeMap<PathBuf, Arc<str>>, stored: Vec<Account>) -> Project {
    Project::of(Catalog::of_kept(&place.directory, files), &place.sets, stored)
}

/// That the project's folder is there: what is asked of one that is not would seem to be missing in it.
///
/// # Errors
/// `folder_missing`.
pub fn folder(place: &Place) -> Result<()> {
    if place.directory.is_dir() {
        return Ok(());
    }
    let folder = place.directory.display();
    let (message, help) = match place.directory.exists() {
        true => (format!("{folder} is a file, and no folder"), "name the project's folder, not a file"),
        false => (format!("there is no folder {folder}"), "name the project's with --dir"),
    };
    Err(Error::problem("folder_missing", message).with_help(help))
}

/// `tidegate check`: the same, and everything compiled as for a deployment.
pub fn check(place: &Place) -> Project {
    let mut project = load(place);
    project.diagnostics.extend(project.catalog.no_project());
    if !project.has_errors() {
        project.compile();
    }
    project
}

impl Project {
    /// Checks what was read; `given` is what `--set` gave, `stored` what the store holds.
    pub fn of(mut catalog: Catalog, given: &[String], stored: Vec<Account>) -> Project {
        let (sets, mut wrong) = sets(&catalog, given);
        wrong.extend(stored::merge(&mut catalog, &stored));
        // It is checked at deployment, where it is put over what the settings give.
        let names = sets.iter().map(|(flow, inputs)| (flow.clone(), inputs.keys().cloned().collect()));
        catalog.given = names.collect();
        let directory = catalog.directory.clone();
        let surroundings = Surroundings {
            is_there: &|file| directory.join(file).exists(),
            is_set: &|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            schedule: &Schedule::problems,
        };
        let mut diagnostics = check::catalog(&catalog, &surroundings);
        diagnostics.extend(wrong);
        Project { catalog, diagnostics, sets, stored }
    }

    /// Whether something stops it from being deployed.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many findings do.
    pub(super) fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// The same, where errors are a reason to go no further.
    ///
    /// # Errors
    /// `project_unsound`, with all findings.
    pub fn sound(self) -> Result<Project> {
        if !self.has_errors() {
            return Ok(self);
        }
        let message = match self.errors() {
            1 => "the project has an error".to_owned(),
            many => format!("the project has {many} errors"),
        };
        Err(Error {
            help: Some("nothing was started; put right what is listed".to_owned()),
            diagnostics: self.diagnostics.clone(),
            files: Arc::new(self.catalog.files),
            ..Error::new(exit_of(&self.diagnostics), "project_unsound", message)
        })
    }

    /// What stops one flow from being run: errors of its own file, of the connectors that it uses, of the
    /// settings, and of what the command line gives.
    pub fn errors_of<'a>(&'a self, flow: &str) -> impl Iterator<Item = &'a Diagnostic> {
        let written = self.catalog.flows.get(flow);
        let connectors = written.map(|written| connectors_of(&written.value, &self.connectors())).unwrap_or_default();
        let own = written.map(|written| written.source.path().to_owned());
        let is_of = move |file: &Path| {
            let stem = |file: &Path| file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let mut parts = file.components().map(|part| part.as_os_str());
            own.as_deref() == Some(file)
                || file == Path::new(SET)
                || (file.parent() == Some(Path::new("")) && stem(file).as_deref() == Some("tidegate"))
                || (parts.next().is_some_and(|folder| folder == "connectors")
                    && parts
                        .next()
                        .and_then(|name| stem(Path::new(name)))
                        .is_some_and(|name| connectors.contains(&name)))
        };
        self.diagnostics.iter().filter(move |found| found.severity == Severity::Error && is_of(&found.file))
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
        self.catalog.manifests()
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

/// `input=value` as one for this flow; one that names its flow stays as it is.
pub(super) fn set_of(flow: &str, set: &str) -> String {
    match set.split_once('=') {
        Some((name, _)) if !name.contains('.') => format!("{flow}.{set}"),
        _ => set.to_owned(),
    }
}

/// How a command exits because of these: what the command line gives is told from what files hold.
pub(super) fn exit_of(found: &[Diagnostic]) -> Exit {
    let mut errors = found.iter().filter(|found| found.severity == Severity::Error);
    if errors.any(|found| found.file == Path::new(SET)) { Exit::Usage } else { Exit::Problem }
}

type Sets = BTreeMap<String, Map<String, Value>>;

// What the command line gives to flows, and what of it makes no sense. The same input again makes a list.
fn sets(catalog: &Catalog, given: &[String]) -> (Sets, Vec<Diagnostic>) {
    let mut texts: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for set in given {
        let Some((name, text)) = set.split_once('=') else {
            let help = "write the input, `=` and the value, for example --set query='#tidegate'; with the flow before it for one flow alone: tweet-to-sms.query=...";
            wrong.push(of_set("set_syntax", format!("`{set}` gives no value"), Some(help.to_owned())));
            continue;
        };
        let (flow, input) = match name.split_once('.') {
            Some((flow, input)) => (Some(flow), input),
            None => (None, name),
        };
        let mut is_known = false;
        for (name, loaded) in &catalog.flows {
            if flow.is_none_or(|flow| flow == name) && loaded.value.inputs.contains_key(input) {
                is_known = true;
                texts.entry((name.as_str(), input)).or_default().push(text);
            }
        }
        if !is_known {
            wrong.push(set_unknown(catalog, flow, input));
        }
    }
    let mut sets = Sets::new();
    for ((flow, input), texts) in texts {
        let declared = catalog.flows.get(flow).and_then(|loaded| loaded.value.inputs.get(input));
        let schema = declared.map(|input| Value::Object(input.schema.clone())).unwrap_or_default();
        let value = value::read_all(&texts, &schema, &BTreeMap::new());
        sets.entry(flow.to_owned()).or_default().insert(input.to_owned(), value);
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

/// A finding about what the command line gives.
pub(super) fn of_set(code: &'static str, message: String, help: Option<String>) -> Diagnostic {
    Diagnostic { code, severity: Severity::Error, file: SET.into(), line: 0, column: 0, length: 1, message, help }
}
