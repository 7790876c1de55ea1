//! When a service says that one may come back: `Retry-After` and rate limit headers, in all their forms.

use jiff::fmt::rfc2822::DateTimeParser;

/// Numbers above this are points in time, below it a wait: it is 2001 as epoch seconds, and 31 years as a wait.
const FIRST_EPOCH_S: i64 = 1_000_000_000;

/// Numbers above this are epoch milliseconds.
const FIRST_EPOCH_MS: i64 = 1_000_000_000_000;

/// The moment that a header names, in UTC epoch milliseconds of our own clock, or None where it names none.
/// `text` is seconds from now, epoch seconds (or milliseconds), or an HTTP date. A point in time is on the
/// service's clock: `their_now_ms`, its `Date` header, says how far that clock is from ours.
pub fn moment_ms(text: &str, their_now_ms: Option<i64>, now_ms: i64) -> Option<i64> {
    let text = text.trim();
    let on_their_clock = match text.parse::<f64>() {
        Ok(number) if !number.is_finite() || number < 0.0 => return None,
        Ok(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
            let ms = (number * 1_000.0).ceil() as i64;
            if ms < FIRST_EPOCH_S * 1_000 {
                return Some(now_ms.saturating_add(ms));
            }
            if ms >= FIRST_EPOCH_MS * 1_000 { ms / 1_000 } else { ms }
        }
        Err(_) => date_ms(text)?,
    };
    let ahead_ms = their_now_ms.map_or(0, |their_now_ms| their_now_ms.saturating_sub(now_ms));
    Some(on_their_clock.saturating_sub(ahead_ms))
}

/// An HTTP date (RFC 9110 section 5.6.7, its preferred form) as UTC epoch milliseconds.
pub fn date_ms(text: &str) -> Option<i64> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn every_form_of_a_reset_is_read() {
        for (text, date_ms, expected) in [
            ("0", None, Some(NOW_MS)),
            ("120", None, Some(NOW_MS + 120_000)),
            ("1.5", None, Some(NOW_MS + 1_500)),
            (" 30 ", None, Some(NOW_MS + 30_000)),
            ("1800000060", None, Some(NOW_MS + 60_000)),
            ("1800000060000", None, Some(NOW_MS + 60_000)),
            // The service's clock is 10 s ahead of ours: its 60 s later is our 50 s later.
            ("1800000060", Some(NOW_MS + 10_000), Some(NOW_MS + 50_000)),
            ("1800000060", Some(NOW_MS - 10_000), Some(NOW_MS + 70_000)),
            // A wait is a wait on any clock.
            ("60", Some(NOW_MS - 10_000), Some(NOW_MS + 60_000)),
            ("Fri, 15 Jan 2027 08:01:00 GMT", None, Some(NOW_MS + 60_000)),
            ("Fri, 15 Jan 2027 08:01:00 GMT", Some(NOW_MS + 10_000), Some(NOW_MS + 50_000)),
            ("-5", None, None),
            ("soon", None, None),
            ("", None, None),
            ("NaN", None, None),
        ] {
            assert_eq!(moment_ms(text, date_ms, NOW_MS), expected, "{text} {date_ms:?}");
        }
    }
}
