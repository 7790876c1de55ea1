//! `action: <connector>.<action>` with `with`: one request of a connector, or one per element of a list where
//! the action says so; a composite action is a step with steps inside it (`composite`).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::composite::{Body, Composite};
use super::{Compiler, Effect, Elements, Entered, Error, Form, Keyword, Move, Outside, Target};
use crate::manifest::connector::{Action, ClassedEffect, Effect as WrittenEffect};
use crate::manifest::{Connector, Problem, composite, flow};
use crate::template::{Scope, Tree, closest};

pub(super) const KEYWORD: Keyword = Keyword { name: "action", compile };

const DEFAULT_TIMEOUT_MS: i64 = 30_000;

#[derive(Debug)]
struct ActionStep {
    with: Tree,
    outside: Outside,
}

impl Form for ActionStep {
    fn enter(&self, scope: &Scope) -> Result<Entered, Error> {
        Ok(Entered { input: self.with.evaluate(scope)?, then: Move::Call })
    }

    fn outside(&self) -> Option<&Outside> {
        Some(&self.outside)
    }
}

fn compile(step: &flow::Step, compiler: &mut Compiler) -> Option<Box<dyn Form>> {
    let written = step.action.as_deref()?;
    let found = look_up(written, compiler);
    let with = compiler.tree(&Value::Object(step.with.clone()), "with");
    let (connector_name, action_name, connector, action) = found?;
    let target = Target::Action { connector: connector_name.as_str().into(), action: action_name.as_str().into() };
    if action.is_composite() {
        let body = Body::compile(&connector_name, &action_name, action, compiler)?;
        return Some(Box::new(Composite { with: with?, target, body }));
    }
    let elements = match &action.foreach {
        Some(foreach) => Some(Elements {
            list: compiler.expression(&foreach.list, "action")?,
            on_partial: foreach.on_partial,
            defaults: input_defaults(&connector, action),
        }),
        None => None,
    };
    let timeout = action.timeout.or(connector.defaults.timeout);
    Some(Box::new(ActionStep {
        with: with?,
        outside: Outside {
            target,
            effect: effect(&action.effect),
            timeout_ms: Some(timeout.map_or(DEFAULT_TIMEOUT_MS, |timeout| timeout.ms)),
            elements,
        },
    }))
}

/// The connector and the action that `written` names, or a problem that says what is there instead.
fn look_up<'a>(written: &str, compiler: &mut Compiler<'a>) -> Option<(String, String, Arc<Connector>, &'a Action)> {
    let pointer = compiler.pointer("action");
    let home = compiler.home.clone();
    let Some((connector_name, action_name)) = composite::action_name(written, home.as_deref()) else {
        compiler.report(
            Problem::new(pointer, "action_syntax", format!("`{written}` names no action"))
                .with_help("write `<connector>.<action>`, for example `twilio.send_sms`"),
        );
        return None;
    };
    let connectors = compiler.connectors;
    let Some(connector) = connectors.get(connector_name) else {
        let problem = Problem::new(pointer, "unknown_connector", format!("there is no connector `{connector_name}`"));
        let names = connectors.keys().map(String::as_str);
        compiler.report(suggest(problem, connector_name, names, "connectors"));
        return None;
    };
    let Some(action) = connector.actions.get(action_name) else {
        let problem = Problem::new(
            pointer,
            "unknown_action",
            format!("connector `{connector_name}` has no action `{action_name}`"),
        );
        let names = connector.actions.keys().map(String::as_str);
        compiler.report(suggest(problem, action_name, names, "actions"));
        return None;
    };
    Some((connector_name.to_owned(), action_name.to_owned(), connector.clone(), action))
}

fn suggest<'n>(problem: Problem, word: &str, names: impl Iterator<Item = &'n str> + Clone, kind: &str) -> Problem {
    match closest(word, names.clone()) {
        Some(name) => problem.with_help(format!("did you mean `{name}`?")),
        None => {
            let names: Vec<&str> = names.collect();
            problem.with_help(format!("{kind}: {}", names.join(", ")))
        }
    }
}

fn effect(written: &WrittenEffect) -> Effect {
    match written {
        WrittenEffect::Plain(plain) => (*plain).into(),
        WrittenEffect::Classed(ClassedEffect::Key { .. }) => Effect::Key,
        WrittenEffect::Classed(ClassedEffect::Lookup { reconcile }) => Effect::Lookup(Arc::new(reconcile.clone())),
    }
}

/// What the action's inputs are where a step leaves them out; the parts' come below the action's own.
fn input_defaults(connector: &Connector, action: &Action) -> Map<String, Value> {
    let parts = action.uses.as_slice().iter().filter_map(|name| connector.parts.get(name));
    let inputs = parts.flat_map(|part| part.inputs.iter()).chain(action.inputs.iter());
    inputs.filter_map(|(name, input)| Some((name.clone(), input.default_value()?.clone()))).collect()
}
