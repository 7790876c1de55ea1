//! `tidegate demo`: the host on local servers that behave as X and Twilio do, with things that arrive.

mod arrivals;
mod narrator;
mod on_call;
mod settings;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::broadcast;

use self::on_call::OnCall;
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
// How long what has arrived may take to be worked off.
const LET_THROUGH: Duration = Duration::from_secs(3);

// Where this process's demo keeps its state.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A demo that is ready, and works once [`Demo::work`] is awaited.
pub struct Demo {
    sandbox: Sandbox,
    // Removed when it is dropped, with all state.
    folder: TempDir,
    up: Up,
    on_call: OnCall,
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
    /// The pages behind approval links.
    pub public: String,
}

/// One thing that a demo shows.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shown {
    /// Somebody posted a tweet, or sent an SMS, to the local services.
    Arrived {
        /// `tweet`, `sms`, `item`, or `report` for a tweet that reports an outage.
        what: &'static str,
        /// Who.
        from: String,
        /// What it says.
        text: String,
    },
    /// The person on call did something about an outage report.
    Person {
        /// In two words at most.
        did: &'static str,
        /// With what.
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
    /// SMS that the flows sent for tweets.
    pub sms_out: u64,
    /// Tweets that the flows posted for SMS.
    pub tweets_out: u64,
    /// Tweets that report an outage.
    pub reports_in: u64,
    /// SMS that asked the person on call about one.
    pub asked: u64,
    /// Those that were answered, in whatever way.
    pub answered: u64,
    /// Those of them that were followed up: answered on X, or left alone.
    pub settled: u64,
    /// Answers that were posted on X.
    pub replies_out: u64,
    /// Items that arrived in the JSON service.
    pub items_in: u64,
    /// Those that became a line of a file.
    pub lines_out: u64,
    /// What arrived, or was answered, and was not worked off when it ended.
    pub left: u64,
    /// Runs that ended well.
    pub runs_succeeded: u64,
    /// Runs that failed.
    pub runs_failed: u64,
    /// Writes that the local services received twice.
    pub repeated: u64,
    /// How long it worked, in ms.
    pub elapsed_ms: i64,
}

/// Removes what a demo keeps, for a process that ends at once and drops nothing.
pub fn clear() {
    if let Some(folder) = FOLDER.lock().take() {
        // The process ends anyway: nobody could do anything about a file that stays.
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Starts the local services and a host on them, with its state in a temporary folder. Whoever calls it serves the
/// public pages of [`Demo::live`] at `public`: the links that are sent lead there.
///
/// # Errors
/// Where a temporary folder or a port cannot be had.
pub async fn start(public: SocketAddr) -> Result<Demo> {
    let refused = |what: &str, error: std::io::Error| {
        Error::new(Exit::Host, "demo_refused", format!("{what}: {error}"))
            .with_help("the demo needs a few ports of 127.0.0.1 and a temporary folder")
    };
    let folder = tempfile::Builder::new()
        .prefix("tidegate-demo-")
        .tempdir()
        .map_err(|error| refused("no temporary folder could be made", error))?;
    *FOLDER.lock() = Some(folder.path().to_owned());
    // The real windows would end the demo after a quarter of an hour.
    let options = Options { rate_limits: RateLimits::Each(100_000), ..Options::default() };
    let sandbox =
        Sandbox::start(options).await.map_err(|error| refused("the local services could not start", error))?;
    let mut catalog = Catalog::embedded();
    catalog.settings.value = Arc::new(settings::settings(&sandbox, public)?);
    let project = Project::of(catalog, &[], Vec::new()).sound()?;
    let place = Place { listen: Some("off".to_owned()), ..Place::new(folder.path()) };
    let up = up::begin(project, &place, Secrets::new(folder.path()), Synchronous::Normal).await?;
    let addresses = Addresses {
        x: sandbox.x_url(),
        twilio: sandbox.twilio_url(),
        json: sandbox.json_url(),
        control: sandbox.control_url(),
        public: format!("http://{public}"),
    };
    let books =
        Books { control: sandbox.control().clone(), counted: Arc::default(), started_ms: Clock::System.now_ms() };
    let shown = broadcast::channel(1024).0;
    let on_call = OnCall::new(sandbox.control().clone(), shown.clone(), Arc::clone(&books.counted), public)?;
    Ok(Demo { sandbox, folder, up, on_call, addresses, shown, books })
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
        let Demo { sandbox, folder, up, on_call, shown, books, .. } = self;
        let narrating = tokio::spawn(narrator::narrate(up.events(), shown.clone(), Arc::clone(&books.counted)));
        let arriving = tokio::spawn(arrivals::arrive(sandbox.control().clone(), shown, Arc::clone(&books.counted)));
        let answering = tokio::spawn(on_call.answer());
        let stopped = async {
            stop.await;
            // Nothing more arrives, so that what is under way can end.
            arriving.abort();
            // What has arrived is let through, by polls that come every second or so.
            let give_up = tokio::time::Instant::now() + LET_THROUGH;
            while books.totals().left > 0 && tokio::time::Instant::now() < give_up {
                tokio::time::sleep(LAST_WORDS).await;
            }
            answering.abort();
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
        let counted = self.counted.lock().clone();
        // The rest asked about reports, and answered them.
        let sms_out = sent.done.saturating_sub(counted.asked);
        let tweets_out = posted.done.saturating_sub(counted.replies_out);
        let left = [
            (counted.tweets_in, sms_out),
            (counted.sms_in, tweets_out),
            (counted.items_in, counted.lines_out),
            (counted.answered, counted.settled),
        ];
        Totals {
            sms_out,
            tweets_out,
            left: left.into_iter().map(|(arrived, done)| arrived.saturating_sub(done)).sum(),
            repeated: sent.repeated + posted.repeated,
            elapsed_ms: Clock::System.now_ms() - self.started_ms,
            ..counted
        }
    }
}
