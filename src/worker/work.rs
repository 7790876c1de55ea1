//! The host at work: wakes when something is due, when something was settled, and when another process wrote
//! to the store. A stop lets what is under way finish; `drain_due` works off what is due and returns.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::batch;
use super::claims::{self, STORE_PAUSE_MS};
use super::definition::Source;
use super::host::{Host, Stop};
use super::others::{self, Others};
use super::{alerts, health, undecided};
use crate::crash;
use crate::planted::bug;
use crate::store;

// How often the host looks whether another process wrote to its store.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_MS: i64 = 1_000;
const PRUNE_EVERY_MS: i64 = 600_000;

/// Works until `stop` resolves; then finishes what is under way, or leaves it after the drain time: it is
/// taken up again at the next start.
///
/// # Errors
/// The store's, when even the first look at it fails, and `store_damaged` or `store_moved` whenever that is found:
/// waiting mends everything else.
pub async fn work(host: Arc<Host>, stop: impl Future<Output = ()>) -> store::Result<()> {
    // Before the first look: what another process writes during it is looked at again.
    let mut version = host.store.database().data_version().await?;
    take_up(&host).await?;
    // The damage, where that is the end.
    let mut end = std::pin::pin!(async {
        tokio::select! {
            () = stop => None,
            damage = host.refusals.damage() => Some(damage),
        }
    });
    let mut prune_at = host.now_ms();
    let mut tend_at = prune_at;
    let mut others = Others::default();
    let damage = loop {
        // Interest is registered before looking, so that nothing settled meanwhile is missed.
        let wake = host.wake.notified();
        // A store that is away must not keep a stop waiting.
        let looked = tokio::select! {
            damage = &mut end => break damage,
            looked = claims::set_to_work(&host) => looked,
        };
        let is_looked = looked.is_ok();
        let next_due_ms = match looked {
            Ok(look) => look.next_due_ms,
            Err(error) => {
                host.refusals.begin(&error, true, host.now_ms());
                Some(host.now_ms() + STORE_PAUSE_MS)
            }
        };
        let now_ms = host.now_ms();
        let tended = tokio::select! {
            damage = &mut end => break damage,
            tended = async {
                if now_ms >= tend_at {
                    tend_at = now_ms + LOOK_EVERY_MS;
                    host.store.database().look_for()?;
                    tend(&host).await?;
                }
                others.look(&host, now_ms).await
            } => tended,
        };
        match tended {
            Ok(()) if is_looked => host.refusals.end(true, now_ms),
            Ok(()) => {}
            Err(error) => host.refusals.begin(&error, true, now_ms),
        }
        if now_ms >= prune_at {
            prune_at = now_ms + PRUNE_EVERY_MS;
            tokio::spawn(prune(Arc::clone(&host)));
        }
        let until_due = next_due_ms.map_or(LOOK_EVERY, |due| millis(due - now_ms)).min(LOOK_EVERY);
        tokio::select! {
            damage = &mut end => break damage,
            () = wake => {}
            () = others.heard(&host) => {}
            () = tokio::time::sleep(until_due), if host.store.presence().is_none() => {
                if let Ok(now) = host.store.database().data_version().await && now != version {
                    version = now;
                    host.touched();
                    look_for_live(&host).await;
                }
            }
            () = tokio::time::sleep(until_due), if host.store.presence().is_some() => {}
        }
    };
    host.drain();
    if let Some(damage) = damage {
        // What is under way could not be settled.
        return Err(damage);
    }
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
    // The last may have been taken since it was last told.
    let told = tokio::time::timeout_at(deadline, others::tell_taken(&host, host.now_ms()));
    if let Ok(Err(error)) = told.await {
        host.store_refused(&error);
    }
    Ok(())
}

// Runs that another process queued, of whatever flow: one that is not deployed here has runs, too.
async fn look_for_live(host: &Host) {
    if let Err(error) = try_look_for_live(host).await {
        host.store_refused(&error);
    }
}

async fn try_look_for_live(host: &Host) -> store::Result<()> {
    host.backlog.store(host.store.backlog().await?, Ordering::Relaxed);
    let live = host.store.live_flows().await?;
    live.iter().for_each(|(flow, due_ms)| host.lanes.lock().wake_at(flow, *due_ms));
    Ok(())
}

/// Works off everything that is due by the host's clock, and returns when nothing is: for tests, and for
/// commands that need no host.
///
/// # Errors
/// The store's.
pub async fn drain_due(host: &Arc<Host>) -> store::Result<()> {
    take_up(host).await?;
    drain_on(host).await
}

/// The same for a host that has taken up before what an earlier process left.
///
/// # Errors
/// The store's.
pub(super) async fn drain_on(host: &Arc<Host>) -> store::Result<()> {
    let mut has_looked_twice = false;
    loop {
        let idle = host.idle.notified();
        tend(host).await?;
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

// Checks that are due, alerts of what was noticed, and what walks hold that nobody reads on.
async fn tend(host: &Arc<Host>) -> store::Result<()> {
    host.refusals.record(&host.store).await?;
    if host.may_hold.swap(false, Ordering::Relaxed) {
        batch::release_left(host).await?;
    }
    batch::loosen_stuck(host).await?;
    health::set_to_work(host).await?;
    undecided::tell(host).await?;
    alerts::raise(host).await
}

// What an earlier process left: walks that closed and were not released, runs that are due or held a slot.
pub(super) async fn take_up(host: &Arc<Host>) -> store::Result<()> {
    host.backlog.store(host.store.backlog().await?, Ordering::Relaxed);
    batch::release_left(host).await?;
    for (flow, due_ms) in host.store.live_flows().await? {
        if host.bounds(&flow).holds_slots() {
            if host.store.presence().is_none() {
                host.store.count_begun(flow.clone()).await?;
            }
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

pub(super) async fn prune(host: Arc<Host>) {
    // One host does it for all.
    match host.store.claim("prune".to_owned()).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::warn!(code = error.code, "old runs could not be removed: {error}");
            return;
        }
    }
    let cutoffs = host.cutoffs();
    loop {
        crash::point("prune.before");
        let pruned = host.store.prune(cutoffs).await;
        crash::point("prune.after");
        match pruned {
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
        let Some(definition) = host.deployment().polled(&row.flow).cloned() else { continue };
        let Source::Poll(poll) = &definition.source else { continue };
        let trigger = definition.connectors.get(&poll.connector).and_then(|connector| connector.trigger(&poll.trigger));
        let Some(trigger) = trigger else { continue };
        // Only what was read since can have been listed: a flow that stood still, or only failed, forgets nothing.
        let Some(read_ms) = row.covered_until else { continue };
        let before = if bug("ledger_pruned_early") { now_ms } else { read_ms.min(now_ms) - trigger.remember_ms };
        while matches!(host.store.forget_keys(row.flow.clone(), row.generation, before).await, Ok(true)) {}
    }
    if let Err(error) = host.store.database().vacuum_some(200).await {
        tracing::warn!(code = error.code, "free space could not be given back: {error}");
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
