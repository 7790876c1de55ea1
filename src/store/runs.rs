//! Runs: how one begins, how one looks, and what a person can do to one from outside.

use std::collections::BTreeMap;

use serde::Serialize;

use super::database::{Row, Sql, params};
use super::repeats::Repeats;
use super::{Result, Store, approvals, blobs, id, steps};

/// How a run is. Terminal states never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Found by a walk that is not closed yet.
    Held,
    /// Not begun.
    Queued,
    /// Begun; its next step has a due time.
    Running,
    /// Waits for a person to say what became of a step.
    Unknown,
    /// Over: well.
    Succeeded,
    /// Over: a step failed.
    Failed,
    /// Over: a person ended it, or a newer item took its place.
    Cancelled,
    /// Over before it began: the trigger's `where` was false.
    Filtered,
    /// Over before it began: the flow was busy.
    Skipped,
}

impl State {
    /// Every state, in the order of a run's life.
    pub const ALL: [State; 9] = [
        State::Held,
        State::Queued,
        State::Running,
        State::Unknown,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
        State::Filtered,
        State::Skipped,
    ];

    /// The word that the row holds, and that people see.
    pub fn word(self) -> &'static str {
        match self {
            State::Held => "held",
            State::Queued => "queued",
            State::Running => "running",
            State::Unknown => "unknown",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Filtered => "filtered",
            State::Skipped => "skipped",
        }
    }

    /// The state that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What a list shows of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its flow's name.
    pub flow: String,
    /// How it is.
    pub state: String,
    /// What makes its item the same item.
    pub item_key: Option<String>,
    /// UTC epoch milliseconds.
    pub created_at: i64,
    /// UTC epoch milliseconds.
    pub ended_at: Option<i64>,
    /// When its next step is due; UTC epoch milliseconds.
    pub due_at: Option<i64>,
    /// The failure, as JSON.
    pub error: Option<String>,
}

/// Everything that is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// The hash of the definitions that it is pinned to.
    pub definition: String,
    /// The item, as JSON; none once retention took it.
    pub item: Option<String>,
    /// Its live frames, as JSON.
    pub frames: Option<String>,
    /// When it began; UTC epoch milliseconds.
    pub started_at: Option<i64>,
    /// The failed run that it goes on with.
    pub retry_of: Option<String>,
    /// The run that the line of retries began with.
    pub root: Option<String>,
    /// The run that it does once more from the start.
    pub replay_of: Option<String>,
    /// The run that goes on with this one.
    pub retried_by: Option<String>,
    /// Its journal.
    pub steps: Vec<steps::StepRow>,
}

/// A run to begin with.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// A new id.
    pub id: String,
    /// Its flow's name.
    pub flow: String,
    /// The hash of the definitions that it is pinned to.
    pub definition: String,
    /// How it begins: held, queued, filtered or skipped.
    pub state: State,
    /// Its place among runs that are due at the same time: smaller is earlier.
    pub position: i64,
    /// Its concurrency key, rendered.
    pub slot: Option<String>,
    /// The walk that found it.
    pub walk: Option<String>,
    /// What makes its item the same item.
    pub item_key: Option<String>,
    /// The item, as JSON.
    pub item: String,
    /// The run that it repeats.
    pub repeats: Option<Repeats>,
    /// Why it is over before it began, as JSON.
    pub error: Option<String>,
}

/// Which runs a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this flow alone.
    pub flow: Option<String>,
    /// In this state alone.
    pub state: Option<State>,
    /// Older than this id: the next page of a list.
    pub before: Option<String>,
    /// Found at this time or later; UTC epoch milliseconds.
    pub since_ms: Option<i64>,
    /// Whose failure contains this text.
    pub error: Option<String>,
    /// Oldest first, those newer than this id alone.
    pub after: Option<String>,
    /// Without those that have a retry.
    pub is_unretried: bool,
    /// The most rows.
    pub limit: u32,
}

// The first mark of a run writes no index (`settle`): that it has begun shows by its start alone.
const STATE: &str = "CASE WHEN state = 'queued' AND started_at IS NOT NULL THEN 'running' ELSE state END";

// What `summary` reads.
fn columns() -> String {
    format!("id, flow, {STATE}, item_key, created_at, ended_at, due_at, error")
}

impl Store {
    /// Puts a run in, due at once where it is queued.
    pub async fn insert_run(&self, run: NewRun, now_ms: i64) -> Result<()> {
        self.database.transaction(move |sql| insert(sql, &run, now_ms)).await
    }

    /// Ends a run from outside; false when it was over before or is held. With an `epoch` it is ended under that
    /// claim: false as well when another host has claimed it since.
    pub async fn end_run(
        &self,
        id: String,
        epoch: Option<i64>,
        state: State,
        error: Option<String>,
        now_ms: i64,
    ) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let is_ended = sql.execute(
                    "UPDATE runs SET state = $2, error = $3, ended_at = $4, due_at = NULL \
                     WHERE id = $1 AND state IN ('queued', 'running', 'unknown') \
                     AND (CAST($5 AS BIGINT) IS NULL OR epoch = $5)",
                    params![&id, state.word(), error.as_deref(), now_ms, epoch],
                )? == 1;
                if is_ended {
                    approvals::close_of_run(sql, &id, now_ms)?;
                }
                Ok(is_ended)
            })
            .await
    }

    /// Takes up a run that waits for a person: what the person said is a row of its journal (state
    /// `settled`), which the worker reads when the run is due. False when it does not wait.
    pub async fn resume_unknown(&self, id: String, said: steps::StepRow, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let is_resumed = sql.execute(
                    "UPDATE runs SET state = 'running', due_at = $2 WHERE id = $1 AND state = 'unknown'",
                    params![&id, now_ms],
                )? == 1;
                if is_resumed {
                    steps::write(sql, &id, std::slice::from_ref(&said), now_ms)?;
                    sql.announce();
                }
                Ok(is_resumed)
            })
            .await
    }

    /// Runs, newest first.
    pub async fn list_runs(&self, filter: Filter) -> Result<Vec<Summary>> {
        self.database.read(move |sql| list(sql, &filter)).await
    }

    /// Everything that is known of a run; found by its whole id or by an unambiguous beginning or end.
    pub async fn run(&self, id: String) -> Result<Option<Detail>> {
        self.database.read(move |sql| detail(sql, &id)).await
    }

    /// How many runs of each flow are in each state, as (flow, state, count).
    pub async fn run_counts(&self) -> Result<Vec<(String, String, i64)>> {
        self.database
            .read(|sql| {
                let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
                let mut begun = Vec::new();
                sql.query("SELECT flow, state, COUNT(*) FROM runs GROUP BY flow, state", &[], &mut |row| {
                    counts.insert((row.text(0)?.to_owned(), row.text(1)?.to_owned()), row.int(2)?);
                    Ok(())
                })?;
                sql.query(
                    "SELECT flow, COUNT(*) FROM runs WHERE state = 'queued' AND started_at IS NOT NULL GROUP BY flow",
                    &[],
                    &mut |row| {
                        begun.push((row.text(0)?.to_owned(), row.int(1)?));
                        Ok(())
                    },
                )?;
                for (flow, count) in begun {
                    *counts.entry((flow.clone(), State::Queued.word().to_owned())).or_default() -= count;
                    *counts.entry((flow, State::Running.word().to_owned())).or_default() += count;
                }
                counts.retain(|_, count| *count > 0);
                Ok(counts.into_iter().map(|((flow, state), count)| (flow, state, count)).collect())
            })
            .await
    }
}

pub(super) fn insert(sql: &mut dyn Sql, run: &NewRun, now_ms: i64) -> Result<()> {
    let item = blobs::keep(sql, &run.id, &run.item, now_ms)?;
    if run.state == State::Queued {
        sql.announce();
    }
    let is_over = !matches!(run.state, State::Held | State::Queued);
    sql.execute(
        "INSERT INTO runs (id, flow, definition, state, position, due_at, slot, walk, item_key, item, retry_of, root, \
         replay_of, created_at, ended_at, error) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        params![
            &run.id,
            &run.flow,
            &run.definition,
            run.state.word(),
            run.position,
            (run.state == State::Queued).then_some(now_ms),
            run.slot.as_deref(),
            run.walk.as_deref().filter(|_| run.state == State::Held),
            run.item_key.as_deref(),
            item,
            run.repeats.as_ref().and_then(Repeats::retry_of),
            run.repeats.as_ref().and_then(Repeats::root),
            run.repeats.as_ref().and_then(Repeats::replay_of),
            now_ms,
            is_over.then_some(now_ms),
            run.error.as_deref()
        ],
    )?;
    Ok(())
}

fn list(sql: &mut dyn Sql, filter: &Filter) -> Result<Vec<Summary>> {
    let mut runs = Vec::new();
    let unretried = match filter.is_unretried {
        true => "AND NOT EXISTS (SELECT 1 FROM runs later WHERE later.retry_of = runs.id)",
        false => "",
    };
    let (after, order) = match &filter.after {
        Some(_) => ("AND id > $7", "ASC"),
        None => ("AND CAST($7 AS TEXT) IS NULL", "DESC"),
    };
    let text = format!(
        "SELECT {} FROM runs WHERE (CAST($1 AS TEXT) IS NULL OR flow = $1) AND (CAST($2 AS TEXT) IS NULL OR {STATE} = $2) \
         AND (CAST($3 AS TEXT) IS NULL OR id < $3) AND (CAST($4 AS TEXT) IS NULL OR id >= $4) AND (CAST($5 AS TEXT) IS NULL OR error LIKE $5 ESCAPE '!') \
         {unretried} {after} ORDER BY id {order} LIMIT $6",
        columns()
    );
    let state = filter.state.map(State::word);
    let since = filter.since_ms.map(id::floor);
    let error = filter.error.as_deref().map(containing);
    sql.query(
        &text,
        params![
            filter.flow.as_deref(),
            state,
            filter.before.as_deref(),
            since.as_deref(),
            error.as_deref(),
            filter.limit,
            filter.after.as_deref()
        ],
        &mut |row| {
            runs.push(summary(row)?);
            Ok(())
        },
    )?;
    Ok(runs)
}

// For LIKE: `text` anywhere, with nothing in it that LIKE reads as more than itself.
fn containing(text: &str) -> String {
    format!("%{}%", text.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
}

fn summary(row: &dyn Row) -> Result<Summary> {
    Ok(Summary {
        id: row.text(0)?.to_owned(),
        flow: row.text(1)?.to_owned(),
        state: row.text(2)?.to_owned(),
        item_key: row.opt_text(3)?.map(str::to_owned),
        created_at: row.int(4)?,
        ended_at: row.opt_int(5)?,
        due_at: row.opt_int(6)?,
        error: row.opt_text(7)?.map(str::to_owned),
    })
}

// By its whole id first: looking for a part of it reads every run.
fn detail(sql: &mut dyn Sql, id: &str) -> Result<Option<Detail>> {
    let mut found = details(sql, id, "id = $1")?;
    if found.is_empty() {
        let part = "length($1) >= 6 AND (id LIKE $1 || '%' OR id LIKE '%' || $1)";
        found = details(sql, id, part)?;
    }
    let Some(mut run) = found.pop().filter(|_| found.is_empty()) else {
        return Ok(None);
    };
    run.item = blobs::fetch_optional(sql, run.item.take())?;
    run.steps = steps::read(sql, &run.summary.id, None)?;
    Ok(Some(run))
}

// At most two: with more than one it is not clear which is meant.
fn details(sql: &mut dyn Sql, id: &str, which: &str) -> Result<Vec<Detail>> {
    let text = format!(
        "SELECT {}, definition, item, frames, retry_of, started_at, root, replay_of, \
         (SELECT later.id FROM runs later WHERE later.retry_of = runs.id) FROM runs \
         WHERE {which} ORDER BY runs.id LIMIT 2",
        columns()
    );
    let mut found = Vec::new();
    sql.query(&text, params![id], &mut |row| {
        found.push(Detail {
            summary: summary(row)?,
            definition: row.text(8)?.to_owned(),
            item: row.opt_text(9)?.map(str::to_owned),
            frames: row.opt_text(10)?.map(str::to_owned),
            retry_of: row.opt_text(11)?.map(str::to_owned),
            started_at: row.opt_int(12)?,
            root: row.opt_text(13)?.map(str::to_owned),
            replay_of: row.opt_text(14)?.map(str::to_owned),
            retried_by: row.opt_text(15)?.map(str::to_owned),
            steps: Vec::new(),
        });
        Ok(())
    })?;
    Ok(found)
}
