//! The store, the executor and the host of a place, opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Error, Exit, Place, Project, Result, project, vault};
use crate::clock::Clock;
use crate::connector::Executor;
use crate::connector::egress::Egress;
use crate::connector::limits::Limits;
use crate::connector::requester::{MAX_RESPONSE_BYTES, Requester, RequesterOptions};
use crate::manifest::Duration;
use crate::secrets::key::{KEY_VARIABLE, KeyPlace};
use crate::secrets::{Secrets, Vaulted};
use crate::settings::Settings;
use crate::store::Store;
use crate::store::accounts::Account;
use crate::store::database::{self, HostRole, Synchronous};
use crate::store::schema::MIGRATIONS;
use crate::worker::{Host, Keys, Options, StoredGrants};

/// Where files may be read and written unless the settings say otherwise, within the project's folder.
const FILES: [&str; 2] = ["out", "files"];
pub(super) const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// A lease has to outlive a slow commit.
const SHORTEST_LEASE_MS: i64 = 1_000;

/// Where a store is.
#[derive(Clone)]
pub(super) enum Location {
    /// An SQLite file, which one host works on.
    File(PathBuf),
    /// The address of a PostgreSQL database, which may hold a password.
    Server(String),
}

impl Location {
    // Whether a database is there shows when it is opened.
    fn exists(&self) -> bool {
        match self {
            Location::File(path) => path.exists(),
            Location::Server(_) => true,
        }
    }
}

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
/// `folder_missing`, `settings_unsound`; the store's: damaged, newer, not ours.
pub async fn view(place: &Place) -> Result<View> {
    let project = Arc::new(project::settled(place)?);
    let location = location(place, &project.catalog.settings.value)?;
    let store = if location.exists() { Some(tool(&location, &place.clock)?) } else { None };
    Ok(View { project, store, clock: place.clock.clone() })
}

/// The stored connections; none where there is no store yet.
///
/// # Errors
/// The store's.
pub(super) fn accounts(place: &Place, settings: &Settings) -> Result<Vec<Account>> {
    let location = location(place, settings)?;
    if !location.exists() {
        return Ok(Vec::new());
    }
    let store = tool(&location, &place.clock)?;
    let accounts = store.accounts_blocking();
    store.database().clone().close_blocking()?;
    Ok(accounts?)
}

/// The key that the store's secrets are sealed under, as this place says where it is.
///
/// # Errors
/// `key_given_twice`.
pub(super) fn keys(place: &Place, settings: &Settings, store: &Store) -> Result<Keys> {
    let given = std::env::var(KEY_VARIABLE).ok().filter(|text| !text.is_empty()).map(Zeroizing::new);
    let key_place = match (given, &place.key_file) {
        (Some(_), Some(path)) => {
            let message = format!("the key is given twice: by {KEY_VARIABLE} and as the file {}", path.display());
            return Err(Error::usage("key_given_twice", message).with_help("give one of the two"));
        }
        (Some(text), None) => KeyPlace::Environment(text),
        (None, Some(path)) => KeyPlace::Named(path.clone()),
        (None, None) => match &settings.key_file {
            Some(path) => KeyPlace::Named(place.directory.join(path)),
            None => KeyPlace::Beside(place.key_beside(settings)),
        },
    };
    Ok(Keys::new(key_place, store.clone()))
}

/// What reads the fields of a project's connections. Where its stored ones cannot be opened, each says why when
/// it is used.
///
/// # Errors
/// The store's.
pub(super) async fn secrets(place: &Place, project: &Project) -> Result<Secrets> {
    let settings = &project.catalog.settings.value;
    let secrets = Secrets::new(&place.directory);
    let vaulted = vault::read(settings, settings.connections.values(), &secrets, &place.clock, &Vaulted::new()).await;
    let secrets = secrets.with_vaulted(vaulted);
    if project.stored.is_empty() {
        return Ok(secrets);
    }
    let store = tool(&location(place, settings)?, &place.clock)?;
    let key = keys(place, settings, &store)?.existing().await;
    store.close().await?;
    Ok(match key {
        Ok(key) => secrets.with_key(key),
        Err(error) => secrets.without_key(&format!("{}; {}", error.message, error.help)),
    })
}

/// The store as a tool opens it: beside a host that may be at work.
pub(super) fn tool(location: &Location, clock: &Clock) -> Result<Store> {
    let options = database::Options { readers: 1, ..database::Options::new(MIGRATIONS, clock.now_ms()) };
    open(location, &options)
}

/// The store as a host opens it: of a file the only one, of a database one among others. `listen` is what a
/// second one is told.
pub(super) fn host_store(
    location: &Location,
    settings: &Settings,
    listen: &str,
    synchronous: Synchronous,
    clock: &Clock,
) -> Result<Store> {
    let lease_ms = settings.worker.lease.ms.max(SHORTEST_LEASE_MS);
    let options = database::Options {
        host: Some(HostRole { listen: listen.to_owned(), lease_ms }),
        synchronous,
        ..database::Options::new(MIGRATIONS, clock.now_ms())
    };
    open(location, &options)
}

fn open(location: &Location, options: &database::Options) -> Result<Store> {
    let handle = match location {
        Location::File(path) => database::open(path, options),
        Location::Server(address) => database::open_postgres(address, options),
    };
    Ok(Store::new(handle?))
}

/// Where the store is.
///
/// # Errors
/// `store_unsupported` for the address of a server that is not PostgreSQL's.
pub(super) fn location(place: &Place, settings: &Settings) -> Result<Location> {
    located(&place.store(settings))
}

/// What names a store, as it was written.
///
/// # Errors
/// `store_unsupported`.
pub(super) fn located(store: &str) -> Result<Location> {
    // An address may hold a password: it is not repeated.
    match store.split_once("://") {
        None => Ok(Location::File(PathBuf::from(store))),
        Some(("postgres" | "postgresql", _)) => Ok(Location::Server(store.to_owned())),
        Some((kind, _)) => {
            let message = format!("a store is a file or a PostgreSQL database, and not `{kind}://`");
            let help =
                "name a file, as in `store: tidegate.db`, or a database, as in `store: postgres://user@host/name`";
            Err(Error::new(Exit::Host, "store_unsupported", message).with_help(help))
        }
    }
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
        ca: None,
    })?;
    let folders = match settings.files.as_slice() {
        [] => FILES.iter().map(|folder| directory.join(folder)).collect(),
        folders => folders.iter().map(|folder| directory.join(folder)).collect(),
    };
    Ok(Executor::new(requester, Limits::new(), clock.clone(), folders))
}

/// The same with the tokens that people signed in for, beside a host that may be at work.
///
/// # Errors
/// `egress_invalid` and the store's.
pub(super) fn signing(place: &Place, settings: &Settings) -> Result<Executor> {
    let executor = executor(&place.directory, settings, &place.clock)?;
    let location = location(place, settings)?;
    if !location.exists() {
        return Ok(executor);
    }
    let store = tool(&location, &place.clock)?;
    Ok(executor.with_grants(Arc::new(grants(place, settings, store)?)))
}

/// The grants of a store.
///
/// # Errors
/// `key_given_twice`.
pub(super) fn grants(place: &Place, settings: &Settings, store: Store) -> Result<StoredGrants> {
    let keys = keys(place, settings, &store)?;
    Ok(StoredGrants::new(store, keys, place.clock.clone()))
}

/// A host that does not work yet.
pub(super) fn host(store: Store, place: &Place, settings: &Settings) -> Result<Arc<Host>> {
    let grants = grants(place, settings, store.clone())?;
    let executor = executor(&place.directory, settings, &place.clock)?.with_grants(Arc::new(grants));
    Ok(Host::new(store, executor, place.clock.clone(), options(settings)))
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
