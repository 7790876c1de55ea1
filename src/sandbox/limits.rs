//! X's request windows: so many requests per 15 minutes, per endpoint, and per app or user. The window
//! begins with its first request, and every answer tells what is left of it.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

/// Length of X's window (X API documentation, "Rate limits").
pub(super) const WINDOW_MS: i64 = 15 * 60_000;

/// How many requests an X window allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimits {
    /// The numbers of X's documentation, per endpoint and kind of caller.
    Documented,
    /// The same number for every endpoint and caller; a bench gives a large one.
    Each(u32),
}

/// What a request took from its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub limit: u32,
    pub remaining: u32,
    /// Unix seconds at which the window ends.
    pub reset_s: i64,
    pub allowed: bool,
}

/// The open windows of one service.
pub(super) struct Windows<Key> {
    open: Mutex<HashMap<Key, Window>>,
}

struct Window {
    ends_ms: i64,
    used: u32,
}

impl<Key: Hash + Eq> Windows<Key> {
    pub fn new() -> Self {
        Windows { open: Mutex::new(HashMap::new()) }
    }

    /// Counts a request against its window of `limit` requests.
    pub fn take(&self, key: Key, limit: u32, now_ms: i64) -> Taken {
        let mut open = self.open.lock();
        let window = open.entry(key).or_insert(Window { ends_ms: 0, used: 0 });
        if now_ms >= window.ends_ms {
            *window = Window { ends_ms: now_ms + WINDOW_MS, used: 0 };
        }
        let allowed = window.used < limit;
        window.used += u32::from(allowed);
        // Rounded up, so that who waits until then finds a new window.
        let reset_s = (window.ends_ms + 999).div_euclid(1000);
        Taken { limit, remaining: limit - window.used.min(limit), reset_s, allowed }
    }

    pub fn clear(&self) {
        self.open.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_allows_its_limit_and_then_starts_anew() {
        let windows = Windows::new();
        assert_eq!(windows.take("a", 2, 0), Taken { limit: 2, remaining: 1, reset_s: 900, allowed: true });
        assert_eq!(windows.take("a", 2, 1_000), Taken { limit: 2, remaining: 0, reset_s: 900, allowed: true });
        assert_eq!(windows.take("a", 2, 899_999), Taken { limit: 2, remaining: 0, reset_s: 900, allowed: false });
        assert!(windows.take("b", 2, 899_999).allowed, "windows of different callers are separate");
        assert_eq!(windows.take("a", 2, 900_000), Taken { limit: 2, remaining: 1, reset_s: 1_800, allowed: true });
    }
}
