//! `tidegate apply`: a project published in the database of several hosts, whole or not at all. They read it from
//! there, and not from files of their own, so that all of them work with the same.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::open::Location;
use super::{Error, Exit, Place, Project, Result, open, project};
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
}

/// Checks a project and publishes it.
///
/// # Errors
/// `project_unsound`, with all findings, where nothing was published; `apply_needs_database` where the store is a
/// file, whose host takes up files by itself; the store's.
pub async fn apply(place: &Place) -> Result<Published> {
    let project = project::check(place);
    let location = open::location(place, &project.catalog.settings.value)?;
    if matches!(location, Location::File(_)) {
        return Err(Error::usage(
            "apply_needs_database",
            "the store is a file: its host takes up changed files by itself",
        )
        .with_help("name the database with --store postgres://... to publish for the hosts on it"));
    }
    let project = project.sound()?;
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
    Ok(Published { version, is_new, flows: project.catalog.flows.keys().cloned().collect(), files: files.len() })
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
