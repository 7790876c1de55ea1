//! What a person should know: gaps, missed schedules, connections that want attention.

use serde::Serialize;

use super::database::{Row, Sql, params};
use super::runs::{self, NewRun};
use super::{Result, Store, id};

/// One thing that a person should know.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Notice {
    /// The flow that it is about.
    pub flow: Option<String>,
    /// The connection that it is about.
    pub connection: Option<String>,
    /// `gap`, `missed`, `out_of_order`, `attention`, `suspended`, `recovered`, `unknown`, `undecided`, ...
    pub kind: String,
    /// In words.
    pub message: String,
    /// Bounds and counts, as JSON.
    pub details: Option<String>,
    /// UTC epoch milliseconds.
    pub at: i64,
}

/// A notice that no alert was started for yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its row.
    pub id: String,
    /// What it says.
    pub notice: Notice,
}

impl Store {
    /// The oldest notices that no alert was started for yet.
    pub async fn pending_notices(&self, limit: u32) -> Result<Vec<Pending>> {
        self.database
            .read(move |sql| {
                let mut pending = Vec::new();
                sql.query(
                    "SELECT flow, connection, kind, message, details, at, id FROM notices \
                     WHERE raised = 0 ORDER BY id LIMIT $1",
                    params![limit],
                    &mut |row| {
                        pending.push(Pending { id: row.text(6)?.to_owned(), notice: notice(row)? });
                        Ok(())
                    },
                )?;
                Ok(pending)
            })
            .await
    }

    /// Starts a notice's alerts, once: false where somebody else has.
    pub async fn raise_notice(&self, id: String, runs: Vec<NewRun>, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                if sql.execute("UPDATE notices SET raised = 1 WHERE id = $1 AND raised = 0", params![&id])? == 0 {
                    return Ok(false);
                }
                runs.iter().try_for_each(|run| runs::insert(sql, run, now_ms))?;
                Ok(true)
            })
            .await
    }

    /// Records a notice.
    pub async fn notice(&self, notice: Notice) -> Result<()> {
        self.database.transaction(move |sql| insert(sql, &notice)).await
    }

    /// The newest notices, newest first; of one flow where it is named.
    pub async fn notices(&self, flow: Option<String>, limit: u32) -> Result<Vec<Notice>> {
        self.database
            .read(move |sql| {
                let mut notices = Vec::new();
                sql.query(
                    "SELECT flow, connection, kind, message, details, at FROM notices \
                     WHERE CAST($1 AS TEXT) IS NULL OR flow = $1 ORDER BY id DESC LIMIT $2",
                    params![flow.as_deref(), limit],
                    &mut |row| {
                        notices.push(notice(row)?);
                        Ok(())
                    },
                )?;
                Ok(notices)
            })
            .await
    }
}

fn notice(row: &dyn Row) -> Result<Notice> {
    Ok(Notice {
        flow: row.opt_text(0)?.map(str::to_owned),
        connection: row.opt_text(1)?.map(str::to_owned),
        kind: row.text(2)?.to_owned(),
        message: row.text(3)?.to_owned(),
        details: row.opt_text(4)?.map(str::to_owned),
        at: row.int(5)?,
    })
}

pub(super) fn insert(sql: &mut dyn Sql, notice: &Notice) -> Result<()> {
    sql.execute(
        "INSERT INTO notices (id, flow, connection, kind, message, details, at, raised) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        params![
            id::new(notice.at),
            notice.flow.as_deref(),
            notice.connection.as_deref(),
            &notice.kind,
            &notice.message,
            notice.details.as_deref(),
            notice.at
        ],
    )?;
    Ok(())
}
