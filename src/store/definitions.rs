//! What runs are pinned to: flows and connectors as they were written, found by the hash of their text.

use super::database::{Sql, params};
use super::{Result, Store};

impl Store {
    /// Keeps definitions that runs may be pinned to; those already kept are left alone.
    /// `bodies` are pairs of hash and text.
    pub async fn keep_definitions(&self, bodies: Vec<(String, String)>, now_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                for (hash, body) in &bodies {
                    sql.execute(
                        "INSERT INTO definitions (hash, body, created_at) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
                        params![hash, body, now_ms],
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// The text that a hash stands for.
    pub async fn definition(&self, hash: String) -> Result<Option<String>> {
        self.database.read(move |sql| body(sql, &hash)).await
    }
}

fn body(sql: &mut dyn Sql, hash: &str) -> Result<Option<String>> {
    let mut found = None;
    sql.query("SELECT body FROM definitions WHERE hash = $1", params![hash], &mut |row| {
        found = Some(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(found)
}
