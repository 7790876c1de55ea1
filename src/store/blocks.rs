//! Limits that a service says are reached, and until when: all of the rate limits that outlives a restart. What
//! is counted below a limit lives in memory (`connector/limits`).

use super::database::params;
use super::{Result, Store};

/// A limit that lets nothing through for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The limit's name, the same after a restart.
    pub limit: String,
    /// The connector.
    pub connector: String,
    /// None where the connections of one app share the limit.
    pub connection: Option<String>,
    /// UTC epoch milliseconds.
    pub until_ms: i64,
}

impl Store {
    /// Keeps what is blocked now; what was blocked before and is over goes.
    pub async fn keep_blocks(&self, blocks: Vec<Blocked>, now_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute("DELETE FROM blocks WHERE blocked_until <= $1", params![now_ms])?;
                for block in &blocks {
                    sql.execute(
                        "INSERT INTO blocks (name, connector, connection, blocked_until) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (name) DO UPDATE SET blocked_until = excluded.blocked_until",
                        params![&block.limit, &block.connector, block.connection.as_deref(), block.until_ms],
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// What is blocked at a time.
    pub async fn blocks(&self, now_ms: i64) -> Result<Vec<Blocked>> {
        self.database
            .read(move |sql| {
                let mut blocks = Vec::new();
                sql.query(
                    "SELECT name, connector, connection, blocked_until FROM blocks WHERE blocked_until > $1 ORDER BY name",
                    params![now_ms],
                    &mut |row| {
                        blocks.push(Blocked {
                            limit: row.text(0)?.to_owned(),
                            connector: row.text(1)?.to_owned(),
                            connection: row.opt_text(2)?.map(str::to_owned),
                            until_ms: row.int(3)?,
                        });
                        Ok(())
                    },
                )?;
                Ok(blocks)
            })
            .await
    }
}
