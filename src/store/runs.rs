//! Runs: how one begins, how one looks, and what a person can do to one from outside.

use serde::Serialize;

use super::database::{Row, Sql, params};
use super::{Result, Store, blobs, steps};

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
    /// The run that it repeats.
    pub retry_of: Option<String>,
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
    pub retry_of: Option<String>,
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
    /// The most rows.
    pub limit: u32,
}

const SUMMARY: &str = "id, flow, state, item_key, created_at, ended_at, due_at, error";

impl Store {
    /// Puts a run in, due at once where it is queued.
    pub async fn insert_run(&self, run: NewRun, now_ms: i64) -> Result<()> {
        self.database.transaction(move |sql| insert(sql, &run, now_ms)).await
    }

    /// Ends a run from outside; false when it was over before or is held.
    pub async fn end_run(&self, id: String, state: State, error: Option<String>, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                Ok(sql.execute(
                    "UPDATE runs SET state = $2, error = $3, ended_at = $4, due_at = NULL \
                     WHERE id = $1 AND state IN ('queued', 'running', 'unknown')",
                    params![&id, state.word(), error.as_deref(), now_ms],
                )? == 1)
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
                let mut counts = Vec::new();
                sql.query(
                    "SELECT flow, state, COUNT(*) FROM runs GROUP BY flow, state ORDER BY flow, state",
                    &[],
                    &mut |row| {
                        counts.push((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.int(2)?));
                        Ok(())
                    },
                )?;
                Ok(counts)
            })
            .await
    }
}

pub(super) fn insert(sql: &mut dyn Sql, run: &NewRun, now_ms: i64) -> Result<()> {
    let item = blobs::keep(sql, &run.id, &run.item, now_ms)?;
    let is_over = !matches!(run.state, State::Held | State::Queued);
    sql.execute(
        "INSERT INTO runs (id, flow, definition, state, position, due_at, slot, walk, item_key, item, retry_of, \
         created_at, ended_at, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
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
            run.retry_of.as_deref(),
            now_ms,
            is_over.then_some(now_ms),
            run.error.as_deref()
        ],
    )?;
    Ok(())
}

fn list(sql: &mut dyn Sql, filter: &Filter) -> Result<Vec<Summary>> {
    let mut runs = Vec::new();
    let text = format!(
        "SELECT {SUMMARY} FROM runs WHERE ($1 IS NULL OR flow = $1) AND ($2 IS NULL OR state = $2) \
         AND ($3 IS NULL OR id < $3) ORDER BY id DESC LIMIT $4"
    );
    let state = filter.state.map(State::word);
    sql.query(&text, params![filter.flow.as_deref(), state, filter.before.as_deref(), filter.limit], &mut |row| {
        runs.push(summary(row)?);
        Ok(())
    })?;
    Ok(runs)
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

fn detail(sql: &mut dyn Sql, id: &str) -> Result<Option<Detail>> {
    let text = format!(
        "SELECT {SUMMARY}, definition, item, frames, retry_of, started_at FROM runs \
         WHERE id = $1 OR (length($1) >= 6 AND (id LIKE $1 || '%' OR id LIKE '%' || $1)) ORDER BY id LIMIT 2"
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
            steps: Vec::new(),
        });
        Ok(())
    })?;
    let exact = found.iter().position(|run| run.summary.id == id);
    let Some(mut run) =
        exact.map(|at| found.swap_remove(at)).or_else(|| if found.len() == 1 { found.pop() } else { None })
    else {
        return Ok(None);
    };
    run.item = blobs::fetch_optional(sql, run.item.take())?;
    run.steps = steps::read(sql, &run.summary.id, None)?;
    Ok(Some(run))
}
