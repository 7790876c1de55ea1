//! What a poll tells a person: what may be missing, and what comes out of order. Only the words; `poll` knows when,
//! and the store keeps them.

use serde_json::json;

use crate::clock::rfc3339;
use crate::store::notices::Notice;

/// A notice about a flow and the connection that it polls with; `now_ms` is its time.
pub struct Told<'a> {
    /// The flow.
    pub flow: &'a str,
    /// The connection.
    pub connection: &'a str,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
}

impl Told<'_> {
    /// The service no longer lists what lies between two times (UTC epoch milliseconds).
    pub fn gap(&self, from_ms: i64, to_ms: i64) -> Notice {
        let message = format!(
            "items between {} and {} may be missing: the service no longer lists them",
            rfc3339(from_ms),
            rfc3339(to_ms)
        );
        Notice { details: Some(json!({ "from_ms": from_ms, "to_ms": to_ms }).to_string()), ..self.of("gap", message) }
    }

    /// Other items than before, without dates: what came of them between two times (UTC epoch milliseconds) counts as
    /// history.
    pub fn changed(&self, from_ms: i64, to_ms: i64) -> Notice {
        let message = format!(
            "items that came between {} and {} may be missing: the flow's source changed, and its items have no dates",
            rfc3339(from_ms),
            rfc3339(to_ms)
        );
        Notice { details: Some(json!({ "from_ms": from_ms, "to_ms": to_ms }).to_string()), ..self.of("gap", message) }
    }

    /// One poll stands for `polls` of them, the first of which was due at `from_ms` (UTC epoch milliseconds).
    pub fn missed(&self, from_ms: i64, polls: usize) -> Notice {
        let message = format!(
            "no poll was made since {}: one is made now for the {polls} that were due, and finds what came meanwhile",
            rfc3339(from_ms)
        );
        let details = json!({ "from_ms": from_ms, "to_ms": self.now_ms, "polls": polls });
        Notice { details: Some(details.to_string()), ..self.of("missed", message) }
    }

    /// The service repeats itself instead of naming the next page: what it would list after that is not known.
    pub fn cut_short(&self, why: &str) -> Notice {
        self.of("gap", format!("items may be missing: {why}"))
    }

    /// A reading could not be finished for an hour, and `started` runs of it begin all the same.
    pub fn out_of_order(&self, started: i64) -> Notice {
        let message = format!(
            "a poll could not be finished for an hour; the {started} items found so far are started, older ones may follow"
        );
        self.of("out_of_order", message)
    }

    fn of(&self, kind: &str, message: String) -> Notice {
        Notice {
            flow: Some(self.flow.to_owned()),
            connection: Some(self.connection.to_owned()),
            kind: kind.to_owned(),
            message,
            details: None,
            at: self.now_ms,
        }
    }
}
