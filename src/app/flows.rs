//! `tidegate flows`: what flows there are, how they do, and switching them on and off by hand.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Error, Result, Time, View};
use crate::manifest::Diagnostic;

/// One flow in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What starts it: `x.new_tweet every 1h`, `cron 0 8 * * *`, `manual`.
    pub trigger: String,
    /// `enabled`, `disabled`, `attention`, `suspended`, `broken` (its file), `new` (not deployed yet), `gone`.
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// When it is due next.
    pub next_at: Option<Time>,
    /// When it was last polled or fired.
    pub polled_at: Option<Time>,
    /// How many runs there are, by state.
    pub runs: BTreeMap<String, i64>,
}

/// Everything about one flow.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: Row,
    /// What it is for.
    pub description: Option<String>,
    /// Its file, relative to the project.
    pub file: Option<String>,
    /// Its file's text.
    pub text: Option<String>,
    /// What is wrong with its file.
    pub diagnostics: Vec<Diagnostic>,
    /// What a person should know, newest first.
    pub notices: Vec<Notice>,
}

/// One thing that a person should know.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// When.
    pub at: Time,
    /// `gap`, `missed`, `attention`, ...
    pub kind: String,
    /// In words.
    pub message: String,
}

/// Every flow, by name: those in files, and those whose file is gone.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    let _ = view;
    Err(Error::problem("unfinished", "unfinished"))
}

/// One flow.
///
/// # Errors
/// `flow_unknown`.
pub async fn show(view: &View, name: &str) -> Result<Detail> {
    let _ = (view, name);
    Err(Error::problem("unfinished", "unfinished"))
}

/// Switches a flow on that was switched off by hand, or whose connection works again.
pub async fn enable(view: &View, name: &str) -> Result<Row> {
    let _ = (view, name);
    Err(Error::problem("unfinished", "unfinished"))
}

/// Switches a flow off: it starts nothing until it is enabled by hand, whatever its file says. Runs that have
/// begun go on.
pub async fn disable(view: &View, name: &str) -> Result<Row> {
    let _ = (view, name);
    Err(Error::problem("unfinished", "unfinished"))
}
