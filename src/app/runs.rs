//! `tidegate runs`: what ran, in detail; replaying, cancelling, and settling what nobody knows.

use serde::Serialize;
use serde_json::Value;

use super::{Error, Result, Time, View};

/// Which runs a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this flow alone.
    pub flow: Option<String>,
    /// In this state alone: `held queued running unknown succeeded failed cancelled filtered skipped`.
    pub state: Option<String>,
    /// Older than this run: the next page.
    pub before: Option<String>,
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
    /// The run that it repeats.
    pub retry_of: Option<String>,
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
/// `state_unknown`, with a did-you-mean.
pub async fn list(view: &View, filter: Filter) -> Result<Vec<Row>> {
    let _ = (view, filter);
    Err(Error::problem("unfinished", "unfinished"))
}

/// One run, by its id or an unambiguous beginning or end of it.
///
/// # Errors
/// `run_unknown`.
pub async fn show(view: &View, id: &str) -> Result<Detail> {
    let _ = (view, id);
    Err(Error::problem("unfinished", "unfinished"))
}

/// Starts a new run for the same item with the present definition of its flow.
///
/// # Errors
/// `run_unknown`, `item_gone`, `flow_unknown`.
pub async fn replay(view: &View, id: &str) -> Result<Row> {
    let _ = (view, id);
    Err(Error::problem("unfinished", "unfinished"))
}

/// Ends a run that is not over.
///
/// # Errors
/// `run_unknown`, `run_over`, `run_held`.
pub async fn cancel(view: &View, id: &str) -> Result<Row> {
    let _ = (view, id);
    Err(Error::problem("unfinished", "unfinished"))
}

/// Says what became of the step that a run waits for a person for.
///
/// # Errors
/// `run_unknown`, `run_not_unknown`.
pub async fn settle(view: &View, id: &str, said: Settlement) -> Result<Row> {
    let _ = (view, id, said);
    Err(Error::problem("unfinished", "unfinished"))
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
