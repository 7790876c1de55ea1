//! Finds a project's files and fills the catalog with what is in them: which of them are manifests, and what is
//! wrong with each. `folder` gives them out; `catalog` is what the others see.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::catalog::Drafts;
use super::embedded::{self, Embedded};
use super::folder::Folder;
use super::schema::Schemas;
use super::typed::{escape, type_inputs};
use super::typing::type_composites;
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
            files: embedded.files.iter().map(|file| (file.path.into(), file.text.into())).collect(),
            origin: Origin::Embedded,
        }
    }
}

/// What a manifest's files hold.
struct ReadBy<T> {
    value: T,
    source: Source,
    origin: Origin,
    is_sound: bool,
}

/// Fills a catalog.
pub struct Loader {
    folder: Folder,
    /// Whether connectors inside the program are left out that nothing in the project names, and the texts of the rest
    /// once they are read.
    is_frugal: bool,
    catalog: Catalog,
    schemas: Schemas,
}

impl Loader {
    /// A catalog of a folder that is at `directory`, still empty.
    pub fn new(directory: &Path, folder: Folder) -> Self {
        Loader {
            folder,
            is_frugal: false,
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
                drafts: Drafts::default(),
                broken_flows: BTreeSet::new(),
                broken_settings: false,
                given: BTreeMap::new(),
                files: BTreeMap::new(),
            },
            schemas: Schemas::new(),
        }
    }

    /// Leaves out the connectors inside the program that nothing in the project names.
    pub fn frugal(self) -> Self {
        Loader { is_frugal: true, ..self }
    }

    /// The connectors, flows and settings of the folder.
    pub fn project(mut self) -> Catalog {
        if let Err(error) = self.folder.look() {
            let folder = self.catalog.directory.clone();
            self.found(file::unreadable(&folder, &error));
            self.embedded_connectors();
            return self.finish();
        }
        for (name, manifest) in self.manifests("connectors") {
            self.connector(name, manifest);
        }
        for (name, manifest) in self.manifests("flows") {
            self.flow(name, manifest);
        }
        self.settings();
        self.embedded_connectors();
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
        self.type_composites();
        if self.is_frugal {
            // There is nothing to say about what is in the program: that it has no mistakes is tested.
            let embedded = self.catalog.connectors.values_mut().filter(|loaded| loaded.origin == Origin::Embedded);
            embedded.for_each(|loaded| loaded.source = Arc::new(loaded.source.without_texts()));
        }
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
        let is_sound = read.as_ref().is_some_and(|read| read.is_sound);
        if !is_sound {
            self.catalog.broken_connectors.insert(name.clone());
        }
        let Some(ReadBy { value: mut connector, source, origin, .. }) = read else { return };
        type_connector(&mut connector, &source);
        let loaded = Loaded::new(connector, source, origin);
        let Catalog { connectors, drafts, .. } = &mut self.catalog;
        let kept = if is_sound { connectors } else { &mut drafts.connectors };
        kept.insert(name, loaded);
    }

    fn flow(&mut self, name: String, manifest: Option<Manifest>) {
        let read = manifest.and_then(|manifest| self.read_by::<Flow>(manifest, Some("flow"), |schemas| &schemas.flow));
        let is_sound = read.as_ref().is_some_and(|read| read.is_sound);
        if !is_sound {
            self.catalog.broken_flows.insert(name.clone());
        }
        let Some(ReadBy { value: mut flow, source, origin, .. }) = read else { return };
        type_inputs(&mut flow.inputs, &source, "/inputs", &BTreeMap::new());
        let loaded = Loaded::new(flow, source, origin);
        let Catalog { flows, drafts, .. } = &mut self.catalog;
        let kept = if is_sound { flows } else { &mut drafts.flows };
        kept.insert(name, loaded);
    }

    fn embedded_connectors(&mut self) {
        let is_free = |embedded: &&Embedded| {
            !self.catalog.connectors.contains_key(embedded.name)
                && !self.catalog.broken_connectors.contains(embedded.name)
        };
        let mut wanted: Vec<&'static Embedded> = embedded::CONNECTORS.iter().filter(is_free).collect();
        if self.is_frugal {
            let texts: Vec<Arc<str>> = self.catalog.files.values().cloned().collect();
            wanted = embedded::named(wanted, texts.iter().map(|text| &**text).collect());
        }
        for embedded in wanted {
            self.connector(embedded.name.to_owned(), Some(Manifest::of(embedded)));
        }
    }

    /// What a composite gives to other actions is typed by their inputs, once all connectors are known.
    fn type_composites(&mut self) {
        let known = self.catalog.manifests();
        let loaded = self.catalog.connectors.iter();
        let typed: Vec<_> = loaded
            .map(|(name, loaded)| (name.clone(), type_composites(&loaded.value, &loaded.source, &known)))
            .collect();
        // Nobody else holds them then, so that none is copied.
        drop(known);
        for (name, composites) in typed.into_iter().filter(|(_, composites)| !composites.is_empty()) {
            let Some(loaded) = self.catalog.connectors.get_mut(&name) else { continue };
            let connector = Arc::make_mut(&mut loaded.value);
            for (action, steps) in composites {
                if let Some(action) = connector.actions.get_mut(&action) {
                    action.steps = Some(steps);
                }
            }
        }
    }

    fn settings(&mut self) {
        let paths = ["tidegate.yaml", "tidegate.yml"].map(PathBuf::from);
        let mut paths = paths.into_iter().filter(|path| self.folder.has(path));
        let (Some(path), second) = (paths.next(), paths.next()) else {
            return;
        };
        if let Some(second) = second {
            self.found(duplicate_name(&second, &path));
        }
        let read = self
            .read("tidegate", vec![path])
            .and_then(|manifest| self.read_by::<Settings>(manifest, None, |schemas| &schemas.settings));
        self.catalog.broken_settings = !read.as_ref().is_some_and(|read| read.is_sound);
        let Some(ReadBy { value, source, origin, is_sound }) = read else { return };
        let loaded = Loaded::new(value, source, origin);
        match is_sound {
            true => self.catalog.settings = loaded,
            false => self.catalog.drafts.settings = Some(loaded),
        }
    }

    /// The manifests in a folder: `<name>.yaml`, `<name>.yml`, and for connectors folders of such files.
    /// None stands for files that are no text.
    fn manifests(&mut self, folder: &str) -> Vec<(String, Option<Manifest>)> {
        let mut named: BTreeMap<String, Vec<Vec<PathBuf>>> = BTreeMap::new();
        for path in self.list(Path::new(folder)) {
            // One that is called as a file is read as one, and refused.
            let is_folder = self.folder.is_folder(&path) && !is_yaml(&path);
            let files = match (is_folder, folder) {
                (true, "connectors") => self.parts(&path),
                (true, _) => {
                    self.below(&path, "flows are files of their own, directly in `flows`: none of these is read");
                    Vec::new()
                }
                (false, _) if is_yaml(&path) => vec![path.clone()],
                (false, _) => {
                    self.misnamed(&path);
                    Vec::new()
                }
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

    /// The files of a connector that is a folder.
    fn parts(&mut self, folder: &Path) -> Vec<PathBuf> {
        let (files, others): (Vec<_>, Vec<_>) = self.list(folder).into_iter().partition(|path| is_yaml(path));
        let mut has_more = false;
        for path in others {
            self.misnamed(&path);
            has_more |= self.folder.is_folder(&path)
                && self.below(&path, "a connector's files are directly in its folder: none of these is read");
        }
        if files.is_empty() && !has_more {
            let help = "put the connector's files into it, or remove it";
            self.found(file::passed_over(folder, "there is no YAML file in this folder: it is no connector", help));
        }
        files
    }

    /// Tells of a file that was meant to be read: on other systems `C.YAML` is the same name.
    fn misnamed(&mut self, path: &Path) {
        let is_meant = path.extension().is_some_and(|ending| {
            let ending = ending.to_string_lossy();
            ["yaml", "yml"].iter().any(|known| ending.eq_ignore_ascii_case(known))
        });
        if is_meant && !is_yaml(path) && !self.folder.is_folder(path) {
            let help = "let its name end in `.yaml`";
            self.found(file::passed_over(path, "its name does not end in `.yaml` or `.yml`: it is not read", help));
        }
    }

    /// Tells of a folder that has YAML files which are not looked at.
    fn below(&mut self, folder: &Path, message: &str) -> bool {
        let has_yaml = self.list(folder).iter().any(|path| is_yaml(path));
        if has_yaml {
            self.found(file::passed_over(folder, message, "move them one folder up"));
        }
        has_yaml
    }

    fn list(&mut self, folder: &Path) -> Vec<PathBuf> {
        let (paths, found) = self.folder.list(folder);
        self.catalog.diagnostics.extend(found);
        paths
    }

    fn read(&mut self, name: &str, paths: Vec<PathBuf>) -> Option<Manifest> {
        let mut files = Vec::new();
        let mut is_whole = true;
        for path in paths {
            let read = self.folder.read(&path);
            self.catalog.files.insert(path.clone(), Arc::clone(&read.text));
            if let Some(found) = read.found {
                is_whole &= found.severity != Severity::Error;
                self.found(found);
            }
            files.push((path, read.text));
        }
        is_whole.then(|| Manifest { name: name.to_owned(), files, origin: Origin::File })
    }

    /// A manifest by its schema; `name_key` is where it says its name, which must be its file's. One with errors
    /// is a draft, where what is left of it is a manifest.
    fn read_by<T: DeserializeOwned>(
        &mut self,
        manifest: Manifest,
        name_key: Option<&'static str>,
        schema: impl Fn(&Schemas) -> &Value,
    ) -> Option<ReadBy<T>> {
        let Manifest { name, files, origin } = manifest;
        let (mut source, mut found) = tree::parse(files, &name, name_key);
        let errors = |found: &[Diagnostic]| found.iter().any(|found| found.severity == Severity::Error);
        // What is no YAML may be anything.
        let may_be_draft =
            found.iter().all(|found| !found.code.starts_with("yaml_") || !errors(std::slice::from_ref(found)));
        let mut value = Value::Null;
        if source.root().is_some() {
            let read = validate::read(&source, schema(&self.schemas));
            value = read.value;
            found.extend(read.found);
            source.rename(&read.renamed);
            source.stand_in(read.stood_in);
        }
        let is_sound = !errors(&found);
        self.catalog.diagnostics.extend(found);
        if !is_sound && !may_be_draft {
            return None;
        }
        match serde_json::from_value(value) {
            Ok(value) => Some(ReadBy { value, source, origin, is_sound }),
            Err(_) if !is_sound => None,
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
