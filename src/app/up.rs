//! `tidegate up`: the host. Checks, opens, deploys, works, and takes up files that change: only a sound
//! snapshot of all of them; an unsound one is told once, and what worked before goes on.

mod follow;
mod held;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;

use self::follow::Follow;
use self::held::Held;
use super::deploy::{self, Prepared};
use super::open::Location;
use super::watch::Watch;
use super::{Error, Place, Project, Result, Time, View, open, project, publish, vault};
use crate::clock::Clock;
use crate::crash;
use crate::manifest::{Diagnostic, Severity};
use crate::memory;
use crate::secrets::{Secrets, Vaulted};
use crate::settings::Settings;
use crate::store::database::{Synchronous, code};
use crate::worker::{self, Event, Host, Keys, Links, StoredGrants};

// How long the end waits for what it shows.
const COUNT_FOR: Duration = Duration::from_secs(3);

// When a host that has just started has done what only the start needs; each time half as often, until it is looked at
// again so often.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
const REST_EVERY: Duration = Duration::from_secs(600);

/// A host that is ready: its flows are deployed, and it works once [`Up::work`] is awaited.
pub struct Up {
    host: Arc<Host>,
    live: Live,
    watched: Option<(Place, Option<Watch>)>,
    secrets: Secrets,
    keys: Keys,
    changes: broadcast::Sender<Change>,
    settings: Arc<Settings>,
    deployed: Change,
    vaulted: Vaulted,
}

/// A look at a host while it works; cheap to clone. The web pages hold one.
#[derive(Clone)]
pub struct Live {
    pub(super) host: Arc<Host>,
    project: Arc<Held>,
    clock: Clock,
    since: Time,
    listen: Arc<str>,
    public: Arc<str>,
    pub(super) grants: Arc<StoredGrants>,
}

/// What became of a change of files, for whoever shows it.
#[derive(Clone, Debug)]
pub enum Change {
    /// The flows that work now.
    Deployed {
        /// By name.
        flows: Vec<String>,
        /// What could not be deployed, and warnings.
        diagnostics: Vec<Diagnostic>,
        /// The texts of the files that the findings are about.
        files: BTreeMap<PathBuf, Arc<str>>,
    },
    /// The files are not sound: what worked before goes on.
    Refused {
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
        /// The texts of the files that the findings are about.
        files: BTreeMap<PathBuf, Arc<str>>,
    },
}

/// What a host did from its start to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// When it started.
    pub since: Time,
    /// How long it worked.
    pub elapsed_ms: i64,
    /// Runs by state, of all that the store holds.
    pub runs: BTreeMap<String, i64>,
}

/// Checks, opens and deploys. The first poll comes with [`Up::work`].
///
/// # Errors
/// The findings about the files where an error is among them; `store_locked` and the store's other ones.
pub async fn start(place: &Place) -> Result<Up> {
    ready(place).await.map_err(|error| match error.code.as_str() {
        // A host at work goes on by itself when these are over; this one has ended.
        code::FULL | code::IO | code::READ_ONLY => {
            let help = error.help.as_deref().unwrap_or_default();
            Error { help: Some(format!("{help}; then start again")), ..error }
        }
        _ => error,
    })
}

async fn ready(place: &Place) -> Result<Up> {
    // Before the files are read, so that no edit falls between.
    let watch = Watch::new(&place.directory);
    let project = project::load_frugally(place);
    let secrets = Secrets::new(&place.directory);
    if let Location::Server(address) = open::location(place, &project.catalog.settings.value)? {
        // What is published may name another store, or none: the one of this host is where it was read from.
        let place = Place { store: Some(address), ..place.clone() };
        let up = begin(project, &place, secrets, Synchronous::Full).await?;
        up.live.project.let_go();
        return Ok(Up { watched: Some((place, None)), ..up });
    }
    let up = begin(project.sound()?, place, secrets, Synchronous::Full).await?;
    // Whoever looks at it sees all of it.
    up.live.project.let_go();
    Ok(Up { watched: Some((place.clone(), Some(watch))), ..up })
}

/// The same for a project that is in memory: its files are not watched.
pub(super) async fn begin(project: Project, place: &Place, secrets: Secrets, synchronous: Synchronous) -> Result<Up> {
    let settings = Arc::clone(&project.catalog.settings.value);
    let location = open::location(place, &settings)?;
    let listen = place.listen(&settings);
    let store = open::host_store(&location, &settings, &listen, synchronous, &place.clock)?;
    let keys = open::keys(place, &settings, &store)?;
    let key = keys.existing().await?;
    let project = match &location {
        Location::File(_) => project,
        Location::Server(_) => publish::first(&store, place, project).await?.sound()?,
    };
    let settings = Arc::clone(&project.catalog.settings.value);
    let host = open::host(store, place, &settings)?;
    let base = settings.public.as_ref().and_then(|public| public.url.as_deref());
    host.link_with(Links::new(open::keys(place, &settings, &host.store)?, host.store.clone(), base));
    let vaulted = read_vault(&place.clock, &project, &secrets, &Vaulted::new()).await;
    for told in vaulted.values().filter_map(|read| read.as_ref().err()) {
        tracing::warn!("a secret of the vault is missing, which is tried again: {told}");
    }
    let usable = secrets.clone().with_key(key).with_vaulted(vaulted.clone());
    let deployed = deploy(&host, &project, usable).await?;
    let live = Live {
        host: Arc::clone(&host),
        project: Arc::new(Held::new(place.clone(), project)),
        clock: place.clock.clone(),
        since: Time::from_ms(place.clock.now_ms()),
        listen: listen.into(),
        public: place.public(&settings).into(),
        grants: Arc::new(open::grants(place, &settings, host.store.clone())?),
    };
    Ok(Up { host, live, watched: None, secrets, keys, changes: broadcast::channel(16).0, settings, deployed, vaulted })
}

impl Up {
    /// A look at it.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// What happens, as it happens.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.host.events.listen()
    }

    /// What becomes of changed files, as it happens; the first deployment is in [`Up::deployed`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What the start deployed.
    pub fn deployed(&self) -> Change {
        self.deployed.clone()
    }

    /// Works until `stop` resolves, then finishes what is under way.
    ///
    /// # Errors
    /// The store's.
    pub async fn work(self, stop: impl Future<Output = ()>) -> Result<Summary> {
        let Up { host, live, watched, secrets, keys, changes, vaulted, settings, .. } = self;
        let watching = watched.map(|(place, watch)| {
            let follow = Follow { live: live.clone(), place, secrets, keys, changes, vaulted, settings };
            tokio::spawn(follow.follow(watch))
        });
        // What was not read from files cannot be read again.
        let resting = watching.is_some().then(|| Arc::clone(&live.project));
        // On this thread, which read the files: what is free of its memory is given back.
        let worked = tokio::select! {
            worked = worker::work(Arc::clone(&host), stop) => worked,
            never = rest(&host, resting) => match never {},
        };
        if let Some(watching) = watching {
            watching.abort();
        }
        worked?;
        let mut runs = BTreeMap::new();
        // Of a database that is away nothing is counted.
        if let Ok(counts) = tokio::time::timeout(COUNT_FOR, host.store.run_counts()).await {
            for (_, state, count) in counts? {
                *runs.entry(state).or_default() += count;
            }
        }
        let elapsed_ms = live.clock.now_ms() - live.since.ms;
        host.store.clone().close().await?;
        Ok(Summary { since: live.since, elapsed_ms, runs })
    }
}

impl Live {
    /// The project as it is deployed and what the host remembers.
    pub fn view(&self) -> View {
        View { project: self.project(), store: Some(self.host.store.clone()), clock: self.clock.clone() }
    }

    /// When it started.
    pub fn since(&self) -> Time {
        self.since
    }

    /// The address to listen on, or `off`.
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// The address of the public listener, or `off`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// What the end of a public link's address names; none where it was altered.
    ///
    /// # Errors
    /// The key's.
    pub async fn link(&self, written: &str) -> Result<Option<String>> {
        match self.host.links() {
            Some(links) => Ok(links.named(written, self.clock.now_ms()).await?),
            None => Ok(None),
        }
    }

    /// Something was changed that may let runs of this flow go on.
    pub fn stir(&self, flow: &str) {
        self.host.stir_flow(flow);
    }

    /// How many errors the project's files have by now, where what was deployed before goes on because of them.
    pub fn refused(&self) -> Option<usize> {
        self.project.refused()
    }

    /// The project's files as they are deployed.
    pub fn project(&self) -> Arc<Project> {
        self.project.project()
    }
}

async fn read_vault(clock: &Clock, project: &Project, secrets: &Secrets, before: &Vaulted) -> Vaulted {
    let settings = &project.catalog.settings.value;
    vault::read(settings, settings.connections.values(), secrets, clock, before).await
}

// Keeps, syncs, deploys: in this order, so that a crash between two of them leaves nothing dangling.
async fn deploy(host: &Arc<Host>, project: &Project, secrets: Secrets) -> Result<Change> {
    let now_ms = host.now_ms();
    let Prepared { deployment, triggers, definitions, diagnostics } =
        deploy::prepare(project, &host.definitions, secrets, now_ms);
    crash::point("deploy.before");
    host.store.keep_definitions(definitions, now_ms).await?;
    host.store.sync_triggers(triggers, now_ms).await?;
    crash::point("deploy.after");
    let flows = deployment.flows.keys().filter(|flow| deploy::is_enabled(project, flow)).cloned().collect();
    let checks = worker::health::scheduled(&deployment, now_ms);
    host.store.sync_checks(checks, now_ms).await?;
    host.deploy(deployment);
    let warnings = project.diagnostics.iter().filter(|found| found.severity == Severity::Warning).cloned();
    let diagnostics = diagnostics.into_iter().chain(warnings).collect();
    Ok(Change::Deployed { flows, diagnostics, files: project.catalog.files.clone() })
}

// The start touched most of the program, and so does an edit that is taken up: a host that waits needs little of it.
async fn rest(host: &Host, project: Option<Arc<Held>>) -> Infallible {
    let mut pause = SETTLED_AFTER;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(REST_EVERY);
        if let Some(project) = &project {
            project.let_go();
        }
        host.definitions.let_go();
        memory::give_back();
    }
}
