//! One row per flow: how far its trigger has read, whether it works, and when it is due next.

use serde::Serialize;

use super::database::{Row, Sql, params};
use super::notices::{self, Notice};
use super::runs::{self, NewRun};
use super::{Result, Store, held, sync};

/// How far a flow's trigger has read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TriggerRow {
    /// The flow's name.
    pub flow: String,
    /// The hash of the definitions that new work is pinned to.
    pub definition: String,
    /// The hash of what decides which items there are: connector, query, key, connection; empty where nothing is
    /// polled.
    pub source: String,
    /// `enabled`, `disabled`, `attention` (its connection is refused) or `suspended`.
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// Which ledger counts: a rewind begins a new one.
    pub generation: i64,
    /// Items dated before this are history; the service's time, UTC epoch milliseconds.
    pub baseline_at: Option<i64>,
    /// Items up to this value are history, where values are no times.
    pub baseline_value: Option<String>,
    /// Whether the first reading, which tells history from news, is done.
    pub seeded: bool,
    /// The newest value of a closed walk.
    pub value: Option<String>,
    /// The service's time when the last closed walk began; UTC epoch milliseconds.
    pub covered_until: Option<i64>,
    /// When the last wide look began; UTC epoch milliseconds.
    pub deep_at: Option<i64>,
    /// UTC epoch milliseconds; none for a flow that is started by hand.
    pub due_at: Option<i64>,
    /// When it was last asked; UTC epoch milliseconds.
    pub polled_at: Option<i64>,
    /// Failures since the last success.
    pub failures: i64,
    /// The last failure, as JSON.
    pub error: Option<String>,
    /// Which claim of it this is: what a poll writes counts while nobody has claimed it since.
    pub epoch: i64,
}

impl TriggerRow {
    /// Whether its source changed after it had been read, and the new one was not read yet: that reading is silent
    /// about the past whatever the flow says of its start.
    pub fn is_read_anew(&self) -> bool {
        !self.seeded && self.covered_until.is_some()
    }
}

/// The reason of a flow that a person switched off: no file switches it on again.
pub const BY_HAND: &str = "by hand";

/// What a deployment says of a flow's trigger.
#[derive(Clone, Debug)]
pub struct TriggerSync {
    /// The flow's name.
    pub flow: String,
    /// The name that it had before.
    pub was: Option<String>,
    /// See [`TriggerRow::definition`].
    pub definition: String,
    /// See [`TriggerRow::source`].
    pub source: String,
    /// Whether it is to work.
    pub is_enabled: bool,
    /// Why it cannot work although its file is there: its row, if it has one, is stopped and else left alone.
    pub stopped: Option<String>,
    /// Whether values are times, so that history can be told by date.
    pub is_dated: bool,
    /// When a new trigger, or one whose schedule changed, is due first; none for one started by hand.
    pub first_due_at: Option<i64>,
    /// The latest due time that the schedule can explain: a later one is brought forward to `first_due_at`.
    pub latest_due_at: Option<i64>,
}

pub(super) const COLUMNS: &str = "flow, definition, source, state, reason, generation, baseline_at, baseline_value, seeded, value, \
                       covered_until, deep_at, due_at, polled_at, failures, error, epoch";

impl Store {
    /// Every trigger, by flow.
    pub async fn triggers(&self) -> Result<Vec<TriggerRow>> {
        self.database.read(|sql| select(sql, &format!("SELECT {COLUMNS} FROM triggers ORDER BY flow"), &[])).await
    }

    /// One flow's trigger.
    pub async fn trigger(&self, flow: String) -> Result<Option<TriggerRow>> {
        self.database.read(move |sql| one(sql, &flow)).await
    }

    /// Triggers that are due, earliest first.
    pub async fn due_triggers(&self, now_ms: i64, limit: u32) -> Result<Vec<TriggerRow>> {
        self.database
            .read(move |sql| {
                let text = format!(
                    "SELECT {COLUMNS} FROM triggers WHERE state = 'enabled' AND due_at <= $1 ORDER BY due_at LIMIT $2"
                );
                select(sql, &text, params![now_ms, limit])
            })
            .await
    }

    /// When the next trigger is due, of those that are not due yet.
    pub async fn next_trigger_due_after(&self, now_ms: i64) -> Result<Option<i64>> {
        self.database
            .read(move |sql| {
                let mut due = None;
                sql.query(
                    "SELECT MIN(due_at) FROM triggers WHERE state = 'enabled' AND due_at > $1",
                    params![now_ms],
                    &mut |row| {
                        due = row.opt_int(0)?;
                        Ok(())
                    },
                )?;
                Ok(due)
            })
            .await
    }

    /// Brings the triggers to what is deployed, in one transaction: new flows get a row, renamed ones keep
    /// theirs, vanished ones are disabled and keep their cursor.
    pub async fn sync_triggers(&self, flows: Vec<TriggerSync>, now_ms: i64) -> Result<()> {
        self.database.transaction(move |sql| sync::sync(sql, &flows, now_ms)).await
    }

    /// Records that a poll failed, and when it is tried again.
    /// `error` and `exchange` are JSON.
    #[expect(clippy::too_many_arguments, reason = "each is another thing that is written together")]
    pub async fn poll_failed(
        &self,
        flow: String,
        epoch: i64,
        error: String,
        exchange: Option<String>,
        due_at: i64,
        counts: bool,
        now_ms: i64,
    ) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE triggers SET failures = failures + $2, error = $3, due_at = $4, polled_at = $5, \
                     updated_at = $5, exchange = COALESCE($6, exchange) WHERE flow = $1 AND epoch = $7",
                    params![&flow, counts, &error, due_at, now_ms, exchange.as_deref(), epoch],
                )?;
                Ok(())
            })
            .await
    }

    /// The last request of a flow's trigger and its answer, as JSON with secrets masked.
    pub async fn trigger_exchange(&self, flow: String) -> Result<Option<String>> {
        self.database
            .read(move |sql| {
                let mut exchange = None;
                sql.query("SELECT exchange FROM triggers WHERE flow = $1", params![&flow], &mut |row| {
                    exchange = row.opt_text(0)?.map(str::to_owned);
                    Ok(())
                })?;
                Ok(exchange)
            })
            .await
    }

    /// Moves the due time of a trigger without asking it.
    pub async fn postpone_trigger(&self, flow: String, epoch: i64, due_at: i64, now_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE triggers SET due_at = $2, updated_at = $3 WHERE flow = $1 AND epoch = $4",
                    params![&flow, due_at, now_ms, epoch],
                )?;
                Ok(())
            })
            .await
    }

    /// Stops or starts a trigger; starting makes it due at `due_at`.
    pub async fn set_trigger_state(
        &self,
        flow: String,
        state: &'static str,
        reason: Option<String>,
        due_at: Option<i64>,
        now_ms: i64,
    ) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                Ok(sql.execute(
                    "UPDATE triggers SET state = $2, reason = $3, due_at = COALESCE($4, due_at), updated_at = $5 \
                     WHERE flow = $1",
                    params![&flow, state, reason.as_deref(), due_at, now_ms],
                )? == 1)
            })
            .await
    }

    /// Stops a trigger because of its account; one that a person or a file has switched off stays so.
    pub async fn stop_trigger(
        &self,
        flow: String,
        state: &'static str,
        reason: Option<String>,
        now_ms: i64,
    ) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE triggers SET state = $2, reason = $3, updated_at = $4 \
                     WHERE flow = $1 AND state IN ('enabled', 'attention', 'suspended')",
                    params![&flow, state, reason.as_deref(), now_ms],
                )?;
                Ok(())
            })
            .await
    }

    /// Begins a new ledger that reads again from `from_ms` (or from all that is listed): what comes then
    /// starts new runs.
    pub async fn rewind(&self, flow: String, from_ms: Option<i64>, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                held::close_open(sql, &flow)?;
                Ok(sql.execute(
                    "UPDATE triggers SET generation = generation + 1, seeded = 1, value = NULL, \
                     covered_until = $2, baseline_at = $2, baseline_value = NULL, deep_at = NULL, due_at = $3, \
                     failures = 0, error = NULL, updated_at = $3 WHERE flow = $1",
                    params![&flow, from_ms, now_ms],
                )? == 1)
            })
            .await
    }

    /// A schedule without a poll fired: its runs and its next due time, in one transaction. False when it
    /// had fired before.
    #[expect(clippy::too_many_arguments, reason = "each is another thing that is written together")]
    pub async fn fire_schedule(
        &self,
        flow: String,
        epoch: i64,
        due_at: i64,
        next_due_at: Option<i64>,
        runs: Vec<NewRun>,
        notice: Option<Notice>,
        now_ms: i64,
    ) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let is_first = sql.execute(
                    "UPDATE triggers SET due_at = $3, polled_at = $4, updated_at = $4 \
                     WHERE flow = $1 AND due_at = $2 AND epoch = $5 AND state = 'enabled'",
                    params![&flow, due_at, next_due_at, now_ms, epoch],
                )? == 1;
                if is_first {
                    for run in &runs {
                        runs::insert(sql, run, now_ms)?;
                    }
                    if let Some(notice) = &notice {
                        notices::insert(sql, notice)?;
                    }
                }
                Ok(is_first)
            })
            .await
    }
}

pub(super) fn one(sql: &mut dyn Sql, flow: &str) -> Result<Option<TriggerRow>> {
    let text = format!("SELECT {COLUMNS} FROM triggers WHERE flow = $1");
    Ok(select(sql, &text, params![flow])?.pop())
}

pub(super) fn select(sql: &mut dyn Sql, text: &str, params: &[super::database::Param<'_>]) -> Result<Vec<TriggerRow>> {
    let mut rows = Vec::new();
    sql.query(text, params, &mut |row| {
        rows.push(from_row(row)?);
        Ok(())
    })?;
    Ok(rows)
}

fn from_row(row: &dyn Row) -> Result<TriggerRow> {
    let optional = |column| -> Result<Option<String>> { Ok(row.opt_text(column)?.map(str::to_owned)) };
    Ok(TriggerRow {
        flow: row.text(0)?.to_owned(),
        definition: row.text(1)?.to_owned(),
        source: row.text(2)?.to_owned(),
        state: row.text(3)?.to_owned(),
        reason: optional(4)?,
        generation: row.int(5)?,
        baseline_at: row.opt_int(6)?,
        baseline_value: optional(7)?,
        seeded: row.flag(8)?,
        value: optional(9)?,
        covered_until: row.opt_int(10)?,
        deep_at: row.opt_int(11)?,
        due_at: row.opt_int(12)?,
        polled_at: row.opt_int(13)?,
        failures: row.int(14)?,
        error: optional(15)?,
        epoch: row.int(16)?,
    })
}
