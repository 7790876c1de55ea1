//! Everything that a project consists of: its connectors, flows and settings, read from their files, with all
//! that is wrong with each. It looks at every file by itself; what does not fit together is found by `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::embedded::{self, Embedded};
use super::schema::Schemas;
use super::typed::{escape, type_inputs};
use super::{Connector, Diagnostic, Flow, Severity, Source, file, merge, validate};
use crate::settings::Settings;
use crate::yaml::{self, Content};

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
    /// The connectors and flows that are there but have errors: `check` need not call them unknown.
    pub broken: BTreeSet<String>,
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

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Loaded {
            value: Arc::clone(&self.value),
            source: Arc::clone(&self.source),
            origin: self.origin,
        }
    }
}

impl Catalog {
    /// Reads a project's folder. It never fails: what can not be read is among the diagnostics.
    pub fn load(directory: &Path) -> Catalog {
        let mut loader = Loader::new(directory);
        if let Err(error) = std::fs::read_dir(directory) {
            loader.found(file::unreadable(Path::new("."), &error));
        }
        for manifest in loader.manifests("connectors") {
            loader.connector(manifest);
        }
        loader.embedded_connectors();
        for manifest in loader.manifests("flows") {
            loader.flow(manifest);
        }
        loader.settings();
        loader.finish()
    }

    /// The connectors and flows inside the program, with default settings.
    pub fn embedded() -> Catalog {
        let mut loader = Loader::new(Path::new(""));
        loader.embedded_connectors();
        for embedded in embedded::FLOWS {
            loader.flow(Manifest::of(embedded));
        }
        loader.finish()
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

/// The files of one manifest, read.
struct Manifest {
    name: String,
    files: Vec<(PathBuf, Arc<str>)>,
    origin: Origin,
}

impl Manifest {
    fn of(embedded: &Embedded) -> Self {
        Manifest {
            name: embedded.name.to_owned(),
            files: vec![(embedded.path.into(), embedded.text.into())],
            origin: Origin::Embedded,
        }
    }
}

struct Loader {
    catalog: Catalog,
    schemas: Schemas,
}

impl Loader {
    fn new(directory: &Path) -> Self {
        Loader {
            catalog: Catalog {
                directory: directory.to_owned(),
                connectors: BTreeMap::new(),
                flows: BTreeMap::new(),
                settings: Loaded {
                    value: Arc::default(),
                    source: Arc::new(Source::new([("tidegate.yaml".into(), "".into())])),
                    origin: Origin::File,
                },
                diagnostics: Vec::new(),
                broken: BTreeSet::new(),
                files: BTreeMap::new(),
            },
            schemas: Schemas::new(),
        }
    }

    fn finish(mut self) -> Catalog {
        self.catalog.diagnostics.sort_by(|one, two| {
            (&one.file, one.line, one.column).cmp(&(&two.file, two.line, two.column))
        });
        self.catalog
    }

    fn found(&mut self, diagnostic: Diagnostic) {
        self.catalog.diagnostics.push(diagnostic);
    }

    fn connector(&mut self, manifest: Manifest) {
        let name = manifest.name.clone();
        let reserved = embedded::CONNECTORS
            .iter()
            .any(|embedded| embedded.name == name && !embedded.is_overridable);
        if reserved && manifest.origin == Origin::File {
            let path = manifest.files.first().map(|(path, _)| path.clone());
            let message =
                format!("`{name}` is done by this program itself and can not be replaced");
            let help = Some("give your connector another name");
            return self.found(file::whole_file(
                &path.unwrap_or_default(),
                "reserved_name",
                message,
                help,
            ));
        }
        let schema = std::mem::take(&mut self.schemas.connector);
        let loaded = self.manifest::<Connector>(manifest, "connector", &schema);
        self.schemas.connector = schema;
        let Some((mut connector, source, origin)) = loaded else {
            return;
        };
        type_connector(&mut connector, &source);
        let loaded = Loaded {
            value: Arc::new(connector),
            source: Arc::new(source),
            origin,
        };
        self.catalog.connectors.insert(name, loaded);
    }

    fn flow(&mut self, manifest: Manifest) {
        let name = manifest.name.clone();
        let schema = std::mem::take(&mut self.schemas.flow);
        let loaded = self.manifest::<Flow>(manifest, "flow", &schema);
        self.schemas.flow = schema;
        let Some((mut flow, source, origin)) = loaded else {
            return;
        };
        type_inputs(&mut flow.inputs, &source, "/inputs", &BTreeMap::new());
        let loaded = Loaded {
            value: Arc::new(flow),
            source: Arc::new(source),
            origin,
        };
        self.catalog.flows.insert(name, loaded);
    }

    fn embedded_connectors(&mut self) {
        for embedded in embedded::CONNECTORS {
            let is_overridden = self.catalog.connectors.contains_key(embedded.name)
                || self.catalog.broken.contains(embedded.name);
            if !is_overridden {
                self.connector(Manifest::of(embedded));
            }
        }
    }

    fn settings(&mut self) {
        let paths = ["tidegate.yaml", "tidegate.yml"].map(PathBuf::from);
        let mut paths = paths
            .into_iter()
            .filter(|path| self.catalog.directory.join(path).exists());
        let (Some(path), second) = (paths.next(), paths.next()) else {
            return;
        };
        if let Some(second) = second {
            self.found(duplicate_name(&second, &path));
        }
        let manifest = self.read("tidegate".to_owned(), vec![path]);
        let schema = std::mem::take(&mut self.schemas.settings);
        let loaded =
            manifest.and_then(|manifest| self.read_by::<Settings>(manifest, None, &schema));
        self.schemas.settings = schema;
        if let Some((settings, source, origin)) = loaded {
            let value = Arc::new(settings);
            self.catalog.settings = Loaded {
                value,
                source: Arc::new(source),
                origin,
            };
        }
    }

    /// The manifests in a folder: `<name>.yaml`, `<name>.yml`, and for connectors folders of such files.
    fn manifests(&mut self, folder: &str) -> Vec<Manifest> {
        let mut named: BTreeMap<String, Vec<Vec<PathBuf>>> = BTreeMap::new();
        for path in self.list(Path::new(folder)) {
            let is_folder = self.catalog.directory.join(&path).is_dir();
            let files = match (is_folder, folder) {
                (true, "connectors") => {
                    let files = self.list(&path);
                    files.into_iter().filter(|path| is_yaml(path)).collect()
                }
                (false, _) if is_yaml(&path) => vec![path.clone()],
                _ => Vec::new(),
            };
            let name = if is_folder {
                path.file_name()
            } else {
                path.file_stem()
            };
            if let (Some(name), false) = (name, files.is_empty()) {
                let name = name.to_string_lossy().into_owned();
                named.entry(name).or_default().push(files);
            }
        }
        let mut manifests = Vec::new();
        for (name, mut candidates) in named {
            for other in candidates.split_off(1) {
                let kept = candidates.first().and_then(|files| files.first());
                if let (Some(kept), Some(other)) = (kept, other.first()) {
                    self.found(duplicate_name(other, kept));
                }
            }
            manifests.extend(candidates.pop().and_then(|files| self.read(name, files)));
        }
        manifests
    }

    /// What is in a folder, in the order of the names, without what is hidden. A folder that is not there is empty.
    fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(self.catalog.directory.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.found(file::unreadable(folder, &error));
                return Vec::new();
            }
        };
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_name().to_string_lossy().starts_with('.') => {}
                Ok(entry) => paths.push(folder.join(entry.file_name())),
                Err(error) => self.found(file::unreadable(folder, &error)),
            }
        }
        paths.sort();
        paths
    }

    fn read(&mut self, name: String, paths: Vec<PathBuf>) -> Option<Manifest> {
        let mut files = Vec::new();
        let mut is_whole = true;
        for path in paths {
            let read = file::read(&self.catalog.directory, &path);
            self.catalog
                .files
                .insert(path.clone(), Arc::clone(&read.text));
            if let Some(found) = read.found {
                is_whole &= found.severity != Severity::Error;
                self.found(found);
            }
            files.push((path, read.text));
        }
        if !is_whole {
            self.catalog.broken.insert(name);
            return None;
        }
        Some(Manifest {
            name,
            files,
            origin: Origin::File,
        })
    }

    /// A manifest with a name of its own, which must be its file's.
    fn manifest<T: DeserializeOwned>(
        &mut self,
        manifest: Manifest,
        name_key: &'static str,
        schema: &Value,
    ) -> Option<(T, Source, Origin)> {
        let name = manifest.name.clone();
        let loaded = self.read_by(manifest, Some(name_key), schema);
        if loaded.is_none() {
            self.catalog.broken.insert(name);
        }
        loaded
    }

    fn read_by<T: DeserializeOwned>(
        &mut self,
        manifest: Manifest,
        name_key: Option<&'static str>,
        schema: &Value,
    ) -> Option<(T, Source, Origin)> {
        let Manifest {
            name,
            files,
            origin,
        } = manifest;
        let (source, mut found) = parse(files, &name, name_key);
        let mut value = Value::Null;
        if source.root().is_some() {
            let (read, wrong) = validate::read(&source, schema);
            value = read;
            found.extend(wrong);
        }
        let is_sound = found.iter().all(|found| found.severity != Severity::Error);
        self.catalog.diagnostics.extend(found);
        if !is_sound {
            return None;
        }
        match serde_json::from_value(value) {
            Ok(value) => Some((value, source, origin)),
            Err(error) => {
                let message = format!("the file can not be used: {error}");
                self.found(file::whole_file(
                    source.path(),
                    "invalid_value",
                    message,
                    None,
                ));
                None
            }
        }
    }
}

/// The tree of a manifest's files, with what is wrong with their text and their name.
fn parse(
    files: Vec<(PathBuf, Arc<str>)>,
    name: &str,
    name_key: Option<&'static str>,
) -> (Source, Vec<Diagnostic>) {
    let mut source = Source::new(files.iter().cloned());
    let mut found = Vec::new();
    let mut roots = Vec::new();
    let mut is_whole = true;
    for ((path, text), file) in files.iter().zip(0..) {
        let parsed = yaml::parse(text, file);
        for problem in parsed.problems.iter().cloned() {
            let yaml::Problem {
                code,
                span,
                message,
                help,
            } = problem;
            found.push(source.at_span(span, Severity::Error, code, message, help));
        }
        match parsed.root {
            Some(root) if root.plain_text() != Some("") => {
                if let Some(key) = name_key {
                    found.extend(name_mismatch(&source, &root, key, name));
                }
                roots.push(root);
            }
            _ if parsed.problems.is_empty() => {
                let message = "the file is empty".to_owned();
                found.push(file::whole_file(
                    path,
                    "empty_file",
                    message,
                    Some("write into it, or remove it"),
                ));
            }
            _ => is_whole = false,
        }
    }
    let (root, conflicts) = merge::merge(roots, name_key.unwrap_or_default());
    for conflict in conflicts {
        let first = source.place_of(conflict.kept);
        let message = format!("the key `{}` is in two files", conflict.key);
        let help = format!(
            "the first is at {}:{}:{}; keep one of them",
            first.file.display(),
            first.line,
            first.column
        );
        found.push(source.at_span(
            conflict.other,
            Severity::Error,
            "duplicate_key",
            message,
            Some(help),
        ));
    }
    // A part of a connector alone would look as if the rest were missing.
    if let Some(root) = root.filter(|_| is_whole) {
        source.set_root(root);
    }
    (source, found)
}

/// A name that is not the file's, or that could not be referred to.
fn name_mismatch(source: &Source, root: &yaml::Node, key: &str, name: &str) -> Option<Diagnostic> {
    let entry = root.get(key)?;
    let Content::Scalar(written, _) = &entry.value.content else {
        return None;
    };
    let span = entry.value.span;
    if **written != *name {
        let message = format!("this is called `{written}`, but its file is called `{name}`");
        let help = format!("write `{key}: {name}`, or rename the file");
        return Some(source.at_span(span, Severity::Error, "name_mismatch", message, Some(help)));
    }
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        let message = format!("`{name}` can not be a name");
        let help = "use up to 64 letters, digits, `-` and `_`".to_owned();
        return Some(source.at_span(span, Severity::Error, "invalid_name", message, Some(help)));
    }
    None
}

fn duplicate_name(path: &Path, kept: &Path) -> Diagnostic {
    let message = format!("{} has the same name", kept.display());
    file::whole_file(path, "duplicate_name", message, Some("keep one of them"))
}

fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml"))
}

fn type_connector(connector: &mut Connector, source: &Source) {
    let schemas = &connector.schemas;
    type_inputs(
        &mut connector.connection.fields,
        source,
        "/connection/fields",
        schemas,
    );
    for (name, part) in &mut connector.parts {
        let pointer = format!("/parts/{}/inputs", escape(name));
        type_inputs(&mut part.inputs, source, &pointer, schemas);
    }
    for (name, action) in &mut connector.actions {
        let pointer = format!("/actions/{}/inputs", escape(name));
        type_inputs(&mut action.inputs, source, &pointer, schemas);
    }
    for (name, trigger) in &mut connector.triggers {
        let pointer = format!("/triggers/{}/inputs", escape(name));
        type_inputs(&mut trigger.inputs, source, &pointer, schemas);
    }
}
