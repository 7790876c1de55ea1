//! What connections can be held to: that it names what there is, and that a connection names it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::findings::{Findings, below, suggestion};
use super::scope::Scope;
use super::shapes::{inputs_type, shape};
use super::{errors, expressions, schemas};
use crate::manifest::Connector;
use crate::settings::Connection;

/// Those of a connector.
pub fn restrictions(findings: &mut Findings<'_>, connector: &Connector) {
    for (name, restriction) in &connector.restrictions {
        let pointer = below("/restrictions", name);
        errors::limits(findings, connector, &below(&pointer, "limits"), &restriction.limits);
        for (action_name, restricted) in &restriction.actions {
            let place = below(&below(&pointer, "actions"), action_name);
            let Some(action) = connector.actions.get(action_name) else {
                let help = suggestion(action_name, connector.actions.keys().map(String::as_str));
                findings.key_error("unknown_action", &place, format!("there is no action `{action_name}`"), help);
                continue;
            };
            schemas::inputs(findings, &below(&place, "inputs"), &restricted.inputs, &connector.schemas);
            let inputs = shape(connector, action).inputs;
            for input in
                restricted.inputs.keys().chain(restricted.set.keys()).filter(|name| !inputs.contains_key(*name))
            {
                let help = suggestion(input, inputs.keys().map(String::as_str));
                findings.error("input_unknown", &place, format!("`{action_name}` has no input `{input}`"), help);
            }
            let scope = Scope::new().with("inputs", inputs_type(&inputs, &connector.schemas));
            expressions::tree(findings, &scope, &below(&place, "set"), &Value::Object(restricted.set.clone()));
        }
        for trigger in restriction.triggers.keys().filter(|name| !connector.triggers.contains_key(*name)) {
            let place = below(&below(&pointer, "triggers"), trigger);
            let help = suggestion(trigger, connector.triggers.keys().map(String::as_str));
            findings.key_error("unknown_trigger", &place, format!("there is no trigger `{trigger}`"), help);
        }
    }
}

/// What a connection at `pointer` names; `all` are the connections beside it.
pub fn of_connection(
    findings: &mut Findings<'_>,
    pointer: &str,
    connector: &Connector,
    connection: &Connection,
    all: &BTreeMap<String, Connection>,
) {
    let pointer = below(pointer, "restrictions");
    for name in connection.restrictions.as_slice() {
        let Some(restriction) = connector.restrictions.get(name) else {
            let help = suggestion(name, connector.restrictions.keys().map(String::as_str));
            let message = format!("`{}` has no restriction `{name}`", connector.connector);
            findings.error("unknown_restriction", &pointer, message, help);
            continue;
        };
        let held = all
            .values()
            .filter(|other| other.connector == connection.connector && other.restrictions.as_slice().contains(name));
        let held = held.count();
        if let Some(most) = restriction.connections.filter(|most| held > *most as usize) {
            findings.error(
                "restricted_connections",
                &pointer,
                format!("{held} connections are held to `{name}`, which allows {most}"),
                "take the restriction from some of them",
            );
        }
    }
}
