//! Finishing a piece of a run's work: the journal's rows and the run's next state in one transaction. A mark
//! ("about to send") is a settlement that leaves the run's place in the queue as it is.

use std::sync::Arc;

use super::database::{Sql, params};
use super::matches::{self, Match};
use super::notices::{self, Notice};
use super::runs::State;
use super::steps::{self, StepRow};
use super::{Result, Store, approvals};
use crate::planted::bug;

/// What one transaction says of a run.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The run.
    pub run: String,
    /// The claim that it is settled under, from [`super::due::DueRun::epoch`].
    pub epoch: i64,
    /// Attempts that ended, and the mark of the next where it is at hand.
    pub steps: Vec<StepRow>,
    /// Records that its steps made, by their services' own word.
    pub made: Vec<Match>,
    /// What it changes about what people are asked.
    pub approvals: approvals::Changes,
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
    /// It goes on at once.
    Continue {
        /// Its live frames, as JSON.
        frames: String,
        /// Now.
        due_at: i64,
    },
    /// It goes on later, on whichever host.
    Wait {
        /// Its live frames, as JSON.
        frames: String,
        /// When its next step is due.
        due_at: i64,
    },
    /// It waits for answers, unless enough have come by now: then it is due at once.
    Await {
        /// Its live frames, as JSON.
        frames: String,
        /// The approval.
        approval: String,
        /// When it is looked at again without an answer.
        due_at: i64,
    },
    /// It waits for a person to say what became of a step.
    Unknown {
        /// Its live frames, as JSON.
        frames: String,
        /// Tells a person; commits with it.
        notice: Notice,
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
    /// Commits a settlement. False when the run was over before (cancelled meanwhile), or another host has
    /// claimed it: then nothing changes about the run, as terminal states never change and one host settles. Of a
    /// run that is over only the end of an attempt is written that was being sent when a person ended it.
    /// Shared, so that whoever settles can try again while the store cannot take it.
    pub async fn settle(&self, settlement: Arc<Settlement>) -> Result<bool> {
        self.database.transaction(move |sql| apply(sql, &settlement)).await
    }
}

fn apply(sql: &mut dyn Sql, settlement: &Settlement) -> Result<bool> {
    let Settlement { run, epoch, started_at, now_ms, .. } = settlement;
    let mut epoch = *epoch;
    if bug("epoch_ignored") {
        sql.query("SELECT epoch FROM runs WHERE id = $1", params![run], &mut |row| {
            epoch = row.int(0)?;
            Ok(())
        })?;
    }
    let epoch = &epoch;
    let is_live = match &settlement.change {
        // Neither the state nor the due time is set, so that no index is written.
        Change::Mark { frames } => {
            sql.execute(
                "UPDATE runs SET frames = $2, started_at = $3 \
                 WHERE id = $1 AND epoch = $4 AND state IN ('queued', 'running')",
                params![run, frames, *started_at, *epoch],
            )? == 1
        }
        Change::Continue { frames, due_at } | Change::Await { frames, due_at, .. } => {
            sql.execute(
                "UPDATE runs SET state = 'running', frames = $2, due_at = $3, started_at = $4 \
                 WHERE id = $1 AND epoch = $5 AND state IN ('queued', 'running')",
                params![run, frames, *due_at, *started_at, *epoch],
            )? == 1
        }
        Change::Wait { frames, due_at } => {
            sql.execute(
                "UPDATE runs SET state = 'running', frames = $2, due_at = $3, started_at = $4, claimed_by = NULL \
                 WHERE id = $1 AND epoch = $5 AND state IN ('queued', 'running')",
                params![run, frames, *due_at, *started_at, *epoch],
            )? == 1
        }
        Change::Unknown { frames, notice } => {
            let is_live = sql.execute(
                "UPDATE runs SET state = 'unknown', frames = $2, due_at = NULL, started_at = $3, claimed_by = NULL \
                 WHERE id = $1 AND epoch = $4 AND state IN ('queued', 'running')",
                params![run, frames, *started_at, *epoch],
            )? == 1;
            if is_live {
                notices::insert(sql, notice)?;
            }
            is_live
        }
        Change::End { state, error } => {
            sql.execute(
                "UPDATE runs SET state = $2, error = $3, ended_at = $4, due_at = NULL, frames = NULL, \
                 started_at = $5 \
                 WHERE id = $1 AND epoch = $6 AND state IN ('queued', 'running')",
                params![run, state.word(), error.as_deref(), *now_ms, *started_at, *epoch],
            )? == 1
        }
    };
    if !is_live
        && bug("stale_settle")
        && let Change::End { state, .. } = &settlement.change
    {
        sql.execute("UPDATE runs SET state = $2 WHERE id = $1", params![run, state.word()])?;
    }
    if is_live {
        steps::write(sql, run, &settlement.steps, *now_ms)?;
        matches::keep(sql, &settlement.made, *now_ms)?;
        let is_over = matches!(settlement.change, Change::End { .. });
        approvals::apply(sql, run, &settlement.approvals, is_over, *now_ms)?;
        if let Change::Await { approval, .. } = &settlement.change
            && !bug("answer_put_off")
        {
            approvals::wake_if_over(sql, run, approval, *now_ms)?;
        }
    } else {
        keep_late(sql, settlement)?;
    }
    Ok(is_live)
}

// A person ended the run while a request was under way: what came of that is written down all the same, so that a
// retry knows of it. The run stays as it is.
fn keep_late(sql: &mut dyn Sql, settlement: &Settlement) -> Result<()> {
    let Settlement { run, epoch, now_ms, .. } = settlement;
    let mut late = Vec::new();
    for step in settlement.steps.iter().filter(|step| step.ended_at.is_some()) {
        sql.query(
            "SELECT 1 FROM steps JOIN runs ON runs.id = steps.run WHERE steps.run = $1 AND steps.key = $2 \
             AND steps.attempt = $3 AND steps.state = 'sending' AND runs.epoch = $4 \
             AND runs.state NOT IN ('queued', 'running', 'unknown')",
            params![run, &step.key, step.attempt, *epoch],
            &mut |_| {
                late.push(step.clone());
                Ok(())
            },
        )?;
    }
    if late.is_empty() {
        return Ok(());
    }
    steps::write(sql, run, &late, *now_ms)?;
    matches::keep(sql, &settlement.made, *now_ms)
}
