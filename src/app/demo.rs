//! `tidegate demo`: the host on local servers that behave as X and Twilio do, with things that arrive.

mod arrivals;
mod narrator;
mod settings;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::up::{Live, Up};
use super::{Error, Exit, Place, Project, Result, up};
use crate::clock::Clock;
use crate::manifest::Catalog;
use crate::sandbox::{Options, RateLimits, Sandbox, Service};
use crate::secrets::Secrets;
use crate::store::database::Synchronous;
use crate::worker::Event;

// How long the last events may take to be shown.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A demo that is ready, and works once [`Demo::work`] is awaited.
pub struct Demo {
    sandbox: Sandbox,
    // Removed when it is dropped, with all state.
    folder: TempDir,
    up: Up,
    addresses: Addresses,
    shown: broadcast::Sender<Shown>,
    books: Books,
}

/// What has been counted so far, with the local services' own books beside it; cheap to clone.
#[derive(Clone)]
pub struct Books {
    control: crate::sandbox::Control,
    counted: Arc<Mutex<Totals>>,
    started_ms: i64,
}

/// Where its parts are.
#[derive(Clone, Debug, Serialize)]
pub struct Addresses {
    /// The local X.
    pub x: String,
    /// The local Twilio.
    pub twilio: String,
    /// The local JSON service.
    pub json: String,
    /// The controls of all three.
    pub control: String,
}

/// One thing that a demo shows.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shown {
    /// Somebody posted a tweet, or sent an SMS, to the local services.
    Arrived {
        /// `tweet`, `sms` or `item`.
        what: &'static str,
        /// Who.
        from: String,
        /// What it says.
        text: String,
    },
    /// A flow did something with an item.
    Done {
        /// The flow.
        flow: String,
        /// `succeeded`, `failed`, `retrying`, ...
        state: String,
        /// The step.
        step: String,
        /// What was done, in a few words.
        summary: String,
        /// From the item's finding to its run's end, where that is known.
        elapsed_ms: Option<i64>,
    },
    /// Something that a person should know.
    Notice {
        /// In words.
        message: String,
    },
}

/// What a demo did in all, by the local services' own books.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Tweets that arrived.
    pub tweets_in: u64,
    /// SMS that arrived.
    pub sms_in: u64,
    /// SMS that the flows sent.
    pub sms_out: u64,
    /// Tweets that the flows posted.
    pub tweets_out: u64,
    /// Items that arrived in the JSON service, each to become a line of a file.
    pub items_in: u64,
    /// Runs that ended well.
    pub runs_succeeded: u64,
    /// Runs that failed.
    pub runs_failed: u64,
    /// Writes that the local services received twice.
    pub repeated: u64,
    /// How long it worked, in ms.
    pub elapsed_ms: i64,
}

/// Starts the local services and a host on them, with its state in a temporary folder.
///
/// # Errors
/// Where a temporary folder or a port cannot be had.
pub async fn start() -> Result<Demo> {
    let refused = |what: &str, error: std::io::Error| {
        Error::new(Exit::Host, "demo_refused", format!("{what}: {error}"))
            .with_help("the demo needs a few ports of 127.0.0.1 and a temporary folder")
    };
    let folder = tempfile::Builder::new()
        .prefix("tidegate-demo-")
        .tempdir()
        .map_err(|error| refused("no temporary folder could be made", error))?;
    // The real windows would end the demo after a quarter of an hour.
    let options = Options { rate_limits: RateLimits::Each(100_000), ..Options::default() };
    let sandbox =
        Sandbox::start(options).await.map_err(|error| refused("the local services could not start", error))?;
    let mut catalog = Catalog::embedded();
    catalog.settings.value = Arc::new(settings::settings(&sandbox)?);
    let project = Project::of(catalog, &[]).sound()?;
    let place = Place { listen: Some("off".to_owned()), ..Place::new(folder.path()) };
    let up = up::begin(project, &place, Secrets::new(folder.path()), Synchronous::Normal).await?;
    let addresses = Addresses {
        x: sandbox.x_url(),
        twilio: sandbox.twilio_url(),
        json: sandbox.json_url(),
        control: sandbox.control_url(),
    };
    let books =
        Books { control: sandbox.control().clone(), counted: Arc::default(), started_ms: Clock::System.now_ms() };
    Ok(Demo { sandbox, folder, up, addresses, shown: broadcast::channel(1024).0, books })
}

impl Demo {
    /// Where its parts are.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// A look at its host.
    pub fn live(&self) -> Live {
        self.up.live()
    }

    /// What it shows, as it happens.
    pub fn shown(&self) -> broadcast::Receiver<Shown> {
        self.shown.subscribe()
    }

    /// The host's own events.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.up.events()
    }

    /// What it did so far; to be kept while [`Demo::work`] works.
    pub fn books(&self) -> Books {
        self.books.clone()
    }

    /// Makes things arrive and works them off until `stop` resolves; then removes everything.
    ///
    /// # Errors
    /// The store's.
    pub async fn work(self, stop: impl Future<Output = ()>) -> Result<Totals> {
        let Demo { sandbox, folder, up, shown, books, .. } = self;
        let narrating = tokio::spawn(narrator::narrate(up.events(), shown.clone(), Arc::clone(&books.counted)));
        let arriving = tokio::spawn(arrivals::arrive(sandbox.control().clone(), shown, Arc::clone(&books.counted)));
        let stopped = async {
            stop.await;
            // Nothing more arrives, so that what is under way can end.
            arriving.abort();
        };
        let worked = up.work(stopped).await;
        // What was told last is still on its way; it ends by itself unless somebody keeps a look at the host.
        let ending = narrating.abort_handle();
        if tokio::time::timeout(LAST_WORDS, narrating).await.is_err() {
            ending.abort();
        }
        let totals = books.totals();
        sandbox.stop().await;
        worked?;
        folder.close().map_err(|error| {
            Error::new(
                Exit::Host,
                "demo_left_over",
                format!("the demo's temporary folder could not be removed: {error}"),
            )
        })?;
        Ok(totals)
    }
}

impl Books {
    /// What was done so far.
    pub fn totals(&self) -> Totals {
        let sent = self.control.count(Service::Twilio, "send_sms");
        let posted = self.control.count(Service::X, "post_tweet");
        Totals {
            sms_out: sent.done,
            tweets_out: posted.done,
            repeated: sent.repeated + posted.repeated,
            elapsed_ms: Clock::System.now_ms() - self.started_ms,
            ..self.counted.lock().clone()
        }
    }
}
