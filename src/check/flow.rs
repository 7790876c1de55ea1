//! A flow: its inputs, its trigger, its concurrency. Its steps are checked in `steps`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::findings::{Findings, below};
use super::names::{Names, connections, has_settings};
use super::scope::Scope;
use super::shapes::{inputs_type, shape};
use super::steps::Steps;
use super::triggers::interval;
use super::types::{Kinds, Member, Type};
use super::values::{self, Target};
use super::{Surroundings, expressions, files, loops, output, schemas};
use crate::manifest::catalog::{Catalog, Loaded};
use crate::manifest::connector::CursorType;
use crate::manifest::flow::{Emit, Start, Step, Trigger};
use crate::manifest::{Diagnostic, Flow, Severity};

/// Everything that is wrong with one flow.
pub fn flow(catalog: &Catalog, name: &str, loaded: &Loaded<Flow>, surroundings: &Surroundings<'_>) -> Vec<Diagnostic> {
    let flow = loaded.value.as_ref();
    let mut findings = Findings::new(&loaded.source);
    let mut names = Names::new(catalog, name, flow);
    schemas::inputs(&mut findings, "/inputs", &flow.inputs, &BTreeMap::new());
    files::inputs(&mut findings, "/inputs", &flow.inputs, None);
    given_inputs(&mut findings, catalog, name, flow);
    names.connections(&mut findings);
    let secret = secret_inputs(&mut findings, flow);
    let inputs = Scope::new().with("inputs", inputs_type(&flow.inputs, &BTreeMap::new())).keeping("inputs", secret);
    let item = trigger(&mut findings, &mut names, &flow.trigger, &inputs, surroundings);
    let item = if is_alert(catalog, name) { Type::any() } else { item };
    let mut with_item = inputs.with("item", item.clone());
    if let Some(condition) = &flow.trigger.condition {
        expressions::condition(&mut findings, &with_item, "/trigger/where", condition);
    }
    if flow.trigger.emit == Emit::Batch {
        with_item.set("item", batch_of(item));
    }
    concurrency(&mut findings, flow, &with_item);
    let scope = with_item
        .showing_secrets()
        .with("flow", flow_root(flow))
        .with("run", run_root())
        .with("steps", Type::object([]));
    loops::loops(&mut findings, &mut names, flow);
    Steps::new(&mut findings, &mut names).flow(flow, scope);
    findings.into_diagnostics()
}

/// The names of the inputs that are secret. What stands for one in a run is a text.
fn secret_inputs(findings: &mut Findings<'_>, flow: &Flow) -> BTreeSet<String> {
    let secret = flow.inputs.iter().filter(|(_, input)| input.secret);
    for (name, input) in secret.clone() {
        if input.schema.get("type").is_none_or(|written| written != "string") {
            findings.error(
                "secret_not_text",
                &below(&below("/inputs", name), "secret"),
                "only a text can be secret",
                "write `type: string`",
            );
        }
        if input.default_value().and_then(|value| value.as_str()).is_some_and(|text| !text.is_empty()) {
            findings.warning(
                "secret_in_clear",
                &below(&below("/inputs", name), "secret"),
                "its default stands in this file in clear",
                format!(
                    "give it in tidegate.yaml, as in `flows: {{{}: {{inputs: {{{name}: {{env: NAME}}}}}}}}`",
                    flow.flow
                ),
            );
        }
    }
    secret.map(|(name, _)| name.clone()).collect()
}

/// Whether notices start it: they are other items than those of its trigger.
fn is_alert(catalog: &Catalog, name: &str) -> bool {
    catalog.settings.value.alerts.iter().any(|alert| alert.flow == name)
}

/// What a schedule's run is started with.
fn occurrence() -> Type {
    Type::object([("scheduled_at", Member::always(Type::text()))])
}

/// What all that a poll finds is as one item.
fn batch_of(item: Type) -> Type {
    let count = Member::always(Type::of(Kinds::INTEGER));
    Type::object([("count", count), ("items", Member::always(Type::list(item)))])
}

fn flow_root(flow: &Flow) -> Type {
    let title = if flow.title.is_some() { Kinds::STRING } else { Kinds::NULL };
    Type::object([("name", Member::always(Type::text())), ("title", Member::always(Type::of(title)))])
}

/// What `run` holds.
pub fn run_root() -> Type {
    Type::object([("id", Member::always(Type::text())), ("started_at", Member::always(Type::text()))])
}

/// Required inputs that nobody gives. Where `tidegate.yaml` speaks of the flow, that is told there.
fn given_inputs(findings: &mut Findings<'_>, catalog: &Catalog, name: &str, flow: &Flow) {
    if !has_settings(catalog) || catalog.settings.value.flows.contains_key(name) {
        return;
    }
    let given = catalog.given.get(name);
    for (input, schema) in &flow.inputs {
        let is_given = given.is_some_and(|given| given.contains(input));
        if schema.required && schema.default_value().is_none() && !is_given {
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
    let problems = (surroundings.schedule)(trigger);
    if problems.is_empty() {
        interval(findings, "/trigger/every", trigger.every);
    }
    for problem in problems {
        let pointer = problem.pointer;
        match problem.within {
            Some(span) => findings.within(Severity::Error, problem.code, &pointer, span, problem.message, problem.help),
            None => findings.error(problem.code, &pointer, problem.message, problem.help),
        }
    }
    start(findings, &trigger.start);
    match &trigger.poll {
        Some(written) => polled(findings, names, trigger, written, inputs),
        None => {
            for (given, name) in [
                (!trigger.with.is_empty(), "with"),
                (trigger.start != Start::default(), "start"),
                (trigger.emit != Emit::default(), "emit"),
            ] {
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
            if scheduled && !trigger.manual { occurrence() } else { Type::any() }
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
    if matches!(&trigger.start, Start::Since { since } if since.parse::<jiff::Timestamp>().is_ok())
        && matches!(found.cursor.kind, CursorType::Integer | CursorType::None)
    {
        findings.error(
            "start_undated",
            "/trigger/start/since",
            format!("the items of `{written}` have no dates, so none can be told to be from that time on"),
            "write `start: now`, `all` or `{last: 5}`",
        );
    }
    let Some(action) = connector.actions.get(&found.poll) else { return Type::any() };
    output::availability(findings, "/trigger/poll", written, action, &trigger.with);
    shape(connector, action).record
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
        for (name, inner) in step.inner() {
            visit(inner, &format!("{pointer}/{name}"), found);
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
    let elsewhere: Vec<&str> = catalog.given.get(name).into_iter().flatten().map(String::as_str).collect();
    let target = Target { name, inputs: &flow.inputs, definitions: &BTreeMap::new(), given: &elsewhere, missing };
    values::feed(findings, &Scope::new(), &place, &written, target);
    let place = below(pointer, "every");
    if given.every.is_some() && flow.trigger.manual {
        let message = "`every` does nothing here: the flow is started by hand";
        let help = "leave it out, or give the flow a trigger with `poll`, `every` or `cron`";
        findings.key_error("setting_without_effect", &place, message, help);
    }
    interval(findings, &place, given.every);
}
