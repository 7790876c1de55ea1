//! A day or a time, as people and templates write them: RFC 3339, RFC 2822, a day by itself, which means its
//! midnight in UTC, or so long before or after now: `3 days ago`, `in 2 hours`, `now`.

use jiff::{Span, Timestamp, civil};

use super::date::rfc2822;

/// Whether a text is a day or a time. Says what stands in the way.
pub fn validate(text: &str) -> Result<(), String> {
    let text = text.trim();
    let is_read = text.parse::<Timestamp>().is_ok()
        || rfc2822(text).is_some()
        || text.parse::<civil::DateTime>().is_ok()
        || from_now(text).is_some();
    match is_read {
        true => Ok(()),
        false => Err("a time is written as in `2026-11-20T13:19:00Z`, a day as in `2026-11-20`, a time seen from now as in `3 days ago` or `in 2 hours`".to_owned()),
    }
}

/// How far from now a text says that a time is: `3 days ago`, `1 week 2h ago`, `in 30 minutes`, `now`. None for any
/// other text; also for a length of time by itself, which may mean either direction.
pub fn from_now(text: &str) -> Option<Span> {
    let text = text.trim().to_ascii_lowercase();
    if text == "now" {
        return Some(Span::new());
    }
    let (length, is_past) = match text.strip_prefix("in ") {
        Some(length) => (length, false),
        None => (text.strip_suffix(" ago")?, true),
    };
    if !length.trim_start().starts_with(|first: char| first.is_ascii_digit()) || length.contains("ago") {
        return None;
    }
    let span: Span = length.parse().ok()?;
    Some(if is_past { span.negate() } else { span })
}
