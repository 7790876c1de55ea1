//! What a form that asks something of the outside world tells the engine once, at compilation: whom it asks,
//! what makes a repeat safe, and whether it asks once per element of a list.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Error;
use crate::manifest::connector::{OnPartial, PlainEffect, Reconcile};
use crate::template::{Expression, Scope};

/// The request of a step, apart from its input.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Who is asked.
    pub target: Target,
    /// What makes a repeat safe.
    pub effect: Effect,
    /// Of one attempt, where the step says nothing.
    pub timeout_ms: Option<i64>,
    /// One request per element, where the action says so.
    pub elements: Option<Elements>,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An action of a connector.
    Action {
        /// The connector's name.
        connector: Arc<str>,
        /// The action's name.
        action: Arc<str>,
    },
    /// The URL in the input.
    Http,
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Action { connector, action } => write!(formatter, "{connector}.{action}"),
            Target::Http => formatter.write_str("http"),
        }
    }
}

/// What makes a repeat of a request safe (design section 6).
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Nothing changes.
    Read,
    /// It is an upsert or a delete.
    Natural,
    /// The provider takes a key, the same for every attempt.
    Key,
    /// The provider can be asked.
    Lookup(Arc<Reconcile>),
    /// Nothing.
    None,
}

impl Effect {
    /// Whether "about to send" is committed before the request leaves.
    pub fn needs_mark(&self) -> bool {
        matches!(self, Effect::Lookup(_) | Effect::None)
    }
}

impl From<PlainEffect> for Effect {
    fn from(effect: PlainEffect) -> Self {
        match effect {
            PlainEffect::Read => Effect::Read,
            PlainEffect::Natural => Effect::Natural,
            PlainEffect::None => Effect::None,
        }
    }
}

/// One request per element of a list.
#[derive(Clone, Debug)]
pub struct Elements {
    /// Over `inputs`.
    pub list: Expression,
    /// What an element that failed means for the step.
    pub on_partial: OnPartial,
    /// The action's defaults, for a list that the step leaves out.
    pub defaults: Map<String, Value>,
}

impl Elements {
    /// The elements that these inputs name; a value that is no list counts as a list of one.
    pub fn of(&self, inputs: &Value) -> Result<Vec<Value>, Error> {
        let mut seen = self.defaults.clone();
        if let Value::Object(given) = inputs {
            for (name, value) in given {
                seen.insert(name.clone(), value.clone());
            }
        }
        let mut scope = Scope::new();
        scope.set("inputs", Value::Object(seen));
        Ok(match self.list.evaluate(&scope)? {
            Value::Array(elements) => elements,
            Value::Null => Vec::new(),
            single => vec![single],
        })
    }
}
