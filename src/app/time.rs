//! Points in time as people and programs outside see them: RFC 3339. Inside they are milliseconds.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Error, Result};
use crate::clock::rfc3339;

/// A point in time; shown and serialised as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// UTC epoch milliseconds.
    pub ms: i64,
}

impl Time {
    /// From UTC epoch milliseconds.
    pub fn from_ms(ms: i64) -> Time {
        Time { ms }
    }

    /// From what a person writes: RFC 3339, or a date (its first moment in UTC).
    ///
    /// # Errors
    /// `time_unreadable`.
    pub fn parse(text: &str) -> Result<Time> {
        let whole = text.parse::<jiff::Timestamp>().ok();
        let date = || format!("{text}T00:00:00Z").parse::<jiff::Timestamp>().ok();
        match whole.or_else(date) {
            Some(time) => Ok(Time { ms: time.as_millisecond() }),
            None => Err(Error::usage("time_unreadable", format!("`{text}` is no point in time"))
                .with_help("write for example 2026-11-01T08:00:00Z or 2026-11-01")),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&rfc3339(self.ms))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(Time::parse("2026-11-01").unwrap().to_string(), "2026-11-01T00:00:00.000Z");
        assert_eq!(Time::parse("2026-11-01T08:00:00+02:00").unwrap().to_string(), "2026-11-01T06:00:00.000Z");
        assert_eq!(Time::parse("yesterday").unwrap_err().code, "time_unreadable");
    }
}
