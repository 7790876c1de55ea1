//! What a host among others knows of itself: its id, and until when the others count it as alive. It decides
//! about liveness alone: that nothing is settled twice is the work of epochs (`store/claims.rs`).

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Moment;

/// A host's presence in a database that other hosts work on as well.
pub struct Presence {
    id: String,
    lease_ms: i64,
    known: Mutex<Known>,
    renewed: Notify,
    heard: Notify,
}

#[derive(Default)]
struct Known {
    renewed_at: Option<Moment>,
    nodes: u32,
    ahead_ms: i64,
    lapses: u32,
}

impl Presence {
    pub(super) fn new(id: String, lease_ms: i64) -> Presence {
        Presence { id, lease_ms, known: Mutex::default(), renewed: Notify::new(), heard: Notify::new() }
    }

    /// This host's id, another one after each start.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How long a lease holds, in milliseconds.
    pub fn lease_ms(&self) -> i64 {
        self.lease_ms
    }

    /// Whether no other host can have taken this one for dead yet. Time that the machine slept, or the process
    /// was stopped for, counts.
    pub fn is_valid(&self) -> bool {
        self.known.lock().renewed_at.as_ref().is_some_and(|renewed_at| renewed_at.elapsed_ms() < self.lease_ms)
    }

    /// How often the lease ran out before it was renewed: what was claimed before may be another host's since.
    pub fn lapses(&self) -> u32 {
        self.known.lock().lapses
    }

    /// Done when the lease holds.
    pub async fn is_valid_again(&self) {
        loop {
            let renewed = self.renewed.notified();
            if self.is_valid() {
                return;
            }
            renewed.await;
        }
    }

    /// Done when another host, or this one, says that there may be something to do.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    /// How many hosts are alive, this one among them.
    pub fn nodes(&self) -> u32 {
        self.known.lock().nodes.max(1)
    }

    /// By how many milliseconds this machine's clock is ahead of the database's.
    pub fn ahead_ms(&self) -> i64 {
        self.known.lock().ahead_ms
    }

    /// The lease was renewed by a statement that was sent at `sent_at`.
    pub(super) fn renew(&self, sent_at: Moment, nodes: u32, ahead_ms: i64) {
        {
            let mut known = self.known.lock();
            let has_lapsed = known.renewed_at.as_ref().is_some_and(|before| before.elapsed_ms() >= self.lease_ms);
            let lapses = known.lapses + u32::from(has_lapsed);
            *known = Known { renewed_at: Some(sent_at), nodes, ahead_ms, lapses };
        }
        self.renewed.notify_waiters();
    }

    pub(super) fn hear(&self) {
        self.heard.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_lease_that_ran_out_before_it_was_renewed_is_counted() {
        // Any time is longer than the one's lease, and none that a test takes longer than the other's.
        for (lease_ms, lapses) in [(0, 2), (3_600_000, 0)] {
            let presence = Presence::new("a".to_owned(), lease_ms);
            for _ in 0..3 {
                presence.renew(Moment::now(&Clock::System), 1, 0);
            }
            assert_eq!(presence.lapses(), lapses, "the first renewal begins it");
        }
    }
}
