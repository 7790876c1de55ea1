//! What a walk holds until its end, and how a walk ends or begins again otherwise than by its last page: held runs
//! are released, or dropped where another reading finds the same again. Called by the worker's polls and batches,
//! and by `sync` where a trigger's source changes.

use super::database::{Sql, params};
use super::notices::{self, Notice};
use super::walks::{self, CLAIMED, COLUMNS, WalkRow};
use super::{Result, Store};

impl Store {
    /// Starts the same window anew under `definition`: the service no longer takes the page's token, or what the walk
    /// began with cannot go on. The ledger keeps what was found.
    pub async fn restart_walk(&self, id: String, epoch: i64, definition: String) -> Result<()> {
        self.database
            .transaction(move |sql| {
                let text = format!(
                    "UPDATE walks SET page = NULL, definition = $3 WHERE id = $1 AND state = 'open' AND {CLAIMED}"
                );
                sql.execute(&text, params![&id, epoch, &definition])?;
                Ok(())
            })
            .await
    }

    /// Gives a walk up whose window the service no longer has; what it found is released.
    pub async fn abandon_walk(&self, id: String, epoch: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                let text = format!("UPDATE walks SET state = 'closed' WHERE id = $1 AND {CLAIMED}");
                sql.execute(&text, params![&id, epoch])?;
                Ok(())
            })
            .await
    }

    /// Open walks with something read that began before a time and have not been loosened.
    pub async fn stuck_walks(&self, opened_before_ms: i64) -> Result<Vec<WalkRow>> {
        self.database
            .read(move |sql| {
                let text = format!(
                    "SELECT {COLUMNS} FROM walks WHERE state = 'open' AND loosened = 0 AND pages > 0 \
                     AND opened_at <= $1 ORDER BY id"
                );
                walks::select(sql, &text, params![opened_before_ms])
            })
            .await
    }

    /// Lets a walk that cannot close release what it has found so far; false when it did before.
    pub async fn loosen_walk(&self, id: String, notice: Notice) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let is_first = sql.execute(
                    "UPDATE walks SET loosened = 1 WHERE id = $1 AND loosened = 0 AND state = 'open'",
                    params![&id],
                )? == 1;
                if is_first {
                    notices::insert(sql, &notice)?;
                }
                Ok(is_first)
            })
            .await
    }

    /// The walks whose held runs may be released.
    pub async fn releasable_walks(&self) -> Result<Vec<WalkRow>> {
        self.database
            .read(|sql| {
                let text = format!("SELECT {COLUMNS} FROM walks WHERE state = 'closed' OR loosened = 1 ORDER BY id");
                walks::select(sql, &text, &[])
            })
            .await
    }

    /// Makes up to `limit` of a walk's held runs due, oldest first; a closed walk without any is removed.
    /// Returns how many.
    pub async fn release(&self, walk: String, limit: u32, now_ms: i64) -> Result<u64> {
        self.database
            .transaction(move |sql| {
                lock(sql, &walk)?;
                let text = "UPDATE runs SET state = 'queued', due_at = $3, walk = NULL WHERE id IN ( \
                              SELECT id FROM runs WHERE walk = $1 AND state = 'held' ORDER BY position, id LIMIT $2)";
                let released = sql.execute(text, params![&walk, limit, now_ms])?;
                if released < u64::from(limit) {
                    sql.execute("DELETE FROM walks WHERE id = $1 AND state = 'closed'", params![&walk])?;
                }
                if released > 0 {
                    sql.announce();
                }
                Ok(released)
            })
            .await
    }

    /// Drops what a walk holds but its newest runs.
    pub async fn keep_newest(&self, walk: String, newest: u32) -> Result<()> {
        self.database
            .transaction(move |sql| {
                lock(sql, &walk)?;
                keep_newest(sql, &walk, newest)
            })
            .await
    }
}

/// Where two hosts release what a walk holds, the second waits here, and finds what the first left.
pub(super) fn lock(sql: &mut dyn Sql, walk: &str) -> Result<()> {
    let text = format!("SELECT 1 FROM walks WHERE id = $1{}", sql.dialect().for_update);
    sql.query(&text, params![walk], &mut |_| Ok(()))
}

/// Ends the walk that a flow has open. What it holds is for `worker::batch` to release.
pub(super) fn close_open(sql: &mut dyn Sql, flow: &str) -> Result<()> {
    sql.execute("UPDATE walks SET state = 'closed' WHERE flow = $1 AND state = 'open'", params![flow])?;
    Ok(())
}

/// How many runs a walk holds.
pub(super) fn count(sql: &mut dyn Sql, walk: &str) -> Result<i64> {
    let mut held = 0;
    sql.query("SELECT COUNT(*) FROM runs WHERE walk = $1 AND state = 'held'", params![walk], &mut |row| {
        held = row.int(0)?;
        Ok(())
    })?;
    Ok(held)
}

/// `start: {last: n}`: the newest stay, the rest was only wanted for its keys.
pub(super) fn keep_newest(sql: &mut dyn Sql, walk: &str, newest: u32) -> Result<()> {
    let older = "SELECT id FROM runs WHERE walk = $1 AND state = 'held' AND id NOT IN ( \
                   SELECT id FROM runs WHERE walk = $1 AND state = 'held' ORDER BY position DESC, id DESC LIMIT $2)";
    for text in [format!("DELETE FROM blobs WHERE run IN ({older})"), format!("DELETE FROM runs WHERE id IN ({older})")]
    {
        sql.execute(&text, params![walk, newest])?;
    }
    Ok(())
}
