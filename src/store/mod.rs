//! What the host remembers: one concrete type above the database seam, a file per topic, each statement
//! written once. It decides nothing: `engine` says what changes, `worker` and `app` call it.

pub mod accounts;
pub mod approvals;
pub mod batches;
mod blobs;
pub mod blocks;
pub mod checks;
pub mod claims;
pub mod connections;
pub mod copy;
pub mod database;
pub mod definitions;
pub mod due;
mod held;
pub mod id;
pub mod keys;
pub mod matches;
pub mod notices;
pub mod prune;
pub mod publications;
pub mod remembered;
pub mod repeats;
pub mod runs;
pub mod schema;
pub mod settle;
pub mod sign_ins;
pub mod steps;
mod sync;
pub mod tables;
pub mod tokens;
pub mod triggers;
pub mod walks;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use database::{Error, Result};
use database::{Handle, Presence, params};

const PROBE_BYTES: usize = 512 * 1024;

/// The host's memory.
#[derive(Clone)]
pub struct Store {
    database: Handle,
    presence: Option<Arc<Presence>>,
}

impl Store {
    /// Above a database whose migrations are applied.
    pub fn new(database: Handle) -> Self {
        let presence = database.presence();
        Store { database, presence }
    }

    /// What shows other hosts that this one is there; none where there can be no others.
    pub fn presence(&self) -> Option<&Arc<Presence>> {
        self.presence.as_ref()
    }

    /// The database below, for checkpoints and for noticing other processes' writes.
    pub fn database(&self) -> &Handle {
        &self.database
    }

    /// Commits something of no meaning that is larger than most of what has one: a full disk may have room for a
    /// little. That the store takes work is known when it has.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn probe(&self) -> Result<()> {
        let write = "INSERT INTO claims (name, claimed_by, epoch) VALUES ('probe', $1, 1) \
                     ON CONFLICT (name) DO UPDATE SET claimed_by = excluded.claimed_by";
        for length in [PROBE_BYTES, 0] {
            let filling = " ".repeat(length);
            self.database.transaction(move |sql| sql.execute(write, params![&filling]).map(|_| ())).await?;
        }
        Ok(())
    }

    /// Finishes what is under way and closes the file.
    pub async fn close(self) -> Result<()> {
        self.database.close().await
    }
}
