//! How a service says what went wrong, what to do about it, and how often it may be asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::{Duration, OneOrMany};

/// How a service says what went wrong.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// JMESPath on the body, to the words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// JMESPath on the body, to the service's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// First match wins; the built-in ones come after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ErrorRule>,
}

/// One rule. All that is given must match.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// A status (`403`), a class (`5xx`), or several.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub status: OneOrMany<Status>,
    /// The service's own code, as text.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub code: OneOrMany<String>,
    /// Part of the body's text, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A condition over `response` (`status`, `headers`, `body`) and `inputs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Only after an attempt of this step whose outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// What follows.
    pub then: Then,
    /// `retry`, `rate_limited`: how long to wait where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// What to tell people, instead of the service's words; a template over `response` and `inputs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What they can do about it, beside the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// `403`, or a class such as `5xx`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(untagged)]
pub enum Status {
    /// One status.
    Code(u16),
    /// `4xx`, `5xx`, ...
    Class(String),
}

/// What must have come before.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// An attempt of this step whose outcome is not known.
    Uncertain,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Try again after a wait.
    Retry,
    /// The limit is reached: wait for what the service says; uses up no retries.
    RateLimited,
    /// The credentials no longer work: the connection wants attention.
    Reauth,
    /// Treat it as an answer without records.
    Ignore,
    /// Treat it as a success.
    Success,
    /// It was done before: look for it.
    Reconcile,
    /// The cursor is too old for the service.
    CursorExpired,
    /// The account is stopped: a usage cap, unpaid, closed.
    Suspended,
    /// The step fails.
    Fail,
}

/// How often a service may be asked.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests per time: `300/15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// How many of `rate` may come at once: a tenth where this is left out, and the rest is spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Requests under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// The actions that share it; each action has its own where this is left out.
    #[serde(default, rename = "match", skip_serializing_if = "OneOrMany::is_empty")]
    pub actions: OneOrMany<String>,
    /// Instead of `match`: all other actions share it.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub except: OneOrMany<String>,
    /// The schemes whose requests it counts; all where this is left out.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub auth: OneOrMany<String>,
    /// Who shares it.
    #[serde(default)]
    pub scope: Scope,
    /// Where the service says how much is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<LimitHeaders>,
}

/// How many requests of a rate may come at once.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Burst {
    /// The whole count: the service counts what came in the time, however it was spread.
    All,
}

/// Who shares a limit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every connection has its own.
    #[default]
    Connection,
    /// The connections of one app share it: see `connection.app`.
    App,
}

/// Where a service says how much is left.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// A number of requests.
    pub remaining: String,
    /// When it starts anew: epoch seconds, seconds from now, or a date.
    pub reset: String,
}
