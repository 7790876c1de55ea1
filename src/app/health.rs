//! `/health`: whether the host works, in one look.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::up::Live;
use super::{Result, Time, flows};
use crate::store::connections::Standing;
use crate::store::triggers::BY_HAND;

/// How a host is.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// `working`, `attention` where a flow, a connection or a file wants a person, or `stalled` where the store takes
    /// nothing: then nothing is polled, run or acknowledged until it does.
    pub status: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// When the host started.
    pub since: Time,
    /// Runs that are not over.
    pub backlog: u64,
    /// Flows by state.
    pub flows: BTreeMap<String, u64>,
    /// What wants a person, in words.
    pub attention: Vec<String>,
    /// Flows whose polls fail, and why: the host goes on asking by itself.
    pub failing: Vec<String>,
}

/// How the host is. Answers within seconds, also while the store is away.
///
/// # Errors
/// The store's.
pub async fn health(live: &Live) -> Result<Health> {
    if let Some(refusal) = live.host.refusal() {
        let since = Time::from_ms(refusal.since_ms);
        return Ok(stalled(live, format!("store, since {since}: {} ({})", refusal.message, refusal.code)));
    }
    // A database that is away is waited for.
    if live.host.store.presence().is_some_and(|presence| !presence.is_valid()) {
        return Ok(stalled(live, "store: the database cannot be reached (store_unreachable)".to_owned()));
    }
    match tokio::time::timeout(ANSWER_WITHIN, read(live)).await {
        Ok(health) => health,
        Err(_) => Ok(stalled(live, "store: it does not answer".to_owned())),
    }
}

impl Health {
    /// Whether nothing can be done now.
    pub fn is_stalled(&self) -> bool {
        self.status == STALLED
    }
}

const STALLED: &str = "stalled";
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

fn stalled(live: &Live, why: String) -> Health {
    Health {
        status: STALLED,
        version: env!("CARGO_PKG_VERSION"),
        since: live.since(),
        backlog: live.host.known_backlog(),
        flows: BTreeMap::new(),
        attention: vec![why],
        failing: Vec::new(),
    }
}

async fn read(live: &Live) -> Result<Health> {
    let view = &live.view();
    let store = view.store()?;
    let mut by_state = BTreeMap::new();
    let mut attention = Vec::new();
    if let Some(errors) = live.refused() {
        let are = if errors == 1 { "is an error".to_owned() } else { format!("are {errors} errors") };
        attention
            .push(format!("files: there {are} in what changed, so what worked before goes on: see `tidegate check`"));
    }
    let mut failing = Vec::new();
    for flow in flows::list(view).await? {
        *by_state.entry(flow.state.clone()).or_insert(0) += 1;
        let is_fine = match flow.state.as_str() {
            "enabled" | "new" | "gone" => true,
            // Who switched it off knows it.
            "disabled" => flow.reason.as_deref().is_none_or(|reason| reason == BY_HAND),
            _ => false,
        };
        if !is_fine {
            let reason = flow.reason.as_ref().unwrap_or(&flow.state);
            attention.push(format!("flow `{}`: {reason}", flow.name));
        }
        if let (true, Some(failure)) = (flow.state == "enabled" && flow.failures > 0, &flow.last_failure) {
            failing.push(format!("flow `{}`: {failure}", flow.name));
        }
        if let Some(waiting) = flow.runs.get("unknown") {
            attention.push(format!(
                "flow `{}`: {waiting} runs wait for a person (`tidegate runs list --state unknown`)",
                flow.name
            ));
        }
    }
    for connection in store.connection_states().await? {
        if connection.state != Standing::Working {
            let reason = connection.reason.unwrap_or_else(|| connection.state.word().to_owned());
            attention.push(format!("connection `{}`: {reason}", connection.name));
        }
    }
    Ok(Health {
        status: if attention.is_empty() { "working" } else { "attention" },
        version: env!("CARGO_PKG_VERSION"),
        since: live.since(),
        backlog: store.backlog().await?,
        flows: by_state,
        attention,
        failing,
    })
}
