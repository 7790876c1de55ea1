//! Intervals. Each name has a place of its own within the interval, so that a thousand hourly flows do not all
//! poll on the hour; the place depends on nothing else, so a restart moves nothing.

use sha2::{Digest, Sha256};

/// The first time after `after_ms` that lies at the name's place in the interval.
pub(super) fn next_due(every_ms: i64, after_ms: i64, name: &str) -> i64 {
    let every_ms = every_ms.max(1);
    let phase_ms = phase_ms(every_ms, name);
    let passed = after_ms.saturating_sub(phase_ms).div_euclid(every_ms);
    passed.saturating_add(1).saturating_mul(every_ms).saturating_add(phase_ms)
}

fn phase_ms(every_ms: i64, name: &str) -> i64 {
    let digest = Sha256::digest(name.as_bytes());
    let mut number = [0; 8];
    for (place, byte) in number.iter_mut().zip(digest) {
        *place = byte;
    }
    (u64::from_le_bytes(number) % every_ms.unsigned_abs()).cast_signed()
}
