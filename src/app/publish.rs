//! `tidegate apply`: a project published in the database of several hosts, whole or not at all. They read it from
//! there, and not from files of their own, so that all of them work with the same.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::open::Location;
use super::{Error, Exit, Place, Project, Result, open, project};
use crate::settings::Source;
use crate::store::Store;

/// What was published.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    /// Counts up.
    pub version: i64,
    /// Whether something was published: the same files twice are one.
    pub is_new: bool,
    /// The flows in it, by name.
    pub flows: Vec<String>,
    /// How many files it has.
    pub files: usize,
    /// Secrets that stand in its files in clear, `CONNECTION.FIELD` and `FLOW.INPUT`: now in the database as well.
    pub in_clear: Vec<String>,
}

/// Checks a project and publishes it.
///
/// # Errors
/// `project_unsound`, with all findings, where nothing was published; `apply_needs_database` where the store is a
/// file, whose host takes up files by itself; the store's.
pub async fn apply(place: &Place) -> Result<Published> {
    let project = project::check(place)
        .sound()
        .map_err(|error| error.with_help("nothing was published; put right what is listed"))?;
    let location = open::location(place, &project.catalog.settings.value)?;
    if matches!(location, Location::File(_)) {
        return Err(Error::usage(
            "apply_needs_database",
            "the store is a file: its host takes up changed files by itself",
        )
        .with_help("name the database with --store postgres://... to publish for the hosts on it"));
    }
    let store = open::tool(&location, &place.clock)?;
    let published = publish(&store, &project, place.clock.now_ms()).await;
    store.close().await?;
    published
}

/// The project that a host on a database works with: the newest that was published. Where none ever was, the
/// host's own is, if there is a flow in it.
pub(super) async fn first(store: &Store, place: &Place, own: Project) -> Result<Project> {
    if let Some(published) = newest(store, place).await? {
        return Ok(published);
    }
    let own = own.sound()?;
    if own.catalog.flows.is_empty() {
        tracing::warn!("nothing is published yet: `tidegate apply` does it");
        return Ok(own);
    }
    let published = publish(store, &own, place.clock.now_ms()).await?;
    tracing::info!("nothing was published yet: the files of this host are, as version {}", published.version);
    if let Some(warning) = published.warning() {
        tracing::warn!("{warning}");
    }
    Ok(own)
}

/// The newest published project, read and checked; none where there is none.
pub(super) async fn newest(store: &Store, place: &Place) -> Result<Option<Project>> {
    let Some(publication) = store.publication().await? else { return Ok(None) };
    let stored = store.accounts().await?;
    let place = place.clone();
    let read = tokio::task::spawn_blocking(move || -> Result<Project> {
        Ok(project::load_kept(&place, unpack(&publication.files)?, stored))
    });
    read.await.map_err(|error| unreadable(&error)).flatten().map(Some)
}

async fn publish(store: &Store, project: &Project, now_ms: i64) -> Result<Published> {
    let files: BTreeMap<&Path, &Arc<str>> =
        project.catalog.files.iter().map(|(path, text)| (path.as_path(), text)).collect();
    let text = serde_json::to_string(&files).map_err(|error| unreadable(&error))?;
    let (version, is_new) = store.publish(text, now_ms).await?;
    let flows = project.catalog.flows.keys().cloned().collect();
    Ok(Published { version, is_new, flows, files: files.len(), in_clear: in_clear(project) })
}

impl Published {
    /// What to do about secrets that are published with the files.
    pub fn warning(&self) -> Option<String> {
        let secrets = self.in_clear.join(", ");
        (!self.in_clear.is_empty()).then(|| {
            format!(
                "secrets are in tidegate.yaml in clear, and now in the database and its backups as well: {secrets}; give \
                 them as {{env: NAME}}, {{file: PATH}} or {{vault: PATH#KEY}}, or seal them with `tidegate connect`"
            )
        })
    }
}

fn in_clear(project: &Project) -> Vec<String> {
    let catalog = &project.catalog;
    let settings = &catalog.settings.value;
    let connectors = project.connectors();
    let fields = settings.connections.iter().flat_map(|(name, connection)| {
        let declared = connectors.get(&connection.connector).map(|connector| &connector.connection.fields);
        let is_secret =
            move |field: &str| declared.and_then(|fields| fields.get(field)).is_some_and(|field| field.secret);
        let clear = connection.fields.iter().filter(|(_, source)| matches!(source, Source::Value(_)));
        clear.filter(move |(field, _)| is_secret(field)).map(move |(field, _)| format!("{name}.{field}"))
    });
    let inputs = settings.flows.iter().flat_map(|(name, given)| {
        let declared = catalog.flows.get(name).map(|flow| &flow.value.inputs);
        let is_secret =
            move |input: &str| declared.and_then(|inputs| inputs.get(input)).is_some_and(|input| input.secret);
        let given = given.inputs.iter().filter(move |(input, value)| is_secret(input) && !value.is_object());
        given.map(move |(input, _)| format!("{name}.{input}"))
    });
    fields.chain(inputs).collect()
}

fn unpack(files: &str) -> Result<BTreeMap<PathBuf, Arc<str>>> {
    let files: BTreeMap<PathBuf, Arc<str>> = serde_json::from_str(files).map_err(|error| unreadable(&error))?;
    // Whoever may write to the database may name nothing beside the project.
    match files.keys().find(|path| !path.components().all(|part| matches!(part, Component::Normal(_)))) {
        Some(path) => Err(unreadable(&format!("`{}` is not a path within a project", path.display()))),
        None => Ok(files),
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::new(Exit::Host, "publication_unreadable", format!("the published project cannot be read: {error}"))
        .with_help("publish it again with `tidegate apply`")
}
