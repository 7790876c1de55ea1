//! Alerts: what a person should know starts the flows that `alerts` names, a run each with the notice as its
//! item. A notice and its runs commit once, whoever wrote the notice and whatever was killed in between.

use std::sync::Arc;

use serde_json::json;

use super::host::Host;
use super::page;
use crate::clock::rfc3339;
use crate::settings::Alert;
use crate::store::notices::{Notice, Pending};
use crate::store::runs::{NewRun, State};
use crate::store::{self, id};

// At once; the rest is taken up in the next turn.
const PORTION: u32 = 100;

/// Starts the runs of every notice that none were started for yet.
///
/// # Errors
/// The store's.
pub async fn raise(host: &Arc<Host>) -> store::Result<()> {
    for Pending { id, notice } in host.store.pending_notices(PORTION).await? {
        let deployment = host.deployment();
        let wanted = deployment.alerts.iter().filter(|alert| wants(alert, &notice));
        let mut runs = Vec::new();
        for flow in wanted.map(|alert| &alert.flow) {
            // A flow's own trouble would start it again and again.
            if notice.flow.as_deref() == Some(flow) {
                continue;
            }
            if let Some(definition) = deployment.flows.get(flow) {
                let item = json!({
                    "kind": notice.kind, "message": notice.message, "flow": notice.flow,
                    "connection": notice.connection, "at": rfc3339(notice.at),
                });
                let run = NewRun {
                    id: id::new(host.now_ms()),
                    flow: flow.clone(),
                    definition: definition.hash.clone(),
                    state: State::Queued,
                    position: notice.at,
                    slot: None,
                    walk: None,
                    item_key: Some(id.clone()),
                    item: item.to_string(),
                    repeats: None,
                    error: None,
                };
                runs.push(page::judged(host, definition, &item, run));
            }
        }
        let started: Vec<String> = runs.iter().map(|run| run.flow.clone()).collect();
        if host.store.raise_notice(id, runs, host.now_ms()).await? {
            started.iter().for_each(|flow| host.found(flow, 1));
        }
    }
    Ok(())
}

fn wants(alert: &Alert, notice: &Notice) -> bool {
    let is_one = |list: &[String], value: Option<&String>| {
        list.is_empty() || value.is_some_and(|value| list.iter().any(|one| one == value))
    };
    is_one(alert.on.as_slice(), Some(&notice.kind)) && is_one(alert.connections.as_slice(), notice.connection.as_ref())
}
