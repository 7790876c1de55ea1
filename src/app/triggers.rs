//! `tidegate triggers`: how far each flow has read, and reading again.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::{Error, Result, Time, View, flows, project};
use crate::store::Store;
use crate::store::approvals::is_for_replies;
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

/// A trigger with what a person should know about its flow.
#[derive(Clone, Debug, Serialize)]
pub struct Known {
    /// The trigger.
    #[serde(flatten)]
    pub trigger: Row,
    /// What a person should know.
    pub notices: Vec<flows::Notice>,
    /// Its last request, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Value>,
}

/// Every trigger, by flow.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    match &view.store {
        // What looks for replies is no flow, and rests most of the time.
        Some(store) => {
            let of_flows = store.triggers().await?.into_iter().filter(|row| !is_for_replies(&row.flow));
            Ok(of_flows.map(Row::from).collect())
        }
        None => Ok(Vec::new()),
    }
}

/// One flow's trigger.
///
/// # Errors
/// `flow_unknown`.
pub async fn show(view: &View, flow: &str) -> Result<Row> {
    find(view, flow).await.map(Row::from)
}

/// One flow's trigger with what a person should know, and, where `exchanges` are wanted, its last request.
///
/// # Errors
/// `flow_unknown`; the store's.
pub async fn known(view: &View, flow: &str, exchanges: bool) -> Result<Known> {
    let trigger = show(view, flow).await?;
    let notices = flows::show(view, flow).await?.notices;
    let exchange = if exchanges { exchange(view, flow).await? } else { None };
    Ok(Known { trigger, notices, exchange })
}

/// The last request of a flow's trigger and its answer, secrets masked; none before the first poll.
///
/// # Errors
/// The store's.
pub async fn exchange(view: &View, flow: &str) -> Result<Option<Value>> {
    let text = view.store()?.trigger_exchange(flow.to_owned()).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Reads again from a time on, or everything that the service lists: what comes then starts new runs.
///
/// # Errors
/// `flow_unknown`, `trigger_not_polled`, `rewind_undated`, `time_unreadable`, `time_ahead`.
pub async fn rewind(view: &View, flow: &str, to: Option<&str>) -> Result<Row> {
    let now_ms = view.clock.now_ms();
    let to = to.map(Time::parse).transpose()?;
    if let Some(to) = to.filter(|to| to.ms > now_ms) {
        return Err(
            Error::usage("time_ahead", format!("{to} is not over yet")).with_help("rewind to a time in the past")
        );
    }
    let stored = find(view, flow).await?;
    // Read from the definition, not the files: what a host has deployed is what it polls.
    let store = view.store()?;
    let written = definition(store, &stored.definition).await?;
    let polled = written.as_ref().and_then(|written| written.pointer("/flow/trigger/poll")?.as_str());
    let Some(polled) = polled else {
        return Err(Error::problem(
            "trigger_not_polled",
            format!("flow `{flow}` polls nothing, so there is nothing to read again"),
        ));
    };
    if to.is_some() && !is_dated(store, written.as_ref(), polled).await? {
        return Err(Error::usage(
            "rewind_undated",
            format!("the items of `{polled}` have no dates, so there is no reading them again from a time on"),
        )
        .with_help("`--all` reads everything that the service lists, and starts a run for each"));
    }
    store.rewind(flow.to_owned(), to.map(|to| to.ms), now_ms).await?;
    show(view, flow).await
}

async fn definition(store: &Store, hash: &str) -> Result<Option<Value>> {
    let text = store.definition(hash.to_owned()).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

// Whether the trigger that a definition polls, `connector.trigger`, has a cursor that says when an item was made.
async fn is_dated(store: &Store, written: Option<&Value>, polled: &str) -> Result<bool> {
    let Some((connector, trigger)) = polled.split_once('.') else { return Ok(false) };
    let hash = written.and_then(|written| written.pointer("/connectors")?.get(connector)?.as_str());
    let Some(manifest) = definition(store, hash.unwrap_or_default()).await? else { return Ok(false) };
    let kind = manifest.pointer("/triggers").and_then(|triggers| triggers.get(trigger)?.pointer("/cursor/type"));
    Ok(matches!(kind.and_then(Value::as_str), Some("snowflake" | "datetime")))
}

// What looks for replies is no flow: nobody reads it again.
async fn find(view: &View, flow: &str) -> Result<TriggerRow> {
    let store = view.store()?;
    if let Some(found) = store.trigger(flow.to_owned()).await?.filter(|row| !is_for_replies(&row.flow)) {
        return Ok(found);
    }
    let catalog = &view.project.catalog;
    if catalog.flows.contains_key(flow) || catalog.broken_flows.contains(flow) {
        return Err(flows::never_deployed(flow));
    }
    let deployed = store.triggers().await?.into_iter().filter(|row| !is_for_replies(&row.flow));
    let mut known: BTreeSet<String> = deployed.map(|row| row.flow).collect();
    known.extend(catalog.flows.keys().chain(&catalog.broken_flows).cloned());
    Err(project::flow_unknown(flow, known.iter().map(String::as_str)))
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
