//! A flow: its inputs, its trigger, its concurrency. Its steps are checked in `steps`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::findings::{Findings, below};
use super::names::{Names, connections, has_settings};
use super::scope::Scope;
use super::shapes::{inputs_type, shape};
use super::steps::Steps;
use super::triggers::interval;
use super::types::{Kinds, Member, Type};
use super::values::{self, Target};
use super::{Surroundings, expressions, loops, schemas};
use crate::manifest::catalog::{Catalog, Loaded};
use crate::manifest::flow::{Start, Step, Trigger};
use crate::manifest::{Diagnostic, Flow, Severity};

/// Everything that is wrong with one flow.
pub fn flow(catalog: &Catalog, name: &str, loaded: &Loaded<Flow>, surroundings: &Surroundings<'_>) -> Vec<Diagnostic> {
    let flow = loaded.value.as_ref();
    let mut findings = Findings::new(&loaded.source);
    let mut names = Names::new(catalog, name, flow);
    schemas::inputs(&mut findings, "/inputs", &flow.inputs, &BTreeMap::new());
    given_inputs(&mut findings, catalog, name, flow);
    names.connections(&mut findings);
    let inputs = Scope::new().with("inputs", inputs_type(&flow.inputs, &BTreeMap::new()));
    let item = trigger(&mut findings, &mut names, &flow.trigger, &inputs, surroundings);
    let with_item = inputs.with("item", item);
    if let Some(condition) = &flow.trigger.condition {
        expressions::condition(&mut findings, &with_item, "/trigger/where", condition);
    }
    concurrency(&mut findings, flow, &with_item);
    let scope = with_item.with("flow", flow_root(flow)).with("run", run_root()).with("steps", Type::object([]));
    loops::loops(&mut findings, &mut names, flow);
    Steps::new(&mut findings, &mut names).flow(flow, scope);
    findings.into_diagnostics()
}

fn flow_root(flow: &Flow) -> Type {
    let title = if flow.title.is_some() { Kinds::STRING } else { Kinds::NULL };
    Type::object([("name", Member::always(Type::text())), ("title", Member::always(Type::of(title)))])
}

fn run_root() -> Type {
    Type::object([("id", Member::always(Type::text())), ("started_at", Member::always(Type::text()))])
}

/// Required inputs that nobody gives. Where `tidegate.yaml` speaks of the flow, that is told there.
fn given_inputs(findings: &mut Findings<'_>, catalog: &Catalog, name: &str, flow: &Flow) {
    if !has_settings(catalog) || catalog.settings.value.flows.contains_key(name) {
        return;
    }
    for (input, schema) in &flow.inputs {
        if schema.required && schema.default_value().is_none() {
            let message = format!("nothing gives the input `{input}`");
            findings.warning(
                "input_missing",
                &below("/inputs", input),
                message,
                format!("write it in tidegate.yaml: `flows: {{{name}: {{inputs: {{{input}: ...}}}}}}`"),
            );
        }
    }
}

/// What starts the flow; gives the type of an item.
fn trigger(
    findings: &mut Findings<'_>,
    names: &mut Names<'_>,
    trigger: &Trigger,
    inputs: &Scope,
    surroundings: &Surroundings<'_>,
) -> Type {
    let scheduled = trigger.every.is_some() || trigger.cron.is_some();
    match (&trigger.poll, trigger.manual, scheduled) {
        (None, false, false) => findings.error(
            "trigger_missing",
            "/trigger",
            "nothing starts this flow",
            "write one of `poll`, `every`, `cron` and `manual: true`",
        ),
        (Some(_), true, _) => findings.error(
            "trigger_several",
            "/trigger/manual",
            "this flow is polled and manual at once",
            "keep one of `poll` and `manual`; a polled flow can be run by hand all the same",
        ),
        (None, true, true) => findings.error(
            "trigger_several",
            "/trigger/manual",
            "this flow has a schedule and is manual at once",
            "keep one of them; a scheduled flow can be run by hand all the same",
        ),
        _ => {}
    }
    if let Some(problem) = (surroundings.schedule)(trigger) {
        let pointer = problem.pointer;
        match problem.within {
            Some(span) => findings.within(Severity::Error, problem.code, &pointer, span, problem.message, problem.help),
            None => findings.error(problem.code, &pointer, problem.message, problem.help),
        }
    } else {
        interval(findings, "/trigger/every", trigger.every);
    }
    start(findings, &trigger.start);
    match &trigger.poll {
        Some(written) => polled(findings, names, trigger, written, inputs),
        None => {
            for (given, name) in [(!trigger.with.is_empty(), "with"), (trigger.start != Start::default(), "start")] {
                if given {
                    findings.key_error(
                        "setting_without_effect",
                        &below("/trigger", name),
                        format!("`{name}` does nothing here"),
                        "it belongs beside `poll`",
                    );
                }
            }
            expressions::tree(findings, inputs, "/trigger/with", &Value::Object(trigger.with.clone()));
            Type::any()
        }
    }
}

fn polled(
    findings: &mut Findings<'_>,
    names: &mut Names<'_>,
    trigger: &Trigger,
    written: &str,
    inputs: &Scope,
) -> Type {
    let Some((connector, found)) = names.trigger(findings, "/trigger/poll", written) else {
        expressions::tree(findings, inputs, "/trigger/with", &Value::Object(trigger.with.clone()));
        return Type::any();
    };
    let target = Target {
        name: written,
        inputs: &found.inputs,
        definitions: &connector.schemas,
        given: &[],
        missing: Severity::Error,
    };
    values::feed(findings, inputs, "/trigger/with", &trigger.with, target);
    connector.actions.get(&found.poll).map_or_else(Type::any, |action| shape(connector, action).record)
}

fn start(findings: &mut Findings<'_>, start: &Start) {
    match start {
        Start::Since { since } if since.parse::<jiff::Timestamp>().is_err() => {
            findings.error(
                "start_invalid",
                "/trigger/start/since",
                format!("`{since}` is no point in time"),
                "write RFC 3339 with its offset: 2026-11-01T00:00:00Z",
            );
        }
        Start::Last { last: 0 } => {
            findings.error(
                "start_invalid",
                "/trigger/start/last",
                "the last 0 items are none",
                "write at least 1, or `start: now`",
            );
        }
        _ => {}
    }
}

fn concurrency(findings: &mut Findings<'_>, flow: &Flow, scope: &Scope) {
    if flow.concurrency.limit == 0 {
        findings.error(
            "limit_zero",
            "/concurrency/limit",
            "with 0 runs at once this flow never works",
            "write at least 1",
        );
    }
    if let Some(key) = &flow.concurrency.key
        && let Some(written) = expressions::template(findings, scope, "/concurrency/key", key)
        && written.literal
    {
        findings.warning(
            "key_constant",
            "/concurrency/key",
            "this key is the same for every item",
            "read something of the item, as in `{{item.author_id}}`, or leave `key` out",
        );
    }
}

/// Every step at any depth, with its pointer.
pub fn visit<'s>(steps: &'s [Step], pointer: &str, found: &mut dyn FnMut(&str, &'s Step)) {
    for (position, step) in steps.iter().enumerate() {
        let pointer = below(pointer, position);
        found(&pointer, step);
        for (inner, name) in [(&step.then, "then"), (&step.otherwise, "else"), (&step.steps, "steps")] {
            visit(inner.as_deref().unwrap_or_default(), &below(&pointer, name), found);
        }
    }
}

/// What `tidegate.yaml` says of one flow, at `pointer`.
pub fn settings(findings: &mut Findings<'_>, catalog: &Catalog, pointer: &str, name: &str, flow: &Flow) {
    let Some(given) = catalog.settings.value.flows.get(name) else {
        return;
    };
    connections(findings, catalog, &below(pointer, "connections"), &given.connections);
    let place = below(pointer, "inputs");
    let written = given.inputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let missing = if given.enabled == Some(false) { Severity::Warning } else { Severity::Error };
    let target = Target { name, inputs: &flow.inputs, definitions: &BTreeMap::new(), given: &[], missing };
    values::feed(findings, &Scope::new(), &place, &written, target);
    interval(findings, &below(pointer, "every"), given.every);
}
