//! Finds a project's files and fills the catalog with what is in them. The one place of `manifest` that looks
//! at folders; `catalog` is what the others see.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::embedded::{self, Embedded};
use super::schema::Schemas;
use super::typed::{escape, type_inputs};
use super::{Catalog, Connector, Diagnostic, Flow, Loaded, Origin, Severity, Source, file, tree, validate};
use crate::settings::Settings;

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

/// Fills a catalog.
pub struct Loader {
    catalog: Catalog,
    schemas: Schemas,
}

impl Loader {
    /// A catalog of a folder, still empty.
    pub fn new(directory: &Path) -> Self {
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
                broken_connectors: BTreeSet::new(),
                broken_flows: BTreeSet::new(),
                files: BTreeMap::new(),
            },
            schemas: Schemas::new(),
        }
    }

    /// The connectors, flows and settings of the folder.
    pub fn project(mut self) -> Catalog {
        if let Err(error) = std::fs::read_dir(&self.catalog.directory) {
            self.found(file::unreadable(Path::new("."), &error));
        }
        for (name, manifest) in self.manifests("connectors") {
            self.connector(name, manifest);
        }
        self.embedded_connectors();
        for (name, manifest) in self.manifests("flows") {
            self.flow(name, manifest);
        }
        self.settings();
        self.finish()
    }

    /// The connectors and flows inside the program.
    pub fn embedded(mut self) -> Catalog {
        self.embedded_connectors();
        for embedded in embedded::FLOWS {
            let manifest = Manifest::of(embedded);
            self.flow(embedded.name.to_owned(), Some(manifest));
        }
        self.finish()
    }

    fn finish(mut self) -> Catalog {
        self.catalog
            .diagnostics
            .sort_by(|one, two| (&one.file, one.line, one.column).cmp(&(&two.file, two.line, two.column)));
        self.catalog
    }

    fn found(&mut self, diagnostic: Diagnostic) {
        self.catalog.diagnostics.push(diagnostic);
    }

    fn connector(&mut self, name: String, manifest: Option<Manifest>) {
        let reserved = embedded::CONNECTORS.iter().any(|embedded| embedded.name == name && !embedded.is_overridable);
        if let Some(manifest) = &manifest
            && reserved
            && manifest.origin == Origin::File
        {
            let path = manifest.files.first().map(|(path, _)| path.clone());
            let message = format!("`{name}` is done by this program itself and can not be replaced");
            let help = Some("give your connector another name");
            let path = path.unwrap_or_default();
            return self.found(file::whole_file(&path, "reserved_name", message, help));
        }
        let read = manifest
            .and_then(|manifest| self.read_by::<Connector>(manifest, Some("connector"), |schemas| &schemas.connector));
        let Some((mut connector, source, origin)) = read else {
            self.catalog.broken_connectors.insert(name);
            return;
        };
        type_connector(&mut connector, &source);
        let loaded = Loaded::new(connector, source, origin);
        self.catalog.connectors.insert(name, loaded);
    }

    fn flow(&mut self, name: String, manifest: Option<Manifest>) {
        let read = manifest.and_then(|manifest| self.read_by::<Flow>(manifest, Some("flow"), |schemas| &schemas.flow));
        let Some((mut flow, source, origin)) = read else {
            self.catalog.broken_flows.insert(name);
            return;
        };
        type_inputs(&mut flow.inputs, &source, "/inputs", &BTreeMap::new());
        let loaded = Loaded::new(flow, source, origin);
        self.catalog.flows.insert(name, loaded);
    }

    fn embedded_connectors(&mut self) {
        for embedded in embedded::CONNECTORS {
            let is_overridden = self.catalog.connectors.contains_key(embedded.name)
                || self.catalog.broken_connectors.contains(embedded.name);
            if !is_overridden {
                self.connector(embedded.name.to_owned(), Some(Manifest::of(embedded)));
            }
        }
    }

    fn settings(&mut self) {
        let paths = ["tidegate.yaml", "tidegate.yml"].map(PathBuf::from);
        let mut paths = paths.into_iter().filter(|path| self.catalog.directory.join(path).exists());
        let (Some(path), second) = (paths.next(), paths.next()) else {
            return;
        };
        if let Some(second) = second {
            self.found(duplicate_name(&second, &path));
        }
        let read = self
            .read("tidegate", vec![path])
            .and_then(|manifest| self.read_by::<Settings>(manifest, None, |schemas| &schemas.settings));
        if let Some((settings, source, origin)) = read {
            self.catalog.settings = Loaded::new(settings, source, origin);
        }
    }

    /// The manifests in a folder: `<name>.yaml`, `<name>.yml`, and for connectors folders of such files.
    /// None stands for files that are no text.
    fn manifests(&mut self, folder: &str) -> Vec<(String, Option<Manifest>)> {
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
            let name = if is_folder { path.file_name() } else { path.file_stem() };
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
            if let Some(files) = candidates.pop() {
                let manifest = self.read(&name, files);
                manifests.push((name, manifest));
            }
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

    fn read(&mut self, name: &str, paths: Vec<PathBuf>) -> Option<Manifest> {
        let mut files = Vec::new();
        let mut is_whole = true;
        for path in paths {
            let read = file::read(&self.catalog.directory, &path);
            self.catalog.files.insert(path.clone(), Arc::clone(&read.text));
            if let Some(found) = read.found {
                is_whole &= found.severity != Severity::Error;
                self.found(found);
            }
            files.push((path, read.text));
        }
        is_whole.then(|| Manifest { name: name.to_owned(), files, origin: Origin::File })
    }

    /// A manifest by its schema; `name_key` is where it says its name, which must be its file's.
    fn read_by<T: DeserializeOwned>(
        &mut self,
        manifest: Manifest,
        name_key: Option<&'static str>,
        schema: impl Fn(&Schemas) -> &Value,
    ) -> Option<(T, Source, Origin)> {
        let Manifest { name, files, origin } = manifest;
        let (source, mut found) = tree::parse(files, &name, name_key);
        let mut value = Value::Null;
        if source.root().is_some() {
            let (read, wrong) = validate::read(&source, schema(&self.schemas));
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
                self.found(file::whole_file(source.path(), "invalid_value", message, None));
                None
            }
        }
    }
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
    type_inputs(&mut connector.connection.fields, source, "/connection/fields", schemas);
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
