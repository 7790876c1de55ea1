//! What the host remembers: one concrete type above the database seam, a file per topic, each statement
//! written once. It decides nothing: `engine` says what changes, `worker` and `app` call it.

pub mod blobs;
pub mod blocks;
pub mod connections;
pub mod database;
pub mod definitions;
pub mod due;
pub mod id;
pub mod matches;
pub mod notices;
pub mod prune;
pub mod runs;
pub mod schema;
pub mod settle;
pub mod steps;
pub mod triggers;
pub mod walks;

#[cfg(test)]
mod tests;

use database::Handle;
pub use database::{Error, Result};

/// The host's memory.
#[derive(Clone)]
pub struct Store {
    database: Handle,
}

impl Store {
    /// Above a database whose migrations are applied.
    pub fn new(database: Handle) -> Self {
        Store { database }
    }

    /// The database below, for checkpoints and for noticing other processes' writes.
    pub fn database(&self) -> &Handle {
        &self.database
    }

    /// Finishes what is under way and closes the file.
    pub async fn close(self) -> Result<()> {
        self.database.close().await
    }
}
