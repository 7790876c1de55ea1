//! `tidegate up`: the host. Checks, opens, deploys, works, and takes up files that change.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;

use super::{Error, Place, Project, Result, Time, View};
use crate::manifest::Diagnostic;
use crate::worker::Event;

/// A host that is ready: its flows are deployed, and it works once [`Up::work`] is awaited.
pub struct Up {
    live: Live,
}

/// A look at a host while it works; cheap to clone. The web pages hold one.
#[derive(Clone)]
pub struct Live {
    view: View,
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
    },
    /// The files are not sound: what worked before goes on.
    Refused {
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
}

/// What a host did from its start to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// When it started.
    pub since: Time,
    /// How long it worked.
    pub elapsed_ms: i64,
    /// Runs by state, of those that began or ended meanwhile.
    pub runs: BTreeMap<String, i64>,
}

/// Checks, opens and deploys. The first poll comes with [`Up::work`].
///
/// # Errors
/// The findings about the files where an error is among them; `store_locked` and the store's other ones.
pub async fn start(place: &Place) -> Result<Up> {
    let _ = place;
    Err(Error::problem("unfinished", "unfinished"))
}

impl Up {
    /// A look at it.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// What happens, as it happens.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        broadcast::channel(1).1
    }

    /// What becomes of changed files, as it happens; the first deployment is in [`Up::deployed`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        broadcast::channel(1).1
    }

    /// What the start deployed.
    pub fn deployed(&self) -> Change {
        Change::Refused { diagnostics: Vec::new() }
    }

    /// Works until `stop` resolves, then finishes what is under way.
    pub async fn work(self, stop: impl Future<Output = ()>) -> Result<Summary> {
        stop.await;
        Err(Error::problem("unfinished", "unfinished"))
    }
}

impl Live {
    /// The project as it is deployed and what the host remembers.
    pub fn view(&self) -> View {
        self.view.clone()
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
        Arc::clone(&self.view.project)
    }
}
