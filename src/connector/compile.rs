//! From a written connector to a compiled one, once per deploy: defaults, parts and an action's own words
//! merged, then every template, selector, pattern and constant made ready. All problems are told at once,
//! each at the place where its words stand.

mod cursor;
mod errors;
mod merge;
mod response;

pub use self::merge::merged;
pub(super) use self::response::selector;

use std::sync::Arc;

use serde_json::Value;

use super::action::{Action, LimitOf};
use super::connection::Schemes;
use super::foreach::ForEach;
use super::inputs::Inputs;
use super::paginator::Paginator;
use super::request::Request;
use super::selector::{JmesPath, NotReadable, PathSource};
use super::trigger::Trigger;
use super::{Connector, errors::Errors};
use crate::manifest;
use crate::manifest::connector::{ClassedEffect, Effect, PlainEffect};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::problem::Problem;
use crate::template::{Expression, Template, Tree};

/// Of one attempt, where nothing is written.
pub(super) const TIMEOUT_MS: i64 = 30_000;
/// How often a trigger is polled, where nothing is written.
const EVERY_MS: i64 = 3_600_000;
/// How long a key is remembered, where nothing is written.
const REMEMBER_MS: i64 = 30 * 86_400_000;
/// How long a record may stay not ready, where nothing is written.
const NOT_READY_MS: i64 = 600_000;

/// Compiles a connector, or tells everything that is wrong with it.
pub fn connector(written: &manifest::Connector) -> Result<Connector, Vec<Problem>> {
    let mut problems = Vec::new();
    let schemes = Schemes::compile(&written.connection, &mut problems);
    let fields = Inputs::compile(
        &written.connection.fields,
        &written.schemas,
        "field",
        "/connection/fields",
        &mut problems,
    );
    let mut hosts = Vec::new();
    for (name, host) in &written.hosts {
        match Template::compile(host) {
            Ok(template) => hosts.push((name.clone(), template)),
            Err(error) => problems.push(Problem::from_template(format!("/hosts/{name}"), error)),
        }
    }
    let actions = written
        .actions
        .iter()
        .map(|(name, action)| {
            (
                name.clone(),
                Arc::new(compile_action(written, name, action, &mut problems)),
            )
        })
        .collect();
    let triggers = written
        .triggers
        .iter()
        .map(|(name, trigger)| {
            (
                name.clone(),
                Arc::new(compile_trigger(written, name, trigger, &mut problems)),
            )
        })
        .collect();
    for name in written.connection.test.as_slice() {
        if !written.actions.contains_key(name) {
            problems.push(unknown(
                "action",
                name,
                "/connection/test",
                written.actions.keys(),
            ));
        }
    }
    if !problems.is_empty() {
        merge::relocate(&mut problems, written);
        return Err(problems);
    }
    Ok(Connector {
        name: written.connector.clone(),
        title: written
            .title
            .clone()
            .unwrap_or_else(|| written.connector.clone()),
        hosts,
        fields,
        secret_fields: written
            .connection
            .fields
            .iter()
            .filter(|(_, field)| field.secret)
            .map(|(name, _)| name.clone())
            .collect(),
        schemes,
        default_schemes: match written.defaults.auth.is_empty() {
            true => written.connection.auth.keys().cloned().collect(),
            false => written.defaults.auth.as_slice().to_vec(),
        },
        test: written.connection.test.as_slice().to_vec(),
        actions,
        triggers,
    })
}

fn compile_action(
    connector: &manifest::Connector,
    name: &str,
    own: &manifest::connector::Action,
    problems: &mut Vec<Problem>,
) -> Action {
    let pointer = format!("/actions/{name}");
    for part in own.uses.as_slice() {
        if !connector.parts.contains_key(part) {
            problems.push(unknown(
                "part",
                part,
                &format!("{pointer}/use"),
                connector.parts.keys(),
            ));
        }
    }
    let action = merged(connector, own);
    for scheme in action.auth.as_slice() {
        if !connector.connection.auth.contains_key(scheme) {
            let schemes = connector.connection.auth.keys();
            problems.push(unknown(
                "auth scheme",
                scheme,
                &format!("{pointer}/auth"),
                schemes,
            ));
        }
    }
    let host = host_of(connector, &action, &pointer, problems);
    check_effect(connector, name, &action, &pointer, problems);
    let request = Request::compile(&action.request, &format!("{pointer}/request"), problems);
    let limits = action.limits.clone().unwrap_or_default();
    let foreach = action.foreach.as_ref().and_then(|foreach| {
        let list = expression(&foreach.list, &format!("{pointer}/foreach/list"), problems)?;
        Some(ForEach {
            list,
            name: foreach.name.clone(),
            on_partial: foreach.on_partial,
        })
    });
    let paginator = action
        .paginate
        .as_ref()
        .map(|written| Paginator::compile(written, &format!("{pointer}/paginate"), problems));
    Action {
        connector: connector.connector.clone(),
        name: name.to_owned(),
        effect: action.effect.clone(),
        inputs: Inputs::compile(
            &action.inputs,
            &connector.schemas,
            "input",
            &format!("{pointer}/inputs"),
            problems,
        ),
        foreach,
        shared_by: limits
            .iter()
            .map(|limit| match limit.actions.is_empty() {
                true => name.to_owned(),
                false => limit.actions.as_slice().join(" "),
            })
            .collect(),
        timeout_ms: action.timeout.map_or(TIMEOUT_MS, |timeout| timeout.ms),
        schemes: action.auth.as_slice().to_vec(),
        builtin: action.builtin,
        secret: action.response.secret.as_slice().to_vec(),
        host,
        selector: selector(
            &action.response,
            paginator.is_some(),
            &format!("{pointer}/response"),
            problems,
        ),
        format: action.response.format.unwrap_or_default(),
        errors: Errors::compile(
            &action.errors,
            &limits,
            &format!("{pointer}/errors"),
            problems,
        ),
        limit: limit_of(action.limit.as_ref(), &format!("{pointer}/limit"), problems),
        reads_connection: request.reads("connection"),
        limits,
        paginator,
        request,
    }
}

fn compile_trigger(
    connector: &manifest::Connector,
    name: &str,
    written: &manifest::connector::Trigger,
    problems: &mut Vec<Problem>,
) -> Trigger {
    let pointer = format!("/triggers/{name}");
    if !connector.actions.contains_key(&written.poll) {
        problems.push(unknown(
            "action",
            &written.poll,
            &format!("{pointer}/poll"),
            connector.actions.keys(),
        ));
    }
    let cursor = cursor::cursor(&written.cursor, &format!("{pointer}/cursor"), problems);
    let widest = cursor
        .lookback_ms
        .max(cursor.deep.map_or(0, |deep| deep.lookback_ms));
    Trigger {
        connector: connector.connector.clone(),
        name: name.to_owned(),
        poll: written.poll.clone(),
        inputs: Inputs::compile(
            &written.inputs,
            &connector.schemas,
            "input",
            &format!("{pointer}/inputs"),
            problems,
        ),
        with: tree(
            &Value::Object(written.with.clone()),
            &format!("{pointer}/with"),
            problems,
        ),
        key: cursor::key(&written.key, &format!("{pointer}/key"), problems),
        condition: optional(
            written.condition.as_ref(),
            &format!("{pointer}/where"),
            problems,
        ),
        not_ready: optional(
            written.cursor.not_ready.as_ref(),
            &format!("{pointer}/cursor/not_ready"),
            problems,
        ),
        not_ready_for_ms: written
            .cursor
            .not_ready_for
            .map_or(NOT_READY_MS, |limit| limit.ms),
        remember_ms: written
            .remember
            .map_or(REMEMBER_MS, |remember| remember.ms)
            .max(widest),
        every_ms: written.every.map_or(EVERY_MS, |every| every.ms),
        cursor,
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
    let only = || {
        (connector.hosts.len() == 1)
            .then(|| connector.hosts.keys().next().cloned())
            .flatten()
    };
    match action.host.clone().or_else(only) {
        Some(host) if connector.hosts.contains_key(&host) => host,
        Some(host) => {
            problems.push(unknown(
                "host",
                &host,
                &format!("{pointer}/host"),
                connector.hosts.keys(),
            ));
            host
        }
        None => {
            let problem = Problem::new(
                pointer,
                "no_host",
                "it is not said which of `hosts` this action asks",
            );
            problems.push(problem.with_help("give `host`, here or under `defaults`"));
            String::new()
        }
    }
}

fn check_effect(
    connector: &manifest::Connector,
    name: &str,
    action: &manifest::connector::Action,
    pointer: &str,
    problems: &mut Vec<Problem>,
) {
    let Effect::Classed(ClassedEffect::Lookup { reconcile }) = &action.effect else {
        return;
    };
    let pointer = format!("{pointer}/effect/reconcile");
    match connector.actions.get(&reconcile.action) {
        None => problems.push(unknown(
            "action",
            &reconcile.action,
            &format!("{pointer}/action"),
            connector.actions.keys(),
        )),
        Some(found) if found.effect != Effect::Plain(PlainEffect::Read) => {
            problems.push(Problem::new(
                format!("{pointer}/action"),
                "reconcile_not_read",
                format!(
                    "`{}` is looked up by `{}`, which must be a `read` action",
                    name, reconcile.action
                ),
            ))
        }
        Some(_) => {}
    }
    expression(&reconcile.r#match, &format!("{pointer}/match"), problems);
    path(&reconcile.id, &format!("{pointer}/id"), problems);
    if let Some(time) = &reconcile.time {
        path(time, &format!("{pointer}/time"), problems);
    }
    tree(
        &Value::Object(reconcile.with.clone()),
        &format!("{pointer}/with"),
        problems,
    );
}

fn limit_of(
    written: Option<&Value>,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Option<LimitOf> {
    match written? {
        Value::String(text) => match Template::compile(text) {
            Ok(template) => Some(LimitOf::Computed(template)),
            Err(error) => {
                problems.push(Problem::from_template(pointer, error));
                None
            }
        },
        other => match other
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
        {
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

fn unknown<'a>(
    noun: &str,
    name: &str,
    pointer: &str,
    known: impl Iterator<Item = &'a String> + Clone,
) -> Problem {
    let code = match noun {
        "action" => "unknown_action",
        "part" => "unknown_part",
        "host" => "unknown_host",
        _ => "unknown_auth",
    };
    let problem = Problem::new(
        pointer,
        code,
        format!("there is no {noun} `{name}` in this connector"),
    );
    match did_you_mean(name, known.map(String::as_str)) {
        Some(close) => problem.with_help(format!("did you mean `{close}`?")),
        None => problem,
    }
}

/// What stands in for an expression that could not be read; its problem has been told.
fn path(source: &str, pointer: &str, problems: &mut Vec<Problem>) -> JmesPath {
    JmesPath::compile(source).unwrap_or_else(|error| {
        problems.push(not_readable(error, pointer));
        JmesPath::whole()
    })
}

fn path_source(source: &str, pointer: &str, problems: &mut Vec<Problem>) -> PathSource {
    PathSource::compile(source).unwrap_or_else(|error| {
        problems.push(not_readable(error, pointer));
        PathSource::Fixed(JmesPath::whole())
    })
}

fn not_readable(error: NotReadable, pointer: &str) -> Problem {
    let mut problem = Problem::new(pointer, "jmespath_invalid", error.message);
    problem.within = Some((error.offset, 1));
    problem
}

fn expression(source: &str, pointer: &str, problems: &mut Vec<Problem>) -> Option<Expression> {
    Expression::compile(source)
        .map_err(|error| problems.push(Problem::from_template(pointer, error)))
        .ok()
}

fn optional(
    source: Option<&String>,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Option<Expression> {
    expression(source?, pointer, problems)
}

pub(super) fn tree(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Tree> {
    match Tree::compile(value, pointer) {
        Ok(tree) => Some(tree),
        Err(errors) => {
            let errors = errors.into_iter();
            problems.extend(errors.map(|(pointer, error)| Problem::from_template(pointer, error)));
            None
        }
    }
}
