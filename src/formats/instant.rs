//! A day or a time, as people and templates write them: RFC 3339, RFC 2822, or a day by itself, which means its
//! midnight in UTC.

use jiff::{Timestamp, civil};

use super::date::rfc2822;

/// Whether a text is a day or a time. Says what stands in the way.
pub fn validate(text: &str) -> Result<(), String> {
    let text = text.trim();
    let is_read =
        text.parse::<Timestamp>().is_ok() || rfc2822(text).is_some() || text.parse::<civil::DateTime>().is_ok();
    match is_read {
        true => Ok(()),
        false => Err("a time is written as in `2026-11-20T13:19:00Z`, a day as in `2026-11-20`".to_owned()),
    }
}
