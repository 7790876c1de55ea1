//! Finding what is due and setting it to work: polls, then runs, each within its bounds. Claims are kept in
//! memory; the store's host lock proves that nobody else claims.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::drive::{Left, drive};
use super::host::{Host, Stop};
use super::lanes::CLAIM;
use super::{busy, poll, schedule};
use crate::manifest::flow::OnBusy;
use crate::store;
use crate::store::due::DueRun;
use crate::store::triggers::TriggerRow;
use crate::worker::definition::Source;

/// What is due and when the rest is.
pub(super) struct Look {
    /// The earliest time at which something else is due; UTC epoch milliseconds.
    pub next_due_ms: Option<i64>,
}

/// Sets to work everything that is due and has room.
pub(super) async fn set_to_work(host: &Arc<Host>) -> store::Result<Look> {
    let polls = set_polls_to_work(host).await?;
    let now_ms = host.now_ms();
    let mut runs = host.lanes.lock().stir_due(now_ms);
    loop {
        let hungry = host.lanes.lock().hungry();
        if hungry.is_empty() || host.stop() != Stop::No {
            break;
        }
        for (flow, claimed) in hungry {
            claim(host, flow, claimed).await?;
        }
        dispatch(host);
        runs = host.lanes.lock().stir_due(now_ms);
    }
    dispatch(host);
    Ok(Look { next_due_ms: [polls, runs].into_iter().flatten().min() })
}

async fn claim(host: &Arc<Host>, flow: String, claimed: u32) -> store::Result<()> {
    let busy = {
        let mut lanes = host.lanes.lock();
        let bounds = host.bounds(&flow);
        let busy = if bounds.holds_slots() { lanes.busy(&flow, bounds) } else { Vec::new() };
        lanes.begin_claim(&flow, !busy.is_empty());
        busy
    };
    let due = host.store.due_runs(flow.clone(), host.now_ms(), CLAIM + claimed, busy).await?;
    host.lanes.lock().claim(&flow, due.runs, due.has_more, due.next_due_at);
    let on_busy = host.deployment().flows.get(&flow).map(|definition| definition.flow.concurrency.on_busy);
    match on_busy {
        Some(OnBusy::Skip | OnBusy::Replace) => {
            dispatch(host);
            busy::settle(host, &flow, on_busy == Some(OnBusy::Replace)).await
        }
        Some(OnBusy::Queue) | None => Ok(()),
    }
}

/// Begins as many claimed runs as there is room for.
pub(super) fn dispatch(host: &Arc<Host>) {
    if host.stop() != Stop::No {
        return;
    }
    loop {
        let next = host.lanes.lock().next(host.options.runs, |flow| host.bounds(flow));
        let Some((flow, run)) = next else { return };
        let host = Arc::clone(host);
        tokio::spawn(async move { work(host, flow, run).await });
    }
}

// One run's turn, and then the next's without going through the claimer.
async fn work(host: Arc<Host>, flow: String, run: DueRun) {
    let left = drive(&host, &run).await;
    let (keeps_slot, due_ms) = match left {
        Ok(Left::Over) => (false, None),
        Ok(Left::Waits { due_ms }) => (host.bounds(&flow).holds_slots(), Some(due_ms)),
        Err(error) => {
            // Nothing was acknowledged: the run is as the store has it, and is looked for again in a while.
            host.store_refused(&error);
            (false, Some(host.now_ms() + STORE_PAUSE_MS))
        }
    };
    let is_hungry = host.lanes.lock().finish(&flow, &run, keeps_slot, due_ms);
    dispatch(&host);
    if is_hungry || due_ms.is_some() {
        host.wake.notify_one();
    }
    host.idle.notify_one();
}

/// How long work waits that the store could not take; milliseconds.
pub(super) const STORE_PAUSE_MS: i64 = 2_000;

async fn set_polls_to_work(host: &Arc<Host>) -> store::Result<Option<i64>> {
    if host.stop() != Stop::No {
        return Ok(None);
    }
    if host.backlog.load(Ordering::Relaxed) > host.options.backlog {
        if !host.are_polls_waiting.swap(true, Ordering::Relaxed) {
            tracing::warn!("more than {} runs are unfinished: polling waits", host.options.backlog);
        }
        return Ok(None);
    }
    let under_way = host.polling.lock().len();
    let room = host.options.polls.saturating_sub(under_way);
    if room == 0 {
        return Ok(None);
    }
    let limit = u32::try_from(room + under_way).unwrap_or(u32::MAX);
    let due = host.store.due_triggers(host.now_ms(), limit).await?;
    for row in due {
        if !host.polling.lock().insert(row.flow.clone()) {
            continue;
        }
        let host = Arc::clone(host);
        tokio::spawn(async move { poll_one(host, row).await });
    }
    // A trigger that is due and under way moves its due time when it is done, and wakes the host then.
    host.store.next_trigger_due_after(host.now_ms()).await
}

async fn poll_one(host: Arc<Host>, row: TriggerRow) {
    let flow = row.flow.clone();
    let is_first = host.polled.lock().insert(flow.clone());
    let kind = host.deployment().flows.get(&flow).map(|definition| matches!(definition.source, Source::Poll(_)));
    let done = match kind {
        Some(true) => poll::poll(&host, row, is_first).await,
        Some(false) => schedule::fire(&host, row).await,
        // Its file went away between the look and now: the next deployment disables it.
        None => Ok(()),
    };
    if let Err(error) = done {
        host.store_refused(&error);
        host.lanes.lock().wake_at(&flow, host.now_ms() + STORE_PAUSE_MS);
        tokio::time::sleep(std::time::Duration::from_millis(STORE_PAUSE_MS.unsigned_abs())).await;
    }
    host.polling.lock().remove(&flow);
    host.wake.notify_one();
    host.idle.notify_one();
}
