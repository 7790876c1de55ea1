//! How long a service asks to be left alone: `Retry-After` (RFC 9110, 10.2.3) and the reset headers of its
//! limits, measured on the server's own clock where it tells it.

use super::super::limits::reset::moment_ms;
use super::super::paginator::header;

/// The longest wait that an answer can ask for; beyond it a mistake is likelier than a limit.
const LONGEST_MS: i64 = 25 * 3_600_000;
/// A wait from now, in milliseconds; never negative, bounded by 25 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// Milliseconds.
    pub ms: i64,
}

/// `Retry-After` in seconds or as a date.
pub fn retry_after(headers: &[(String, String)], server_ms: Option<i64>, now_ms: i64) -> Option<Wait> {
    let value = header(headers, "retry-after")?;
    read(value, server_ms, now_ms)
}

/// When a limit starts anew, where it says that nothing is left.
pub fn reset(
    headers: &[(String, String)],
    remaining: &str,
    reset: &str,
    server_ms: Option<i64>,
    now_ms: i64,
) -> Option<Wait> {
    let left: f64 = header(headers, remaining)?.trim().parse().ok()?;
    if left > 0.0 {
        return None;
    }
    read(header(headers, reset)?, server_ms, now_ms)
}

fn read(value: &str, server_ms: Option<i64>, now_ms: i64) -> Option<Wait> {
    let until_ms = moment_ms(value, server_ms, now_ms)?;
    Some(Wait { ms: until_ms.saturating_sub(now_ms).clamp(0, LONGEST_MS) })
}
