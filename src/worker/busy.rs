//! What becomes of items that come while their flow is busy, where the flow does not let them wait: they are
//! skipped, or they take the older run's place, which is never cut short while it sends.

use std::sync::Arc;

use super::events::What;
use super::host::Host;
use crate::store;
use crate::store::runs::State;

/// Skips the runs of a flow that cannot begin, or makes the runs before them give way.
pub(super) async fn settle(host: &Arc<Host>, flow: &str, replaces: bool) -> store::Result<()> {
    let bounds = host.bounds(flow);
    let mut crowded = host.lanes.lock().crowded(flow, bounds);
    if replaces {
        // The newest takes the place; those between it and the one at work were never begun.
        let Some((newest, holders)) = crowded.pop() else { return Ok(()) };
        for holder in holders {
            give_way(host, flow, &holder).await?;
        }
        // It is found again as soon as the place is free.
        host.lanes.lock().wake_at(flow, newest.due_at.max(host.now_ms() + 1));
    }
    for (run, _) in crowded {
        end(host, flow, &run.id, State::Skipped, "the flow was busy").await?;
    }
    Ok(())
}

async fn give_way(host: &Arc<Host>, flow: &str, run: &str) -> store::Result<()> {
    if host.lanes.lock().is_claimed(flow, run) {
        host.replaced.lock().insert(run.to_owned());
        return Ok(());
    }
    end(host, flow, run, State::Cancelled, "a newer item took its place").await?;
    host.lanes.lock().let_go(flow, run);
    Ok(())
}

async fn end(host: &Arc<Host>, flow: &str, run: &str, state: State, why: &str) -> store::Result<()> {
    let error = serde_json::json!({ "message": why }).to_string();
    let now_ms = host.now_ms();
    if host.store.end_run(run.to_owned(), state, Some(error), now_ms).await? {
        host.ended();
        let run = run.to_owned();
        host.tell(flow, || What::RunEnded { run, state: state.word(), message: Some(why.to_owned()), elapsed_ms: 0 });
    }
    Ok(())
}
