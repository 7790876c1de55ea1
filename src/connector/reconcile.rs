//! Looking up what an attempt of unknown outcome did: what the listing action is asked, and which of its records
//! can be the attempt's own. Which of them belongs to which attempt (one to one, by id) is for the caller.

use std::sync::Arc;

use serde_json::Value;

use super::action::Action;
use super::connection::Connection;
use super::cursor::Form;
use super::selector::{JmesPath, scalar_text};
use super::template_failure;
use crate::engine::Failure;
use crate::template::{Expression, Scope, Tree};

/// How much earlier than the attempt a record may be dated, in milliseconds: services round to seconds, and
/// their clocks are not ours.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// A compiled `reconcile`.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// The `read` action that lists what was done.
    pub action: String,
    pub(super) with: Tree,
    pub(super) condition: Expression,
    pub(super) id: JmesPath,
    pub(super) time: Option<JmesPath>,
}

/// A record that can be the attempt's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its id at the provider.
    pub id: String,
    /// The record: the step's output, once it is settled as done.
    pub record: Value,
}

impl Reconcile {
    /// The scope of its templates: the uncertain call's inputs (completed), its element under the name that the
    /// action gives it, and as `now` the time of the first uncertain attempt, `since_ms`.
    pub fn scope(
        connection: &Connection,
        action: &Arc<Action>,
        inputs: Value,
        element: Option<Value>,
        since_ms: i64,
    ) -> Result<Scope, Failure> {
        let inputs = action.inputs.resolve(inputs, &connection.defaults, action)?;
        let mut scope = Scope::new();
        scope.set("inputs", Value::Object(inputs));
        scope.set_now(since_ms);
        if let (Some(foreach), Some(element)) = (&action.foreach, element) {
            scope.set(&foreach.name, element);
        }
        Ok(scope)
    }

    /// The listing action's inputs.
    pub fn inputs(&self, scope: &Scope) -> Result<Value, Failure> {
        self.with.evaluate_pruned(scope).map_err(|error| template_failure(&error))
    }

    /// The records that match and are not older than the attempt. A record without an id is none.
    pub fn candidates(&self, records: Vec<Value>, scope: &mut Scope) -> Result<Vec<Candidate>, Failure> {
        let since_ms = scope.now_ms().unwrap_or(i64::MIN).saturating_sub(CLOCK_TOLERANCE_MS);
        let mut found = Vec::new();
        for record in records {
            if self.time_ms(&record).is_some_and(|time_ms| time_ms < since_ms) {
                continue;
            }
            scope.set("record", record);
            let matches = self.condition.is_true(scope);
            let record = scope.take("record").unwrap_or(Value::Null);
            if !matches.map_err(|error| template_failure(&error))? {
                continue;
            }
            if let Some(id) = scalar_text(self.id.search(&record)?.as_ref()) {
                found.push(Candidate { id, record });
            }
        }
        Ok(found)
    }

    fn time_ms(&self, record: &Value) -> Option<i64> {
        let value = self.time.as_ref()?.search(record).ok()?;
        Form::NAMED.iter().find_map(|form| form.parse(&value))
    }
}
