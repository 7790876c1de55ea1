//! From a written connector to a compiled one, once per deploy: defaults, parts and an action's own words
//! merged, then every template, selector, pattern and constant made ready. All problems are told at once,
//! each at the place where its words stand.

mod action;
mod cursor;
mod errors;
mod merge;
mod resolve;
mod response;
mod restriction;
mod shapes;

pub use self::action::action;
pub use self::merge::merged;
pub(super) use self::response::selector;

use std::sync::Arc;

use serde_json::Value;

use super::Connector;
use super::connection::Schemes;
use super::inputs::Inputs;
use super::lazy::{Parts, Written};
use super::replies::Replies;
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

/// Compiles all of a connector, or tells everything that is wrong with it.
pub fn connector(written: &manifest::Connector) -> Result<Connector, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut connector = shared(written, &mut problems);
    for (name, own) in &written.actions {
        connector.actions.put(name, action(written, name, own, &connector.shapes, &mut problems));
    }
    for (name, own) in &written.triggers {
        connector.triggers.put(name, trigger(written, name, own, &mut problems));
    }
    for name in written.connection.test.as_slice() {
        if !written.actions.contains_key(name) {
            problems.push(unknown("action", name, "/connection/test", written.actions.keys()));
        }
    }
    finish(connector, problems, written)
}

/// Compiles what all actions and triggers of a connector share, and each of these when it is first asked for.
pub fn lazily(written: Arc<Written>) -> Result<Connector, Vec<Problem>> {
    let mut problems = Vec::new();
    let manifest = written.manifest();
    let connector = Connector { written: Some(written), ..shared(&manifest, &mut problems) };
    finish(connector, problems, &manifest)
}

fn finish(
    connector: Connector,
    mut problems: Vec<Problem>,
    written: &manifest::Connector,
) -> Result<Connector, Vec<Problem>> {
    if problems.is_empty() {
        return Ok(connector);
    }
    merge::relocate(&mut problems, written);
    Err(problems)
}

fn shared(written: &manifest::Connector, problems: &mut Vec<Problem>) -> Connector {
    let mut hosts = Vec::new();
    for (name, host) in &written.hosts {
        match Template::compile(host) {
            Ok(template) => hosts.push((name.clone(), template)),
            Err(error) => problems.push(Problem::from_template(format!("/hosts/{name}"), error)),
        }
    }
    let own = &written.connection;
    let parts = written.parts.values().map(|part| &part.inputs);
    let inputs = written.actions.values().map(|action| &action.inputs).chain(parts);
    Connector {
        name: written.connector.clone(),
        title: written.title.clone().unwrap_or_else(|| written.connector.clone()),
        hosts,
        fields: Inputs::compile(&own.fields, &written.schemas, "field", "/connection/fields", problems),
        secret_fields: own.fields.iter().filter(|(_, field)| field.secret).map(|(name, _)| name.clone()).collect(),
        app_fields: own.app.as_slice().to_vec(),
        schemes: Schemes::compile(written, problems),
        default_schemes: match written.defaults.auth.is_empty() {
            true => own.auth.keys().cloned().collect(),
            false => written.defaults.auth.as_slice().to_vec(),
        },
        test: own.test.as_slice().to_vec(),
        restrictions: restriction::restrictions(written, problems),
        inputs: inputs.flat_map(|inputs| inputs.keys().cloned()).collect(),
        shapes: Arc::new(shapes::shapes(&written.shapes, problems)),
        actions: Parts::of(&written.actions),
        triggers: Parts::of(&written.triggers),
        replies: written.replies.as_ref().and_then(|replies| Replies::compile(replies, written, problems)),
        written: None,
    }
}

/// Compiles a trigger.
pub fn trigger(
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
        "shape" => "unknown_shape",
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
