//! Adding a package: asked for, filled in, checked beside what is there, and then added as a whole or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use super::{Kind, Package, filled, filled_text, invalid};
use crate::app::connect::{self, Draft, Question, Wish};
use crate::app::{Error, Exit, Place, Project, Result, open, project};
use crate::manifest::{Catalog, Severity};
use crate::settings::{Connection, Source};
use crate::store::accounts::Account;

/// A package on its way into a project.
pub struct Import {
    package: Package,
    answers: BTreeMap<String, String>,
}

/// One thing that a package adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Added {
    /// `connector`, `connection` or `flow`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its file, or `store`.
    pub place: String,
    /// It is there already, just so.
    pub is_there: bool,
}

/// What was added.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// The package.
    pub package: String,
    /// What it added.
    pub added: Vec<Added>,
}

/// A file that a package brings.
struct Brought {
    added: Added,
    path: PathBuf,
    text: String,
}

/// Reads a package's file.
///
/// # Errors
/// `package_unreadable`, `package_invalid`, `prompt_unknown`, `prompt_misplaced`.
pub fn read(path: &Path) -> Result<Import> {
    Ok(Import { package: Package::read(path)?, answers: BTreeMap::new() })
}

impl Import {
    /// What people call it.
    pub fn title(&self) -> &str {
        self.package.title.as_deref().unwrap_or(&self.package.package)
    }

    /// What has not been answered.
    pub fn questions(&self) -> Vec<Question> {
        let open = self.package.prompts.iter().filter(|(name, _)| !self.answers.contains_key(*name));
        let questions = open.map(|(name, prompt)| Question {
            field: name.clone(),
            title: prompt.title.clone().unwrap_or_else(|| name.clone()),
            description: prompt.description.clone(),
            is_required: prompt.default.is_none(),
            is_secret: prompt.kind == Kind::Secret,
            choices: prompt.choices.clone(),
            default: prompt.default.clone(),
        });
        questions.collect()
    }

    /// Takes an answer; an empty one stands for the default.
    ///
    /// # Errors
    /// `prompt_unknown`, `prompt_choice`, `prompt_missing`.
    pub fn answer(&mut self, name: &str, text: &str) -> Result<()> {
        let prompt = self.package.prompts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.package.prompts.keys().map(String::as_str).collect();
            Error::usage("prompt_unknown", format!("the package asks for no `{name}`"))
                .with_help(format!("it asks for: {}", known.join(", ")))
        })?;
        let text = match (&prompt.default, text.is_empty()) {
            (Some(default), true) => default,
            (None, true) => return Err(missing(&[name])),
            (_, false) => text,
        };
        if !prompt.choices.is_empty() && !prompt.choices.iter().any(|choice| choice == text) {
            let message = format!("`{name}` is none of its choices");
            return Err(Error::usage("prompt_choice", message).with_help(prompt.choices.join(", ")));
        }
        self.answers.insert(name.to_owned(), text.to_owned());
        Ok(())
    }

    /// What it would add to a project, once everything is answered.
    ///
    /// # Errors
    /// `prompt_missing`; `package_conflict` where something of that name is there; the findings about what it
    /// brings.
    pub fn plan(&mut self, place: &Place) -> Result<Vec<Added>> {
        let ready = self.ready(place)?;
        let files = ready.files.iter().map(|file| file.added.clone());
        let connections = ready.drafts.iter().map(|draft| of_connection(&draft.name));
        Ok(files.chain(connections).collect())
    }

    /// Adds it, all or nothing. Its connections are tested first unless that is waived.
    ///
    /// # Errors
    /// As [`Import::plan`]; what a service said; the key's, the store's and the file system's.
    pub async fn apply(mut self, place: &Place, untested: bool) -> Result<Imported> {
        let Ready { files, drafts, staging } = self.ready(place)?;
        let mut added: Vec<Added> = files.iter().map(|file| file.added.clone()).collect();
        added.extend(drafts.iter().map(|draft| of_connection(&draft.name)));
        for draft in &drafts {
            draft.prove(&staging.place, untested).await?;
        }
        let new: Vec<Brought> = files.into_iter().filter(|file| !file.added.is_there).collect();
        let written = new.iter().map(|file| draft_file(place, file)).collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = drafts.iter().map(|draft| draft.name.clone()).collect();
        put(place, &drafts).await?;
        let mut kept: Vec<PathBuf> = Vec::new();
        for (draft, file) in written.into_iter().zip(&new) {
            let path = place.directory.join(&file.path);
            match draft.persist_noclobber(&path) {
                Ok(_) => kept.push(path),
                Err(error) => {
                    take_back(place, &kept, &names).await?;
                    return Err(unwritable(&path, &error.error));
                }
            }
        }
        Ok(Imported { package: self.package.package, added })
    }

    fn ready(&mut self, place: &Place) -> Result<Ready> {
        for question in self.questions() {
            if let Some(default) = question.default {
                self.answer(&question.field, &default)?;
            }
        }
        let lacking: Vec<String> = self.questions().into_iter().map(|question| question.field).collect();
        if !lacking.is_empty() {
            return Err(missing(&lacking));
        }
        self.package.settle(&self.answers)?;
        let project = project::settled(place)?;
        let files = self.files(place)?;
        let conflicts: Vec<String> = files
            .iter()
            .filter(|file| !file.added.is_there && place.directory.join(&file.path).exists())
            .map(|file| file.path.display().to_string())
            .chain(self.package.connections.keys().filter_map(|name| {
                let is_there = project.catalog.settings.value.connections.contains_key(name);
                is_there.then(|| format!("the connection `{name}`"))
            }))
            .collect();
        if !conflicts.is_empty() {
            let message = format!("there is already: {}", conflicts.join(", "));
            return Err(Error::problem("package_conflict", message)
                .with_help("nothing was added; rename or remove what is there, or change the names in the package"));
        }
        let staging = Staging::new(place, &project.catalog.settings.value, &files)?;
        let mut drafts = Vec::new();
        for (name, connection) in &self.package.connections {
            drafts.push(self.draft(&staging.place, &project.stored, name, connection)?);
        }
        staging.check(&project, &files, &drafts)?;
        Ok(Ready { files, drafts, staging })
    }

    fn files(&self, place: &Place) -> Result<Vec<Brought>> {
        let connectors = self.package.connectors.iter().map(|(name, value)| ("connector", "connectors", name, value));
        let flows = self.package.flows.iter().map(|(name, value)| ("flow", "flows", name, value));
        let mut files = Vec::new();
        for (kind, folder, name, value) in connectors.chain(flows) {
            if !crate::check::is_identifier(name) {
                return Err(invalid(&format!("`{name}` cannot be a {kind}'s name")));
            }
            let mut value = filled(value, &self.answers);
            if let Value::Object(members) = &mut value {
                members.entry(kind).or_insert_with(|| Value::from(name.as_str()));
            }
            let yaml = serde_yaml::to_string(&value)
                .map_err(|error| invalid(&format!("the {kind} `{name}` cannot be written: {error}")))?;
            let text = format!(
                "# yaml-language-server: $schema=../schemas/{kind}.schema.json\n#\n# From the package {}.\n{yaml}",
                self.package.package
            );
            let path = PathBuf::from(folder).join(format!("{name}.yaml"));
            let is_there = std::fs::read_to_string(place.directory.join(&path)).is_ok_and(|there| there == text);
            let added = Added { kind, name: name.clone(), place: path.display().to_string(), is_there };
            files.push(Brought { added, path, text });
        }
        Ok(files)
    }

    fn draft(&self, staging: &Place, stored: &[Account], name: &str, connection: &Connection) -> Result<Draft> {
        let project = project::load_with(staging, stored.to_vec());
        let hosts = connection.hosts.iter().map(|(host, url)| format!("{host}={}", filled_text(url, &self.answers)));
        let wish = Wish {
            connector: connection.connector.clone(),
            name: Some(name.to_owned()),
            sets: Vec::new(),
            description: connection.description.as_ref().map(|text| filled_text(text, &self.answers)),
            proxy: connection.proxy.clone(),
            hosts: hosts.collect(),
        };
        let mut draft = connect::draft(project, wish)?;
        for (field, source) in &connection.fields {
            match source {
                Source::Value(Value::String(text)) => draft.answer(field, &filled_text(text, &self.answers))?,
                Source::Value(value) => draft.answer(field, &value.to_string())?,
                pointer => draft.point(field, pointer.clone()),
            }
        }
        let defaults = connection.defaults.iter().map(|(name, value)| (name.clone(), filled(value, &self.answers)));
        draft.complete(defaults.collect(), connection.health.clone());
        Ok(draft)
    }
}

/// What is known to fit.
struct Ready {
    files: Vec<Brought>,
    drafts: Vec<Draft>,
    staging: Staging,
}

/// A copy of the project with the package's files: what would be.
struct Staging {
    place: Place,
    _folder: TempDir,
}

impl Staging {
    fn new(place: &Place, settings: &crate::settings::Settings, files: &[Brought]) -> Result<Staging> {
        let folder = tempfile::tempdir().map_err(|error| unwritable(Path::new("a folder"), &error))?;
        let copied = || -> std::io::Result<()> {
            for name in ["tidegate.yaml", "tidegate.yml"] {
                if place.directory.join(name).exists() {
                    std::fs::copy(place.directory.join(name), folder.path().join(name))?;
                }
            }
            for name in ["connectors", "flows"] {
                copy(&place.directory.join(name), &folder.path().join(name))?;
            }
            for file in files {
                std::fs::write(folder.path().join(&file.path), &file.text)?;
            }
            Ok(())
        };
        copied().map_err(|error| unwritable(folder.path(), &error))?;
        // The store and the key stay where they are.
        let mut staged = Place { directory: folder.path().to_owned(), ..place.clone() };
        staged.store = Some(place.store(settings));
        Ok(Staging { place: staged, _folder: folder })
    }

    // That what the package brings is sound beside what is there; what was wrong before is not its fault.
    fn check(&self, before: &Project, files: &[Brought], drafts: &[Draft]) -> Result<()> {
        let mut catalog = Catalog::load(&self.place.directory);
        let settings = Arc::make_mut(&mut catalog.settings.value);
        for draft in drafts {
            settings.connections.insert(draft.name.clone(), draft.as_stored());
        }
        let mut after = Project::of(catalog, &self.place.sets, before.stored.clone());
        after
            .diagnostics
            .retain(|found| found.severity == Severity::Error && files.iter().any(|file| found.file == file.path));
        after
            .sound()
            .map(|_| ())
            .map_err(|error| Error { code: "package_unsound".to_owned(), ..error }.with_help("nothing was added"))
    }
}

// All in one transaction.
async fn put(place: &Place, drafts: &[Draft]) -> Result<()> {
    if drafts.is_empty() {
        return Ok(());
    }
    let settings = project::settled(place)?.catalog.settings.value;
    let now_ms = place.clock.now_ms();
    let store = open::tool(&open::location(place, &settings)?, &place.clock)?;
    let key = open::keys(place, &settings, &store)?.key(now_ms).await?;
    let accounts = drafts.iter().map(|draft| draft.sealed(&key)).collect::<Result<Vec<_>>>()?;
    store.put_accounts(accounts, now_ms).await?;
    store.close().await?;
    Ok(())
}

async fn take_back(place: &Place, files: &[PathBuf], connections: &[String]) -> Result<()> {
    for path in files {
        std::fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
    }
    let settings = project::settled(place)?.catalog.settings.value;
    let store = open::tool(&open::location(place, &settings)?, &place.clock)?;
    for name in connections {
        store.remove_account(name.clone()).await?;
    }
    store.close().await?;
    Ok(())
}

fn draft_file(place: &Place, file: &Brought) -> Result<NamedTempFile> {
    let path = place.directory.join(&file.path);
    let folder = path.parent().unwrap_or(&place.directory);
    let write = || -> std::io::Result<NamedTempFile> {
        std::fs::create_dir_all(folder)?;
        let mut draft = tempfile::Builder::new().prefix(".package").tempfile_in(folder)?;
        draft.write_all(file.text.as_bytes())?;
        draft.as_file().sync_all()?;
        Ok(draft)
    };
    write().map_err(|error| unwritable(&path, &error))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    if !from.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => std::fs::copy(entry.path(), target).map(|_| ())?,
        }
    }
    Ok(())
}

fn of_connection(name: &str) -> Added {
    Added { kind: "connection", name: name.to_owned(), place: "store".to_owned(), is_there: false }
}

fn missing(names: &[impl AsRef<str>]) -> Error {
    let told: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    Error::usage("prompt_missing", format!("the package asks for {}", told.join(", ")))
        .with_help("give each as in --set name=value, or run this on a terminal to be asked")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Exit::Host, "package_unwritable", format!("{} cannot be written: {error}", path.display()))
        .with_help("nothing was added")
}
