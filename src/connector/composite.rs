//! Actions that are made of steps: they send nothing by themselves. Here is what their steps are given; the
//! engine does the steps, each of them a call of its own.

use serde_json::{Value, json};

use super::action::Action;
use super::connection::Connection;
use crate::engine::Failure;
use crate::template::Scope;

/// The roots that the steps of a composite read: `{inputs, connection}`, the inputs completed by the connection's
/// defaults and checked like those of any other action.
///
/// # Errors
/// `input_invalid`: nothing has begun.
pub fn roots(connection: &Connection, action: &Action, given: Value) -> Result<Value, Failure> {
    let inputs = action.inputs.resolve(given, &connection.defaults, action)?;
    let inputs = Value::Object(connection.restrict(action, inputs)?);
    let mut scope = Scope::new();
    scope.set("inputs", inputs.clone());
    scope.set("connection", connection.public.clone());
    action.refuse(&scope)?;
    Ok(json!({"inputs": inputs, "connection": connection.public}))
}

/// Why a composite cannot be sent as if it were one request.
pub(super) fn refuse(action: &Action) -> Result<(), Failure> {
    match action.is_composite {
        false => Ok(()),
        true => {
            Err(Failure::not_sent("composite_action", format!("{action} is made of steps: it is no single request"))
                .with_help("call it from a step, or with `tidegate call`"))
        }
    }
}
