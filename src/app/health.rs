//! `/health`: whether the host works, in one look.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Result, Time, View, flows};
use crate::store::connections::Standing;
use crate::store::triggers::BY_HAND;

/// How a host is.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// `working`, or `attention` where a flow, a connection or a file wants a person.
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
}

/// How the host is that has worked since `since`.
///
/// # Errors
/// The store's.
pub async fn health(view: &View, since: Time) -> Result<Health> {
    let store = view.store()?;
    let mut by_state = BTreeMap::new();
    let mut attention = Vec::new();
    for flow in flows::list(view).await? {
        *by_state.entry(flow.state.clone()).or_insert(0) += 1;
        let is_fine = match flow.state.as_str() {
            "enabled" | "new" | "gone" => true,
            // Who switched it off knows it.
            "disabled" => flow.reason.as_deref().is_none_or(|reason| reason == BY_HAND),
            _ => false,
        };
        if !is_fine {
            let reason = flow.reason.unwrap_or(flow.state);
            attention.push(format!("flow `{}`: {reason}", flow.name));
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
        since,
        backlog: store.backlog().await?,
        flows: by_state,
        attention,
    })
}
