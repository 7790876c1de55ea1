//! The store, the executor and the host of a place, opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::is_address;
use super::{Error, Exit, Place, Project, Result, project};
use crate::clock::Clock;
use crate::connector::Executor;
use crate::connector::egress::Egress;
use crate::connector::limits::Limits;
use crate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use crate::manifest::Duration;
use crate::settings::Settings;
use crate::store::Store;
use crate::store::database::{self, HostRole, Synchronous};
use crate::store::schema::MIGRATIONS;
use crate::worker::{Host, Options};

/// Where `file.append` may write unless the settings say otherwise, within the project's folder.
const FILES: &str = "out";
const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// A project beside what its host remembers: what lists and details are made from.
#[derive(Clone)]
pub struct View {
    /// What is written.
    pub project: Arc<Project>,
    /// What is remembered; none where no host has worked here yet.
    pub store: Option<Store>,
    /// Where the time comes from.
    pub clock: Clock,
}

impl View {
    /// What is remembered.
    ///
    /// # Errors
    /// `store_missing` where no host has worked here yet.
    pub fn store(&self) -> Result<&Store> {
        self.store.as_ref().ok_or_else(|| {
            Error::new(
                Exit::Host,
                "store_missing",
                "no host has worked here yet, so there is nothing to see or to change",
            )
            .with_help("start one with `tidegate up`, or name its store with --store")
        })
    }
}

/// Opens a view beside a host that may be at work. Makes no store where there is none.
///
/// # Errors
/// The store's: damaged, newer, not ours.
pub async fn view(place: &Place) -> Result<View> {
    let project = Arc::new(project::load(place));
    let path = path(place, &project.catalog.settings.value)?;
    let store = if path.exists() { Some(tool(&path, &place.clock)?) } else { None };
    Ok(View { project, store, clock: place.clock.clone() })
}

/// The store as a tool opens it: beside a host that may be at work.
pub(super) fn tool(path: &Path, clock: &Clock) -> Result<Store> {
    let options = database::Options { readers: 1, ..database::Options::new(MIGRATIONS, clock.now_ms()) };
    Ok(Store::new(database::open(path, &options)?))
}

/// The store as the one host of it opens it; `listen` is what a second one is told.
pub(super) fn alone(path: &Path, listen: &str, synchronous: Synchronous, clock: &Clock) -> Result<Store> {
    let options = database::Options {
        host: Some(HostRole { listen: listen.to_owned() }),
        synchronous,
        ..database::Options::new(MIGRATIONS, clock.now_ms())
    };
    Ok(Store::new(database::open(path, &options)?))
}

/// The store's file.
///
/// # Errors
/// `store_unsupported` for the address of a database server.
pub(super) fn path(place: &Place, settings: &Settings) -> Result<PathBuf> {
    let store = place.store(settings);
    if is_address(&store) {
        // The address may hold a password: it is not repeated.
        let kind = store.split("://").next().unwrap_or_default();
        let message = format!("this version keeps its state in a file; a `{kind}://` store is not supported yet");
        return Err(
            Error::new(Exit::Host, "store_unsupported", message).with_help("name a file, as in `store: tidegate.db`")
        );
    }
    Ok(PathBuf::from(store))
}

/// What sends requests, as the settings allow.
///
/// # Errors
/// `egress_invalid`.
pub(super) fn executor(directory: &Path, settings: &Settings, clock: &Clock) -> Result<Executor> {
    let egress = Egress::new(&settings.egress.allow).map_err(|wrong| {
        let told: Vec<String> = wrong.into_iter().map(|(_, why)| why).collect();
        Error::problem("egress_invalid", format!("`egress.allow` in tidegate.yaml: {}", told.join("; ")))
    })?;
    let requester = Requester::new(RequesterOptions {
        egress,
        clock: clock.clone(),
        max_response_bytes: MAX_RESPONSE_BYTES,
        user_agent: USER_AGENT.to_owned(),
    })?;
    let folders = match settings.files.as_slice() {
        [] => vec![directory.join(FILES)],
        folders => folders.iter().map(|folder| directory.join(folder)).collect(),
    };
    Ok(Executor::new(requester, Limits::new(), clock.clone(), folders))
}

/// A host that does not work yet.
pub(super) fn host(store: Store, directory: &Path, settings: &Settings, clock: &Clock) -> Result<Arc<Host>> {
    let executor = executor(directory, settings, clock)?;
    Ok(Host::new(store, executor, clock.clone(), options(settings)))
}

fn options(settings: &Settings) -> Options {
    let ms = |duration: Duration| duration.ms;
    Options {
        runs: usize::try_from(settings.worker.runs).unwrap_or(usize::MAX).max(1),
        polls: usize::try_from(settings.worker.polls).unwrap_or(usize::MAX).max(1),
        backlog: settings.worker.backlog,
        drain_ms: ms(settings.worker.drain),
        keep_runs_ms: ms(settings.retention.runs),
        keep_payloads_ms: ms(settings.retention.payloads),
    }
}
