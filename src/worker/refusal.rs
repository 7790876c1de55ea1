//! What the store did not take. It is said once, however much work it stops; `/health` shows it for as long as it
//! lasts; when it is over it becomes a notice, which starts alerts: while it lasts no run can begin. Damage is the
//! one thing that waiting does not mend: it ends the host.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;

use crate::clock::rfc3339;
use crate::store::notices::Notice;
use crate::store::{Error, Result, Store};

/// Why the store takes nothing now.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The store's code.
    pub code: &'static str,
    /// What, where, why, and what to do.
    pub message: String,
    /// UTC epoch milliseconds.
    pub since_ms: i64,
    // It met a look at what is due, and not a piece of work.
    is_of_look: bool,
}

/// What a host knows of it.
#[derive(Default)]
pub(super) struct Refusals {
    is_on: AtomicBool,
    state: Mutex<State>,
    damaged: Notify,
}

#[derive(Default)]
struct State {
    now: Option<Refusal>,
    over: Vec<Notice>,
    damage: Option<Error>,
}

impl Refusals {
    /// The store did not take something.
    pub(super) fn begin(&self, error: &Error, is_of_look: bool, now_ms: i64) {
        let mut state = self.state.lock();
        if error.is_final() {
            state.damage.get_or_insert_with(|| error.clone());
            self.damaged.notify_one();
        }
        if state.now.is_none() {
            let then = if error.is_waited_out() { "; work goes on by itself then" } else { "" };
            let message = format!("{error}{then}");
            tracing::error!(code = error.code, "{message}");
            let refusal = Refusal { code: error.code, message, since_ms: now_ms, is_of_look };
            state.now = Some(refusal);
            self.is_on.store(true, Ordering::Relaxed);
        }
    }

    /// The store took a piece of work, or (`is_of_look`) could be looked at.
    pub(super) fn end(&self, is_of_look: bool, now_ms: i64) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state.lock();
        // That it can be read does not mean that it takes anything.
        if is_of_look && state.now.as_ref().is_some_and(|now| !now.is_of_look) {
            return;
        }
        let Some(Refusal { code, message, since_ms, .. }) = state.now.take() else { return };
        self.is_on.store(false, Ordering::Relaxed);
        tracing::info!("the store takes work again");
        let (from, to) = (rfc3339(since_ms), rfc3339(now_ms));
        state.over.push(Notice {
            kind: "store".to_owned(),
            message: format!("the store took nothing from {from} to {to}, and nothing was acknowledged: {message}"),
            details: Some(json!({ "code": code, "from_ms": since_ms, "to_ms": now_ms }).to_string()),
            at: now_ms,
            ..Notice::default()
        });
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> Option<Refusal> {
        self.state.lock().now.clone()
    }

    /// Done when the store is found damaged, or gone from its place.
    pub(super) async fn damage(&self) -> Error {
        loop {
            let damaged = self.damaged.notified();
            if let Some(damage) = self.state.lock().damage.clone() {
                return damage;
            }
            damaged.await;
        }
    }

    /// Records what is over; what the store does not take now is kept.
    pub(super) async fn record(&self, store: &Store) -> Result<()> {
        let mut over = std::mem::take(&mut self.state.lock().over).into_iter();
        while let Some(notice) = over.next() {
            if let Err(error) = store.notice(notice.clone()).await {
                let kept = std::iter::once(notice).chain(over);
                self.state.lock().over.splice(0..0, kept);
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::database::code;

    fn kinds(refusals: &Refusals) -> Vec<String> {
        refusals.state.lock().over.iter().map(|notice| notice.message.clone()).collect()
    }

    #[test]
    fn a_refusal_is_one_however_much_work_it_stops() {
        let refusals = Refusals::default();
        let full = Error::new(code::FULL, "no space", "Free some").retryable();
        refusals.end(false, 500);
        refusals.begin(&full, false, 1_000);
        refusals.begin(&Error::new(code::IO, "other", "Look"), true, 2_000);
        let now = refusals.now().unwrap();
        assert_eq!(
            (now.code, now.since_ms, now.message.as_str()),
            (code::FULL, 1_000, "no space. Free some; work goes on by itself then")
        );
        // That it can be read is not enough.
        refusals.end(true, 3_000);
        assert!(refusals.is_on());
        refusals.end(false, 61_000);
        refusals.end(false, 62_000);
        assert!(!refusals.is_on() && refusals.now().is_none());
        let told = kinds(&refusals);
        assert!(told.len() == 1 && told[0].contains("00:00:01.000Z to 1970-01-01T00:01:01.000Z"), "{told:?}");
        // What a look met, a look can end.
        refusals.begin(&full, true, 70_000);
        refusals.end(true, 71_000);
        assert!(!refusals.is_on());
    }
}
