//! Values that were looked up for requests (`resolve` in a connector), each until its time is over.

use super::database::params;
use super::{Result, Store};

impl Store {
    /// A remembered value, as JSON, and until when it holds, UTC epoch milliseconds.
    pub async fn recall(&self, key: String, now_ms: i64) -> Result<Option<(String, i64)>> {
        self.database
            .read(move |sql| {
                let mut found = None;
                sql.query(
                    "SELECT value, until_at FROM remembered WHERE key = $1 AND until_at > $2",
                    params![&key, now_ms],
                    &mut |row| {
                        found = Some((row.text(0)?.to_owned(), row.int(1)?));
                        Ok(())
                    },
                )?;
                Ok(found)
            })
            .await
    }

    /// Remembers a value, as JSON, until a time, UTC epoch milliseconds; in place of an earlier one.
    pub async fn remember(&self, key: String, value: String, until_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "INSERT INTO remembered (key, value, until_at) VALUES ($1, $2, $3) \
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value, until_at = excluded.until_at",
                    params![&key, &value, until_ms],
                )?;
                Ok(())
            })
            .await
    }
}
