//! `tidegate runs`: what ran, in detail; replaying, cancelling, and settling what nobody knows.

pub mod repeat;
pub mod results;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::result::ActionResult;
use super::{Error, Result, Time, View, project};
use crate::manifest::diagnostic::did_you_mean;
use crate::store::approvals::is_for_replies;
use crate::store::runs::{self, NewRun, State};
use crate::store::steps::StepRow;
use crate::store::{Store, id};
use crate::template::Scope;
use crate::worker::{Definition, Definitions, SETTLED, waiting};

// How many rows a list has unless told otherwise.
const LISTED: u32 = 20;
// With fewer characters of its id no run is looked for.
const SHORTEST_ID: usize = 6;

/// Which runs a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this flow alone.
    pub flow: Option<String>,
    /// In this state alone: `held queued running unknown succeeded failed cancelled filtered skipped`.
    pub state: Option<String>,
    /// Older than this run: the next page.
    pub before: Option<String>,
    /// Found at this time or later.
    pub since_ms: Option<i64>,
    /// Whose failure contains this text.
    pub error: Option<String>,
    /// The most rows; 20 where it is 0.
    pub limit: u32,
}

/// One run in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its flow.
    pub flow: String,
    /// How it is.
    pub state: String,
    /// What makes its item the same item.
    pub item_key: Option<String>,
    /// When it was found.
    pub created_at: Time,
    /// When it was over.
    pub ended_at: Option<Time>,
    /// When its next step is due.
    pub due_at: Option<Time>,
    /// Why it failed, in words.
    pub error: Option<String>,
}

/// Everything that is known of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: Row,
    /// The hash of the definition that it is pinned to.
    pub definition: String,
    /// The failed run that it goes on with.
    pub retry_of: Option<String>,
    /// The run that it does once more from the start.
    pub replay_of: Option<String>,
    /// The run that goes on with this one.
    pub retried_by: Option<String>,
    /// Its item; none once retention took it.
    pub item: Option<Value>,
    /// Its failure, whole.
    pub failure: Option<Value>,
    /// Its journal.
    pub steps: Vec<Step>,
}

/// One attempt of a step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its place within the run.
    pub key: String,
    /// The id that the flow gives it.
    pub id: Option<String>,
    /// `action`, `set`, `foreach`, ...
    pub form: String,
    /// 1 for the first.
    pub attempt: u32,
    /// `sending`, `succeeded`, `failed`, `skipped`, `waiting`, `retrying`, `unknown`, `settled`.
    pub state: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// What it was given.
    pub input: Option<Value>,
    /// What came of it.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<Value>,
    /// The request and response, secrets masked.
    pub exchange: Option<Value>,
    /// What came of an action that is over, as `tidegate call` tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ActionResult>,
}

/// What a person says of a step of which nobody knows whether it was done.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// It was done, with this output.
    Done(Value),
    /// It was not done: do it again.
    Retry,
    /// It was not done, and is not to be.
    Failed,
}

/// Runs, newest first.
///
/// # Errors
/// `state_unknown` and `flow_unknown`, with a did-you-mean; `run_unknown` for `before`; the store's.
pub async fn list(view: &View, filter: Filter) -> Result<Vec<Row>> {
    let state = filter.state.as_deref().map(state).transpose()?;
    let Some(store) = &view.store else {
        if let Some(flow) = &filter.flow {
            known(view, None, flow).await?;
        }
        if let Some(before) = filter.before {
            place_of(view, before).await?;
        }
        return Ok(Vec::new());
    };
    let limit = if filter.limit == 0 { LISTED } else { filter.limit };
    let Filter { flow, before, since_ms, error, .. } = filter;
    let before = match before {
        Some(before) => Some(place_of(view, before).await?),
        None => None,
    };
    let wanted = runs::Filter { flow: flow.clone(), state, before, since_ms, error, limit, ..runs::Filter::default() };
    let rows: Vec<Row> = store.list_runs(wanted).await?.into_iter().map(Row::from).collect();
    if let (Some(flow), true) = (flow, rows.is_empty()) {
        known(view, Some(store), &flow).await?;
    }
    Ok(rows)
}

// A whole id is a place in the list, also where retention took its run since.
async fn place_of(view: &View, before: String) -> Result<String> {
    match uuid::Uuid::try_parse(&before) {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Ok(find(view, &before).await?.summary.id),
    }
}

// Nothing is found of a flow that is mistyped, either.
async fn known(view: &View, store: Option<&Store>, flow: &str) -> Result<()> {
    let catalog = &view.project.catalog;
    let mut names: BTreeSet<String> = catalog.flows.keys().chain(&catalog.broken_flows).cloned().collect();
    if let Some(store) = store {
        names.extend(store.triggers().await?.into_iter().map(|row| row.flow));
        names.extend(store.run_counts().await?.into_iter().map(|(flow, ..)| flow));
    }
    match names.contains(flow) {
        true => Ok(()),
        // What looks for replies is no flow that a person knows.
        false => {
            Err(project::flow_unknown(flow, names.iter().map(String::as_str).filter(|name| !is_for_replies(name))))
        }
    }
}

/// One run, by its id or an unambiguous beginning or end of it.
///
/// # Errors
/// `run_unknown`.
pub async fn show(view: &View, id: &str) -> Result<Detail> {
    let run = find(view, id).await?;
    // A definition that this program can no longer read takes only the tables with it.
    let definition = Definitions::default().get(view.store()?, &run.definition).await.ok();
    let rows = run.steps.clone();
    let mut detail = Detail::from(run);
    results::tell(&mut detail.steps, &rows, definition.as_deref());
    Ok(detail)
}

/// Ends a run that is not over.
///
/// # Errors
/// `run_unknown`, `run_over`, `run_held`.
pub async fn cancel(view: &View, id: &str) -> Result<Row> {
    let run = find(view, id).await?;
    let id = run.summary.id;
    let error = json!({ "message": "cancelled by hand" }).to_string();
    let now_ms = view.clock.now_ms();
    if !view.store()?.end_run(id.clone(), None, State::Cancelled, Some(error), now_ms).await? {
        return Err(match find(view, &id).await?.summary.state.as_str() {
            "held" => Error::problem("run_held", format!("run {id} is held until its poll is complete"))
                .with_help("cancel it once it is queued"),
            over => Error::problem("run_over", format!("run {id} is over: {over}")),
        });
    }
    find(view, &id).await.map(|run| Row::from(run.summary))
}

/// Says what became of the step that a run waits for a person for.
///
/// # Errors
/// `run_unknown`, `run_not_unknown`.
pub async fn settle(view: &View, id: &str, said: Settlement) -> Result<Row> {
    let run = find(view, id).await?;
    let id = run.summary.id.clone();
    let not_unknown = |state: &str| {
        Error::problem("run_not_unknown", format!("run {id} waits for nobody: it is {state}"))
            .with_help("`tidegate runs list --state unknown` shows those that do")
    };
    let Some(waiting) = waiting(&run.steps).filter(|_| run.summary.state == "unknown") else {
        return Err(not_unknown(&run.summary.state));
    };
    let now_ms = view.clock.now_ms();
    let (form, output) = match said {
        Settlement::Done(output) => ("done", Some(output.to_string())),
        Settlement::Retry => ("retry", None),
        Settlement::Failed => ("failed", None),
    };
    let said = StepRow {
        key: format!("{}!{now_ms}", waiting.key),
        attempt: waiting.attempt,
        scope: waiting.scope.clone(),
        step: waiting.step.clone(),
        form: form.to_owned(),
        state: SETTLED.to_owned(),
        output,
        started_at: now_ms,
        ended_at: Some(now_ms),
        ..StepRow::default()
    };
    if !view.store()?.resume_unknown(id.clone(), said, now_ms).await? {
        return Err(not_unknown(&find(view, &id).await?.summary.state));
    }
    find(view, &id).await.map(|run| Row::from(run.summary))
}

/// A run to begin with, due at once.
///
/// # Errors
/// Where the flow's concurrency key cannot be made of the item.
pub(super) fn new_run(definition: &Definition, item: String, now_ms: i64) -> Result<NewRun> {
    let slot = match &definition.flow.concurrency.key {
        None => None,
        Some(key) => {
            let mut scope = Scope::new();
            scope.set_now(now_ms);
            scope.set("inputs", definition.inputs.clone());
            scope.set("item", serde_json::from_str(&item).unwrap_or_default());
            let rendered = key.render(&scope).map_err(|error| {
                Error::problem(
                    error.code,
                    format!("the concurrency key of flow `{}`: {}", definition.name, error.message),
                )
            })?;
            Some(rendered)
        }
    };
    Ok(NewRun {
        id: id::new(now_ms),
        flow: definition.name.clone(),
        definition: definition.hash.clone(),
        state: State::Queued,
        position: now_ms,
        slot,
        walk: None,
        item_key: None,
        item,
        repeats: None,
        error: None,
    })
}

async fn find(view: &View, id: &str) -> Result<runs::Detail> {
    let found = view.store()?.run(id.to_owned()).await?;
    found.ok_or_else(|| {
        let message = match id.chars().count() < SHORTEST_ID {
            true => format!("`{id}` is too short to name a run"),
            false => format!("there is no run `{id}`, or more than one that is meant"),
        };
        Error::problem("run_unknown", message).with_help(
            "`tidegate runs list` shows their ids; six characters from the end are enough where they are unambiguous",
        )
    })
}

fn state(word: &str) -> Result<State> {
    State::from_word(word).ok_or_else(|| {
        let words = State::ALL.map(State::word);
        let help = match did_you_mean(word, words) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("there are: {}", words.join(", ")),
        };
        Error::usage("state_unknown", format!("there is no state `{word}`")).with_help(help)
    })
}

fn json_of(text: Option<String>) -> Option<Value> {
    text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

impl From<runs::Summary> for Row {
    fn from(run: runs::Summary) -> Row {
        Row {
            id: run.id,
            flow: run.flow,
            state: run.state,
            item_key: run.item_key,
            created_at: Time::from_ms(run.created_at),
            ended_at: run.ended_at.map(Time::from_ms),
            due_at: run.due_at.map(Time::from_ms),
            error: run.error.as_deref().map(failure_text),
        }
    }
}

impl From<runs::Detail> for Detail {
    fn from(run: runs::Detail) -> Detail {
        Detail {
            failure: json_of(run.summary.error.clone()),
            row: Row::from(run.summary),
            definition: run.definition,
            retry_of: run.retry_of,
            replay_of: run.replay_of,
            retried_by: run.retried_by,
            item: json_of(run.item),
            steps: run.steps.into_iter().map(Step::from).collect(),
        }
    }
}

impl From<StepRow> for Step {
    fn from(step: StepRow) -> Step {
        Step {
            key: step.key,
            id: step.step,
            form: step.form,
            attempt: step.attempt,
            state: step.state,
            started_at: Time::from_ms(step.started_at),
            ended_at: step.ended_at.map(Time::from_ms),
            input: json_of(step.input),
            output: json_of(step.output),
            error: json_of(step.error),
            exchange: json_of(step.exchange),
            result: None,
        }
    }
}

/// A stored failure, in words.
pub(super) fn failure_text(stored: &str) -> String {
    let value: Value = match serde_json::from_str(stored) {
        Ok(value) => value,
        Err(_) => return stored.to_owned(),
    };
    let message = |value: &Value| value.get("message").and_then(Value::as_str).map(str::to_owned);
    let step = value.get("step").and_then(Value::as_str);
    match (step, value.get("failure").and_then(message)) {
        (Some(step), Some(text)) => format!("{step}: {text}"),
        _ => message(&value).unwrap_or_else(|| stored.to_owned()),
    }
}
