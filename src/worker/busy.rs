//! What becomes of items that come while their flow is busy, where the flow does not let them wait: they are
//! skipped, or the newest takes the oldest run's place, which is never cut short while it sends, nor while nobody
//! knows what it has done. What a person has done once more always waits.

use std::sync::Arc;

use super::events::What;
use super::host::Host;
use super::lanes::Crowd;
use crate::engine::Run;
use crate::store;
use crate::store::runs::State;

/// Why a run was cancelled that another took the place of.
pub(super) const REPLACED: &str = "a newer item took its place";

/// Skips the runs of a flow that cannot begin, or makes the runs before them give way.
pub(super) async fn settle(host: &Arc<Host>, flow: &str, replaces: bool) -> store::Result<()> {
    let crowds = host.lanes.lock().crowded(flow, host.bounds(flow), replaces);
    for Crowd { left_over, gives_way } in crowds {
        for run in left_over {
            let (state, why) = match replaces {
                true => (State::Cancelled, REPLACED),
                false => (State::Skipped, "the flow was busy"),
            };
            end(host, flow, (&run.id, Some(run.epoch)), state, why).await?;
        }
        if let Some(holder) = gives_way {
            give_way(host, flow, &holder).await?;
        }
    }
    Ok(())
}

async fn give_way(host: &Arc<Host>, flow: &str, run: &str) -> store::Result<()> {
    if host.lanes.lock().is_claimed(flow, run) || is_uncertain(host, run).await? {
        // As soon as nothing is under way and nothing is left open.
        host.replaced.lock().insert(run.to_owned());
        return Ok(());
    }
    end(host, flow, (run, None), State::Cancelled, REPLACED).await?;
    host.lanes.lock().let_go(flow, run);
    Ok(())
}

async fn is_uncertain(host: &Host, run: &str) -> store::Result<bool> {
    let frames = host.store.run(run.to_owned()).await?.and_then(|run| run.frames);
    Ok(frames.is_some_and(|frames| Run::left_uncertain(&frames)))
}

// A claimed run is ended under its claim: while this host was not heard of, another one may have begun it.
async fn end(
    host: &Arc<Host>,
    flow: &str,
    (run, epoch): (&str, Option<i64>),
    state: State,
    why: &str,
) -> store::Result<()> {
    let error = serde_json::json!({ "message": why }).to_string();
    let now_ms = host.now_ms();
    if host.store.end_run(run.to_owned(), epoch, state, Some(error), now_ms).await? {
        host.ended();
        let run = run.to_owned();
        host.tell(flow, || What::RunEnded { run, state: state.word(), message: Some(why.to_owned()), elapsed_ms: 0 });
    }
    Ok(())
}
