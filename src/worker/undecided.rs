//! Items of which a flow's `where` or concurrency key cannot be worked out: each is a failed run, and hundreds of
//! them are told as one. The log has them each time that some came, `notices` at most once an hour for a flow.

use std::collections::BTreeMap;

use super::host::Host;
use crate::engine::Failure;
use crate::store;
use crate::store::notices::Notice;

const NOTICE_EVERY_MS: i64 = 3_600_000;

/// What could not be worked out since it was last told.
#[derive(Default)]
pub struct Undecided {
    /// By flow: how many, and why the last of them.
    untold: BTreeMap<String, (u64, String)>,
    /// By flow: when a person was last told; UTC epoch milliseconds.
    told_at: BTreeMap<String, i64>,
}

impl Undecided {
    /// One more.
    pub fn add(&mut self, flow: &str, failure: &Failure) {
        let (count, why) = self.untold.entry(flow.to_owned()).or_default();
        *count += 1;
        failure.message.clone_into(why);
    }

    // Those to tell, and whether a notice is due.
    fn take(&mut self, now_ms: i64) -> Vec<(String, u64, String, bool)> {
        let mut taken = Vec::new();
        for (flow, (count, why)) in std::mem::take(&mut self.untold) {
            let is_due = self.told_at.get(&flow).is_none_or(|at| now_ms - at >= NOTICE_EVERY_MS);
            if is_due {
                self.told_at.insert(flow.clone(), now_ms);
            }
            taken.push((flow, count, why, is_due));
        }
        taken
    }
}

/// Tells what came since the last time.
///
/// # Errors
/// The store's.
pub async fn tell(host: &Host) -> store::Result<()> {
    let now_ms = host.now_ms();
    let untold = host.undecided.lock().take(now_ms);
    for (flow, count, why, is_due) in untold {
        let items =
            if count == 1 { "an item is a failed run".to_owned() } else { format!("{count} items are failed runs") };
        let message = format!("{items}: whether the flow wants them cannot be told: {why}");
        if !is_due {
            tracing::warn!(flow, kind = "undecided", "{message}");
            continue;
        }
        let notice =
            Notice { flow: Some(flow), kind: "undecided".to_owned(), message, at: now_ms, ..Notice::default() };
        host.notice(notice).await?;
    }
    Ok(())
}
