//! The journal: one entry per attempt of a step. `store` keeps them by run, key and attempt, a later one in
//! place of an earlier; `resume` reads back those that are still visible.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failure;

/// What the journal says of one attempt of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Path of the step within the run: `1`, `2[3].0`, `4.then.1`, `on_failure.0`; of an element of an
    /// action's own list `1[3]`; of what a loop's turn left `2[3]`.
    pub key: String,
    /// The loop's turn that it belongs to (`2[3]`), empty outside loops. What the turns of a loop left and
    /// what the elements of an action's own list gave belong to `2[]`.
    pub scope: String,
    /// What other steps call it.
    pub id: Option<String>,
    /// 1 for the first.
    pub attempt: u32,
    /// The step's keyword.
    pub form: Cow<'static, str>,
    /// How it stands.
    pub state: EntryState,
    /// What the step was given; `None` leaves what the journal has for this key and attempt.
    pub input: Option<Arc<Value>>,
    /// What it gave.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// UTC epoch milliseconds.
    pub started_ms: i64,
    /// UTC epoch milliseconds; `None` while it is under way.
    pub ended_ms: Option<i64>,
}

/// How an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// Its inner steps are being done.
    Running,
    /// It is about to be sent: the mark before a request that must not be repeated.
    Sending,
    /// It waits for a point in time.
    Waiting,
    /// It failed and is tried again.
    Retrying,
    /// Nobody knows whether it was done; it is looked up, or a person decides.
    Unknown,
    /// Its guard was false.
    Skipped,
    /// It is done.
    Succeeded,
    /// It failed for good.
    Failed,
}

impl EntryState {
    /// As it is written in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            EntryState::Running => "running",
            EntryState::Sending => "sending",
            EntryState::Waiting => "waiting",
            EntryState::Retrying => "retrying",
            EntryState::Unknown => "unknown",
            EntryState::Skipped => "skipped",
            EntryState::Succeeded => "succeeded",
            EntryState::Failed => "failed",
        }
    }

    /// Whether it never changes again.
    pub fn is_final(self) -> bool {
        matches!(self, EntryState::Skipped | EntryState::Succeeded | EntryState::Failed)
    }
}
