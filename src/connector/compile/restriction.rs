//! Compiles `restrictions`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::inputs::Inputs;
use super::super::restriction::{RestrictedAction, Restriction};
use super::{tree, unknown};
use crate::manifest;
use crate::manifest::problem::Problem;

/// Reads what connections can be held to.
pub fn restrictions(
    connector: &manifest::Connector,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Arc<Restriction>> {
    let mut all = BTreeMap::new();
    for (name, written) in &connector.restrictions {
        let pointer = format!("/restrictions/{name}");
        let mut actions = BTreeMap::new();
        for (action, restricted) in &written.actions {
            let place = format!("{pointer}/actions/{action}");
            if !connector.actions.contains_key(action) {
                problems.push(unknown("action", action, &place, connector.actions.keys()));
            }
            let inputs =
                Inputs::compile(&restricted.inputs, &connector.schemas, "input", &format!("{place}/inputs"), problems);
            let set = (!restricted.set.is_empty())
                .then(|| tree(&Value::Object(restricted.set.clone()), &format!("{place}/set"), problems))
                .flatten();
            actions.insert(action.clone(), RestrictedAction { inputs, set });
        }
        for trigger in written.triggers.keys().filter(|trigger| !connector.triggers.contains_key(*trigger)) {
            let place = format!("{pointer}/triggers/{trigger}");
            let message = format!("there is no trigger `{trigger}` in this connector");
            problems.push(Problem::new(place, "unknown_trigger", message));
        }
        let most = written.triggers.iter().filter_map(|(trigger, given)| Some((trigger.clone(), given.most?)));
        let limits = written.limits.clone();
        all.insert(name.clone(), Arc::new(Restriction { name: name.clone(), limits, actions, most: most.collect() }));
    }
    all
}
