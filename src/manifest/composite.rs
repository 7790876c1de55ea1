//! Composite actions as written: an action of a connector that is made of steps. How its steps name other
//! actions, and what they name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Connector;
use super::connector::Action;
use super::flow::Step;

impl Action {
    /// Whether it is made of steps.
    pub fn is_composite(&self) -> bool {
        self.steps.is_some()
    }
}

/// The connector and the action that a step names: `<connector>.<action>`, or, within a composite of the
/// connector `home`, one of that connector's by its name alone.
pub fn action_name<'w>(written: &'w str, home: Option<&'w str>) -> Option<(&'w str, &'w str)> {
    written.split_once('.').or_else(|| home.map(|home| (home, written)))
}

/// Every step at any depth, from the first to the last.
pub fn all_steps<'s>(steps: &'s [Step], found: &mut dyn FnMut(&'s Step)) {
    for step in steps {
        found(step);
        for (_, inner) in step.inner() {
            all_steps(inner, found);
        }
    }
}

/// The connectors that these steps use, those within their composite actions included; `home` is the
/// connector whose composite they are.
pub fn connectors_of(
    steps: &[Step],
    home: Option<&str>,
    connectors: &BTreeMap<String, Arc<Connector>>,
) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut seen = BTreeSet::new();
    gather(steps, home, connectors, &mut used, &mut seen);
    used
}

fn gather<'c>(
    steps: &'c [Step],
    home: Option<&'c str>,
    connectors: &'c BTreeMap<String, Arc<Connector>>,
    used: &mut BTreeSet<String>,
    seen: &mut BTreeSet<(&'c str, &'c str)>,
) {
    all_steps(steps, &mut |step| {
        let Some((connector, name)) = step.action.as_deref().and_then(|written| action_name(written, home)) else {
            return;
        };
        used.insert(connector.to_owned());
        let steps = connectors.get(connector).and_then(|found| found.actions.get(name)?.steps.as_ref());
        if let Some(steps) = steps
            && seen.insert((connector, name))
        {
            gather(steps, Some(connector), connectors, used, seen);
        }
    });
}
