//! The forms in which services write times, read to and written from UTC epoch milliseconds.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use serde_json::Value;

/// One form of writing a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `2026-11-20T13:19:00Z`
    Rfc3339,
    /// `Fri, 24 May 2019 17:44:50 +0000`
    Rfc2822,
    /// Seconds since 1970, fractions permitted.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// A strptime pattern; without an offset it is UTC, without a time it is midnight.
    Pattern(String),
}

impl Form {
    /// The named forms, which are accepted where a cursor names none.
    pub const NAMED: [Form; 4] = [Form::Rfc3339, Form::Rfc2822, Form::Epoch, Form::EpochMs];

    /// From its name or pattern; the error says what is permitted.
    pub fn compile(text: &str) -> Result<Form, String> {
        match text {
            "rfc3339" => Ok(Form::Rfc3339),
            "rfc2822" => Ok(Form::Rfc2822),
            "epoch" => Ok(Form::Epoch),
            "epoch_ms" => Ok(Form::EpochMs),
            pattern if pattern.contains('%') => {
                strtime::format(pattern, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC))
                    .map(|_| Form::Pattern(pattern.to_owned()))
                    .map_err(|error| format!("`{pattern}` is no pattern of a time: {error}"))
            }
            other => Err(format!(
                "`{other}` is no form of a time; permitted are rfc3339, rfc2822, epoch, epoch_ms and patterns such as %Y-%m-%d"
            )),
        }
    }

    /// UTC epoch milliseconds, rounded down; `None` where the value is not of this form.
    pub fn parse(&self, value: &Value) -> Option<i64> {
        match self {
            Form::Epoch => seconds_to_ms(value),
            Form::EpochMs => match value {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            },
            Form::Rfc3339 => {
                let time: Timestamp = value.as_str()?.trim().parse().ok()?;
                Some(floor_ms(time))
            }
            Form::Rfc2822 => parse_rfc2822(value.as_str()?),
            Form::Pattern(pattern) => parse_pattern(pattern, value.as_str()?.trim()),
        }
    }

    /// A moment in this form. Coarse patterns round down, so that a bound never skips anything.
    pub fn emit(&self, time_ms: i64) -> Value {
        let Ok(time) = Timestamp::from_millisecond(time_ms) else {
            return Value::from(time_ms);
        };
        match self {
            Form::Epoch => Value::from(time_ms.div_euclid(1_000)),
            Form::EpochMs => Value::from(time_ms),
            Form::Rfc3339 => Value::String(crate::clock::rfc3339(time_ms)),
            Form::Rfc2822 => {
                let written = rfc2822::to_string(&time.to_zoned(TimeZone::UTC));
                Value::String(written.unwrap_or_else(|_| crate::clock::rfc3339(time_ms)))
            }
            Form::Pattern(pattern) => {
                let written = strtime::format(pattern, &time.to_zoned(TimeZone::UTC));
                Value::String(written.unwrap_or_else(|_| crate::clock::rfc3339(time_ms)))
            }
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Form::Rfc3339 => "rfc3339",
            Form::Rfc2822 => "rfc2822",
            Form::Epoch => "epoch",
            Form::EpochMs => "epoch_ms",
            Form::Pattern(pattern) => pattern,
        })
    }
}

/// RFC 2822, and the HTTP-date that ends in `GMT` (RFC 9110, 5.6.7), in UTC epoch milliseconds.
pub fn parse_rfc2822(text: &str) -> Option<i64> {
    crate::formats::date::rfc2822(text).map(floor_ms)
}

fn parse_pattern(pattern: &str, text: &str) -> Option<i64> {
    let parts = strtime::parse(pattern, text).ok()?;
    if let Ok(time) = parts.to_timestamp() {
        return Some(floor_ms(time));
    }
    let date_time = parts.to_datetime().ok().or_else(|| {
        let date = parts.to_date().ok()?;
        Some(date.to_datetime(Time::midnight()))
    })?;
    let zoned = date_time.to_zoned(TimeZone::UTC).ok()?;
    Some(floor_ms(zoned.timestamp()))
}

fn seconds_to_ms(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    if let Ok(seconds) = text.parse::<i64>() {
        // Beyond the year 5000 these are milliseconds, which are another form.
        return (seconds.abs() < 100_000_000_000).then_some(seconds * 1_000);
    }
    let seconds: f64 = text.parse().ok()?;
    let ms = (seconds * 1_000.0).floor();
    // 2^53 milliseconds are 285,000 years: below that, the conversion is exact.
    (ms.abs() < 9_007_199_254_740_992.0).then_some(ms as i64)
}

fn floor_ms(time: Timestamp) -> i64 {
    let nanoseconds = time.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}
