//! What each step form takes and what it leaves as its output.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use url::Url;

use super::expressions::{self, is_template};
use super::findings::below;
use super::refused::Called;
use super::schemas::{is_helper, is_identifier};
use super::scope::Scope;
use super::shapes::shape;
use super::steps::{Steps, hide_all};
use super::types::{Kinds, Member, Type};
use super::values::{self, Target};
use super::{approvals, composites, connector, credentials, names, output, refused, repeat};
use crate::manifest::connector::PlainEffect;
use crate::manifest::connector::request::Method;
use crate::manifest::flow::{Http, Step, Stop, Wait};
use crate::manifest::{Duration, Severity};

/// What the element of a `foreach` is called unless the step says otherwise.
const ELEMENT: &str = "element";

/// A step with one keyword; gives the type of its output.
pub fn form(steps: &mut Steps<'_, '_, '_>, step: &Step, pointer: &str, scope: &mut Scope) -> Type {
    if let Some(written) = &step.action {
        action(steps, written, &step.with, pointer, scope)
    } else if let Some(request) = &step.http {
        http(steps, request, &below(pointer, "http"), scope)
    } else if let Some(values) = &step.set {
        set(steps, values, &below(pointer, "set"), scope)
    } else if let Some(list) = &step.foreach {
        foreach(steps, step, list, pointer, scope)
    } else if let Some(written) = &step.repeat {
        repeat::repeat(steps, step, written, pointer, scope)
    } else if let Some(written) = &step.approval {
        approvals::approval(steps, written, &below(pointer, "approval"), scope)
    } else if let Some(pause) = &step.wait {
        wait(steps, pause, &below(pointer, "wait"), scope);
        Type::of(Kinds::NULL)
    } else if let Some(end) = &step.stop {
        stop(steps, end, &below(pointer, "stop"), scope);
        Type::of(Kinds::NULL)
    } else {
        branches(steps, step, pointer, scope);
        Type::of(Kinds::NULL)
    }
}

fn action(
    steps: &mut Steps<'_, '_, '_>,
    written: &str,
    with: &Map<String, Value>,
    pointer: &str,
    scope: &Scope,
) -> Type {
    let place = below(pointer, "with");
    let Some((connector, action)) = steps.names.action(steps.findings, &below(pointer, "action"), written) else {
        expressions::tree(steps.findings, scope, &place, &Value::Object(with.clone()));
        return Type::any();
    };
    // What a composite cannot do is said of it, where a flow calls it.
    if steps.names.home().is_none() {
        output::availability(steps.findings, &below(pointer, "action"), written, action, with);
    }
    let shape = shape(connector, action);
    let asked = match action.is_composite() {
        true => approvals::of_composite(steps, action, with, &below(pointer, "action")),
        false => None,
    };
    let asking = asked.filter(|_| !scope.has("approval")).map(|asked| scope.clone().with("approval", asked));
    let scope = asking.as_ref().unwrap_or(scope);
    let output = match action.is_composite() {
        true => composites::output_of(steps.names, connector, action),
        false => shape.output,
    };
    let connection = steps.names.connection_of(&connector.connector);
    let given = connection.map(|(_, connection)| connector::default_names(&connection.defaults)).unwrap_or_default();
    // A connection that is not known yet may give what is missing by its defaults.
    let missing =
        if connection.is_some() || !names::needs_connection(connector) { Severity::Error } else { Severity::Warning };
    let target =
        Target { name: written, inputs: &shape.inputs, definitions: &connector.schemas, given: &given, missing };
    let before = steps.findings.count();
    values::feed(steps.findings, scope, &place, with, target);
    if steps.names.home().is_none() {
        let connection = connection.map(|(_, connection)| connection);
        let called = Called { name: written, connector, action, inputs: &shape.inputs, with, connection };
        // What is wrong by itself is no ground for more.
        if steps.findings.count() == before {
            refused::restricted(steps.findings, pointer, called);
            refused::refused(steps.findings, pointer, called);
        }
    }
    if let Some(connection) = connection {
        credentials::credentials(steps.findings, pointer, (written, connector, action), connection);
    }
    output
}

fn http(steps: &mut Steps<'_, '_, '_>, http: &Http, pointer: &str, scope: &Scope) -> Type {
    let findings = &mut *steps.findings;
    let url = below(pointer, "url");
    if is_template(&http.url) {
        expressions::template(findings, scope, &url, &http.url);
    } else {
        match Url::parse(&http.url) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.host_str().is_some() => {}
            _ => findings.error(
                "url_invalid",
                &url,
                "this is no web address",
                "write it in full, for example `https://api.example.org/items`",
            ),
        }
    }
    let members = [
        ("query", Some(Value::Object(http.query.clone()))),
        ("headers", Some(json!(http.headers))),
        ("json", http.json.clone()),
        ("form", http.form.clone().map(Value::Object)),
        ("raw", http.raw.clone().map(Value::String)),
    ];
    for (name, value) in &members {
        if let Some(value) = value {
            expressions::tree(findings, scope, &below(pointer, name), value);
        }
    }
    let bodies: Vec<&str> =
        members.iter().skip(2).filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
    if bodies.len() > 1 {
        findings.error(
            "several_bodies",
            pointer,
            format!("this request has several bodies: {}", bodies.join(", ")),
            "write one of `json`, `form` and `raw`",
        );
    }
    let reads = matches!(http.method, Method::Get | Method::Head);
    if http.effect == Some(PlainEffect::Read) && matches!(http.method, Method::Put | Method::Patch | Method::Delete) {
        findings.error(
            "effect_read_writes",
            &below(pointer, "effect"),
            "`read` says that nothing changes, but this method changes something",
            "write `natural` where a repeat is safe, otherwise `none`",
        );
    }
    if http.effect == Some(PlainEffect::None) && reads {
        findings.warning(
            "effect_none_reads",
            &below(pointer, "effect"),
            "`none` says that a repeat is not safe, but this method only reads",
            "leave `effect` out",
        );
    }
    if let Some(name) = &http.connection {
        steps.names.connection(steps.findings, &below(pointer, "connection"), name);
    }
    Type::object([
        ("status", Member::always(Type::of(Kinds::INTEGER))),
        ("headers", Member::always(Type::of(Kinds::OBJECT))),
        ("body", Member::always(Type::any())),
    ])
}

fn set(steps: &mut Steps<'_, '_, '_>, values: &Map<String, Value>, pointer: &str, scope: &Scope) -> Type {
    let mut output = Type::object([]);
    for (name, value) in values {
        let place = below(pointer, name);
        if !is_identifier(name) {
            steps.findings.key_error(
                "bad_identifier",
                &place,
                format!("`{name}` cannot be read in a template"),
                "use letters, digits and `_`, and begin with a letter",
            );
        }
        output = output.with(name, composites::member(steps.findings, scope, &place, value));
    }
    output
}

fn foreach(steps: &mut Steps<'_, '_, '_>, step: &Step, list: &Value, pointer: &str, scope: &mut Scope) -> Type {
    let place = below(pointer, "foreach");
    let list = match list {
        Value::String(text) => expressions::expression(steps.findings, scope, &place, text).unwrap_or_else(Type::any),
        written => expressions::tree(steps.findings, scope, &place, written),
    };
    if !list.can_be(Kinds::ARRAY) {
        steps.findings.error(
            "foreach_no_list",
            &place,
            format!("`foreach` goes over a list, but this is {}", list.kinds),
            "give the path of a list",
        );
    }
    let name = step.name.as_deref().unwrap_or(ELEMENT);
    let name_place = below(pointer, "as");
    if (scope.has(name) && step.name.is_some()) || name == "error" || is_helper(name) {
        steps.findings.error(
            "name_taken",
            &name_place,
            format!("`{name}` means something else already"),
            "give the element a name of its own",
        );
    } else if !is_identifier(name) {
        steps.findings.error(
            "bad_identifier",
            &name_place,
            format!("`{name}` cannot be read in a template"),
            "use letters, digits and `_`, and begin with a letter",
        );
    }
    let inner_steps = step.steps.as_deref().unwrap_or_default();
    if inner_steps.is_empty() && step.collect.is_none() {
        steps.findings.error(
            "foreach_without_steps",
            &place,
            "nothing is done for the elements",
            "write `steps:` beside `foreach`",
        );
    }
    let element = list.element.as_ref().map_or_else(Type::any, |element| Type::clone(element));
    let mut inner = scope.clone().with(name, element).with(&format!("{name}_index"), Type::of(Kinds::INTEGER));
    if step.collect.is_some() {
        inner = inner.with(&format!("{name}_before"), Type::any());
    }
    steps.block(inner_steps, &below(pointer, "steps"), &mut inner);
    let collected = step
        .collect
        .as_ref()
        .map(|collect| expressions::tree(steps.findings, &inner, &below(pointer, "collect"), collect));
    hide_all(
        scope,
        inner_steps,
        "the steps of a `foreach` cannot be read outside it; hand on what is needed with `collect`",
    );
    match collected {
        Some(of) => Type { element: Some(Arc::new(of)), ..Type::of(Kinds::ARRAY) },
        None => Type::any(),
    }
}

fn wait(steps: &mut Steps<'_, '_, '_>, wait: &Wait, pointer: &str, scope: &Scope) {
    match wait {
        Wait::For(text) if is_template(text) => {
            expressions::template(steps.findings, scope, pointer, text);
        }
        Wait::For(text) => {
            if let Err(message) = text.trim().parse::<Duration>() {
                steps.findings.error(
                    "wait_invalid",
                    pointer,
                    message,
                    "for a point in time write `wait: {until: ...}`",
                );
            }
        }
        Wait::Until { until: Value::String(text) } if text.trim().parse::<jiff::Timestamp>().is_err() => {
            let place = below(pointer, "until");
            let of = expressions::expression(steps.findings, scope, &place, text);
            if let Some(of) = of.filter(|of| !of.can_be(Kinds::STRING | Kinds::INTEGER)) {
                steps.findings.error(
                    "wait_invalid",
                    &place,
                    format!("`until` is a point in time, but this is {}", of.kinds),
                    "give RFC 3339 with its offset, or epoch milliseconds",
                );
            }
        }
        Wait::Until { until: Value::String(_) | Value::Number(_) } => {}
        Wait::Until { .. } => {
            steps.findings.error(
                "wait_invalid",
                &below(pointer, "until"),
                "`until` is no point in time",
                "give RFC 3339 with its offset (2026-11-20T13:00:00Z) or epoch milliseconds",
            );
        }
    }
}

fn stop(steps: &mut Steps<'_, '_, '_>, stop: &Stop, pointer: &str, scope: &Scope) {
    if let Some(message) = &stop.message {
        expressions::template(steps.findings, scope, &below(pointer, "message"), message);
    }
}

fn branches(steps: &mut Steps<'_, '_, '_>, step: &Step, pointer: &str, scope: &mut Scope) {
    let then = step.then.as_deref().unwrap_or_default();
    let otherwise = step.otherwise.as_deref().unwrap_or_default();
    if step.condition.is_none() {
        let place = below(pointer, if step.then.is_some() { "then" } else { "else" });
        steps.findings.key_error(
            "if_without_condition",
            &place,
            "`then` and `else` have no condition",
            "write `if: <condition>` beside them",
        );
    } else if then.is_empty() && otherwise.is_empty() {
        steps.findings.error(
            "if_without_steps",
            &below(pointer, "if"),
            "this condition decides nothing",
            "write `then:` with steps, or put the condition beside the step that it guards",
        );
    }
    let mut left = Vec::new();
    for (own, other, name) in [(then, otherwise, "then"), (otherwise, then, "else")] {
        let mut inner = scope.clone();
        hide_all(&mut inner, other, "of `then` and `else` only one is done");
        hide_all(&mut inner, own, "it is done later");
        left.extend(steps.branch(own, &below(pointer, name), &inner));
    }
    for (id, member) in left {
        scope.show_step(&id, member);
    }
}
