//! `tidegate call` of an action that is made of steps: a flow of that one step, done in memory by the engine that
//! does every run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Done, Error, Place, Project, Result, hosted, project};
use crate::connector::Executor;
use crate::engine::Failure;
use crate::manifest::flow::{Step, Trigger};
use crate::manifest::{Flow, composite};
use crate::store::id;
use crate::worker::{Accounts, Definition, Definitions, Deployment, Memory, Remembered, Written};

/// What the flow is called: no file of flows has such a name.
const FLOW: &str = "(call)";
/// What the step is called.
const STEP: &str = "call";

/// What a composite action is called with.
pub struct Composite<'a> {
    pub place: &'a Place,
    pub project: &'a Project,
    /// `x.post_thread`
    pub action: &'a str,
    /// The account, where there is one.
    pub account: Option<&'a str>,
    pub inputs: Map<String, Value>,
}

impl Composite<'_> {
    /// Does its steps, waits included: in memory, or by the host at work where it asks people.
    ///
    /// # Errors
    /// Before anything is done: a connector that does not compile, no host at work.
    pub(super) async fn call(self, executor: &Executor, accounts: Accounts, waits: Option<fn(&str)>) -> Result<Done> {
        let flow = self.flow();
        let manifests = self.project.connectors();
        let definitions = Definitions::default();
        let mut used = BTreeMap::new();
        for name in composite::connectors_of(&flow.steps, None, &manifests) {
            let compiled = super::compile(self.project, &name)?;
            used.insert(name, compiled);
        }
        let (connector, _) = self.action.split_once('.').unwrap_or_default();
        let written = Written {
            flow,
            inputs: Value::Object(Map::new()),
            connections: self.account.iter().map(|name| (connector.to_owned(), (*name).to_owned())).collect(),
            connectors: used.iter().map(|(name, used)| (name.clone(), used.hash.clone())).collect(),
        };
        let definition = definitions.flow(&written, &used).map_err(|problems| Error {
            diagnostics: project::diagnostics(&self.project.catalog.settings.source, "", problems),
            ..Error::problem("action_unusable", format!("{} cannot be called", self.action))
        })?;
        let item = Value::Object(self.inputs);
        if definition.flow.may_ask() {
            let mut texts: Vec<_> =
                used.values().map(|used| (used.hash.clone(), used.written.text().to_string())).collect();
            texts.push((definition.hash.clone(), written.text()));
            return hosted::call(self.place, self.project, &definition, texts, item, waits).await;
        }
        let connectors = used.into_iter().map(|(name, used)| (name, used.connector)).collect();
        let deployment = Arc::new(Deployment { connectors, accounts, ..Deployment::default() });
        Ok(in_memory(self.place, executor, deployment, definition, item).await)
    }

    /// One step that gives on what it finds in the item: what a person writes is data, never a template.
    fn flow(&self) -> Flow {
        let with = self.inputs.keys().map(|name| (name.clone(), Value::from(format!("{{{{item.{name}}}}}"))));
        Flow {
            flow: FLOW.to_owned(),
            trigger: Trigger { manual: true, ..Trigger::default() },
            steps: vec![Step {
                id: Some(STEP.to_owned()),
                action: Some(self.action.to_owned()),
                with: with.collect(),
                ..Step::default()
            }],
            ..Flow::default()
        }
    }
}

async fn in_memory(
    place: &Place,
    executor: &Executor,
    deployment: Arc<Deployment>,
    definition: Arc<Definition>,
    item: Value,
) -> Done {
    let clock = &place.clock;
    let memory = Memory { executor, deployment, definition, clock };
    let Remembered { result, exchanges } = memory.run(id::new(clock.now_ms()), item).await;
    let result = match result {
        Ok(mut steps) => Ok(steps.pointer_mut(&format!("/{STEP}/output")).map(Value::take).unwrap_or(Value::Null)),
        Err(failed) => Err(placed(&failed.step, failed.failure)),
    };
    Done::new(result, &exchanges)
}

/// A failure with the place of the inner step where it happened.
pub(super) fn placed(step: &str, failure: Failure) -> Failure {
    let place = step.strip_prefix(STEP).map_or("", |place| place.trim_start_matches('.'));
    match place {
        "" => failure,
        place => Failure { message: format!("{place}: {}", failure.message), ..failure },
    }
}
