//! Doing runs once more: a retry goes on where a failed run stopped, a replay starts over. One by name, or all
//! that a filter finds; each by itself, so that one that cannot be repeated keeps none of the others.

use serde::Serialize;

use super::{Filter, Row, find, new_run};
use crate::app::flows::never_deployed;
use crate::app::{Error, Result, View};
use crate::store::repeats::{Repeats, Retried};
use crate::store::runs::{self, Detail, NewRun};
use crate::worker::Definitions;

// How many runs are read at once, and after how many it is told how far it has come.
const PORTION: u32 = 1_000;

/// How runs are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// From the step that failed, with the definition that the run began with.
    Retry,
    /// From the start, with the present definition of the flow.
    Replay,
}

/// Which runs are repeated.
#[derive(Clone, Debug)]
pub enum Which {
    /// These, by id or an unambiguous beginning or end of it.
    Named(Vec<String>),
    /// All that the filter finds.
    Found(Filter),
}

/// What became of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Repeated {
    /// The new runs.
    pub queued: Vec<Row>,
    /// The runs that were left alone.
    pub left: Vec<Left>,
}

/// A run that was left alone.
#[derive(Clone, Debug, Serialize)]
pub struct Left {
    /// Its id.
    pub run: String,
    /// Why: stable, `snake_case`.
    pub code: String,
    /// Why, in words.
    pub message: String,
}

/// Repeats runs: of those that a filter finds all, oldest first; those that have a retry are not among them. With
/// `only_show` nothing is queued: the list says which runs would be repeated. `told` hears after each portion what was
/// done so far, where there is more to do.
///
/// # Errors
/// Of one run that is named: `run_unknown`, `run_not_failed`, `run_retried`, `item_gone`, `flow_gone`, `flow_new`. Of
/// several runs each of these is told in [`Repeated::left`].
pub async fn repeat(
    view: &View,
    how: How,
    which: Which,
    only_show: bool,
    told: &mut (dyn FnMut(&Repeated) + Send),
) -> Result<Repeated> {
    let definitions = Definitions::default();
    let mut repeated = Repeated::default();
    match which {
        Which::Named(ids) => {
            let is_one = ids.len() == 1;
            for id in ids {
                let done = match only_show {
                    true => find(view, &id).await.map(|run| Row::from(run.summary)),
                    false => one(view, &definitions, how, &id).await,
                };
                match done {
                    Err(error) if is_one => return Err(error),
                    done => repeated.take(id, done),
                }
            }
        }
        Which::Found(filter) => {
            // What is found by now: a retry that fails meanwhile is for the next command.
            let newest = super::list(view, Filter { limit: 1, ..filter.clone() }).await?;
            let (Some(newest), Some(store)) = (newest.first(), &view.store) else { return Ok(repeated) };
            let state = filter.state.as_deref().map(super::state).transpose()?;
            let Filter { flow, since_ms, error, .. } = filter;
            let is_unretried = how == How::Retry;
            let limit = PORTION;
            let mut wanted = runs::Filter {
                flow,
                state,
                since_ms,
                error,
                is_unretried,
                limit,
                after: Some(String::new()),
                before: None,
            };
            loop {
                let mut rows = store.list_runs(wanted.clone()).await?;
                let is_last = rows.len() < PORTION as usize;
                rows.retain(|row| row.id <= newest.id);
                wanted.after = rows.last().map(|row| row.id.clone());
                for row in rows {
                    let id = row.id.clone();
                    let done = match only_show {
                        true => Ok(Row::from(row)),
                        false => one(view, &definitions, how, &id).await,
                    };
                    match done {
                        Err(error) if newest.id == id && repeated.is_empty() => return Err(error),
                        done => repeated.take(id, done),
                    }
                }
                if is_last || wanted.after.is_none() {
                    break;
                }
                told(&repeated);
            }
        }
    }
    Ok(repeated)
}

impl Repeated {
    fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.left.is_empty()
    }

    fn take(&mut self, run: String, done: Result<Row>) {
        match done {
            Ok(row) => self.queued.push(row),
            Err(error) => self.left.push(Left { run, code: error.code, message: error.message }),
        }
    }
}

async fn one(view: &View, definitions: &Definitions, how: How, id: &str) -> Result<Row> {
    let run = find(view, id).await?;
    let item = run.item.clone().ok_or_else(|| {
        Error::problem("item_gone", format!("the item of run {} is no longer kept", run.summary.id))
            .with_help("keep them longer with `retention: {payloads: ...}` in tidegate.yaml")
    })?;
    let new = match how {
        How::Retry => retry(view, definitions, &run, item).await?,
        How::Replay => replay(view, definitions, &run, item).await?,
    };
    find(view, &new).await.map(|run| Row::from(run.summary))
}

async fn retry(view: &View, definitions: &Definitions, failed: &Detail, item: String) -> Result<String> {
    let store = view.store()?;
    let of = failed.summary.id.clone();
    let now_ms = view.clock.now_ms();
    let definition = definitions.get(store, &failed.definition).await?;
    let root = failed.root.clone().unwrap_or_else(|| of.clone());
    let new = NewRun {
        item_key: failed.summary.item_key.clone(),
        repeats: Some(Repeats::Retry { of: of.clone(), root }),
        ..new_run(&definition, item, now_ms)?
    };
    let id = new.id.clone();
    match store.retry_run(of.clone(), new, now_ms).await? {
        Retried::Queued => Ok(id),
        Retried::Already(by) => Err(Error::problem("run_retried", format!("run {of} was retried already: by {by}"))
            .with_help(format!("look at that one: `tidegate runs show {by}`; if it failed, too, retry it"))),
        Retried::NotFailed => {
            let state = &failed.summary.state;
            let error = Error::problem("run_not_failed", format!("run {of} did not fail: it is {state}"));
            Err(match state.as_str() {
                "unknown" => {
                    error.with_help(format!("say what became of its step: `tidegate runs settle {of} --as ...`"))
                }
                "queued" | "running" | "held" => error.with_help("it is still at work"),
                _ => error.with_help(format!("`tidegate runs replay {of}` does it once more from the start")),
            })
        }
    }
}

async fn replay(view: &View, definitions: &Definitions, before: &Detail, item: String) -> Result<String> {
    let store = view.store()?;
    let flow = before.summary.flow.clone();
    let trigger =
        store.trigger(flow.clone()).await?.ok_or_else(|| match view.project.catalog.flows.contains_key(&flow) {
            // Its run was one by hand.
            true => never_deployed(&flow),
            false => Error::problem("flow_gone", format!("flow `{flow}` is no longer deployed"))
                .with_help("put its file back"),
        })?;
    let now_ms = view.clock.now_ms();
    let definition = definitions.get(store, &trigger.definition).await?;
    let new = NewRun {
        item_key: before.summary.item_key.clone(),
        repeats: Some(Repeats::Replay { of: before.summary.id.clone() }),
        ..new_run(&definition, item, now_ms)?
    };
    let id = new.id.clone();
    store.insert_run(new, now_ms).await?;
    Ok(id)
}
