//! From a written connector to a compiled one, once per deploy: defaults, parts and an action's own words
//! merged, then every template, selector, pattern and constant made ready. All problems are told at once,
//! each at the place where its words stand.

mod action;
mod cursor;
mod errors;
mod merge;
mod response;

pub use self::merge::merged;
pub(super) use self::response::selector;

use std::sync::Arc;

use serde_json::Value;

use super::Connector;
use super::connection::Schemes;
use super::inputs::Inputs;
use super::selector::{JmesPath, NotReadable, PathSource};
use super::trigger::Trigger;
use crate::manifest;
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
    let fields =
        Inputs::compile(&written.connection.fields, &written.schemas, "field", "/connection/fields", &mut problems);
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
        .map(|(name, action)| (name.clone(), Arc::new(action::action(written, name, action, &mut problems))))
        .collect();
    let triggers = written
        .triggers
        .iter()
        .map(|(name, trigger)| (name.clone(), Arc::new(compile_trigger(written, name, trigger, &mut problems))))
        .collect();
    for name in written.connection.test.as_slice() {
        if !written.actions.contains_key(name) {
            problems.push(unknown("action", name, "/connection/test", written.actions.keys()));
        }
    }
    if !problems.is_empty() {
        merge::relocate(&mut problems, written);
        return Err(problems);
    }
    Ok(Connector {
        name: written.connector.clone(),
        title: written.title.clone().unwrap_or_else(|| written.connector.clone()),
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

fn compile_trigger(
    connector: &manifest::Connector,
    name: &str,
    written: &manifest::connector::Trigger,
    problems: &mut Vec<Problem>,
) -> Trigger {
    let pointer = format!("/triggers/{name}");
    if !connector.actions.contains_key(&written.poll) {
        problems.push(unknown("action", &written.poll, &format!("{pointer}/poll"), connector.actions.keys()));
    }
    let cursor = cursor::cursor(&written.cursor, &format!("{pointer}/cursor"), problems);
    let widest = cursor.lookback_ms.max(cursor.deep.map_or(0, |deep| deep.lookback_ms));
    Trigger {
        connector: connector.connector.clone(),
        name: name.to_owned(),
        poll: written.poll.clone(),
        inputs: Inputs::compile(&written.inputs, &connector.schemas, "input", &format!("{pointer}/inputs"), problems),
        with: tree(&Value::Object(written.with.clone()), &format!("{pointer}/with"), problems),
        key: cursor::key(&written.key, &format!("{pointer}/key"), problems),
        condition: optional(written.condition.as_ref(), &format!("{pointer}/where"), problems),
        not_ready: optional(written.cursor.not_ready.as_ref(), &format!("{pointer}/cursor/not_ready"), problems),
        not_ready_for_ms: written.cursor.not_ready_for.map_or(NOT_READY_MS, |limit| limit.ms),
        remember_ms: written.remember.map_or(REMEMBER_MS, |remember| remember.ms).max(widest),
        every_ms: written.every.map_or(EVERY_MS, |every| every.ms),
        cursor,
    }
}

fn unknown<'a>(noun: &str, name: &str, pointer: &str, known: impl Iterator<Item = &'a String> + Clone) -> Problem {
    let code = match noun {
        "action" => "unknown_action",
        "part" => "unknown_part",
        "host" => "unknown_host",
        _ => "unknown_auth",
    };
    let problem = Problem::new(pointer, code, format!("there is no {noun} `{name}` in this connector"));
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
    Expression::compile(source).map_err(|error| problems.push(Problem::from_template(pointer, error))).ok()
}

fn optional(source: Option<&String>, pointer: &str, problems: &mut Vec<Problem>) -> Option<Expression> {
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

#[cfg(test)]
mod tests;
