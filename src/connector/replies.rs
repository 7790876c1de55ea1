//! How answers come back to what a connector's actions ask: whom a request asks, and what an incoming record says
//! and of whom. Which approval a message belongs to is the store's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Action;
use crate::manifest;
use crate::manifest::connector as written;
use crate::manifest::problem::Problem;
use crate::template::{Expression, Scope};

/// How answers come back, compiled.
#[derive(Debug)]
pub struct Replies {
    /// The trigger that finds them.
    pub trigger: String,
    /// How such an answer comes, in a word.
    pub kind: String,
    from: Expression,
    text: Expression,
    asks: BTreeMap<String, Expression>,
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: String,
    /// What it says.
    pub text: String,
}

impl Replies {
    /// Compiles what a connector says; notes what is wrong with it.
    pub(super) fn compile(
        written: &written::Replies,
        connector: &manifest::Connector,
        problems: &mut Vec<Problem>,
    ) -> Option<Replies> {
        let before = problems.len();
        if !connector.triggers.contains_key(&written.trigger) {
            let message = format!("there is no trigger `{}`", written.trigger);
            problems.push(Problem::new("/replies/trigger", "unknown_trigger", message));
        }
        for action in written.asks.keys().filter(|name| !connector.actions.contains_key(*name)) {
            let message = format!("there is no action `{action}`");
            problems.push(Problem::new(format!("/replies/asks/{action}"), "unknown_action", message));
        }
        let mut expression = |text: &str, pointer: String| {
            Expression::compile(text).map_err(|error| problems.push(Problem::from_template(pointer, error))).ok()
        };
        let from = expression(&written.from, "/replies/from".to_owned());
        let text = expression(&written.text, "/replies/text".to_owned());
        let asks: BTreeMap<String, Expression> = written
            .asks
            .iter()
            .filter_map(|(action, whom)| Some((action.clone(), expression(whom, format!("/replies/asks/{action}"))?)))
            .collect();
        if problems.len() > before {
            return None;
        }
        Some(Replies { trigger: written.trigger.clone(), kind: written.kind.clone(), from: from?, text: text?, asks })
    }

    /// Whom a request of an action asks; none where it asks nobody who can answer.
    pub fn address(&self, action: &Action, inputs: &Value, element: Option<&Value>) -> Option<String> {
        let whom = self.asks.get(&action.name)?;
        let mut scope = Scope::new();
        scope.set("inputs", inputs.clone());
        if let (Some(foreach), Some(element)) = (&action.foreach, element) {
            scope.set(&foreach.name, element.clone());
        }
        match whom.evaluate(&scope) {
            Ok(Value::String(address)) => Some(address),
            _ => None,
        }
    }

    /// What an incoming record says; none where it is no message.
    pub fn message(&self, record: &Value) -> Option<Message> {
        let mut scope = Scope::new();
        scope.set("record", record.clone());
        let text = |expression: &Expression| match expression.evaluate(&scope) {
            Ok(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Message { from: text(&self.from)?, text: text(&self.text)? })
    }
}
