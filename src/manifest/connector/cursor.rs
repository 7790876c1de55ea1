//! How far a trigger has read, and what makes two records the same item.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::{Duration, OneOrMany};

/// How far a trigger has read.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// JMESPath on the record, to the value that orders it. Not needed for `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How two values compare.
    #[serde(default, rename = "type")]
    pub kind: CursorType,
    /// `snowflake`: the epoch of the id's time, in UTC epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_ms: Option<i64>,
    /// `snowflake`: the bits below the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<u32>,
    /// In which order the service lists.
    #[serde(default)]
    pub order: Order,
    /// `datetime`: the accepted forms: `rfc3339`, `rfc2822`, `epoch`, `epoch_ms`, or a strptime pattern. All the named ones unless given.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub formats: OneOrMany<String>,
    /// `datetime`: how `cursor.since` is written; `rfc3339` unless given. Same forms as `formats`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit: Option<String>,
    /// How far every poll looks back beyond what it has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<Duration>,
    /// A rarer, wider look for rows that show up late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep: Option<Deep>,
    /// How old a cursor the service still takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// A condition over `record`: left unseen until it is no longer true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// How long a record may stay not ready; then it is taken as it is. 10 minutes unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready_for: Option<Duration>,
}

/// A rarer, wider look.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Deep {
    /// How far it looks back.
    pub lookback: Duration,
    /// How often.
    pub every: Duration,
}

/// How two cursor values compare.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CursorType {
    /// A decimal id whose upper bits are a time.
    Snowflake,
    /// A decimal id of any length.
    Integer,
    /// A point in time.
    Datetime,
    /// There is none: the ledger alone tells what is new.
    #[default]
    None,
}

/// In which order the service lists.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
    /// In none that can be relied on.
    Unordered,
}

/// What "the same item" is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Key {
    /// One field or several, as JMESPath on the record.
    Fields(OneOrMany<String>),
    /// The whole record, or named members of it, hashed.
    Hash(HashKey),
}

/// `key: {hash: record}` or `{hash: [title, url]}`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HashKey {
    /// `record`, or the JMESPaths to hash.
    pub hash: OneOrMany<String>,
}
