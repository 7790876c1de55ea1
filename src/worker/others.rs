//! What a host among others looks at every second, and when it hears of something: work that they made or left,
//! the limits that they met, how many they are, and whether its clock is right. Where one host works there is
//! nothing to look at.

use serde_json::json;

use super::batch;
use super::host::Host;
use crate::store;
use crate::store::notices::Notice;

const LOOK_EVERY_MS: i64 = 1_000;
const RELEASE_EVERY_MS: i64 = 5_000;
/// A clock that is wrong by more is told: polls and waits are then early or late by as much.
const CLOCK_OFF_MS: i64 = 2_000;

/// What was looked at when; UTC epoch milliseconds.
#[derive(Default)]
pub(super) struct Others {
    looked_at: i64,
    released_at: i64,
    has_heard: bool,
    is_clock_told: bool,
}

impl Others {
    /// Done when another host says that there may be something to do.
    pub(super) async fn heard(&mut self, host: &Host) {
        match host.store.presence() {
            Some(presence) => {
                presence.heard().await;
                self.has_heard = true;
            }
            None => std::future::pending().await,
        }
    }

    /// Looks, where it is time.
    pub(super) async fn look(&mut self, host: &Host, now_ms: i64) -> store::Result<()> {
        let Some(presence) = host.store.presence().cloned() else { return Ok(()) };
        let is_time = (now_ms - self.looked_at).abs() >= LOOK_EVERY_MS;
        if !is_time && !std::mem::take(&mut self.has_heard) {
            return Ok(());
        }
        for (flow, due_ms) in host.store.live_flows().await? {
            host.lanes.lock().wake_at(&flow, due_ms);
        }
        host.wake.notify_one();
        if !is_time {
            return Ok(());
        }
        self.looked_at = now_ms;
        host.executor.limits().share_among(presence.nodes());
        let blocks = host.store.blocks(now_ms).await?;
        host.executor.limits().restore(blocks.into_iter().map(|block| (block.limit, block.until_ms)));
        if (now_ms - self.released_at).abs() >= RELEASE_EVERY_MS {
            self.released_at = now_ms;
            host.touched();
            host.backlog.store(host.store.backlog().await?, std::sync::atomic::Ordering::Relaxed);
            batch::release_left(host).await?;
        }
        tell_taken(host, now_ms).await?;
        self.judge_clock(host, presence.ahead_ms(), now_ms).await
    }

    async fn judge_clock(&mut self, host: &Host, ahead_ms: i64, now_ms: i64) -> store::Result<()> {
        let is_off = ahead_ms.abs() > CLOCK_OFF_MS;
        if is_off && !self.is_clock_told {
            let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
            let message = format!(
                "the clock of this machine is {} ms {way} the database's: polls and waits are off by as much; set it by NTP",
                ahead_ms.abs()
            );
            let notice = Notice { kind: "clock".to_owned(), message, at: now_ms, ..Notice::default() };
            host.notice(notice).await?;
        }
        self.is_clock_told = is_off;
        Ok(())
    }
}

// Runs that were at work here when other hosts took them, as this one was not heard of.
pub(super) async fn tell_taken(host: &Host, now_ms: i64) -> store::Result<()> {
    let runs = std::mem::take(&mut *host.taken_over.lock());
    if runs.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} runs were taken over by another host while this one was not heard of: what this one did of them since is \
         not in their journals",
        runs.len()
    );
    let details = Some(json!({ "runs": &runs }).to_string());
    let notice = Notice { kind: "taken_over".to_owned(), message, details, at: now_ms, ..Notice::default() };
    let outcome = host.notice(notice).await;
    if outcome.is_err() {
        host.taken_over.lock().extend(runs);
    }
    outcome
}
