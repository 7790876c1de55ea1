//! What decides which items a flow's trigger has, as a hash: what is polled, what it is asked, what becomes of the
//! answer, what tells two items apart, and whose account it is. While it is the same the ledger and the cursor hold;
//! another one means other items. What cannot change the items is left out: titles, limits, intervals, steps, the
//! flow's own `where`. Called at a deployment.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::accounts::Accounts;
use super::definition::{Definition, Source, hash, sort_keys};
use crate::manifest::Connector;
use crate::manifest::connector::{Action, Trigger};

// How far and how often a cursor looks back changes what is found when, not what an item is.
const LOOKS: &[&str] = &["order", "lookback", "deep", "max_age", "not_ready", "not_ready_for"];
// What an action is asked and what is made of its answer.
const ASKED: &[&str] =
    &["host", "use", "inputs", "resolve", "request", "response", "paginate", "limit", "skip", "builtin"];
// What people read of an input or an answer.
const DESCRIBED: &[&str] = &["title", "description", "examples", "schema"];

/// The hash; empty where nothing is polled. `manifests` has the connectors as they are deployed.
pub fn source_hash(
    definition: &Definition,
    manifests: &BTreeMap<String, Arc<Connector>>,
    accounts: &Accounts,
) -> String {
    let Source::Poll(poll) = &definition.source else { return String::new() };
    let manifest = manifests.get(&poll.connector);
    let trigger = manifest.and_then(|manifest| manifest.triggers.get(&poll.trigger));
    let action = manifest.zip(trigger).and_then(|(manifest, trigger)| manifest.actions.get(&trigger.poll));
    let mut asked = json!({
        "trigger": trigger.map(of_trigger),
        "action": action.map(of_action),
        "parts": manifest.zip(action).map(|(manifest, action)| parts(manifest, action)),
        "shapes": manifest.filter(|_| action.is_some_and(has_shape)).map(|manifest| &manifest.shapes),
        "host": manifest.map(|manifest| &manifest.defaults.host),
        "headers": manifest.map(|manifest| &manifest.defaults.headers),
    });
    sort_keys(&mut asked);
    let read = format!("{asked} {}", json!(manifest.map(|manifest| &manifest.connection.auth)));
    let name = definition.connections.get(&poll.connector);
    let account = definition
        .connectors
        .get(&poll.connector)
        .and_then(|compiled| accounts.connection(&poll.connector, name.map(String::as_str), compiled).ok());
    let mut source = json!({
        "poll": format!("{}.{}", poll.connector, poll.trigger),
        "inputs": poll.inputs,
        "asked": asked,
        "connection": name,
        // An account that lacks something cannot be polled, and is the same when it has it.
        "account": account.map(|account| account.identity(trigger.map(|trigger| trigger.poll.as_str()), &read)),
    });
    sort_keys(&mut source);
    hash(&source.to_string())
}

fn of_trigger(trigger: &Trigger) -> Value {
    let mut cursor = json!(trigger.cursor);
    without(&mut cursor, LOOKS);
    json!({"poll": trigger.poll, "with": trigger.with, "where": trigger.condition, "key": trigger.key, "cursor": cursor})
}

fn of_action(action: &Action) -> Value {
    let Value::Object(mut members) = json!(action) else { return Value::Null };
    members.retain(|name, _| ASKED.contains(&name.as_str()));
    described(members)
}

fn parts(manifest: &Connector, action: &Action) -> Value {
    let mut parts = Map::new();
    for name in action.uses.as_slice() {
        if let Some(Value::Object(mut members)) = manifest.parts.get(name).map(|part| json!(part)) {
            members.retain(|name, _| ASKED.contains(&name.as_str()));
            parts.insert(name.clone(), described(members));
        }
    }
    Value::Object(parts)
}

fn described(mut members: Map<String, Value>) -> Value {
    for name in ["inputs", "response"] {
        if let Some(member) = members.get_mut(name) {
            without(member, DESCRIBED);
            member.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(|value| without(value, DESCRIBED));
        }
    }
    Value::Object(members)
}

fn without(value: &mut Value, names: &[&str]) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
}

fn has_shape(action: &Action) -> bool {
    !action.uses.as_slice().is_empty()
        || action.response.shape.is_some()
        || action.response.expand.iter().any(|expand| expand.shape.is_some())
}
