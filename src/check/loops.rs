//! Flows that would start themselves.

use super::findings::{Findings, below};
use super::flow::visit;
use super::names::Names;
use super::shapes::shape;
use crate::manifest::composite::all_steps;
use crate::manifest::connector::{Action, ClassedEffect, Effect, PlainEffect};
use crate::manifest::{Connector, Flow};

/// A flow that makes what its own trigger finds would start itself, again and again.
pub fn loops(findings: &mut Findings<'_>, names: &mut Names<'_>, flow: &Flow) {
    // A condition is taken to leave out what the flow itself makes.
    let (Some(poll), None) = (&flow.trigger.poll, &flow.trigger.condition) else {
        return;
    };
    let Some((connector_name, trigger_name)) = poll.split_once('.') else {
        return;
    };
    let mut quiet = Findings::new(findings.source());
    let Some((connector, trigger)) = names.trigger(&mut quiet, "", poll) else {
        return;
    };
    let Some(listed) = connector.actions.get(&trigger.poll).and_then(|action| shape(connector, action).schema_name)
    else {
        return;
    };
    let mut found = Vec::new();
    visit(&flow.steps, "/steps", &mut |pointer, step| {
        let action = step.action.as_deref().and_then(|written| written.split_once('.'));
        let Some((_, name)) = action.filter(|(owner, _)| *owner == connector_name) else {
            return;
        };
        if step.condition.is_none()
            && connector.actions.get(name).is_some_and(|action| makes(connector, action, &listed))
        {
            found.push((below(pointer, "action"), name.to_owned()));
        }
    });
    for (pointer, name) in found {
        let message =
            format!("`{connector_name}.{trigger_name}` may find what `{name}` makes: this flow could start itself");
        findings.warning(
            "flow_loop",
            &pointer,
            message,
            "leave its own items out with `where` in the trigger, or guard this step with `if`",
        );
    }
}

/// Whether an action makes records of that schema: it gives one, or looks one up when it is not certain.
fn makes(connector: &Connector, action: &Action, listed: &str) -> bool {
    if let Some(steps) = &action.steps {
        let mut does = false;
        // Composites within it are left to their own callers: they are seldom nested.
        all_steps(steps, &mut |step| {
            let called = step.action.as_ref().and_then(|name| connector.actions.get(name));
            does |= called.is_some_and(|called| !called.is_composite() && makes(connector, called, listed));
        });
        return does;
    }
    let looked_up = match &action.effect {
        Effect::Plain(PlainEffect::Read | PlainEffect::Natural) => return false,
        Effect::Classed(ClassedEffect::Lookup { reconcile }) => connector.actions.get(&reconcile.action),
        _ => None,
    };
    let shapes = std::iter::once(shape(connector, action)).chain(looked_up.map(|action| shape(connector, action)));
    shapes.filter_map(|shape| shape.schema_name).any(|name| name == listed)
}
