//! Which record at a provider belongs to which step, where that had to be looked up: one to one, so that of
//! two equal texts each step gets its own.

use super::database::params;
use super::{Result, Store, id};

// Attempts are looked up soon after they were made: older runs cannot have made the record.
const RUNS_LOOKED_AT_MS: i64 = 14 * 86_400_000;

impl Store {
    /// Gives the record `provider_id` of `target` to a step, unless another step has it: by an earlier
    /// look-up, or because the provider's answer to its own request named it.
    pub async fn claim_match(
        &self,
        target: String,
        provider_id: String,
        run: String,
        key: String,
        now_ms: i64,
    ) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let from = id::floor(now_ms - RUNS_LOOKED_AT_MS);
                let named = format!("%\"{}\"%", provider_id.replace(['%', '_'], ""));
                let mut is_free = true;
                sql.query(
                    "SELECT 1 FROM steps WHERE run >= $1 AND state = 'succeeded' AND form IN ('action', 'http') \
                     AND output LIKE $2 AND NOT (run = $3 AND key = $4) LIMIT 1",
                    params![&from, &named, &run, &key],
                    &mut |_| {
                        is_free = false;
                        Ok(())
                    },
                )?;
                if !is_free {
                    return Ok(false);
                }
                sql.execute(
                    "INSERT INTO matches (target, provider_id, run, key, made_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (target, provider_id) DO NOTHING",
                    params![&target, &provider_id, &run, &key, now_ms],
                )?;
                let mut is_ours = false;
                sql.query(
                    "SELECT 1 FROM matches WHERE target = $1 AND provider_id = $2 AND run = $3 AND key = $4",
                    params![&target, &provider_id, &run, &key],
                    &mut |_| {
                        is_ours = true;
                        Ok(())
                    },
                )?;
                Ok(is_ours)
            })
            .await
    }
}
