//! What a walk's items become when it closes: a run each, or one run for all of them (`emit: batch`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::closing;
use super::definition::{Definition, Source};
use super::host::Host;
use super::page;
use super::poll::LOOSEN_AFTER_MS;
use super::told::Told;
use super::window::Mode;
use crate::crash;
use crate::manifest::flow::Emit;
use crate::planted::bug;
use crate::store;
use crate::store::batches::Batch;
use crate::store::id;
use crate::store::runs::{NewRun, State};
use crate::store::walks::WalkRow;

/// Runs released, or items in one batch, at once: portions that never keep the writer for long.
const PORTION: u32 = 500;

/// Makes a walk's held runs due, oldest first, as the definition that it is pinned to says.
///
/// # Errors
/// The store's.
pub async fn release(host: &Host, definition: &Arc<Definition>, walk: &WalkRow) -> store::Result<()> {
    // A walk that ended before its last page still holds more than it was to keep.
    if let Some(newest) = keep_newest(host, definition, walk) {
        host.store.keep_newest(walk.id.clone(), newest).await?;
    }
    let walk = walk.id.clone();
    loop {
        let now_ms = host.now_ms();
        crash::point("release.before");
        let released = match definition.flow.trigger.emit {
            Emit::Each => {
                let released = host.store.release(walk.clone(), PORTION, now_ms).await?;
                host.found(&definition.name, released);
                released
            }
            Emit::Batch => {
                let of = Arc::clone(definition);
                let taken = host
                    .store
                    .release_batch(walk.clone(), PORTION, now_ms, move |batch| run_of(&of, batch, now_ms))
                    .await?;
                host.found(&definition.name, u64::from(taken > 0));
                taken
            }
        };
        crash::point("release.after");
        if released > 0 {
            host.stir_flow(&definition.name);
        }
        if released < u64::from(PORTION) {
            return Ok(());
        }
    }
}

/// Releases what is left of walks that closed, or that release before their end.
///
/// # Errors
/// The store's.
pub(super) async fn release_left(host: &Host) -> store::Result<()> {
    let walks = match bug("held_forgotten") {
        true => Vec::new(),
        false => host.store.releasable_walks().await?,
    };
    for walk in walks {
        match host.definitions.get(&host.store, &walk.definition).await {
            Ok(definition) => release(host, &definition, &walk).await?,
            // Whatever it was pinned to cannot be read: each run says so when its turn comes.
            Err(_) => loop {
                let released = host.store.release(walk.id.clone(), PORTION, host.now_ms()).await?;
                host.found(&walk.flow, released);
                if released < u64::from(PORTION) {
                    break;
                }
            },
        }
    }
    Ok(())
}

/// Lets a walk that cannot be finished release what it has found, and says so. What keeps only the newest is not known
/// before its end, and waits for it.
///
/// # Errors
/// The store's.
pub async fn loosen(host: &Host, definition: &Arc<Definition>, walk: &WalkRow) -> store::Result<()> {
    if keep_newest(host, definition, walk).is_some() {
        return Ok(());
    }
    let connection = match &definition.source {
        Source::Poll(poll) => definition.connections.get(&poll.connector).unwrap_or(&poll.connector).as_str(),
        Source::Schedule | Source::Manual => "",
    };
    let notice = Told { flow: &walk.flow, connection, now_ms: host.now_ms() }.out_of_order(walk.started);
    if host.store.loosen_walk(walk.id.clone(), notice.clone()).await? {
        host.announce(&notice);
        release(host, definition, walk).await?;
    }
    Ok(())
}

/// Loosens what has been open for too long, whatever keeps its polls away.
///
/// # Errors
/// The store's.
pub(super) async fn loosen_stuck(host: &Host) -> store::Result<()> {
    for walk in host.store.stuck_walks(host.now_ms() - LOOSEN_AFTER_MS).await? {
        if let Ok(definition) = host.definitions.get(&host.store, &walk.definition).await {
            loosen(host, &definition, &walk).await?;
        }
    }
    Ok(())
}

fn keep_newest(host: &Host, definition: &Definition, walk: &WalkRow) -> Option<u32> {
    let Source::Poll(poll) = &definition.source else { return None };
    let connection = host.connection(definition, &poll.connector).ok();
    closing::keep_newest(poll, Mode::from_word(&walk.mode), connection.as_deref())
}

/// The item of a batch: `{items, count}`, oldest first.
pub fn item(items: Vec<Value>) -> Value {
    json!({"count": items.len(), "items": items})
}

fn run_of(definition: &Definition, batch: Batch, now_ms: i64) -> NewRun {
    let items: Vec<Value> = batch.items.iter().map(|item| serde_json::from_str(item).unwrap_or_default()).collect();
    let item = item(items);
    let run = NewRun {
        id: id::new(now_ms),
        flow: definition.name.clone(),
        definition: definition.hash.clone(),
        state: State::Queued,
        position: batch.position,
        slot: None,
        walk: None,
        item_key: None,
        item: item.to_string(),
        repeats: None,
        error: None,
    };
    page::slotted(definition, &item, run, now_ms)
}
