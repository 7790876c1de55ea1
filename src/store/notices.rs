//! What a person should know: gaps, missed schedules, connections that want attention.

use serde::Serialize;

use super::database::{Sql, params};
use super::{Result, Store, id};

/// One thing that a person should know.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Notice {
    /// The flow that it is about.
    pub flow: Option<String>,
    /// The connection that it is about.
    pub connection: Option<String>,
    /// `gap`, `missed`, `out_of_order`, `attention`, `suspended`, `recovered`, ...
    pub kind: String,
    /// In words.
    pub message: String,
    /// Bounds and counts, as JSON.
    pub details: Option<String>,
    /// UTC epoch milliseconds.
    pub at: i64,
}

impl Store {
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
                     WHERE $1 IS NULL OR flow = $1 ORDER BY id DESC LIMIT $2",
                    params![flow.as_deref(), limit],
                    &mut |row| {
                        notices.push(Notice {
                            flow: row.opt_text(0)?.map(str::to_owned),
                            connection: row.opt_text(1)?.map(str::to_owned),
                            kind: row.text(2)?.to_owned(),
                            message: row.text(3)?.to_owned(),
                            details: row.opt_text(4)?.map(str::to_owned),
                            at: row.int(5)?,
                        });
                        Ok(())
                    },
                )?;
                Ok(notices)
            })
            .await
    }
}

pub(super) fn insert(sql: &mut dyn Sql, notice: &Notice) -> Result<()> {
    sql.execute(
        "INSERT INTO notices (id, flow, connection, kind, message, details, at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
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
