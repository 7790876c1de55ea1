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

/// How much earlier than the attempt a record may be dated by the service's clock, in milliseconds: services round
/// to seconds, and how far their clocks are from ours is known roughly. Where they are further apart than this
/// nothing is taken for absent: who knows what else is wrong with the times.
pub const CLOCK_TOLERANCE_MS: i64 = 60_000;

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

/// What of a list may be the attempt's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Those that have an id, in the list's order.
    pub candidates: Vec<Candidate>,
    /// Whether one without an id matches, too: it can be given to no step, and may be this one's.
    pub has_nameless: bool,
}

impl Reconcile {
    /// From when on a record can be of the making of an attempt at `since_ms` by our clock, by the service's, which
    /// is `ahead_ms` ahead.
    pub fn earliest_ms(since_ms: i64, ahead_ms: i64) -> i64 {
        since_ms.saturating_add(ahead_ms).saturating_sub(CLOCK_TOLERANCE_MS)
    }

    /// Whether what is looked for depends on times.
    pub fn is_timed(&self) -> bool {
        let reads_now = |source: &str| source.contains("now");
        self.time.is_some()
            || reads_now(self.condition.source())
            || self.with.templates("").iter().any(|(_, template)| reads_now(template.source()))
    }

    /// Why a record that was not found may be there all the same: the service, which is `ahead_ms` ahead of us,
    /// has another time, or does not say which.
    pub fn doubt(&self, ahead_ms: Option<i64>) -> Option<String> {
        match ahead_ms {
            _ if !self.is_timed() => None,
            None => Some("the service does not say what time it has, so that absence proves nothing".to_owned()),
            Some(ms) if ms.abs() <= CLOCK_TOLERANCE_MS => None,
            Some(ms) => {
                let (seconds, way) = (ms.abs() / 1_000, if ms > 0 { "behind" } else { "ahead of" });
                Some(format!("our clock is {seconds} s {way} the service's, so that absence proves nothing"))
            }
        }
    }

    /// Whether a list goes back to before the attempt, so that there is nothing on its further pages: from the newest
    /// down to one that is older.
    pub fn goes_back_to(&self, records: &[Value], earliest_ms: i64) -> bool {
        let time_of = |record: Option<&Value>| record.and_then(|record| self.time_ms(record));
        let (Some(first_ms), Some(last_ms)) = (time_of(records.first()), time_of(records.last())) else { return false };
        let times = records.iter().filter_map(|record| self.time_ms(record));
        last_ms < earliest_ms && last_ms < first_ms && times.is_sorted_by(|newer, older| newer >= older)
    }

    /// The id of what an action made, by its own answer.
    ///
    /// # Errors
    /// Where the answer is of a kind that the path cannot read.
    pub fn id_of(&self, output: &Value) -> Result<Option<String>, Failure> {
        Ok(scalar_text(self.id.search(output)?.as_ref()))
    }

    /// The scope of its templates: the uncertain call's inputs (completed), its element under the name that the
    /// action gives it, and as `now` [`Reconcile::earliest_ms`].
    pub fn scope(
        connection: &Connection,
        action: &Arc<Action>,
        inputs: Value,
        element: Option<Value>,
        earliest_ms: i64,
    ) -> Result<Scope, Failure> {
        let inputs = action.inputs.resolve(inputs, &connection.defaults, action)?;
        let mut scope = Scope::new();
        scope.set("inputs", Value::Object(inputs));
        scope.set_now(earliest_ms);
        if let (Some(foreach), Some(element)) = (&action.foreach, element) {
            scope.set(&foreach.name, element);
        }
        Ok(scope)
    }

    /// The listing action's inputs.
    pub fn inputs(&self, scope: &Scope) -> Result<Value, Failure> {
        self.with.evaluate_pruned(scope).map_err(|error| template_failure(&error))
    }

    /// The records that match and are not older than the scope's `now`.
    pub fn candidates(&self, records: Vec<Value>, scope: &mut Scope) -> Result<Matching, Failure> {
        let earliest_ms = scope.now_ms().unwrap_or(i64::MIN);
        let mut found = Matching::default();
        // An action that is not told to give many gives a list as its one record.
        let single = records.into_iter().flat_map(|record| match record {
            Value::Array(records) => records,
            record => vec![record],
        });
        for record in single {
            if self.time_ms(&record).is_some_and(|time_ms| time_ms < earliest_ms) {
                continue;
            }
            scope.set("record", record);
            let matches = self.condition.is_true(scope);
            let record = scope.take("record").unwrap_or(Value::Null);
            if !matches.map_err(|error| template_failure(&error))? {
                continue;
            }
            match self.id_of(&record)? {
                Some(id) => found.candidates.push(Candidate { id, record }),
                None => found.has_nameless = true,
            }
        }
        Ok(found)
    }

    fn time_ms(&self, record: &Value) -> Option<i64> {
        let value = self.time.as_ref()?.search(record).ok()?;
        Form::NAMED.iter().find_map(|form| form.parse(&value))
    }
}
