//! A source of items, compiled: what the polled action is asked, and what a record of its answer is.

use serde_json::{Map, Value};

use super::cursor::{Cursor, Key, Position};
use super::inputs::Inputs;
use super::template_failure;
use crate::engine::Failure;
use crate::template::{Expression, Scope, Tree};

/// A compiled trigger.
#[derive(Debug)]
pub struct Trigger {
    /// Its connector's name.
    pub connector: String,
    /// Its name within the connector.
    pub name: String,
    /// The polled action's name.
    pub poll: String,
    /// What a flow gives it.
    pub inputs: Inputs,
    /// How far it has read.
    pub cursor: Cursor,
    /// How long a key is remembered after it was last listed, in milliseconds; at least every lookback.
    pub remember_ms: i64,
    /// How often it is polled unless the flow says otherwise, in milliseconds.
    pub every_ms: i64,
    /// How long a record may stay not ready, in milliseconds; then it is taken as it is.
    pub not_ready_for_ms: i64,
    /// Empty where nothing is written.
    pub(super) with: Option<Tree>,
    pub(super) key: Key,
    pub(super) condition: Option<Expression>,
    pub(super) not_ready: Option<Expression>,
}

/// A record that belongs to a trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What the same item is known by.
    pub key: String,
    /// Where it stands; `None` for a cursor of type `none`.
    pub position: Option<Position>,
    /// Its time in UTC epoch milliseconds, where its position says one.
    pub time_ms: Option<i64>,
    /// What it sorts by; 0 without a position.
    pub sort_value: i64,
    /// Whether it is complete; the others are left unseen.
    pub is_ready: bool,
    /// The record itself.
    pub record: Value,
}

impl Trigger {
    /// What a flow gives, completed and checked.
    pub fn resolve(&self, given: Value) -> Result<Value, Failure> {
        let name = format!("{}.{}", self.connector, self.name);
        self.inputs.resolve(given, &Map::new(), &name).map(Value::Object)
    }

    /// The polled action's inputs. `since` is where to ask from; it is absent in the templates when `None`.
    pub fn action_inputs(&self, inputs: &Value, since: Option<&Position>) -> Result<Value, Failure> {
        let mut cursor = Map::new();
        if let Some(since) = since {
            cursor.insert("since".to_owned(), self.cursor.emit(since));
        }
        let mut scope = self.scope(inputs);
        scope.set("cursor", Value::Object(cursor));
        match &self.with {
            Some(with) => with.evaluate_pruned(&scope).map_err(|error| template_failure(&error)),
            None => Ok(Value::Object(Map::new())),
        }
    }

    /// The scope in which [`Trigger::item`] reads records: made once per page.
    pub fn scope(&self, inputs: &Value) -> Scope {
        let mut scope = Scope::new();
        scope.set("inputs", inputs.clone());
        scope
    }

    /// What a record is to this trigger; `None` where its `where` says that it is none of its own. `scope`
    /// comes from [`Trigger::scope`].
    pub fn item(&self, record: Value, scope: &mut Scope) -> Result<Option<Item>, Failure> {
        scope.set("record", record);
        let is_true = |condition: &Option<Expression>, otherwise: bool| match condition {
            Some(condition) => condition.is_true(scope).map_err(|error| template_failure(&error)),
            None => Ok(otherwise),
        };
        let is_own = is_true(&self.condition, true);
        let is_unready = match &is_own {
            Ok(true) => is_true(&self.not_ready, false),
            _ => Ok(false),
        };
        let record = scope.take("record").unwrap_or(Value::Null);
        if !is_own? {
            return Ok(None);
        }
        let position = self.cursor.position(&record)?;
        Ok(Some(Item {
            key: self.key.of(&record, scope)?,
            time_ms: position.as_ref().and_then(|position| self.cursor.time_ms(position)),
            sort_value: position.as_ref().map_or(0, |position| self.cursor.sort_value(position)),
            position,
            is_ready: !is_unready?,
            record,
        }))
    }
}
