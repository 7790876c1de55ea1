//! Health checks: one row per connection that is checked, due at a time, so that they survive a restart; how
//! often it failed in a row, and whether a person was told. The notice is part of the same transaction.

use super::database::params;
use super::notices::{self, Notice};
use super::{Result, Store};

/// How a connection's checks went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// The connection.
    pub connection: String,
    /// When it is checked next; UTC epoch milliseconds.
    pub due_at: i64,
    /// Failures in a row.
    pub failures: i64,
    /// Whether a person was told that it fails.
    pub is_alerted: bool,
    /// When it was checked last.
    pub checked_at: Option<i64>,
    /// Why it failed, when it failed last.
    pub message: Option<String>,
}

const COLUMNS: &str = "connection, due_at, failures, alerted, checked_at, message";

impl Store {
    /// Every check, by connection.
    pub async fn checks(&self) -> Result<Vec<Check>> {
        self.database
            .read(|sql| {
                let mut checks = Vec::new();
                sql.query(&format!("SELECT {COLUMNS} FROM checks ORDER BY connection"), params![], &mut |row| {
                    checks.push(Check {
                        connection: row.text(0)?.to_owned(),
                        due_at: row.int(1)?,
                        failures: row.int(2)?,
                        is_alerted: row.flag(3)?,
                        checked_at: row.opt_int(4)?,
                        message: row.opt_text(5)?.map(str::to_owned),
                    });
                    Ok(())
                })?;
                Ok(checks)
            })
            .await
    }

    /// Lets exactly these connections be checked; those that are new are due at once, and none later than
    /// `latest` says.
    pub async fn sync_checks(&self, connections: Vec<(String, i64)>, now_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                let mut gone = Vec::new();
                sql.query("SELECT connection FROM checks", params![], &mut |row| {
                    let known = row.text(0)?;
                    if !connections.iter().any(|(name, _)| name == known) {
                        gone.push(known.to_owned());
                    }
                    Ok(())
                })?;
                for name in &gone {
                    sql.execute("DELETE FROM checks WHERE connection = $1", params![name])?;
                }
                for (name, latest) in &connections {
                    sql.execute(
                        "INSERT INTO checks (connection, due_at, failures, alerted) VALUES ($1, $2, 0, 0) \
                         ON CONFLICT (connection) DO NOTHING",
                        params![name, now_ms],
                    )?;
                    let update = "UPDATE checks SET due_at = $2 WHERE connection = $1 AND due_at > $2";
                    sql.execute(update, params![name, *latest])?;
                }
                Ok(())
            })
            .await
    }

    /// Records what a check that was due at `was_due_at` found, and what a person should know of it; false, with
    /// nothing written, where it is due at another time by now: another host did it, or it is to be done anew.
    pub async fn settle_check(&self, was_due_at: i64, check: Check, notice: Option<Notice>) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let is_first = sql.execute(
                    "UPDATE checks SET due_at = $2, failures = $3, alerted = $4, checked_at = $5, message = $6 \
                     WHERE connection = $1 AND due_at = $7",
                    params![
                        &check.connection,
                        check.due_at,
                        check.failures,
                        check.is_alerted,
                        check.checked_at,
                        check.message.as_deref(),
                        was_due_at
                    ],
                )? == 1;
                if is_first && let Some(notice) = &notice {
                    notices::insert(sql, notice)?;
                }
                Ok(is_first)
            })
            .await
    }
}
