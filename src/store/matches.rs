//! Which record at a provider is of which step's making, for steps that are looked up after an attempt of unknown
//! outcome: one to one, so that of two equal texts each step gets its own. A step has a record because the
//! provider's answer to its own request named it, or because it was the first to find it.

use super::database::{Sql, params};
use super::{Result, Store};
use crate::planted::bug;

/// A record at a provider, and the step that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// What lists the record, and with whose account: ids of two lists have nothing to do with each other.
    pub list: String,
    /// Its id there.
    pub provider_id: String,
    /// The run that the line of retries began with: what a failed run made is also its retry's.
    pub root: String,
    /// The step's place in the run.
    pub key: String,
}

impl Store {
    /// Gives a record that a look-up found to a step, unless another step has it.
    pub async fn claim_match(&self, found: Match, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let Match { list, provider_id, root, key } = &found;
                sql.execute(
                    "INSERT INTO matches (target, provider_id, run, key, made_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (target, provider_id) DO NOTHING",
                    params![list, provider_id, root, key, now_ms],
                )?;
                let mut is_ours = false;
                sql.query(
                    "SELECT 1 FROM matches WHERE target = $1 AND provider_id = $2 AND run = $3 AND key = $4",
                    params![list, provider_id, root, key],
                    &mut |_| {
                        is_ours = true;
                        Ok(())
                    },
                )?;
                Ok(is_ours || bug("match_not_exclusive"))
            })
            .await
    }

    /// The ids from `from` on in a list that other steps than this one have.
    pub async fn matches_of_others(
        &self,
        list: String,
        from: String,
        root: String,
        key: String,
    ) -> Result<Vec<String>> {
        self.database
            .read(move |sql| {
                let mut found = Vec::new();
                sql.query(
                    "SELECT provider_id FROM matches WHERE target = $1 AND provider_id >= $2 \
                     AND NOT (run = $3 AND key = $4) ORDER BY provider_id",
                    params![&list, &from, &root, &key],
                    &mut |row| {
                        found.push(row.text(0)?.to_owned());
                        Ok(())
                    },
                )?;
                Ok(found)
            })
            .await
    }
}

/// Keeps which records steps made by their providers' own word, which counts more than what a look-up took.
pub(super) fn keep(sql: &mut dyn Sql, made: &[Match], now_ms: i64) -> Result<()> {
    for Match { list, provider_id, root, key } in made {
        sql.execute(
            "INSERT INTO matches (target, provider_id, run, key, made_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (target, provider_id) DO UPDATE SET run = excluded.run, key = excluded.key",
            params![list, provider_id, root, key, now_ms],
        )?;
    }
    Ok(())
}
