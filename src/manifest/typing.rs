//! Types what a flow gives to actions and triggers, and what the steps of a composite action give: a plain
//! `007` is text where text is asked for. Done once, where the files are still at hand; the typed flow is what
//! runs are pinned to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::composite::action_name;
use super::flow::Step;
use super::input::object_schema;
use super::typed::{escape, typed};
use super::{Connector, Flow, Inputs, OneOrMany, Source};

type Connectors = BTreeMap<String, Arc<Connector>>;

/// The flow with every literal input typed by the schema that it meets. What names no known action or trigger
/// stays as it is, for compilation to complain about.
pub fn type_flow(flow: &Flow, source: &Source, connectors: &Connectors) -> Flow {
    let mut flow = flow.clone();
    let typing = Typing { source, connectors, home: None };
    let polled = flow.trigger.poll.as_deref().and_then(|poll| typing.find(poll));
    if let Some((connector, name)) = polled
        && let Some(trigger) = connector.triggers.get(name)
    {
        let with = std::mem::take(&mut flow.trigger.with);
        let with = typing.inputs(Value::Object(with), &trigger.inputs, connector, "/trigger/with");
        if let Value::Object(with) = with {
            flow.trigger.with = with;
        }
    }
    typing.steps(&mut flow.steps, "/steps");
    typing.steps(&mut flow.on_failure, "/on_failure");
    flow
}

/// The steps of a connector's composite actions, by action, with what they give typed in the same way.
pub fn type_composites(connector: &Connector, source: &Source, connectors: &Connectors) -> BTreeMap<String, Vec<Step>> {
    let typing = Typing { source, connectors, home: Some(&connector.connector) };
    let composites = connector.actions.iter().filter_map(|(name, action)| {
        let mut steps = action.steps.clone()?;
        typing.steps(&mut steps, &format!("/actions/{}/steps", escape(name)));
        Some((name.clone(), steps))
    });
    composites.collect()
}

struct Typing<'a> {
    source: &'a Source,
    connectors: &'a Connectors,
    /// The connector whose composites are typed.
    home: Option<&'a str>,
}

impl<'a> Typing<'a> {
    fn steps(&self, steps: &mut [Step], pointer: &str) {
        for (position, step) in steps.iter_mut().enumerate() {
            self.step(step, &format!("{pointer}/{position}"));
        }
    }

    fn step(&self, step: &mut Step, pointer: &str) {
        if let Some(action) = &step.action {
            let with = Value::Object(std::mem::take(&mut step.with));
            let with = self.with(action, with, &format!("{pointer}/with"));
            if let Value::Object(with) = with {
                step.with = with;
            }
        }
        for (inner, name) in [(&mut step.then, "then"), (&mut step.otherwise, "else"), (&mut step.steps, "steps")] {
            if let Some(inner) = inner {
                self.steps(inner, &format!("{pointer}/{name}"));
            }
        }
        match step.approval.as_mut().map(|approval| &mut approval.send) {
            Some(OneOrMany::One(send)) => self.step(send, &format!("{pointer}/approval/send")),
            Some(OneOrMany::Many(sends)) => self.steps(sends, &format!("{pointer}/approval/send")),
            None => {}
        }
    }

    fn with(&self, written: &str, with: Value, pointer: &str) -> Value {
        let Some((connector, name)) = self.find(written) else {
            return with;
        };
        let Some(action) = connector.actions.get(name) else {
            return with;
        };
        let mut inputs = Inputs::new();
        for part in action.uses.as_slice() {
            if let Some(part) = connector.parts.get(part) {
                inputs.extend(part.inputs.clone());
            }
        }
        inputs.extend(action.inputs.clone());
        self.inputs(with, &inputs, connector, pointer)
    }

    fn inputs(&self, with: Value, inputs: &Inputs, connector: &Connector, pointer: &str) -> Value {
        let schema = object_schema(inputs);
        typed(&with, &schema, self.source, pointer, &connector.schemas)
    }

    fn find<'w>(&self, written: &'w str) -> Option<(&'a Connector, &'w str)>
    where
        'a: 'w,
    {
        let (connector, name) = action_name(written, self.home)?;
        Some((self.connectors.get(connector)?.as_ref(), name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::manifest::Catalog;

    #[test]
    fn literals_are_typed_by_the_inputs_that_they_meet() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "connectors/service.yaml",
                "connector: service\nhosts: {api: \"https://host\"}\nparts: {p: {inputs: {id: {type: string}}}}\nactions:\n  send: {effect: none, use: p, inputs: {to: {type: array, items: {type: string}}, count: {type: integer}}, request: {path: /}}\n  list: {effect: read, inputs: {day: {type: string}}, request: {path: /}}\ntriggers:\n  new: {poll: list, inputs: {day: {type: string}}, key: id}\n",
            ),
            (
                "flows/test.yaml",
                "flow: test\ntrigger: {poll: service.new, with: {day: 08}, every: 1h}\nsteps:\n  - if: \"true\"\n    then:\n      - {action: service.send, with: {to: [+41791234567, 007], count: 5, id: 1.0}}\n",
            ),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let catalog = Catalog::load(folder.path());
        let loaded = catalog.flows.get("test").unwrap_or_else(|| panic!("{:#?}", catalog.diagnostics));
        let connectors =
            catalog.connectors.iter().map(|(name, connector)| (name.clone(), Arc::clone(&connector.value))).collect();
        let flow = type_flow(&loaded.value, &loaded.source, &connectors);
        assert_eq!(Value::Object(flow.trigger.with), json!({"day": "08"}));
        let inner = &flow.steps[0].then.as_ref().unwrap()[0];
        assert_eq!(Value::Object(inner.with.clone()), json!({"to": ["+41791234567", "007"], "count": 5, "id": "1.0"}));
    }
}
