//! Row ids: UUIDv7 (RFC 9562), so that text order is time order. The time is the caller's.

use std::sync::Mutex;

use uuid::timestamp::context::ContextV7;
use uuid::{Timestamp, Uuid};

static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id for a row made at `now_ms`; ids made in one process are in the order of their making.
pub fn new(now_ms: i64) -> String {
    #[cfg(test)]
    if let Some(id) = seeded::next(now_ms) {
        return id;
    }
    within(&CONTEXT, now_ms)
}

/// The smallest id that a row made at `at_ms` can have: everything older sorts before it.
pub fn floor(at_ms: i64) -> String {
    let millis = u128::from(at_ms.max(0).unsigned_abs()) & 0xffff_ffff_ffff;
    Uuid::from_u128((millis << 80) | (0x7 << 76) | (0x2 << 62)).to_string()
}

fn within(context: &Mutex<ContextV7>, now_ms: i64) -> String {
    let (seconds, nanos) = split(now_ms);
    Uuid::new_v7(Timestamp::from_unix(context, seconds, nanos)).to_string()
}

fn split(now_ms: i64) -> (u64, u32) {
    let now_ms = now_ms.max(0).unsigned_abs();
    (now_ms / 1_000, u32::try_from(now_ms % 1_000).unwrap_or(0) * 1_000_000)
}

/// Ids that a seed gives again, for what is simulated on one thread.
#[cfg(test)]
pub mod seeded {
    use std::cell::Cell;

    use uuid::Builder;

    #[derive(Clone, Copy)]
    struct Seeded {
        seed: u64,
        made: u64,
        at_ms: i64,
    }

    thread_local! {
        static SEEDED: Cell<Option<Seeded>> = const { Cell::new(None) };
    }

    /// From now on this thread's ids follow from the seed, as those of a process that begins; `None` ends it.
    pub fn begin(seed: Option<u64>) {
        SEEDED.set(seed.map(|seed| Seeded { seed, made: 0, at_ms: 0 }));
    }

    pub(super) fn next(now_ms: i64) -> Option<String> {
        let mut seeded = SEEDED.get()?;
        // As a process does it: a clock that is set back does not bring ids out of order.
        seeded.at_ms = seeded.at_ms.max(now_ms);
        seeded.made += 1;
        SEEDED.set(Some(seeded));
        let millis = seeded.at_ms.max(0).unsigned_abs();
        // Below version and variant: first what was made, so that equal times are in order, then the seed.
        let mut rest = [0; 10];
        rest[3..6].copy_from_slice(&seeded.made.to_be_bytes()[5..]);
        rest[6..].copy_from_slice(&seeded.seed.to_be_bytes()[4..]);
        Some(Builder::from_unix_timestamp_millis(millis, &rest).into_uuid().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_ids_again_in_the_order_of_their_making() {
        let [first, second] = [(); 2].map(|()| {
            seeded::begin(Some(7));
            let ids = [5, 5, 3, 9].map(new);
            seeded::begin(None);
            ids
        });
        assert_eq!(first, second);
        assert!(first.is_sorted_by(|one, other| one < other), "{first:?}");
        seeded::begin(Some(8));
        assert_ne!(new(5), first[0]);
        seeded::begin(None);
    }

    #[test]
    fn ids_are_in_order_of_time_and_of_making() {
        // Its own: what other tests make of the process's would be later.
        let context = Mutex::new(ContextV7::new());
        let first = within(&context, 1_700_000_000_000);
        let second = within(&context, 1_700_000_000_000);
        let later = within(&context, 1_700_000_000_001);
        assert!(first < second && second < later);
        assert!(floor(1_700_000_000_000) <= first && later < floor(1_700_000_000_002));
    }
}
