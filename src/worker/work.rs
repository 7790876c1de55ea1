//! The host at work: wakes when something is due, when something was settled, and when another process wrote
//! to the store. A stop lets what is under way finish; `drain_due` works off what is due and returns.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::claims::{self, STORE_PAUSE_MS};
use super::definition::Source;
use super::host::{Host, Stop};
use crate::store;

// How often the host looks whether another process wrote to its store.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const PRUNE_EVERY_MS: i64 = 600_000;

/// Works until `stop` resolves; then finishes what is under way, or leaves it after the drain time: it is
/// taken up again at the next start.
///
/// # Errors
/// The store's, when even the first look at it fails.
pub async fn work(host: Arc<Host>, stop: impl Future<Output = ()>) -> store::Result<()> {
    take_up(&host).await?;
    let mut stop = std::pin::pin!(stop);
    let mut version = host.store.database().data_version().await?;
    let mut prune_at = host.now_ms();
    loop {
        // Interest is registered before looking, so that nothing settled meanwhile is missed.
        let wake = host.wake.notified();
        let next_due_ms = match claims::set_to_work(&host).await {
            Ok(look) => look.next_due_ms,
            Err(error) => {
                host.store_refused(&error);
                Some(host.now_ms() + STORE_PAUSE_MS)
            }
        };
        let now_ms = host.now_ms();
        if now_ms >= prune_at {
            prune_at = now_ms + PRUNE_EVERY_MS;
            tokio::spawn(prune(Arc::clone(&host)));
        }
        let until_due = next_due_ms.map_or(LOOK_EVERY, |due| millis(due - now_ms)).min(LOOK_EVERY);
        tokio::select! {
            () = &mut stop => break,
            () = wake => {}
            () = tokio::time::sleep(until_due) => {
                if let Ok(now) = host.store.database().data_version().await && now != version {
                    version = now;
                    host.stir();
                }
            }
        }
    }
    host.drain();
    let deadline = tokio::time::Instant::now() + millis(host.options.drain_ms);
    while host.under_way() > 0 {
        let idle = host.idle.notified();
        if host.under_way() == 0 {
            break;
        }
        if tokio::time::timeout_at(deadline, idle).await.is_err() {
            tracing::warn!(
                "{} pieces of work did not finish in time; they are taken up at the next start",
                host.under_way()
            );
            break;
        }
    }
    Ok(())
}

/// Works off everything that is due by the host's clock, and returns when nothing is: for tests, and for
/// commands that need no host.
///
/// # Errors
/// The store's.
pub async fn drain_due(host: &Arc<Host>) -> store::Result<()> {
    take_up(host).await?;
    let mut has_looked_twice = false;
    loop {
        let idle = host.idle.notified();
        claims::set_to_work(host).await?;
        if host.under_way() > 0 {
            has_looked_twice = false;
            idle.await;
            continue;
        }
        // What is due may have become so while the last piece of work ended; what then still does not
        // begin waits for something else, such as its flow's only slot.
        if has_looked_twice || host.stop() != Stop::No {
            return Ok(());
        }
        has_looked_twice = true;
        host.stir();
    }
}

// What an earlier process left: walks that closed and were not released, runs that are due or held a slot.
async fn take_up(host: &Arc<Host>) -> store::Result<()> {
    host.backlog.store(host.store.backlog().await?, std::sync::atomic::Ordering::Relaxed);
    for (walk, flow) in host.store.releasable_walks().await? {
        host.release(&flow, walk).await?;
    }
    for (flow, due_ms) in host.store.live_flows().await? {
        if host.bounds(&flow).holds_slots() {
            for (run, slot) in host.store.held_slots(flow.clone()).await? {
                host.lanes.lock().hold(&flow, run, slot);
            }
        }
        host.lanes.lock().wake_at(&flow, due_ms);
    }
    let blocks = host.store.blocks(host.now_ms()).await?;
    host.executor.limits().restore(blocks.into_iter().map(|block| (block.limit, block.until_ms)));
    for state in host.store.connection_states().await? {
        if state.state != store::connections::Standing::Working {
            host.troubled.lock().insert(state.name);
        }
    }
    Ok(())
}

async fn prune(host: Arc<Host>) {
    let cutoffs = host.cutoffs();
    loop {
        match host.store.prune(cutoffs).await {
            Ok(true) if host.stop() == Stop::No => {}
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(code = error.code, "old runs could not be removed: {error}");
                return;
            }
        }
    }
    let now_ms = host.now_ms();
    let rows = match host.store.triggers().await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(code = error.code, "old keys could not be removed: {error}");
            return;
        }
    };
    for row in rows {
        let Some(definition) = host.deployment().flows.get(&row.flow).cloned() else { continue };
        let Source::Poll(poll) = &definition.source else { continue };
        let trigger = definition.connectors.get(&poll.connector).and_then(|connector| connector.trigger(&poll.trigger));
        let Some(trigger) = trigger else { continue };
        // Only what was polled since can have been listed: a flow that stood still forgets nothing.
        let Some(polled_at) = row.polled_at else { continue };
        let before = polled_at.min(now_ms) - trigger.remember_ms;
        while matches!(host.store.forget_keys(row.flow.clone(), row.generation, before).await, Ok(true)) {}
    }
    if let Err(error) = host.store.database().vacuum_some(200).await {
        tracing::warn!(code = error.code, "free space could not be given back: {error}");
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
