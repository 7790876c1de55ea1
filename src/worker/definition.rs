//! What a run is pinned to, compiled: a flow with its inputs, its trigger, and the connectors that it uses.
//! Made from the files by `app`, and from the store for runs that began with an earlier version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::connector::Connector;
use crate::engine::Flow;
use crate::manifest::flow::Start;
use crate::manifest::{self, Problem};
use crate::template::Scope;

/// What a run is pinned to, as text: the store keeps it under its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written {
    /// The flow.
    pub flow: manifest::Flow,
    /// Its inputs, resolved.
    pub inputs: Value,
    /// Connector to connection.
    pub connections: BTreeMap<String, String>,
    /// Connector to the hash of its text.
    pub connectors: BTreeMap<String, String>,
}

/// What a run is pinned to, compiled.
pub struct Definition {
    /// The hash of its text.
    pub hash: String,
    /// The flow's name.
    pub name: String,
    /// Its steps.
    pub flow: Flow,
    /// Its inputs, resolved.
    pub inputs: Value,
    /// What starts it.
    pub source: Source,
    /// The connectors that it uses.
    pub connectors: BTreeMap<String, Arc<Connector>>,
    /// Connector to connection.
    pub connections: BTreeMap<String, String>,
}

/// What starts a flow.
pub enum Source {
    /// An action polled on a schedule with a cursor.
    Poll(Box<Poll>),
    /// A schedule alone.
    Schedule,
    /// `tidegate run`.
    Manual,
}

/// An action polled on a schedule with a cursor.
pub struct Poll {
    /// The connector's name.
    pub connector: String,
    /// The trigger's name.
    pub trigger: String,
    /// The trigger's inputs.
    pub inputs: Value,
    /// Which items count as new at first.
    pub start: Start,
}

/// The hash that stands for a text: SHA-256, in hex.
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Written {
    /// The text that the store keeps, the same for the same definition.
    pub fn text(&self) -> String {
        // Through a `Value` with sorted keys: files that differ in the order of keys alone are the same.
        let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
        sort_keys(&mut value);
        value.to_string()
    }
}

impl Definition {
    /// Compiles a definition; `manifests` and `connectors` are those that it names.
    ///
    /// # Errors
    /// Every mistake in it, by JSON pointer into the flow.
    pub fn compile(
        written: &Written,
        hash: String,
        manifests: &BTreeMap<String, Arc<manifest::Connector>>,
        connectors: &BTreeMap<String, Arc<Connector>>,
    ) -> Result<Definition, Vec<Problem>> {
        let flow = Flow::compile(&written.flow, manifests)?;
        let source = source(written, &flow, connectors).map_err(|problem| vec![problem])?;
        Ok(Definition {
            hash,
            name: written.flow.flow.clone(),
            flow,
            inputs: written.inputs.clone(),
            source,
            connectors: connectors.clone(),
            connections: written.connections.clone(),
        })
    }

    /// Whether its trigger is polled with this connection.
    pub fn polls_with(&self, connection: &str) -> bool {
        match &self.source {
            Source::Poll(poll) => self.connections.get(&poll.connector).is_some_and(|name| name == connection),
            Source::Schedule | Source::Manual => false,
        }
    }

    /// When it is due next after a time, where it has a schedule.
    pub fn next_due(&self, after_ms: i64) -> Option<i64> {
        self.flow.trigger.schedule.as_ref()?.next_due(after_ms, &self.name)
    }
}

fn source(written: &Written, flow: &Flow, connectors: &BTreeMap<String, Arc<Connector>>) -> Result<Source, Problem> {
    let trigger = &written.flow.trigger;
    let Some(poll) = &trigger.poll else {
        return Ok(if flow.trigger.schedule.is_some() { Source::Schedule } else { Source::Manual });
    };
    let Some((connector, name)) = poll.split_once('.') else {
        let message = format!("`{poll}` is not `<connector>.<trigger>`");
        return Err(Problem::new("/trigger/poll", "trigger_name", message));
    };
    let mut scope = Scope::new();
    scope.set("inputs", written.inputs.clone());
    let inputs = flow.trigger.with.evaluate_pruned(&scope).map_err(|error| {
        let problem = Problem::new("/trigger/with", error.code, error.message);
        match error.help {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    })?;
    // With the trigger's own defaults; one that is not there is told when it is polled.
    let inputs = match connectors.get(connector).and_then(|connector| connector.trigger(name)) {
        Some(trigger) => trigger.resolve(inputs).map_err(|failure| {
            let problem = Problem::new("/trigger/with", "input_invalid", failure.message);
            Problem { help: failure.help, ..problem }
        })?,
        None => inputs,
    };
    Ok(Source::Poll(Box::new(Poll {
        connector: connector.to_owned(),
        trigger: name.to_owned(),
        inputs,
        start: trigger.start.clone(),
    })))
}

/// Puts the members of every object in order of their names.
pub fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.sort_keys();
            members.values_mut().for_each(sort_keys);
        }
        Value::Array(elements) => elements.iter_mut().for_each(sort_keys),
        _ => {}
    }
}
