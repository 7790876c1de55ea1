//! How far a trigger has read, and what makes two records the same item. Pure: positions are compared by
//! their declared type, never as text, and the time is an argument. Called by the worker's polls.

mod datetime;
mod key;
mod position;

pub use self::datetime::Form;
pub use self::key::Key;
pub use self::position::{Integer, Position};

use serde_json::Value;

use super::selector::JmesPath;
use crate::engine::Failure;
use crate::manifest::connector::Order;
use crate::planted::bug;

/// A compiled `cursor`.
#[derive(Clone, Debug)]
pub struct Cursor {
    pub(super) field: Option<JmesPath>,
    pub(super) kind: Kind,
    /// In which order the service lists.
    pub order: Order,
    /// How far every poll looks back, in milliseconds.
    pub lookback_ms: i64,
    /// A rarer, wider look.
    pub deep: Option<Deep>,
    /// How old a cursor the service still takes, in milliseconds.
    pub max_age_ms: Option<i64>,
}

/// A rarer, wider look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deep {
    /// How far it looks back, in milliseconds.
    pub lookback_ms: i64,
    /// How often, in milliseconds.
    pub every_ms: i64,
}

/// How positions compare, and how they relate to time.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The bits above `shift` count milliseconds from `epoch_ms`.
    Snowflake { epoch_ms: i64, shift: u32 },
    /// Integers that say nothing of time.
    Integer,
    /// Points in time.
    Datetime { formats: Vec<Form>, emit: Form },
    /// The ledger alone.
    None,
}

impl Cursor {
    /// Where a record stands. `None` only for a cursor of type `none`: a record without the field fails
    /// loudly, because leaving it out silently would lose it.
    pub fn position(&self, record: &Value) -> Result<Option<Position>, Failure> {
        let (Some(field), false) = (&self.field, matches!(self.kind, Kind::None)) else {
            return Ok(None);
        };
        let value = field.search(record)?;
        if value.is_null() {
            return Err(Failure::not_sent(
                "cursor_missing",
                format!("a record has no `{}`, which its trigger's cursor reads", field.source()),
            )
            .with_help(
                "make the cursor's `field` fall back to another one (`a || b`), or let a `where` drop such records",
            ));
        }
        let position = match &self.kind {
            Kind::None => return Ok(None),
            Kind::Snowflake { .. } | Kind::Integer => Integer::from_json(&value).map(Position::Integer),
            Kind::Datetime { formats, .. } => formats.iter().find_map(|form| form.parse(&value)).map(Position::Instant),
        };
        position.map(Some).ok_or_else(|| {
            Failure::not_sent(
                "cursor_unreadable",
                format!(
                    "a record's `{}` is {}, which its trigger's cursor cannot read as {}",
                    field.source(),
                    shown(&value),
                    self.expectation()
                ),
            )
        })
    }

    /// The time of a position in UTC epoch milliseconds, where the cursor's type says one.
    pub fn time_ms(&self, position: &Position) -> Option<i64> {
        match (&self.kind, position) {
            (Kind::Snowflake { epoch_ms, shift }, Position::Integer(id)) => {
                id.as_u128().and_then(|id| i64::try_from(id >> shift).ok()).map(|ms| ms.saturating_add(*epoch_ms))
            }
            (_, Position::Instant(ms)) => Some(*ms),
            _ => None,
        }
    }

    /// The first position of a moment; `None` where the type knows no time, or the moment is before it began.
    pub fn at_ms(&self, time_ms: i64) -> Option<Position> {
        match &self.kind {
            Kind::Snowflake { epoch_ms, shift } => {
                let since_epoch = u128::try_from(time_ms.saturating_sub(*epoch_ms)).ok()?;
                let id = since_epoch.checked_shl(*shift)?;
                (id > 0).then(|| Position::Integer(Integer::from(id)))
            }
            Kind::Datetime { .. } => Some(Position::Instant(time_ms)),
            Kind::Integer | Kind::None => None,
        }
    }

    /// From where to ask: the moment `covered_until_ms`, or `value` where nothing is covered yet, neither later than
    /// `now_ms` (the server's time), less `lookback_ms`. A value beyond what is covered was listed late in a long
    /// reading, and says nothing of what its earlier pages could not list yet. What it gives is never later than
    /// any record that still has to be seen, whether the service takes its bound as inclusive or exclusive. `None`
    /// asks for everything: nothing is known, or the type has no order. Integers know no time, so they are given
    /// as they are and look back not at all.
    pub fn since(
        &self,
        value: Option<&Position>,
        covered_until_ms: Option<i64>,
        lookback_ms: i64,
        now_ms: i64,
    ) -> Option<Position> {
        match &self.kind {
            Kind::None => None,
            Kind::Integer => value.cloned(),
            Kind::Snowflake { .. } | Kind::Datetime { .. } => {
                let value_ms = value.and_then(|position| self.time_ms(position));
                let read_until = match bug("future_moves_cursor") {
                    true => covered_until_ms.max(value_ms)?,
                    false => covered_until_ms.or(value_ms)?.min(now_ms),
                };
                let bound = self.at_ms(read_until.saturating_sub(lookback_ms.max(0)))?;
                match bound {
                    Position::Integer(id) => id.before().map(Position::Integer),
                    Position::Instant(ms) => Some(Position::Instant(ms)),
                }
            }
        }
    }

    /// The new newest position after a record was committed. A record dated in the future counts as the
    /// server's present, so that it can not hide what comes in between.
    pub fn advance(&self, value: Option<Position>, record: Position, server_ms: i64) -> Option<Position> {
        let capped = match self.time_ms(&record) {
            Some(time_ms) if time_ms > server_ms && !bug("future_moves_cursor") => self.at_ms(server_ms),
            _ => Some(record),
        };
        value.max(capped)
    }

    /// The oldest position that the service still takes, by `max_age`.
    pub fn oldest_permitted(&self, now_ms: i64) -> Option<Position> {
        self.at_ms(now_ms.saturating_sub(self.max_age_ms?))
    }

    /// How far the widest look goes back, in milliseconds.
    pub fn widest_ms(&self) -> i64 {
        self.deep.map_or(0, |deep| deep.lookback_ms).max(self.lookback_ms)
    }

    /// What `cursor.since` shows to a request's templates: digits, or a time in the form of `emit`.
    pub fn emit(&self, position: &Position) -> Value {
        match (&self.kind, position) {
            (Kind::Datetime { emit, .. }, Position::Instant(ms)) => emit.emit(*ms),
            (_, position) => Value::String(position.to_string()),
        }
    }

    /// What a number column sorts by: the time where there is one, else the integer as far as 64 bits go.
    /// Equal values keep the order in which they were listed.
    pub fn sort_value(&self, position: &Position) -> i64 {
        match position {
            Position::Instant(ms) => *ms,
            Position::Integer(id) => id.as_i64_saturating(),
        }
    }

    /// A position as the store gave it back; `None` where it is none of this cursor's.
    pub fn parse(&self, stored: &str) -> Option<Position> {
        match &self.kind {
            Kind::None => None,
            Kind::Snowflake { .. } | Kind::Integer => Integer::parse(stored).map(Position::Integer),
            Kind::Datetime { .. } => Form::Rfc3339.parse(&Value::String(stored.to_owned())).map(Position::Instant),
        }
    }

    /// Whether a position says when its record was made.
    pub fn is_dated(&self) -> bool {
        matches!(self.kind, Kind::Snowflake { .. } | Kind::Datetime { .. })
    }

    /// Whether records have an order at all.
    pub fn is_ordered(&self) -> bool {
        !matches!(self.kind, Kind::None)
    }

    fn expectation(&self) -> String {
        match &self.kind {
            Kind::Snowflake { .. } | Kind::Integer => "decimal digits".to_owned(),
            Kind::Datetime { formats, .. } => {
                let names: Vec<String> = formats.iter().map(ToString::to_string).collect();
                format!("a time ({})", names.join(", "))
            }
            Kind::None => "nothing".to_owned(),
        }
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests;
