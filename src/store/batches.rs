//! Batches: what a closed walk holds becomes one run instead of one each. The items and the run that takes
//! them change places in one transaction, so that each is in exactly one run, however often this is stopped.

use super::database::params;
use super::runs::{self, NewRun};
use super::{Result, Store, blobs, held};

/// Items that become one run, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Each as JSON.
    pub items: Vec<String>,
    /// The place of the oldest among the runs of its flow.
    pub position: i64,
}

impl Store {
    /// Makes up to `limit` of a walk's held runs one run that is due, oldest first; a closed walk without any is
    /// removed. `make` is called again where the transaction is. Returns how many items.
    pub async fn release_batch(
        &self,
        walk: String,
        limit: u32,
        now_ms: i64,
        make: impl Fn(Batch) -> NewRun + Send + 'static,
    ) -> Result<u64> {
        self.database
            .transaction(move |sql| {
                held::lock(sql, &walk)?;
                let mut batch = Batch::default();
                sql.query(
                    "SELECT item, position FROM runs WHERE walk = $1 AND state = 'held' ORDER BY position, id LIMIT $2",
                    params![&walk, limit],
                    &mut |row| {
                        if batch.items.is_empty() {
                            batch.position = row.int(1)?;
                        }
                        batch.items.push(row.opt_text(0)?.unwrap_or("null").to_owned());
                        Ok(())
                    },
                )?;
                let taken = batch.items.len() as u64;
                if taken < u64::from(limit) {
                    sql.execute("DELETE FROM walks WHERE id = $1 AND state = 'closed'", params![&walk])?;
                }
                if taken == 0 {
                    return Ok(0);
                }
                for item in &mut batch.items {
                    *item = blobs::fetch(sql, std::mem::take(item))?;
                }
                for text in [
                    "DELETE FROM blobs WHERE run IN ( \
                       SELECT id FROM runs WHERE walk = $1 AND state = 'held' ORDER BY position, id LIMIT $2)",
                    "DELETE FROM runs WHERE id IN ( \
                       SELECT id FROM runs WHERE walk = $1 AND state = 'held' ORDER BY position, id LIMIT $2)",
                ] {
                    sql.execute(text, params![&walk, limit])?;
                }
                runs::insert(sql, &make(batch), now_ms)?;
                Ok(taken)
            })
            .await
    }
}
