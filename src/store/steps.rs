//! The journal: one row per attempt of a step, with what it was given, what came of it, and the request and
//! response that it made (secrets masked before they come here).

use serde::Serialize;

use super::database::{Row, Sql, params};
use super::{Result, Store, blobs};

/// One attempt of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepRow {
    /// Its place within the run, unique there.
    pub key: String,
    /// 1 for the first.
    pub attempt: u32,
    /// The loop iteration that it belongs to; empty at the top.
    pub scope: String,
    /// The id that the flow gives it.
    pub step: Option<String>,
    /// `action`, `set`, `foreach`, ...
    pub form: String,
    /// `sending`, `succeeded`, `failed`, `skipped`, `waiting`, `retrying`, `unknown`.
    pub state: String,
    /// JSON.
    pub input: Option<String>,
    /// JSON.
    pub output: Option<String>,
    /// The failure, as JSON.
    pub error: Option<String>,
    /// The request and response, as JSON.
    pub exchange: Option<String>,
    /// UTC epoch milliseconds.
    pub started_at: i64,
    /// UTC epoch milliseconds; none while it is under way.
    pub ended_at: Option<i64>,
}

const COLUMNS: &str = "key, attempt, scope, step, form, state, input, output, error, exchange, started_at, ended_at";

impl Store {
    /// The journal of a run, in order of key and attempt; of the named scopes alone where they are given.
    pub async fn steps(&self, run: String, scopes: Option<Vec<String>>) -> Result<Vec<StepRow>> {
        self.database.read(move |sql| read(sql, &run, scopes.as_deref())).await
    }
}

pub(super) fn read(sql: &mut dyn Sql, run: &str, scopes: Option<&[String]>) -> Result<Vec<StepRow>> {
    let mut rows = Vec::new();
    match scopes {
        None => {
            let text = format!("SELECT {COLUMNS} FROM steps WHERE run = $1 ORDER BY started_at, key, attempt");
            sql.query(&text, params![run], &mut |row| collect(row, &mut rows))?;
        }
        Some(scopes) => {
            let text =
                format!("SELECT {COLUMNS} FROM steps WHERE run = $1 AND scope = $2 ORDER BY started_at, key, attempt");
            for scope in scopes {
                sql.query(&text, params![run, scope], &mut |row| collect(row, &mut rows))?;
            }
        }
    }
    for row in &mut rows {
        row.input = blobs::fetch_optional(sql, row.input.take())?;
        row.output = blobs::fetch_optional(sql, row.output.take())?;
        row.exchange = blobs::fetch_optional(sql, row.exchange.take())?;
    }
    Ok(rows)
}

fn collect(row: &dyn Row, rows: &mut Vec<StepRow>) -> Result<()> {
    rows.push(StepRow {
        key: row.text(0)?.to_owned(),
        attempt: u32::try_from(row.int(1)?).unwrap_or(0),
        scope: row.text(2)?.to_owned(),
        step: row.opt_text(3)?.map(str::to_owned),
        form: row.text(4)?.to_owned(),
        state: row.text(5)?.to_owned(),
        input: row.opt_text(6)?.map(str::to_owned),
        output: row.opt_text(7)?.map(str::to_owned),
        error: row.opt_text(8)?.map(str::to_owned),
        exchange: row.opt_text(9)?.map(str::to_owned),
        started_at: row.int(10)?,
        ended_at: row.opt_int(11)?,
    });
    Ok(())
}

/// Writes attempts: new ones, or what came of those written before.
pub(super) fn write(sql: &mut dyn Sql, run: &str, rows: &[StepRow], now_ms: i64) -> Result<()> {
    for row in rows {
        let input = row.input.as_deref().map(|text| blobs::keep(sql, run, text, now_ms)).transpose()?;
        let output = row.output.as_deref().map(|text| blobs::keep(sql, run, text, now_ms)).transpose()?;
        let exchange = row.exchange.as_deref().map(|text| blobs::keep(sql, run, text, now_ms)).transpose()?;
        sql.execute(
            "INSERT INTO steps (run, key, attempt, scope, step, form, state, input, output, error, exchange, \
             started_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (run, key, attempt) DO UPDATE SET state = excluded.state, \
             input = COALESCE(excluded.input, steps.input), output = excluded.output, error = excluded.error, \
             exchange = COALESCE(excluded.exchange, steps.exchange), ended_at = excluded.ended_at",
            params![
                run,
                &row.key,
                row.attempt,
                &row.scope,
                row.step.as_deref(),
                &row.form,
                &row.state,
                input,
                output,
                row.error.as_deref(),
                exchange,
                row.started_at,
                row.ended_at
            ],
        )?;
    }
    Ok(())
}
