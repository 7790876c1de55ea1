//! Finding what is due and setting it to work: polls, then runs, each within its bounds. What this host has is
//! kept in memory; whether others may have some as well is the store's (`store/claims.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::drive::{Left, drive};
use super::host::{Host, Stop};
use super::lanes::CLAIM;
use super::{busy, poll, schedule};
use crate::crash;
use crate::manifest::flow::OnBusy;
use crate::planted::bug;
use crate::store;
use crate::store::claims::Wanted;
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
    give_back(host).await?;
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

// What could not be gone on with is free for every host again; what the store does not take now is kept.
async fn give_back(host: &Host) -> store::Result<()> {
    let given_up = std::mem::take(&mut *host.given_up.lock());
    if given_up.runs.is_empty() && given_up.refused.is_empty() && given_up.triggers.is_empty() {
        return Ok(());
    }
    let outcome = host.store.give_up(given_up.clone()).await;
    if outcome.is_err() {
        let mut kept = host.given_up.lock();
        kept.runs.extend(given_up.runs);
        kept.refused.extend(given_up.refused);
        kept.triggers.extend(given_up.triggers);
    }
    outcome
}

async fn claim(host: &Arc<Host>, flow: String, claimed: u32) -> store::Result<()> {
    let done = look_for(host, flow.clone(), claimed).await;
    if done.is_err() {
        // Nobody knows what there is.
        host.lanes.lock().stir(&flow);
    }
    done
}

async fn look_for(host: &Arc<Host>, flow: String, claimed: u32) -> store::Result<()> {
    let bounds = host.bounds(&flow);
    // A run that waited may have been cancelled from outside: its slot is free then.
    if bounds.holds_slots() && host.lanes.lock().has_waiting(&flow) && !bug("cancelled_holds_slot") {
        let held = host.store.held_slots(flow.clone()).await?;
        host.lanes.lock().keep_held(&flow, &held);
    }
    let deployed = host.deployment().flows.get(&flow).map(|definition| definition.flow.concurrency.on_busy);
    let on_busy = deployed.unwrap_or(OnBusy::Queue);
    let busy = {
        let mut lanes = host.lanes.lock();
        // Those that do not wait have to be seen while the slot is taken.
        let leaves_out = bounds.holds_slots() && on_busy == OnBusy::Queue;
        let busy = if leaves_out { lanes.busy(&flow, bounds) } else { Vec::new() };
        lanes.begin_claim(&flow, !busy.is_empty());
        busy
    };
    let now_ms = host.now_ms();
    let is_lane = bounds.holds_slots();
    let wanted = Wanted { flow: flow.clone(), now_ms, limit: CLAIM, claimed, busy, is_lane };
    crash::point("claim.before");
    let due = host.store.claim_runs(wanted).await?;
    crash::point("claim.after");
    if due.is_new_lane {
        for (run, slot) in host.store.held_slots(flow.clone()).await? {
            host.lanes.lock().hold(&flow, run, slot);
        }
    }
    let left_out = host.lanes.lock().claim(&flow, due.runs, due.has_more, due.next_due_at);
    host.give_back(left_out.iter().map(|run| (run.id.clone(), run.epoch)));
    match on_busy {
        OnBusy::Skip | OnBusy::Replace => {
            dispatch(host);
            busy::settle(host, &flow, on_busy == OnBusy::Replace).await
        }
        OnBusy::Queue => Ok(()),
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
    let left = match host.store_takes().await {
        Ok(()) => drive(&host, &run).await,
        Err(error) => Err(error),
    };
    if matches!(left, Ok(Left::Over)) {
        host.replaced.lock().remove(&run.id);
    }
    let is_asking = matches!(left, Ok(Left::Asks { .. }));
    if is_asking && !bug("asking_stays_claimed") {
        // It was kept for a look at the answers; whichever host hears of one goes on with it.
        host.give_back([(run.id.clone(), run.epoch)]);
    }
    let (keeps_slot, due_ms) = match left {
        Ok(Left::Over) => (false, None),
        Ok(Left::Waits { due_ms } | Left::Asks { due_ms }) => {
            (host.bounds(&flow).holds_slots() && !bug("slot_let_go"), Some(due_ms))
        }
        Err(error) => {
            // Nothing was acknowledged: the run is as the store has it, and is looked for again in a while.
            host.store_refused(&error);
            host.given_up.lock().refused.push((run.id.clone(), run.epoch));
            // It may have begun: the next claim, which asks which runs have, frees the slot of one that has not.
            (host.bounds(&flow).holds_slots(), Some(host.now_ms() + STORE_PAUSE_MS))
        }
    };
    let is_hungry = {
        let mut lanes = host.lanes.lock();
        let is_hungry = lanes.finish(&flow, &run, keeps_slot, due_ms);
        // An answer may have made it due while it was still at work, and then nobody looked.
        if is_asking {
            lanes.stir(&flow);
        }
        is_hungry
    };
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
    let under_way: Vec<String> = host.polling.lock().iter().cloned().collect();
    let room = host.options.polls.saturating_sub(under_way.len());
    if room == 0 {
        return Ok(None);
    }
    let now_ms = host.now_ms();
    if let Some(later_ms) = host.poll_look(now_ms) {
        return Ok(Some(later_ms));
    }
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    crash::point("claim.before");
    let due = host.store.claim_triggers(now_ms, room, under_way).await?;
    crash::point("claim.after");
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
    let (flow, epoch) = (row.flow.clone(), row.epoch);
    let is_first = host.polled.lock().insert(flow.clone());
    let kind = host.deployment().polled(&flow).map(|definition| matches!(definition.source, Source::Poll(_)));
    let done = match (host.store_takes().await, kind) {
        (Err(error), _) => Err(error),
        (Ok(()), Some(true)) => poll::poll(&host, row, is_first).await,
        (Ok(()), Some(false)) => schedule::fire(&host, row, is_first).await,
        // Its file went away between the look and now: the next deployment disables it.
        (Ok(()), None) => Ok(()),
    };
    if done.is_ok() {
        host.store_took();
    }
    if let Err(error) = done {
        host.store_refused(&error);
        host.lanes.lock().wake_at(&flow, host.now_ms() + STORE_PAUSE_MS);
        tokio::time::sleep(std::time::Duration::from_millis(STORE_PAUSE_MS.unsigned_abs())).await;
    }
    host.given_up.lock().triggers.push((flow.clone(), epoch));
    if let Err(error) = give_back(&host).await {
        host.store_refused(&error);
    }
    host.polling.lock().remove(&flow);
    host.wake.notify_one();
    host.idle.notify_one();
}
