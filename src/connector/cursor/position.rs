//! One place in a service's order: an integer of any length, or a point in time.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One place in the order. Positions of one cursor are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// A decimal id.
    Integer(Integer),
    /// UTC epoch milliseconds.
    Instant(i64),
}

/// A decimal integer of any length, compared as a number. Its text is canonical: no zeros ahead, no `-0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Integer {
    negative: bool,
    digits: String,
}

impl fmt::Display for Position {
    /// As the store keeps it: digits, or RFC 3339 with milliseconds.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Integer(id) => id.fmt(formatter),
            Position::Instant(ms) => formatter.write_str(&crate::clock::rfc3339(*ms)),
        }
    }
}

impl Integer {
    /// From decimal text, with or without a sign.
    pub fn parse(text: &str) -> Option<Integer> {
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        Some(match significant {
            "" => Integer { negative: false, digits: "0".to_owned() },
            _ => Integer { negative, digits: significant.to_owned() },
        })
    }

    /// From a JSON integer or a string of digits. A number that JSON could only keep as a fraction has
    /// lost digits already and is refused.
    pub fn from_json(value: &Value) -> Option<Integer> {
        match value {
            Value::String(text) => Integer::parse(text),
            Value::Number(number) if !number.is_f64() => Integer::parse(&number.to_string()),
            _ => None,
        }
    }

    /// The number, where it is not negative and fits.
    pub fn as_u128(&self) -> Option<u128> {
        (!self.negative).then(|| self.digits.parse().ok()).flatten()
    }

    /// The number, or the nearest one that 64 bits hold.
    pub fn as_i64_saturating(&self) -> i64 {
        match (self.to_string().parse(), self.negative) {
            (Ok(number), _) => number,
            (Err(_), true) => i64::MIN,
            (Err(_), false) => i64::MAX,
        }
    }

    /// The integer below; `None` below 1, where there is no earlier id.
    pub fn before(&self) -> Option<Integer> {
        match self.as_u128() {
            Some(number) => number.checked_sub(1).filter(|below| *below > 0).map(Integer::from),
            None => Some(self.clone()),
        }
    }
}

impl From<u128> for Integer {
    fn from(number: u128) -> Self {
        Integer { negative: false, digits: number.to_string() }
    }
}

impl TryFrom<String> for Integer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Integer::parse(&text).ok_or_else(|| format!("`{text}` is not a decimal integer"))
    }
}

impl From<Integer> for String {
    fn from(integer: Integer) -> String {
        integer.to_string()
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            formatter.write_str("-")?;
        }
        formatter.write_str(&self.digits)
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = |left: &Integer, right: &Integer| {
            (left.digits.len(), &left.digits).cmp(&(right.digits.len(), &right.digits))
        };
        match (self.negative, other.negative) {
            (false, false) => by_size(self, other),
            (true, true) => by_size(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
