//! Row ids: UUIDv7 (RFC 9562), so that text order is time order. The time is the caller's.

use std::sync::Mutex;

use uuid::timestamp::context::ContextV7;
use uuid::{Timestamp, Uuid};

static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id for a row made at `now_ms`; ids made in one process are in the order of their making.
pub fn new(now_ms: i64) -> String {
    let (seconds, nanos) = split(now_ms);
    Uuid::new_v7(Timestamp::from_unix(&CONTEXT, seconds, nanos)).to_string()
}

/// The smallest id that a row made at `at_ms` can have: everything older sorts before it.
pub fn floor(at_ms: i64) -> String {
    let millis = u128::from(at_ms.max(0).unsigned_abs()) & 0xffff_ffff_ffff;
    Uuid::from_u128((millis << 80) | (0x7 << 76) | (0x2 << 62)).to_string()
}

fn split(now_ms: i64) -> (u64, u32) {
    let now_ms = now_ms.max(0).unsigned_abs();
    (now_ms / 1_000, u32::try_from(now_ms % 1_000).unwrap_or(0) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_of_time_and_of_making() {
        let first = new(1_700_000_000_000);
        let second = new(1_700_000_000_000);
        let later = new(1_700_000_000_001);
        assert!(first < second && second < later);
        assert!(floor(1_700_000_000_000) <= first && later < floor(1_700_000_000_002));
    }
}
