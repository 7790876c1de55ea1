//! Walks: one reading of a trigger's window, committed page by page. A page's keys, its runs (held until the
//! walk closes) and how far the walk has come are one transaction; so are a walk's end and its cursor.

use std::sync::Arc;

use super::approvals::{self, Claim, Incoming};
use super::database::{Param, Row, Sql, params};
use super::notices::{self, Notice};
use super::runs::{self, NewRun, State};
use super::{Result, Store, held};
use crate::planted::bug;

/// One reading of a trigger's window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WalkRow {
    /// Its id.
    pub id: String,
    /// The flow's name.
    pub flow: String,
    /// The ledger that it reads against.
    pub generation: i64,
    /// The hash of the definitions that it is pinned to.
    pub definition: String,
    /// `seed`, `anew`, `poll` or `deep`.
    pub mode: String,
    /// `cursor.since` of its requests.
    pub since: Option<String>,
    /// Records dated before this are outside its window; UTC epoch milliseconds.
    pub lower_at: Option<i64>,
    /// The next page's token, as JSON; none for the first.
    pub page: Option<String>,
    /// Pages committed.
    pub pages: i64,
    /// Records listed.
    pub listed: i64,
    /// Runs started.
    pub started: i64,
    /// The service's time of the first answer; UTC epoch milliseconds.
    pub server_at: Option<i64>,
    /// The newest value listed.
    pub newest: Option<String>,
    /// The time of the oldest record that was left unseen, because it was not ready; UTC epoch milliseconds.
    pub not_ready_at: Option<i64>,
    /// UTC epoch milliseconds.
    pub opened_at: i64,
    /// Whether its runs are released before its end, out of order.
    pub is_loosened: bool,
}

/// One page of a walk, to be committed.
#[derive(Clone, Debug)]
pub struct Page {
    /// The walk, as it was before this page.
    pub walk: Arc<WalkRow>,
    /// The claim that its trigger was polled under, from [`super::triggers::TriggerRow::epoch`].
    pub epoch: i64,
    /// What it listed, keys once each, in the order of the page.
    pub listed: Vec<Listed>,
    /// The next page's token, as JSON; none where the walk closes.
    pub next: Option<String>,
    /// The service's time of the walk's first answer.
    pub server_at: Option<i64>,
    /// The newest value that the walk has listed.
    pub newest: Option<String>,
    /// See [`WalkRow::not_ready_at`].
    pub not_ready_at: Option<i64>,
    /// What its end says of the trigger; none while it goes on.
    pub close: Option<Close>,
    /// What a person should know of it.
    pub notices: Vec<Notice>,
    /// Whether its runs wait for the walk's end to be put together.
    pub is_gathered: bool,
    /// Keys last seen before this are refreshed; UTC epoch milliseconds.
    pub refresh_before: i64,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
}

/// One record of a page.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What makes it the same item.
    pub key: String,
    /// The run to start where the key is new; none for history, which is only remembered.
    pub run: Option<NewRun>,
    /// The message that it is, where it may answer an approval: then it starts no run.
    pub reply: Option<Incoming>,
}

/// What a walk's end says of its trigger.
#[derive(Clone, Debug, Default)]
pub struct Close {
    /// The newest value; none leaves it.
    pub value: Option<String>,
    /// The service's time when the walk began.
    pub covered_until: Option<i64>,
    /// Set by the first reading.
    pub baseline_at: Option<i64>,
    /// Set by the first reading.
    pub baseline_value: Option<String>,
    /// When this wide look began.
    pub deep_at: Option<i64>,
    /// When the trigger is due next.
    pub due_at: i64,
    /// Only this many of the newest runs are kept, the rest is history.
    pub keep_newest: Option<u32>,
    /// The walk's last request and its answer, as JSON.
    pub exchange: Option<String>,
}

/// What came of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Another process, or an earlier try, committed this page: nothing was written.
    pub is_stale: bool,
    /// Runs that are due now.
    pub queued: u64,
    /// Runs that wait for the walk's end.
    pub held: u64,
    /// Items that the trigger's `where` left out.
    pub filtered: u64,
    /// Keys that were known.
    pub known: u64,
    /// Flows of runs that an answer among the records lets go on.
    pub answered: Vec<String>,
}

pub(super) const COLUMNS: &str = "id, flow, generation, definition, mode, since, lower_at, page, pages, listed, started, \
                       server_at, newest, not_ready_at, opened_at, loosened";

// The claim of the walk's trigger, `$2`, still counts.
pub(super) const CLAIMED: &str =
    "EXISTS (SELECT 1 FROM triggers WHERE triggers.flow = walks.flow AND triggers.epoch = $2)";

impl Store {
    /// The walk that a flow's trigger has open.
    pub async fn open_walk(&self, flow: String) -> Result<Option<WalkRow>> {
        self.database.read(move |sql| open_of(sql, &flow)).await
    }

    /// Commits one page; see the head of this file.
    pub async fn commit_page(&self, page: Page) -> Result<Committed> {
        if bug("cursor_before_items")
            && let Some(close) = page.close.clone()
        {
            let (walk, now_ms) = (Arc::clone(&page.walk), page.now_ms);
            self.database.transaction(move |sql| close_trigger(sql, &walk, &close, now_ms)).await?;
        }
        self.database.transaction(move |sql| commit(sql, &page)).await
    }
}

/// The walk that a flow's trigger has open.
pub(super) fn open_of(sql: &mut dyn Sql, flow: &str) -> Result<Option<WalkRow>> {
    let text = format!("SELECT {COLUMNS} FROM walks WHERE flow = $1 AND state = 'open' ORDER BY id LIMIT 1");
    Ok(select(sql, &text, params![flow])?.pop())
}

pub(super) fn select(sql: &mut dyn Sql, text: &str, params: &[Param<'_>]) -> Result<Vec<WalkRow>> {
    let mut walks = Vec::new();
    sql.query(text, params, &mut |row| {
        walks.push(from_row(row)?);
        Ok(())
    })?;
    Ok(walks)
}

fn commit(sql: &mut dyn Sql, page: &Page) -> Result<Committed> {
    let walk = &page.walk;
    if !is_claimed(sql, &walk.flow, page.epoch)? || !advance_walk(sql, page)? {
        return Ok(Committed { is_stale: true, ..Committed::default() });
    }
    // Where nothing waits before this page, and the walk ends with it, its runs need no release.
    let is_straight = page.close.as_ref().is_some_and(|close| close.keep_newest.is_none())
        && walk.started == 0
        && !page.is_gathered
        && page.listed.len() <= STRAIGHT;
    let mut committed = Committed::default();
    for (at, listed) in page.listed.iter().enumerate() {
        let claim = match &listed.reply {
            Some(reply) => approvals::claim(sql, reply, page.now_ms)?,
            None => Claim::default(),
        };
        committed.answered.extend(claim.wakes);
        let is_forgotten = bug("ledger_not_written") || (bug("ledger_of_page") && at > 0);
        if !is_forgotten && !remember(sql, walk, &listed.key, page)? {
            committed.known += 1;
            continue;
        }
        let Some(run) = &listed.run else { continue };
        let mut run = run.clone();
        if claim.is_claimed {
            run.state = State::Filtered;
        } else if run.state == State::Held && is_straight {
            run.state = State::Queued;
        }
        match run.state {
            State::Queued => committed.queued += 1,
            State::Held => committed.held += 1,
            _ => committed.filtered += 1,
        }
        runs::insert(sql, &run, page.now_ms)?;
        if bug("filtered_not_remembered") && run.state == State::Filtered {
            sql.execute("DELETE FROM ledger WHERE flow = $1 AND key = $2", params![&walk.flow, &listed.key])?;
        }
    }
    for notice in &page.notices {
        notices::insert(sql, notice)?;
    }
    let found = committed.queued + committed.held;
    if found > 0 {
        sql.execute("UPDATE walks SET started = started + $2 WHERE id = $1", params![&walk.id, to_i64(found)])?;
    }
    if let Some(close) = &page.close {
        if let Some(newest) = close.keep_newest {
            held::keep_newest(sql, &walk.id, newest)?;
        }
        close_trigger(sql, walk, close, page.now_ms)?;
        if walk.started == 0 && committed.held == 0 {
            sql.execute("DELETE FROM walks WHERE id = $1", params![&walk.id])?;
        }
    }
    Ok(committed)
}

/// How many runs of a walk's only page are due with it, without a release of their own.
pub const STRAIGHT: usize = 500;

// Whether the claim of a trigger still counts; nobody else takes it until this is committed.
fn is_claimed(sql: &mut dyn Sql, flow: &str, epoch: i64) -> Result<bool> {
    let mut is_claimed = false;
    let text = format!("SELECT 1 FROM triggers WHERE flow = $1 AND epoch = $2{}", sql.dialect().for_update);
    sql.query(&text, params![flow, epoch], &mut |_| {
        is_claimed = true;
        Ok(())
    })?;
    Ok(is_claimed)
}

// The first page makes the walk's row; a later one must find it as it was left.
fn advance_walk(sql: &mut dyn Sql, page: &Page) -> Result<bool> {
    let walk = &page.walk;
    let state = if page.close.is_some() { "closed" } else { "open" };
    let listed = walk.listed + i64::try_from(page.listed.len()).unwrap_or(i64::MAX);
    if walk.pages == 0 {
        let mut is_current = false;
        sql.query(
            "SELECT 1 FROM triggers WHERE flow = $1 AND generation = $2 \
             AND NOT EXISTS (SELECT 1 FROM walks WHERE flow = $1 AND state = 'open')",
            params![&walk.flow, walk.generation],
            &mut |_| {
                is_current = true;
                Ok(())
            },
        )?;
        if !is_current {
            return Ok(false);
        }
        sql.execute(
            "INSERT INTO walks (id, flow, generation, definition, mode, state, since, lower_at, page, pages, listed, \
             started, server_at, newest, not_ready_at, opened_at, loosened) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, 0, $11, $12, $13, $14, 0)",
            params![
                &walk.id,
                &walk.flow,
                walk.generation,
                &walk.definition,
                &walk.mode,
                state,
                walk.since.as_deref(),
                walk.lower_at,
                page.next.as_deref(),
                listed,
                page.server_at,
                page.newest.as_deref(),
                page.not_ready_at,
                walk.opened_at
            ],
        )?;
        return Ok(true);
    }
    Ok(sql.execute(
        "UPDATE walks SET state = $2, page = $3, pages = pages + 1, listed = $4, newest = $5, server_at = $6, \
         not_ready_at = $8 WHERE id = $1 AND state = 'open' AND pages = $7",
        params![
            &walk.id,
            state,
            page.next.as_deref(),
            listed,
            page.newest.as_deref(),
            page.server_at,
            walk.pages,
            page.not_ready_at
        ],
    )? == 1)
}

// True when the key is new.
fn remember(sql: &mut dyn Sql, walk: &WalkRow, key: &str, page: &Page) -> Result<bool> {
    let is_new = sql.execute(
        "INSERT INTO ledger (flow, generation, key, first_seen, last_seen) VALUES ($1, $2, $3, $4, $4) \
         ON CONFLICT (flow, generation, key) DO NOTHING",
        params![&walk.flow, walk.generation, key, page.now_ms],
    )? == 1;
    if !is_new {
        sql.execute(
            "UPDATE ledger SET last_seen = $4 WHERE flow = $1 AND generation = $2 AND key = $3 AND last_seen < $5",
            params![&walk.flow, walk.generation, key, page.now_ms, page.refresh_before],
        )?;
    }
    Ok(is_new)
}

fn close_trigger(sql: &mut dyn Sql, walk: &WalkRow, close: &Close, now_ms: i64) -> Result<()> {
    sql.execute(
        "UPDATE triggers SET seeded = 1, value = COALESCE($3, value), \
         covered_until = COALESCE($4, covered_until), baseline_at = COALESCE($5, baseline_at), \
         baseline_value = COALESCE($6, baseline_value), deep_at = COALESCE($7, deep_at), due_at = $8, \
         polled_at = $9, failures = 0, error = NULL, exchange = COALESCE($10, exchange), updated_at = $9 WHERE flow = $1 AND generation = $2",
        params![
            &walk.flow,
            walk.generation,
            close.value.as_deref(),
            close.covered_until,
            close.baseline_at,
            close.baseline_value.as_deref(),
            close.deep_at,
            close.due_at,
            now_ms,
            close.exchange.as_deref()
        ],
    )?;
    Ok(())
}

fn from_row(row: &dyn Row) -> Result<WalkRow> {
    let optional = |column| -> Result<Option<String>> { Ok(row.opt_text(column)?.map(str::to_owned)) };
    Ok(WalkRow {
        id: row.text(0)?.to_owned(),
        flow: row.text(1)?.to_owned(),
        generation: row.int(2)?,
        definition: row.text(3)?.to_owned(),
        mode: row.text(4)?.to_owned(),
        since: optional(5)?,
        lower_at: row.opt_int(6)?,
        page: optional(7)?,
        pages: row.int(8)?,
        listed: row.int(9)?,
        started: row.int(10)?,
        server_at: row.opt_int(11)?,
        newest: optional(12)?,
        not_ready_at: row.opt_int(13)?,
        opened_at: row.int(14)?,
        is_loosened: row.flag(15)?,
    })
}

fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
