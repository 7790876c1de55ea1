//! What is due: which flows have live runs, which of their runs can go on, and which hold a slot. Called by the
//! worker's claims: where there is one host a claim is a set in its memory, among several it is in the row
//! (`claims`).

use super::database::{Param, Row, Sql, params};
use super::{Result, Store, blobs};
use crate::planted::bug;

/// A run whose next step is due, with what is needed to go on.
#[derive(Clone, Debug)]
pub struct DueRun {
    /// Its id.
    pub id: String,
    /// The hash of the definitions that it is pinned to.
    pub definition: String,
    /// Whether it has begun.
    pub has_begun: bool,
    /// Its place among runs that are due at the same time.
    pub position: i64,
    /// UTC epoch milliseconds.
    pub due_at: i64,
    /// Its concurrency key, rendered.
    pub slot: Option<String>,
    /// The item, as JSON.
    pub item: String,
    /// Its live frames, as JSON; none before the first step.
    pub frames: Option<String>,
    /// When it was found; UTC epoch milliseconds.
    pub created_at: i64,
    /// When it began; UTC epoch milliseconds.
    pub started_at: Option<i64>,
    /// The run that it goes on with.
    pub retry_of: Option<String>,
    /// Whether a person had it done once more, as a retry or from the start.
    pub is_repeat: bool,
    /// The run that the line of retries began with.
    pub root: Option<String>,
    /// Which claim of it this is: a settlement counts while nobody has claimed it since.
    pub epoch: i64,
    /// The host that worked on it until now is not heard of, but has not ended: it may still send what it
    /// was about to.
    pub may_still_send: bool,
    /// How often this host's lease had run out before it was claimed ([`super::database::Presence::lapses`]).
    pub lapses: u32,
}

/// What is due of a flow.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// Runs whose next step is due, oldest first.
    pub runs: Vec<DueRun>,
    /// When the next one after these is due; told only where there are no more that are due now.
    pub next_due_at: Option<i64>,
    /// Whether there may be more that are due now.
    pub has_more: bool,
    /// Whether this host just became the one that works on this flow, whose order one host has to keep.
    pub is_new_lane: bool,
}

impl Store {
    /// The flows that have live runs, each with the time when its next run is due.
    pub async fn live_flows(&self) -> Result<Vec<(String, i64)>> {
        self.database.read(live_flows).await
    }

    /// Runs of a flow whose next step is due, begun ones and oldest first. Runs that have not begun are
    /// left out while their slot is among `busy`.
    pub async fn due_runs(&self, flow: String, now_ms: i64, limit: u32, busy: Vec<String>) -> Result<Due> {
        self.database.read(move |sql| due_runs(sql, &flow, now_ms, limit, &busy)).await
    }

    /// How many runs are due or at work. What walks hold is not counted: only polls can let go of it.
    pub async fn backlog(&self) -> Result<u64> {
        self.database
            .read(|sql| {
                let mut count = 0;
                sql.query("SELECT COUNT(*) FROM runs WHERE state IN ('queued', 'running')", &[], &mut |row| {
                    count = row.int(0)?;
                    Ok(())
                })?;
                Ok(count.unsigned_abs())
            })
            .await
    }

    /// Counts the runs of a flow as begun that were about to send their first request when their host ended: a mark does
    /// not write that ([`super::settle::Change::Mark`]). Whoever works on the flow anew keeps their slots for them.
    pub async fn count_begun(&self, flow: String) -> Result<()> {
        self.database.transaction(move |sql| count_begun(sql, &flow)).await
    }

    /// The begun runs that hold a slot of a flow, as pairs of run and slot.
    pub async fn held_slots(&self, flow: String) -> Result<Vec<(String, Option<String>)>> {
        self.database
            .read(move |sql| {
                let mut slots = Vec::new();
                sql.query(
                    "SELECT id, slot FROM runs WHERE flow = $1 AND state = 'running'",
                    params![&flow],
                    &mut |row| {
                        slots.push((row.text(0)?.to_owned(), row.opt_text(1)?.map(str::to_owned)));
                        Ok(())
                    },
                )?;
                Ok(slots)
            })
            .await
    }
}

pub(super) fn count_begun(sql: &mut dyn Sql, flow: &str) -> Result<()> {
    let text = "UPDATE runs SET state = 'running' WHERE flow = $1 AND state = 'queued' AND started_at IS NOT NULL";
    sql.execute(text, params![flow])?;
    Ok(())
}

// A loose scan: one look-up per flow with live runs, however long its backlog is.
fn live_flows(sql: &mut dyn Sql) -> Result<Vec<(String, i64)>> {
    let mut flows = Vec::new();
    sql.query(
        "WITH RECURSIVE live (flow) AS ( \
           SELECT MIN(flow) FROM runs WHERE state IN ('queued', 'running') \
           UNION ALL \
           SELECT (SELECT MIN(flow) FROM runs WHERE state IN ('queued', 'running') AND flow > live.flow) \
           FROM live WHERE live.flow IS NOT NULL) \
         SELECT flow, (SELECT MIN(due_at) FROM ( \
           SELECT MIN(due_at) AS due_at FROM runs WHERE runs.flow = live.flow AND state = 'running' UNION ALL \
           SELECT MIN(due_at) FROM runs WHERE runs.flow = live.flow AND state = 'queued') AS earliest) \
         FROM live WHERE flow IS NOT NULL",
        &[],
        &mut |row| {
            flows.push((row.text(0)?.to_owned(), row.opt_int(1)?.unwrap_or(0)));
            Ok(())
        },
    )?;
    Ok(flows)
}

/// What a [`DueRun`] is made from.
pub(super) const COLUMNS: &str = "id, definition, state, position, due_at, slot, item, frames, created_at, started_at, retry_of, root, epoch, \
     replay_of";

/// The conditions on runs of flow `$1` that waited between two steps and are due at `$2`. They come before those that
/// have not begun: what has begun is finished before more begins, however long the backlog is.
pub(super) const BEGUN: &str = "flow = $1 AND state = 'running' AND due_at <= $2";

/// The conditions on runs of flow `$1` that wait for their first step and are due at `$2`; without those whose slot is
/// in parameter `busy`, a list as JSON, where there is one.
pub(super) fn not_begun(sql: &dyn Sql, busy: Option<usize>) -> String {
    let due = "flow = $1 AND state = 'queued' AND due_at <= $2".to_owned();
    match busy {
        None => due,
        Some(busy) => {
            let slots = sql.dialect().json_texts.replace('?', &format!("${busy}"));
            format!("{due} AND COALESCE(slot, '') NOT IN ({slots})")
        }
    }
}

pub(super) fn from_row(row: &dyn Row) -> Result<DueRun> {
    Ok(DueRun {
        id: row.text(0)?.to_owned(),
        definition: row.text(1)?.to_owned(),
        has_begun: row.text(2)? == "running" || !row.is_null(7)?,
        position: row.int(3)?,
        due_at: row.int(4)?,
        slot: row.opt_text(5)?.map(str::to_owned),
        item: row.opt_text(6)?.unwrap_or("null").to_owned(),
        frames: row.opt_text(7)?.map(str::to_owned),
        created_at: row.int(8)?,
        started_at: row.opt_int(9)?,
        retry_of: row.opt_text(10)?.map(str::to_owned),
        is_repeat: !row.is_null(10)? || !row.is_null(13)?,
        root: row.opt_text(11)?.map(str::to_owned),
        epoch: row.int(12)?,
        may_still_send: false,
        lapses: 0,
    })
}

fn due_runs(sql: &mut dyn Sql, flow: &str, now_ms: i64, limit: u32, busy: &[String]) -> Result<Due> {
    let mut runs = Vec::new();
    let begun = format!("SELECT {COLUMNS} FROM runs WHERE {BEGUN} ORDER BY due_at, position LIMIT $3");
    select(sql, &begun, params![flow, now_ms, limit], &mut runs)?;
    let position = if bug("newest_first") { "position DESC" } else { "position" };
    let conditions = not_begun(sql, (!busy.is_empty()).then_some(4));
    let queued = format!("SELECT {COLUMNS} FROM runs WHERE {conditions} ORDER BY due_at, {position} LIMIT $3");
    let room = room(limit, &runs);
    if room > 0 {
        let slots = serde_json::Value::from(busy.to_vec()).to_string();
        let all = params![flow, now_ms, room, slots];
        select(sql, &queued, if busy.is_empty() { &all[..3] } else { all }, &mut runs)?;
    }
    whole(sql, runs, flow, now_ms, limit)
}

fn select(sql: &mut dyn Sql, text: &str, params: &[Param<'_>], runs: &mut Vec<DueRun>) -> Result<()> {
    sql.query(text, params, &mut |row| {
        runs.push(from_row(row)?);
        Ok(())
    })
}

/// How many more a claim may take.
pub(super) fn room(limit: u32, runs: &[DueRun]) -> u32 {
    limit.saturating_sub(u32::try_from(runs.len()).unwrap_or(u32::MAX))
}

/// With the items that are kept apart, and when the next run is due.
pub(super) fn whole(sql: &mut dyn Sql, mut runs: Vec<DueRun>, flow: &str, now_ms: i64, limit: u32) -> Result<Due> {
    for run in &mut runs {
        run.item = blobs::fetch(sql, std::mem::take(&mut run.item))?;
    }
    let has_more = runs.len() >= limit as usize;
    let mut next_due_at = None;
    if !has_more {
        sql.query(
            "SELECT MIN(due_at) FROM ( \
               SELECT MIN(due_at) AS due_at FROM runs WHERE flow = $1 AND state = 'running' AND due_at > $2 UNION ALL \
               SELECT MIN(due_at) FROM runs WHERE flow = $1 AND state = 'queued' AND due_at > $2) AS later",
            params![flow, now_ms],
            &mut |row| {
                next_due_at = row.opt_int(0)?;
                Ok(())
            },
        )?;
    }
    Ok(Due { runs, next_due_at, has_more, is_new_lane: false })
}
