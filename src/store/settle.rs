//! Finishing a piece of a run's work: the journal's rows and the run's next state in one transaction. A mark
//! ("about to send") is a settlement that leaves the run's place in the queue as it is.

use std::sync::Arc;

use super::database::{Sql, params};
use super::runs::State;
use super::steps::{self, StepRow};
use super::{Result, Store};

/// What one transaction says of a run.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The run.
    pub run: String,
    /// Attempts that ended, and the mark of the next where it is at hand.
    pub steps: Vec<StepRow>,
    /// What becomes of the run.
    pub change: Change,
    /// When the run began; UTC epoch milliseconds.
    pub started_at: i64,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
}

/// What becomes of a run.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is about to send: the journal grows, and its place in the queue stays.
    Mark {
        /// Its live frames, as JSON.
        frames: String,
    },
    /// It goes on, now or later.
    Continue {
        /// Its live frames, as JSON.
        frames: String,
        /// When its next step is due.
        due_at: i64,
    },
    /// It waits for a person to say what became of a step.
    Unknown {
        /// Its live frames, as JSON.
        frames: String,
    },
    /// It is over.
    End {
        /// How.
        state: State,
        /// The failure, as JSON.
        error: Option<String>,
    },
}

impl Store {
    /// Commits a settlement. False when the run was over before (cancelled meanwhile): then nothing of it
    /// is written, as terminal states never change.
    /// Shared, so that whoever settles can try again while the store cannot take it.
    pub async fn settle(&self, settlement: Arc<Settlement>) -> Result<bool> {
        self.database.transaction(move |sql| apply(sql, &settlement)).await
    }
}

fn apply(sql: &mut dyn Sql, settlement: &Settlement) -> Result<bool> {
    let Settlement { run, started_at, now_ms, .. } = settlement;
    let is_live = match &settlement.change {
        // Neither the state nor the due time is set, so that no index is written.
        Change::Mark { frames } => {
            sql.execute(
                "UPDATE runs SET frames = $2, started_at = $3 WHERE id = $1 AND state IN ('queued', 'running')",
                params![run, frames, *started_at],
            )? == 1
        }
        Change::Continue { frames, due_at } => {
            sql.execute(
                "UPDATE runs SET state = 'running', frames = $2, due_at = $3, started_at = $4 \
                 WHERE id = $1 AND state IN ('queued', 'running')",
                params![run, frames, *due_at, *started_at],
            )? == 1
        }
        Change::Unknown { frames } => {
            sql.execute(
                "UPDATE runs SET state = 'unknown', frames = $2, due_at = NULL, started_at = $3 \
                 WHERE id = $1 AND state IN ('queued', 'running')",
                params![run, frames, *started_at],
            )? == 1
        }
        Change::End { state, error } => {
            sql.execute(
                "UPDATE runs SET state = $2, error = $3, ended_at = $4, due_at = NULL, frames = NULL, \
                 started_at = $5 \
                 WHERE id = $1 AND state IN ('queued', 'running')",
                params![run, state.word(), error.as_deref(), *now_ms, *started_at],
            )? == 1
        }
    };
    if is_live {
        steps::write(sql, run, &settlement.steps, *now_ms)?;
    }
    Ok(is_live)
}
