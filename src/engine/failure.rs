//! Why an attempt failed, shaped by what is done next. Made by `connector`, judged by `engine`, kept by `store`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whether the service may have done what was asked (design section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The request never left: name, connect, TLS, a limit, a template.
    NotSent,
    /// The service refused it: a 4xx, a 429.
    NotDone,
    /// Nobody knows: a timeout, a torn connection, a 5xx, a crash after sending.
    Unknown,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Try again, after at least this many milliseconds where the service said so.
    Retry {
        /// Milliseconds from now.
        after_ms: Option<i64>,
    },
    /// The limit is reached: wait until then; uses up no retries.
    RateLimited {
        /// UTC epoch milliseconds.
        until_ms: i64,
    },
    /// The credentials no longer work: the connection wants attention.
    Reauth,
    /// The account is stopped: a usage cap, unpaid, closed.
    Suspended,
    /// The cursor is too old for the service.
    CursorExpired,
    /// It may have been done before: look for it.
    Reconcile,
    /// Trying again would change nothing.
    Fail,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable, `snake_case`: `http_403`, `timeout`, `connect_failed`, `egress_refused`, ...
    pub code: String,
    /// What failed, for which input, in words; never a secret.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether the service may have done what was asked.
    pub outcome: Outcome,
    /// What follows.
    pub verdict: Verdict,
    /// The HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The service's own code for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_code: Option<String>,
}

impl Failure {
    /// A failure before anything was sent that trying again would not change.
    pub fn not_sent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure {
            code: code.into(),
            message: message.into(),
            help: None,
            outcome: Outcome::NotSent,
            verdict: Verdict::Fail,
            status: None,
            service_code: None,
        }
    }

    /// As templates, tables and the results of a list's elements see it.
    pub fn told(&self) -> Value {
        let Failure { code, message, help, outcome, verdict: _, status, service_code } = self;
        json!({
            "code": code, "message": message, "status": status, "service_code": service_code,
            "outcome": outcome, "help": help,
        })
    }

    /// The same with what to do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
