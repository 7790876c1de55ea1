//! Runs that repeat others: a retry goes on where a failed run stopped, a replay starts over. A run has at most
//! one retry, so that two people who press the button at once do not do its last step twice.

use super::database::params;
use super::runs::{self, NewRun, State};
use super::{Result, Store};

/// What a new run repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It goes on where this one stopped, and does nothing again that was done.
    Retry {
        /// The run that failed.
        of: String,
        /// The run that the line of retries began with.
        root: String,
    },
    /// It starts over with this one's item.
    Replay {
        /// That run.
        of: String,
    },
}

/// What became of a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is queued.
    Queued,
    /// There is one already: this run.
    Already(String),
    /// The run did not end in a way that leaves something to do.
    NotFailed,
}

impl Repeats {
    pub(super) fn retry_of(&self) -> Option<&str> {
        match self {
            Repeats::Retry { of, .. } => Some(of),
            Repeats::Replay { .. } => None,
        }
    }

    pub(super) fn root(&self) -> Option<&str> {
        match self {
            Repeats::Retry { root, .. } => Some(root),
            Repeats::Replay { .. } => None,
        }
    }

    pub(super) fn replay_of(&self) -> Option<&str> {
        match self {
            Repeats::Replay { of } => Some(of),
            Repeats::Retry { .. } => None,
        }
    }
}

impl Store {
    /// A run and those that it went on with, the oldest first.
    pub async fn line_of_retries(&self, run: String) -> Result<Vec<String>> {
        self.database
            .read(move |sql| {
                let mut line = Vec::new();
                sql.query(
                    "WITH RECURSIVE line (id, before, place) AS ( \
                       SELECT id, retry_of, 0 FROM runs WHERE id = $1 \
                       UNION ALL \
                       SELECT runs.id, runs.retry_of, line.place + 1 FROM runs JOIN line ON runs.id = line.before) \
                     SELECT id FROM line ORDER BY place DESC",
                    params![&run],
                    &mut |row| {
                        line.push(row.text(0)?.to_owned());
                        Ok(())
                    },
                )?;
                Ok(line)
            })
            .await
    }

    /// Queues `run` as the retry of the run `of`, unless that has one already or did not fail.
    pub async fn retry_run(&self, of: String, run: NewRun, now_ms: i64) -> Result<Retried> {
        self.database
            .transaction(move |sql| {
                let mut already = None;
                sql.query("SELECT id FROM runs WHERE retry_of = $1", params![&of], &mut |row| {
                    already = Some(row.text(0)?.to_owned());
                    Ok(())
                })?;
                if let Some(id) = already {
                    return Ok(Retried::Already(id));
                }
                let mut has_failed = false;
                let text = format!(
                    "SELECT 1 FROM runs WHERE id = $1 AND state IN ('failed', 'cancelled') {}",
                    sql.dialect().for_update
                );
                sql.query(&text, params![&of], &mut |_| {
                    has_failed = true;
                    Ok(())
                })?;
                if !has_failed {
                    return Ok(Retried::NotFailed);
                }
                debug_assert_eq!(run.state, State::Queued);
                runs::insert(sql, &run, now_ms)?;
                Ok(Retried::Queued)
            })
            .await
    }
}
