//! The triggers of a connector: the action that is polled, the cursor, the key.

use super::findings::{Findings, below, suggestion};
use super::scope::Scope;
use super::selectors::{of_record, selector};
use super::shapes::{Shape, inputs_type, shape};
use super::types::{Member, Type};
use super::values::{self, Target};
use super::{composites, expressions, files, schemas};
use crate::manifest::connector::{Cursor, CursorType, Effect, Key, PlainEffect, Trigger};
use crate::manifest::{Connector, Duration, Severity};

/// The named forms of a point in time.
const TIME_FORMATS: &[&str] = &["rfc3339", "rfc2822", "epoch", "epoch_ms"];
/// How long a key is remembered unless the trigger says otherwise.
const REMEMBER: Duration = Duration::from_secs(30 * 86_400);
/// The shortest interval of a poll.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// One trigger.
pub fn trigger(findings: &mut Findings<'_>, connector: &Connector, name: &str, trigger: &Trigger) {
    let pointer = below("/triggers", name);
    if !schemas::is_identifier(name) {
        findings.key_error(
            "bad_identifier",
            &pointer,
            format!("`{name}` cannot be named by a flow"),
            "use letters, digits and `_`, and begin with a letter",
        );
    }
    schemas::inputs(findings, &below(&pointer, "inputs"), &trigger.inputs, &connector.schemas);
    files::inputs(findings, &below(&pointer, "inputs"), &trigger.inputs, None);
    interval(findings, &below(&pointer, "every"), trigger.every);
    let inputs = Scope::new().with("inputs", inputs_type(&trigger.inputs, &connector.schemas));
    let record = polled(findings, connector, &pointer, trigger, &inputs);
    let scope = inputs.clone().with("record", record.clone());
    if let Some(condition) = &trigger.condition {
        expressions::condition(findings, &scope, &below(&pointer, "where"), condition);
    }
    key(findings, &below(&pointer, "key"), &trigger.key, &record, &inputs);
    cursor(findings, &below(&pointer, "cursor"), &trigger.cursor, &record, &inputs);
    remembering(findings, &pointer, trigger);
}

/// An interval that is too short to be meant.
pub fn interval(findings: &mut Findings<'_>, pointer: &str, every: Option<Duration>) {
    if every.is_some_and(|every| every < SHORTEST_INTERVAL) {
        findings.error(
            "every_too_short",
            pointer,
            "nothing is polled more often than every second",
            "write at least 1s",
        );
    }
}

/// The polled action's inputs; gives the type of a record.
fn polled(
    findings: &mut Findings<'_>,
    connector: &Connector,
    pointer: &str,
    trigger: &Trigger,
    inputs: &Scope,
) -> Type {
    let place = below(pointer, "poll");
    let Some(action) = connector.actions.get(&trigger.poll) else {
        let help = suggestion(&trigger.poll, connector.actions.keys().map(String::as_str));
        findings.error("unknown_action", &place, format!("there is no action `{}`", trigger.poll), help);
        return Type::any();
    };
    if action.effect != Effect::Plain(PlainEffect::Read) {
        findings.error(
            "poll_not_read",
            &place,
            format!("`{}` changes something, so it cannot be polled", trigger.poll),
            "poll an action with `effect: read`",
        );
    }
    composites::refuse(findings, &place, &trigger.poll, action, "a poll reads page by page, each by one request");
    if action.foreach.is_some() {
        findings.error(
            "poll_not_read",
            &place,
            format!("`{}` sends one request per element, so it cannot be polled", trigger.poll),
            "poll an action that lists records",
        );
    }
    let Shape { inputs: wanted, record, .. } = shape(connector, action);
    let cursor = Type::object([("since", Member::perhaps(Type::any()))]);
    let scope = inputs.clone().with("cursor", cursor);
    let target = Target {
        name: &trigger.poll,
        inputs: &wanted,
        definitions: &connector.schemas,
        given: &[],
        missing: Severity::Error,
    };
    values::feed(findings, &scope, &below(pointer, "with"), &trigger.with, target);
    record
}

fn key(findings: &mut Findings<'_>, pointer: &str, key: &Key, record: &Type, inputs: &Scope) {
    let (place, fields) = match key {
        Key::Fields(fields) => (pointer.to_owned(), fields.as_slice()),
        Key::Hash(hash) => (below(pointer, "hash"), hash.hash.as_slice()),
    };
    if fields.is_empty() {
        findings.error(
            "key_empty",
            &place,
            "without a key, no two items could be told apart",
            "name the field that identifies a record, or write `{hash: record}`",
        );
    }
    for (position, field) in fields.iter().enumerate() {
        if matches!(key, Key::Hash(_)) && field == "record" {
            continue;
        }
        let listed = below(&place, position);
        let place = if fields.len() == 1 { &place } else { &listed };
        // The inputs may say what tells items apart.
        if expressions::is_template(field) {
            expressions::template(findings, inputs, place, field);
        } else {
            of_record(findings, place, field, record);
        }
    }
}

fn cursor(findings: &mut Findings<'_>, pointer: &str, cursor: &Cursor, record: &Type, inputs: &Scope) {
    let kind = cursor.kind;
    match (&cursor.field, kind) {
        (Some(field), CursorType::None) => {
            selector(findings, &below(pointer, "field"), field);
            idle(findings, pointer, "field", "a cursor without a type reads no field; give it a `type`");
        }
        (Some(field), _) => of_record(findings, &below(pointer, "field"), field, record),
        (None, CursorType::None) => {}
        (None, _) => findings.error(
            "cursor_without_field",
            pointer,
            "this cursor does not say which field orders the records",
            "write `field: <the record's id or time>`",
        ),
    }
    if kind == CursorType::Snowflake {
        if cursor.epoch_ms.is_none() || cursor.shift.is_none() {
            findings.error(
                "cursor_snowflake",
                pointer,
                "a snowflake needs its epoch and the bits below its time",
                "write `epoch_ms` and `shift`, as the service documents them",
            );
        }
        if cursor.shift.is_some_and(|shift| shift > 62) {
            findings.error(
                "cursor_snowflake",
                &below(pointer, "shift"),
                "no time would be left in 64 bits",
                "write how many bits stand below the time, for example 22",
            );
        }
    } else {
        for (given, name) in [(cursor.epoch_ms.is_some(), "epoch_ms"), (cursor.shift.is_some(), "shift")] {
            if given {
                idle(findings, pointer, name, "it belongs to `type: snowflake`");
            }
        }
    }
    if kind != CursorType::Datetime {
        for (given, name) in [(!cursor.formats.is_empty(), "formats"), (cursor.emit.is_some(), "emit")] {
            if given {
                idle(findings, pointer, name, "it belongs to `type: datetime`");
            }
        }
    }
    if kind == CursorType::None {
        for (given, name) in [
            (cursor.lookback.is_some(), "lookback"),
            (cursor.deep.is_some(), "deep"),
            (cursor.max_age.is_some(), "max_age"),
        ] {
            if given {
                idle(findings, pointer, name, "without a cursor every poll reads everything; give the cursor a `type`");
            }
        }
    }
    let formats = cursor.formats.as_slice();
    for (position, format) in formats.iter().enumerate() {
        let place = below(pointer, "formats");
        let listed = below(&place, position);
        time_format(findings, if formats.len() == 1 { &place } else { &listed }, format);
    }
    if let Some(format) = &cursor.emit {
        time_format(findings, &below(pointer, "emit"), format);
    }
    if let Some(condition) = &cursor.not_ready {
        expressions::condition(
            findings,
            &inputs.clone().with("record", record.clone()),
            &below(pointer, "not_ready"),
            condition,
        );
        if kind == CursorType::Integer {
            findings.key_error(
                "not_ready_undated",
                &below(pointer, "not_ready"),
                "integers say nothing of time: what is not ready is passed, and never asked for again",
                "give the cursor a `type` with dates, or leave such records out by `where`",
            );
        }
    } else if cursor.not_ready_for.is_some() {
        idle(findings, pointer, "not_ready_for", "it belongs beside `not_ready`");
    }
}

fn idle(findings: &mut Findings<'_>, pointer: &str, name: &str, help: &str) {
    findings.key_error("setting_without_effect", &below(pointer, name), format!("`{name}` does nothing here"), help);
}

fn time_format(findings: &mut Findings<'_>, pointer: &str, format: &str) {
    if !TIME_FORMATS.contains(&format) && !format.contains('%') {
        let help = match suggestion(format, TIME_FORMATS.iter().copied()) {
            Some(help) if help.starts_with("did") => help,
            _ => format!("write one of {}, or a pattern such as `%Y-%m-%d %H:%M:%S`", TIME_FORMATS.join(", ")),
        };
        findings.error("time_format_unknown", pointer, format!("`{format}` is no form of a time"), help);
    }
}

/// A key must not be forgotten while the service still lists its record.
fn remembering(findings: &mut Findings<'_>, pointer: &str, trigger: &Trigger) {
    let cursor = &trigger.cursor;
    let remember = trigger.remember.unwrap_or(REMEMBER);
    let lookbacks = [(cursor.lookback, "lookback"), (cursor.deep.map(|deep| deep.lookback), "deep/lookback")];
    for (lookback, name) in lookbacks {
        if let Some(lookback) = lookback
            && lookback > remember
        {
            let message =
                format!("this looks back {lookback}, but keys are forgotten after {remember}: items would come twice");
            findings.error(
                "remember_too_short",
                &format!("{pointer}/cursor/{name}"),
                message,
                "remember keys at least as long as the lookback",
            );
        }
        if let (Some(lookback), Some(max_age)) = (lookback, cursor.max_age)
            && max_age < lookback
        {
            let message = format!("this looks back {lookback}, but the service takes nothing older than {max_age}");
            findings.error(
                "max_age_too_short",
                &format!("{pointer}/cursor/{name}"),
                message,
                "look back less far than `max_age`",
            );
        }
    }
    if let Some(deep) = cursor.deep
        && cursor.lookback.is_some_and(|lookback| deep.lookback <= lookback)
    {
        findings.error(
            "deep_not_wider",
            &format!("{pointer}/cursor/deep/lookback"),
            "the rarer look is no wider than the usual one",
            "make it look back further, or leave `deep` out",
        );
    }
    interval(findings, &format!("{pointer}/cursor/deep/every"), cursor.deep.map(|deep| deep.every));
}
