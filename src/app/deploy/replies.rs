//! What looks for replies: for each account whose connector says how answers come back, a poll of its trigger that
//! starts no run. It rests while nobody is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Prepared, is_dated};
use crate::app::Project;
use crate::manifest::flow::Trigger;
use crate::manifest::{self, Duration, Flow, Loaded};
use crate::store::approvals::replies_flow;
use crate::store::triggers::TriggerSync;
use crate::worker::{Definitions, Written, source_hash};

/// How often it is looked while somebody is asked.
const EVERY: Duration = Duration::from_secs(30);

/// Adds what looks for replies to what is prepared. An account that cannot be used is told by the flows that
/// use it.
pub(super) fn add(prepared: &mut Prepared, project: &Project, definitions: &Definitions, now_ms: i64) {
    let manifests = project.connectors();
    let accounts: Vec<(String, String)> = prepared
        .deployment
        .accounts
        .configured()
        .iter()
        .filter(|(_, account)| account.active)
        .map(|(name, account)| (name.clone(), account.connector.clone()))
        .collect();
    for (account, connector) in accounts {
        let loaded = project.catalog.connectors.get(&connector);
        if let Some((loaded, replies)) = loaded.and_then(|loaded| Some((loaded, loaded.value.replies.as_ref()?))) {
            let polled = format!("{connector}.{}", replies.trigger);
            add_one(prepared, &manifests, (&account, loaded), polled, definitions, now_ms);
        }
    }
}

fn add_one(
    prepared: &mut Prepared,
    manifests: &BTreeMap<String, Arc<manifest::Connector>>,
    (account, loaded): (&str, &Loaded<manifest::Connector>),
    polled: String,
    definitions: &Definitions,
    now_ms: i64,
) {
    let Ok(compiled) = definitions.connector(&loaded.value, loaded.origin) else { return };
    let name = replies_flow(account);
    let connector = compiled.connector.name.clone();
    let trigger = Trigger { poll: Some(polled), every: Some(EVERY), ..Trigger::default() };
    let written = Written {
        flow: Flow { flow: name.clone(), trigger, ..Flow::default() },
        inputs: Value::Object(Map::new()),
        connections: BTreeMap::from([(connector.clone(), account.to_owned())]),
        connectors: BTreeMap::from([(connector.clone(), compiled.hash.clone())]),
    };
    let (hash, text) = (compiled.hash.clone(), compiled.written.text().to_string());
    let Ok(definition) = definitions.flow(&written, &BTreeMap::from([(connector, compiled)])) else { return };
    let latest_due_at = definition.next_due(now_ms);
    prepared.definitions.push((hash, text));
    prepared.definitions.push((definition.hash.clone(), written.text()));
    prepared.triggers.push(TriggerSync {
        flow: name.clone(),
        was: None,
        definition: definition.hash.clone(),
        source: source_hash(&definition, manifests, &prepared.deployment.accounts),
        is_enabled: true,
        stopped: None,
        is_dated: is_dated(&written.flow.trigger, manifests),
        first_due_at: Some(now_ms),
        latest_due_at,
    });
    prepared.deployment.replies.insert(name, definition);
}
