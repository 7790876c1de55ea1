//! One run worked off by itself, where no host is at work: for `tidegate run`. Nothing else that is due is
//! touched.

use std::time::Duration;

use super::drive::{Left, drive};
use super::host::Host;
use crate::store;
use crate::store::due::DueRun;
use crate::store::runs::Detail;

/// How often a run is looked at that another host has.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Works on a run until it is over or waits for a person, or until its next step is due later than
/// `patience_ms` from now: then the next host goes on with it.
///
/// # Errors
/// The store's.
pub async fn work_off(host: &Host, id: &str, patience_ms: i64) -> store::Result<()> {
    let give_up_ms = host.now_ms().saturating_add(patience_ms);
    while let Some(run) = host.store.run(id.to_owned()).await? {
        let Some(mut due) = due(run) else { return Ok(()) };
        due.lapses = host.store.presence().map_or(0, |presence| presence.lapses());
        match host.store.claim_run(id.to_owned()).await? {
            Some(epoch) => due.epoch = epoch,
            // A host has it: what it makes of it is waited for.
            None => {
                if host.now_ms() > give_up_ms {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
        }
        match drive(host, &due).await? {
            Left::Over => return Ok(()),
            Left::Waits { due_ms } | Left::Asks { due_ms } if due_ms > give_up_ms => return Ok(()),
            Left::Waits { due_ms } | Left::Asks { due_ms } => {
                host.clock.reach(due_ms).await;
            }
        }
    }
    Ok(())
}

fn due(run: Detail) -> Option<DueRun> {
    let summary = run.summary;
    let has_begun = match summary.state.as_str() {
        "queued" => false,
        "running" => true,
        _ => return None,
    };
    Some(DueRun {
        id: summary.id,
        definition: run.definition,
        has_begun,
        position: 0,
        due_at: summary.due_at?,
        slot: None,
        item: run.item.unwrap_or_else(|| "null".to_owned()),
        frames: run.frames,
        created_at: summary.created_at,
        started_at: run.started_at,
        is_repeat: run.retry_of.is_some() || run.replay_of.is_some(),
        retry_of: run.retry_of,
        root: run.root,
        epoch: 0,
        may_still_send: false,
        lapses: 0,
    })
}
