//! `tidegate up`: the host. Checks, opens, deploys, works, and takes up files that change: only a sound
//! snapshot of all of them; an unsound one is told once, and what worked before goes on.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::broadcast;

use super::deploy::{self, Prepared};
use super::watch::Watch;
use super::{Place, Project, Result, Time, View, open, project};
use crate::clock::Clock;
use crate::manifest::{Diagnostic, Severity};
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::store::database::Synchronous;
use crate::worker::{self, Event, Host};

// How long a deployment waits that the store could not take.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A host that is ready: its flows are deployed, and it works once [`Up::work`] is awaited.
pub struct Up {
    host: Arc<Host>,
    live: Live,
    watched: Option<(Place, Watch)>,
    secrets: Secrets,
    changes: broadcast::Sender<Change>,
    deployed: Change,
}

/// A look at a host while it works; cheap to clone. The web pages hold one.
#[derive(Clone)]
pub struct Live {
    host: Arc<Host>,
    project: Arc<ArcSwap<Project>>,
    clock: Clock,
    since: Time,
    listen: Arc<str>,
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
    // Before the files are read, so that no edit falls between.
    let watch = Watch::new(&place.directory);
    let project = project::load(place).sound()?;
    let secrets = Secrets::new(&place.directory);
    let up = begin(project, place, secrets, Synchronous::Full).await?;
    Ok(Up { watched: Some((place.clone(), watch)), ..up })
}

/// The same for a project that is in memory: its files are not watched.
pub(super) async fn begin(project: Project, place: &Place, secrets: Secrets, synchronous: Synchronous) -> Result<Up> {
    let settings = Arc::clone(&project.catalog.settings.value);
    let path = open::path(place, &settings)?;
    let listen = place.listen(&settings);
    let store = open::alone(&path, &listen, synchronous, &place.clock)?;
    let host = open::host(store, &place.directory, &settings, &place.clock)?;
    let deployed = deploy(&host, &project, secrets.clone()).await?;
    let live = Live {
        host: Arc::clone(&host),
        project: Arc::new(ArcSwap::from_pointee(project)),
        clock: place.clock.clone(),
        since: Time::from_ms(place.clock.now_ms()),
        listen: listen.into(),
    };
    Ok(Up { host, live, watched: None, secrets, changes: broadcast::channel(16).0, deployed })
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
        let Up { host, live, watched, secrets, changes, .. } = self;
        let watching = watched.map(|(place, watch)| tokio::spawn(follow(live.clone(), place, watch, secrets, changes)));
        let worked = worker::work(Arc::clone(&host), stop).await;
        if let Some(watching) = watching {
            watching.abort();
        }
        worked?;
        let mut runs = BTreeMap::new();
        for (_, state, count) in host.store.run_counts().await? {
            *runs.entry(state).or_default() += count;
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

    /// The project's files as they are deployed.
    pub fn project(&self) -> Arc<Project> {
        self.project.load_full()
    }
}

// Keeps, syncs, deploys: in this order, so that a crash between two of them leaves nothing dangling.
async fn deploy(host: &Arc<Host>, project: &Project, secrets: Secrets) -> Result<Change> {
    let now_ms = host.now_ms();
    let Prepared { deployment, triggers, definitions, diagnostics } =
        deploy::prepare(project, &host.definitions, secrets, now_ms);
    host.store.keep_definitions(definitions, now_ms).await?;
    host.store.sync_triggers(triggers, now_ms).await?;
    let flows = deployment.flows.keys().filter(|flow| deploy::is_enabled(project, flow)).cloned().collect();
    host.deploy(deployment);
    let warnings = project.diagnostics.iter().filter(|found| found.severity == Severity::Warning).cloned();
    let diagnostics = diagnostics.into_iter().chain(warnings).collect();
    Ok(Change::Deployed { flows, diagnostics, files: project.catalog.files.clone() })
}

async fn follow(live: Live, place: Place, mut watch: Watch, secrets: Secrets, changes: broadcast::Sender<Change>) {
    let started_with = Arc::clone(&live.project().catalog.settings.value);
    let mut seen = live.project().catalog.files.clone();
    let mut is_behind = false;
    loop {
        match is_behind {
            true => tokio::time::sleep(RETRY_AFTER).await,
            false => watch.changed().await,
        }
        let read = place.clone();
        let project = match tokio::task::spawn_blocking(move || project::load(&read)).await {
            Ok(project) => project,
            Err(error) => {
                tracing::error!("the changed files could not be read: {error}");
                continue;
            }
        };
        // The same texts would be told a second time.
        if project.catalog.files == seen && !is_behind {
            continue;
        }
        seen = project.catalog.files.clone();
        match take_up(&live, project, secrets.clone(), &started_with).await {
            Ok(change) => {
                is_behind = false;
                // An error means that nobody wants to know.
                let _ = changes.send(change);
            }
            Err(error) => {
                is_behind = true;
                tracing::error!(
                    code = error.code,
                    "the changed files could not be deployed, which is tried again: {error}"
                );
            }
        }
    }
}

async fn take_up(live: &Live, project: Project, secrets: Secrets, started_with: &Settings) -> Result<Change> {
    if project.has_errors() {
        return Ok(Change::Refused { diagnostics: project.diagnostics, files: project.catalog.files });
    }
    let change = deploy(&live.host, &project, secrets).await?;
    if needs_restart(&project.catalog.settings.value, started_with) {
        tracing::warn!("`listen`, `store`, `egress`, `worker`, `retention` and `files` are taken up at the next start");
    }
    live.project.store(Arc::new(project));
    Ok(change)
}

// Connections and flows alone are taken up by a host that works.
fn needs_restart(now: &Settings, before: &Settings) -> bool {
    let fixed = |settings: &Settings| {
        let mut fixed = settings.clone();
        fixed.connections.clear();
        fixed.flows.clear();
        serde_json::to_value(fixed).ok()
    };
    fixed(now) != fixed(before)
}
