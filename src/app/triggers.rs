//! `tidegate triggers`: how far each flow has read, and reading again.

use serde::Serialize;

use super::{Error, Result, Time, View};
use crate::store::triggers::TriggerRow;

/// One flow's trigger.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The flow.
    pub flow: String,
    /// `enabled`, `disabled`, `attention`, `suspended`.
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// When it is due next.
    pub due_at: Option<Time>,
    /// When it was last asked.
    pub polled_at: Option<Time>,
    /// Whether the first reading, which tells history from news, is done.
    pub seeded: bool,
    /// Items dated before this are history.
    pub baseline_at: Option<Time>,
    /// The newest value of the cursor.
    pub cursor: Option<String>,
    /// The service's time until which everything was read.
    pub covered_until: Option<Time>,
    /// Which ledger counts: a rewind begins a new one.
    pub generation: i64,
    /// Failures since the last success.
    pub failures: i64,
    /// The last failure, in words.
    pub error: Option<String>,
}

/// Every trigger, by flow.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    let _ = view;
    Err(Error::problem("unfinished", "unfinished"))
}

/// One flow's trigger.
///
/// # Errors
/// `flow_unknown`.
pub async fn show(view: &View, flow: &str) -> Result<Row> {
    let _ = (view, flow);
    Err(Error::problem("unfinished", "unfinished"))
}

/// Reads again from a time on, or everything that the service lists: what comes then starts new runs.
///
/// # Errors
/// `flow_unknown`, `trigger_not_polled`, `time_unreadable`.
pub async fn rewind(view: &View, flow: &str, to: Option<&str>) -> Result<Row> {
    let _ = (view, flow, to);
    Err(Error::problem("unfinished", "unfinished"))
}

impl From<TriggerRow> for Row {
    fn from(row: TriggerRow) -> Row {
        let error = row.error.as_deref().map(super::runs::failure_text);
        Row {
            flow: row.flow,
            state: row.state,
            reason: row.reason,
            due_at: row.due_at.filter(|due| *due != i64::MAX).map(Time::from_ms),
            polled_at: row.polled_at.map(Time::from_ms),
            seeded: row.seeded,
            baseline_at: row.baseline_at.map(Time::from_ms),
            cursor: row.value,
            covered_until: row.covered_until.map(Time::from_ms),
            generation: row.generation,
            failures: row.failures,
            error,
        }
    }
}
