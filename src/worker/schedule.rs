//! Flows that a schedule alone starts: each time is one run, and the run and the next time are one commit.
//! Times that passed while the host was down follow the flow's `missed`.

use serde_json::json;

use super::definition::Definition;
use super::events::What;
use super::host::Host;
use super::page;
use crate::clock::rfc3339;
use crate::manifest::flow::Missed;
use crate::store::notices::Notice;
use crate::store::runs::{NewRun, State};
use crate::store::triggers::TriggerRow;
use crate::store::{self, id};

/// A time this much in the past was not heard when it came.
pub(super) const LATE_MS: i64 = 60_000;

/// Starts what a due schedule stands for. `is_first`: for the first time since the host started, so that what passed
/// meanwhile passed while it was down.
///
/// # Errors
/// The store's alone.
pub async fn fire(host: &Host, row: TriggerRow, is_first: bool) -> store::Result<()> {
    let now_ms = host.now_ms();
    let (Some(definition), Some(due_ms)) = (host.deployment().flows.get(&row.flow).cloned(), row.due_at) else {
        return Ok(());
    };
    let Some(schedule) = &definition.flow.trigger.schedule else { return Ok(()) };
    let mut times = schedule.missed(definition.flow.trigger.missed, due_ms, now_ms, &definition.name);
    if times.is_empty() && now_ms - due_ms < LATE_MS {
        // Its schedule was another when this was computed.
        times.push(due_ms);
    }
    let runs: Vec<NewRun> = times.iter().map(|at_ms| run(host, &definition, *at_ms, now_ms)).collect();
    let passed = schedule.missed(Missed::RunAll, due_ms, now_ms, &definition.name).len();
    let is_told = now_ms - due_ms >= LATE_MS || (is_first && passed > runs.len());
    let notice = is_told.then(|| Notice {
        flow: Some(row.flow.clone()),
        connection: None,
        kind: "missed".to_owned(),
        message: format!(
            "the schedule of {} was not heard: {} of its runs are started now",
            rfc3339(due_ms),
            runs.len()
        ),
        details: Some(json!({ "from_ms": due_ms, "to_ms": now_ms, "started": runs.len() }).to_string()),
        at: now_ms,
    });
    let started = runs.len() as u64;
    let next = definition.next_due(now_ms);
    if host.store.fire_schedule(row.flow.clone(), row.epoch, due_ms, next, runs, notice.clone(), now_ms).await? {
        if let Some(notice) = &notice {
            host.announce(notice);
        }
        host.found(&row.flow, started);
        host.tell(&row.flow, || What::Polled { listed: 1, started, filtered: 0 });
    }
    Ok(())
}

fn run(host: &Host, definition: &Definition, at_ms: i64, now_ms: i64) -> NewRun {
    let item = json!({ "scheduled_at": rfc3339(at_ms) });
    let run = NewRun {
        id: id::new(now_ms),
        flow: definition.name.clone(),
        definition: definition.hash.clone(),
        state: State::Queued,
        position: at_ms,
        slot: None,
        walk: None,
        item_key: Some(rfc3339(at_ms)),
        item: item.to_string(),
        repeats: None,
        error: None,
    };
    page::judged(host, definition, &item, run)
}
