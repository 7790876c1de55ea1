//! Retention: what is old enough is removed in small portions, so that the writer is never kept for long.

use super::database::params;
use super::{Result, Store, approvals, id};

/// How old things may get; UTC epoch milliseconds, each the oldest time that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Cutoffs {
    /// Finished runs, by when they ended.
    pub runs_ms: i64,
    /// Requests and responses, items that were filtered or skipped, and look-ups that no longer hold.
    pub payloads_ms: i64,
}

/// How many rows one portion removes.
pub const PORTION: u32 = 500;

impl Store {
    /// Removes one portion of what is too old; true when there may be more.
    pub async fn prune(&self, cutoffs: Cutoffs) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let runs = id::floor(cutoffs.runs_ms);
                let payloads = id::floor(cutoffs.payloads_ms);
                let mut old = Vec::new();
                // An id holds when its run was found, which bounds what has to be looked at; how long it is kept
                // counts from its end. Of a line of retries the last goes first: a later retry reads the journals of
                // all those before it.
                let mut has_line = false;
                sql.query(
                    "SELECT id, retry_of FROM runs WHERE ((id < $1 AND state IN ('succeeded', 'failed', 'cancelled') \
                       AND COALESCE(ended_at, created_at) < $2) OR (id < $3 AND state IN ('filtered', 'skipped'))) \
                     AND NOT EXISTS (SELECT 1 FROM runs later WHERE later.retry_of = runs.id) LIMIT $4",
                    params![&runs, cutoffs.runs_ms, &payloads, PORTION],
                    &mut |row| {
                        old.push(row.text(0)?.to_owned());
                        has_line |= row.opt_text(1)?.is_some();
                        Ok(())
                    },
                )?;
                for id in &old {
                    sql.execute("DELETE FROM steps WHERE run = $1", params![id])?;
                    sql.execute("DELETE FROM blobs WHERE run = $1", params![id])?;
                    approvals::remove_of_run(sql, id)?;
                    sql.execute("DELETE FROM runs WHERE id = $1", params![id])?;
                }
                let emptied = sql.execute(
                    "UPDATE steps SET exchange = NULL WHERE (run, key, attempt) IN ( \
                       SELECT run, key, attempt FROM steps WHERE run < $1 AND exchange IS NOT NULL \
                       AND state <> 'sending' AND COALESCE(ended_at, started_at) < $2 LIMIT $3)",
                    params![&payloads, cutoffs.payloads_ms, PORTION],
                )?;
                sql.execute("DELETE FROM remembered WHERE until_at < $1", params![cutoffs.payloads_ms])?;
                let forgotten = sql.execute(
                    "DELETE FROM matches WHERE (target, provider_id) IN ( \
                       SELECT target, provider_id FROM matches WHERE made_at < $1 LIMIT $2)",
                    params![cutoffs.runs_ms, PORTION],
                )?;
                sql.execute("DELETE FROM notices WHERE id < $1", params![&runs])?;
                Ok(has_line || old.len() as u64 + emptied + forgotten >= u64::from(PORTION))
            })
            .await
    }

    /// Forgets keys of a flow's ledger that were last listed before `last_seen_before_ms`, and all of older
    /// generations; one portion. True when there may be more.
    pub async fn forget_keys(&self, flow: String, generation: i64, last_seen_before_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let forgotten = sql.execute(
                    "DELETE FROM ledger WHERE (flow, generation, key) IN ( \
                       SELECT flow, generation, key FROM ledger WHERE flow = $1 \
                       AND (generation < $2 OR last_seen < $3) LIMIT $4)",
                    params![&flow, generation, last_seen_before_ms, PORTION],
                )?;
                Ok(forgotten >= u64::from(PORTION))
            })
            .await
    }
}
