//! Compiles one action, merged from its connector's defaults, its parts and its own words.

use serde_json::Value;

use super::super::action::{Action, LimitOf};
use super::super::errors::Errors;
use super::super::foreach::ForEach;
use super::super::inputs::Inputs;
use super::super::limits::rate::Rate;
use super::super::paginator::Paginator;
use super::super::reconcile::Reconcile;
use super::super::request::Request;
use super::{TIMEOUT_MS, expression, merged, path, selector, tree, unknown};
use crate::manifest;
use crate::manifest::connector::{ClassedEffect, Effect, Limit, PlainEffect};
use crate::manifest::problem::Problem;
use crate::template::Template;

/// Reads an action.
pub fn action(
    connector: &manifest::Connector,
    name: &str,
    own: &manifest::connector::Action,
    problems: &mut Vec<Problem>,
) -> Action {
    let pointer = format!("/actions/{name}");
    for part in own.uses.as_slice() {
        if !connector.parts.contains_key(part) {
            problems.push(unknown("part", part, &format!("{pointer}/use"), connector.parts.keys()));
        }
    }
    let action = merged(connector, own);
    for scheme in action.auth.as_slice() {
        if !connector.connection.auth.contains_key(scheme) {
            let schemes = connector.connection.auth.keys();
            problems.push(unknown("auth scheme", scheme, &format!("{pointer}/auth"), schemes));
        }
    }
    let host = host_of(connector, &action, &pointer, problems);
    let request = Request::compile(&action.request, &format!("{pointer}/request"), problems);
    let limits = action.limits.clone().unwrap_or_default();
    check_limits(&limits, &format!("{pointer}/limits"), problems);
    let foreach = action.foreach.as_ref().and_then(|foreach| {
        let list = expression(&foreach.list, &format!("{pointer}/foreach/list"), problems)?;
        Some(ForEach { list, name: foreach.name.clone(), on_partial: foreach.on_partial })
    });
    let paginator =
        action.paginate.as_ref().map(|written| Paginator::compile(written, &format!("{pointer}/paginate"), problems));
    Action {
        connector: connector.connector.clone(),
        name: name.to_owned(),
        effect: action.effect.clone(),
        reconcile: reconcile(connector, name, &action, &pointer, problems),
        inputs: Inputs::compile(&action.inputs, &connector.schemas, "input", &format!("{pointer}/inputs"), problems),
        foreach,
        timeout_ms: action.timeout.map_or(TIMEOUT_MS, |timeout| timeout.ms),
        schemes: action.auth.as_slice().to_vec(),
        builtin: action.builtin,
        secret: action.response.secret.as_slice().into(),
        host,
        selector: selector(&action.response, paginator.is_some(), &format!("{pointer}/response"), problems),
        format: action.response.format.unwrap_or_default(),
        errors: Errors::compile(&action.errors, &limits, &format!("{pointer}/errors"), problems),
        limit: limit_of(action.limit.as_ref(), &format!("{pointer}/limit"), problems),
        reads_connection: request.reads("connection"),
        limits,
        paginator,
        request,
    }
}

fn host_of(
    connector: &manifest::Connector,
    action: &manifest::connector::Action,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> String {
    if action.builtin.is_some() {
        return String::new();
    }
    let only = || (connector.hosts.len() == 1).then(|| connector.hosts.keys().next().cloned()).flatten();
    match action.host.clone().or_else(only) {
        Some(host) if connector.hosts.contains_key(&host) => host,
        Some(host) => {
            problems.push(unknown("host", &host, &format!("{pointer}/host"), connector.hosts.keys()));
            host
        }
        None => {
            let problem = Problem::new(pointer, "no_host", "it is not said which of `hosts` this action asks");
            problems.push(problem.with_help("give `host`, here or under `defaults`"));
            String::new()
        }
    }
}

fn reconcile(
    connector: &manifest::Connector,
    name: &str,
    action: &manifest::connector::Action,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Option<Reconcile> {
    let Effect::Classed(ClassedEffect::Lookup { reconcile }) = &action.effect else {
        return None;
    };
    let pointer = format!("{pointer}/effect/reconcile");
    match connector.actions.get(&reconcile.action) {
        None => {
            problems.push(unknown("action", &reconcile.action, &format!("{pointer}/action"), connector.actions.keys()))
        }
        Some(found) if found.effect != Effect::Plain(PlainEffect::Read) => problems.push(Problem::new(
            format!("{pointer}/action"),
            "reconcile_not_read",
            format!("`{name}` is looked up by `{}`, which must be a `read` action", reconcile.action),
        )),
        Some(_) => {}
    }
    let with = tree(&Value::Object(reconcile.with.clone()), &format!("{pointer}/with"), problems);
    let condition = expression(&reconcile.r#match, &format!("{pointer}/match"), problems);
    let id = path(&reconcile.id, &format!("{pointer}/id"), problems);
    let time = reconcile.time.as_ref().map(|time| path(time, &format!("{pointer}/time"), problems));
    Some(Reconcile { action: reconcile.action.clone(), with: with?, condition: condition?, id, time })
}

fn check_limits(limits: &[Limit], pointer: &str, problems: &mut Vec<Problem>) {
    for (place, limit) in limits.iter().enumerate() {
        let rate = limit.rate.as_deref().map(str::parse::<Rate>);
        if let Some(Err(message)) = rate {
            problems.push(Problem::new(format!("{pointer}/{place}/rate"), "rate_invalid", message));
        }
        if limit.concurrent == Some(0) {
            let message = "`concurrent: 0` would never let a request through";
            problems.push(Problem::new(format!("{pointer}/{place}/concurrent"), "rate_invalid", message));
        }
    }
}

fn limit_of(written: Option<&Value>, pointer: &str, problems: &mut Vec<Problem>) -> Option<LimitOf> {
    match written? {
        Value::String(text) => match Template::compile(text) {
            Ok(template) => Some(LimitOf::Computed(template)),
            Err(error) => {
                problems.push(Problem::from_template(pointer, error));
                None
            }
        },
        other => match other.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Some(LimitOf::Number(number)),
            None => {
                problems.push(Problem::new(
                    pointer,
                    "limit_invalid",
                    "a limit is a number of records, or a template of one",
                ));
                None
            }
        },
    }
}
