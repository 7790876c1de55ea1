//! `tidegate demo`: the host on local servers that behave as X and Twilio do, with things that arrive.

use std::future::Future;

use serde::Serialize;
use tokio::sync::broadcast;

use super::{Error, Result};
use crate::worker::Event;

/// A demo that is ready, and works once [`Demo::work`] is awaited.
pub struct Demo {
    addresses: Addresses,
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
    /// Lines that the flows wrote to a file.
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
    Err(Error::problem("unfinished", "unfinished"))
}

impl Demo {
    /// Where its parts are.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What it shows, as it happens.
    pub fn shown(&self) -> broadcast::Receiver<Shown> {
        broadcast::channel(1).1
    }

    /// The host's own events.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        broadcast::channel(1).1
    }

    /// What it did so far.
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// Makes things arrive and works them off until `stop` resolves; then removes everything.
    pub async fn work(self, stop: impl Future<Output = ()>) -> Result<Totals> {
        stop.await;
        Err(Error::problem("unfinished", "unfinished"))
    }
}
