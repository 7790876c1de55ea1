//! The one place that reads the time. Everything else takes a `Clock` or a number of milliseconds, so
//! that tests move time instead of sleeping. Times are UTC epoch milliseconds inside, RFC 3339 outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Where the current time comes from: the system, or a hand that a test moves.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    System,
    /// A clock that stands still until [`Clock::advance`] moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now_ms` until it is moved.
    pub fn manual(now_ms: i64) -> Self {
        Clock::Manual(Arc::new(AtomicI64::new(now_ms)))
    }

    /// UTC epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        match self {
            Clock::System => jiff::Timestamp::now().as_millisecond(),
            Clock::Manual(hand) => hand.load(Ordering::SeqCst),
        }
    }

    /// Moves a manual clock forward by `delta_ms`; the system clock is left alone.
    pub fn advance(&self, delta_ms: i64) {
        if let Clock::Manual(hand) = self {
            hand.fetch_add(delta_ms, Ordering::SeqCst);
        }
    }

    /// Waits until it is `until_ms`. A manual clock moves there itself: what waits for it alone would wait for ever.
    pub async fn reach(&self, until_ms: i64) {
        match self {
            Clock::System => {
                let wait_ms = until_ms.saturating_sub(self.now_ms()).max(0);
                tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
            }
            Clock::Manual(hand) => {
                hand.fetch_max(until_ms, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A moment to measure from, by clocks of which one counts the machine's sleep and the other cannot be set back.
#[derive(Clone, Debug)]
pub struct Moment {
    clock: Clock,
    steady: Instant,
    wall_ms: i64,
}

impl Moment {
    /// This one.
    pub fn now(clock: &Clock) -> Self {
        Moment { clock: clock.clone(), steady: Instant::now(), wall_ms: clock.now_ms() }
    }

    /// Milliseconds since, by whichever clock says more: a machine that slept is not taken for one that did not.
    pub fn elapsed_ms(&self) -> i64 {
        let wall_ms = self.clock.now_ms().saturating_sub(self.wall_ms);
        match self.clock {
            Clock::System => wall_ms.max(i64::try_from(self.steady.elapsed().as_millis()).unwrap_or(i64::MAX)),
            Clock::Manual(_) => wall_ms,
        }
    }
}

/// `2026-11-20T13:19:00.000Z`; a time outside the calendar is shown as its number.
pub fn rfc3339(epoch_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(epoch_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => epoch_ms.to_string(),
    }
}
