//! What an action looks up before its request: by what, with what, and what its templates see of it.

use super::composites;
use super::expressions;
use super::findings::{Findings, below, suggestion};
use super::scope::Scope;
use super::selectors::of_record;
use super::shapes::shape;
use super::types::{Found, Member, Type};
use super::values::{self, Target};
use crate::manifest::connector::{Action, Effect, PlainEffect, Resolve};
use crate::manifest::{Connector, Severity};

/// The look-ups of an action; `scope` is what they read. Gives what its templates see as `resolved`.
pub fn resolve(
    findings: &mut Findings<'_>,
    connector: &Connector,
    pointer: &str,
    action: &Action,
    scope: &Scope,
) -> Option<Type> {
    let mut resolved = Type::object([]);
    for (name, written) in &action.resolve {
        let pointer = below(&below(pointer, "resolve"), name);
        let of = wanted(findings, connector, &pointer, written, scope);
        let member = if written.when.is_some() { Member::perhaps(of) } else { Member::always(of) };
        resolved = resolved.with(name, member);
    }
    (!action.resolve.is_empty()).then_some(resolved)
}

fn wanted(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, written: &Resolve, scope: &Scope) -> Type {
    if let Some(when) = &written.when {
        expressions::condition(findings, scope, &below(pointer, "when"), when);
    }
    if let Some(missing) = &written.missing {
        expressions::template(findings, scope, &below(pointer, "missing"), missing);
    }
    let place = below(pointer, "action");
    let Some(action) = connector.actions.get(&written.action) else {
        let help = suggestion(&written.action, connector.actions.keys().map(String::as_str));
        findings.error("unknown_action", &place, format!("there is no action `{}`", written.action), help);
        return Type::any();
    };
    let why = match () {
        () if action.effect != Effect::Plain(PlainEffect::Read) => Some("changes something"),
        () if action.foreach.is_some() => Some("asks once per element"),
        () if !action.resolve.is_empty() => Some("looks something up itself"),
        () => None,
    };
    if let Some(why) = why {
        findings.error(
            "resolve_action",
            &place,
            format!("`{}` {why}, so nothing can be looked up by it", written.action),
            "name an action with `effect: read` that asks one thing",
        );
    }
    composites::refuse(findings, &place, &written.action, action, "a value is looked up by one request");
    let shape = shape(connector, action);
    let target = Target {
        name: &written.action,
        inputs: &shape.inputs,
        definitions: &connector.schemas,
        given: &[],
        missing: Severity::Error,
    };
    values::feed(findings, scope, &below(pointer, "with"), &written.with, target);
    of_record(findings, &below(pointer, "take"), &written.take, &shape.output);
    match shape.output.member(&written.take) {
        Found::Member(member) => member.of,
        _ => Type::any(),
    }
}
