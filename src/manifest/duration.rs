//! `30s`, `15m`, `1h30m`, `7d`: how manifests write a length of time.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, in whole milliseconds. Written as numbers with units `ms s m h d w`, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// Milliseconds; never negative.
    pub ms: i64,
}

/// What the JSON Schema says of a duration, and what `FromStr` accepts.
pub const PATTERN: &str = r"^([0-9]+(ms|s|m|h|d|w))+$";

const UNITS: [(&str, i64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// From milliseconds; negative ones count as none.
    pub const fn from_ms(ms: i64) -> Self {
        Duration { ms: if ms < 0 { 0 } else { ms } }
    }

    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Duration::from_ms(secs.saturating_mul(1_000))
    }

    /// The same length for timers.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.ms.unsigned_abs())
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time; write for example 30s, 15m, 1h30m or 7d");
        let mut rest = text;
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, tail) = tail.split_at(letters);
            let number: i64 = number.parse().map_err(|_| wrong())?;
            let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            total = number
                .checked_mul(*unit_ms)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| format!("`{text}` is longer than this program can count"))?;
            rest = tail;
        }
        Ok(Duration::from_ms(total))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return formatter.write_str("0s");
        }
        let mut rest = self.ms;
        for (unit, unit_ms) in UNITS {
            let count = rest / unit_ms;
            if count > 0 && (unit != "w" || rest % unit_ms == 0) {
                write!(formatter, "{count}{unit}")?;
                rest %= unit_ms;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": PATTERN,
            "description": "A length of time: 500ms, 30s, 15m, 1h30m, 7d"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written_alike() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("0s", 0)] {
            let read: Duration = text.parse().unwrap();
            assert_eq!(read.ms, ms, "{text}");
            assert_eq!(read.to_string().parse::<Duration>().unwrap(), read, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "5", "m", "1 h", "-1s", "1y", "1.5h", "99999999999999999999d"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
