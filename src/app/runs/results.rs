//! What came of each action of a run, in the words of `tidegate call`: read from the journal and from the definition
//! that the run is pinned to.

use serde_json::Value;

use super::Step;
use crate::app::result::ActionResult;
use crate::connector::Action;
use crate::engine::{Failure, Target};
use crate::store::steps::StepRow;
use crate::worker::Definition;

/// Puts its result into every step that called an action and is over; without a `definition` there are no tables.
pub(super) fn tell(steps: &mut [Step], rows: &[StepRow], definition: Option<&Definition>) {
    for step in steps.iter_mut() {
        if !matches!(step.form.as_str(), "action" | "composite" | "http") || step.key.ends_with(']') {
            continue;
        }
        let target = definition.and_then(|definition| definition.flow.target(&step.key));
        let action = target.and_then(|target| action(definition?, target));
        let output = step.output.clone().unwrap_or_default();
        step.result = match step.state.as_str() {
            "succeeded" => Some(ActionResult::done(action, output, raw(rows, &step.key))),
            "failed" => {
                failure(step).map(|failure| ActionResult::failed(action, failure, output, raw(rows, &step.key)))
            }
            _ => None,
        };
    }
}

/// What the service sent for a step, its elements and its inner steps: an element per answer, in their order. Of an
/// answer of more than 64 KiB the record has only a part: it is null here.
pub(in crate::app) fn raw(rows: &[StepRow], key: &str) -> Vec<Value> {
    let belongs = |row: &&StepRow| {
        let inner = row.key.strip_prefix(key);
        row.state != "retrying" && inner.is_some_and(|inner| inner.is_empty() || inner.starts_with(['[', '.']))
    };
    rows.iter().filter(belongs).filter_map(|row| sent(row.exchange.as_deref()?)).collect()
}

fn sent(exchange: &str) -> Option<Value> {
    let exchange: Value = serde_json::from_str(exchange).ok()?;
    let response = exchange.get("response")?;
    let body = response.get("body")?.as_str();
    match (body, response.get("body_bytes")) {
        (None, None) => None,
        (Some(text), None) => Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        (_, Some(_)) => Some(Value::Null),
    }
}

fn failure(step: &Step) -> Option<Failure> {
    let stored = step.error.clone()?;
    Some(serde_json::from_value(stored.clone()).unwrap_or_else(|_| Failure::not_sent("failed", stored.to_string())))
}

fn action<'d>(definition: &'d Definition, target: &Target) -> Option<&'d Action> {
    let Target::Action { connector, action } = target else { return None };
    definition.connectors.get(connector.as_ref())?.action(action).map(|action| action.as_ref())
}
