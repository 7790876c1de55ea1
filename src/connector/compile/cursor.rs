//! Compiles `cursor` and `key`.

use super::super::cursor::{Cursor, Deep, Form, Key, Kind};
use super::{path, path_source};
use crate::manifest::connector as written;
use crate::manifest::connector::CursorType;
use crate::manifest::problem::Problem;

/// Reads a cursor.
pub fn cursor(written: &written::Cursor, pointer: &str, problems: &mut Vec<Problem>) -> Cursor {
    if written.kind != CursorType::None && written.field.is_none() {
        let problem = Problem::new(pointer, "cursor_invalid", "a cursor needs the `field` that it reads");
        problems.push(problem.with_help("give `field`, or `type: none` where nothing orders the records"));
    }
    if written.kind == CursorType::Integer && written.lookback.is_some() {
        problems.push(Problem::new(
            format!("{pointer}/lookback"),
            "cursor_invalid",
            "an integer says nothing of time, so there is nothing to look back by",
        ));
    }
    let kind = match written.kind {
        CursorType::None => Kind::None,
        CursorType::Integer => Kind::Integer,
        CursorType::Snowflake => snowflake(written, pointer, problems),
        CursorType::Datetime => {
            let names = written.formats.as_slice();
            let formats: Vec<Form> =
                names.iter().filter_map(|name| form(name, &format!("{pointer}/formats"), problems)).collect();
            let emit = written.emit.as_ref().and_then(|name| form(name, &format!("{pointer}/emit"), problems));
            Kind::Datetime {
                formats: if names.is_empty() { Form::NAMED.to_vec() } else { formats },
                emit: emit.unwrap_or(Form::Rfc3339),
            }
        }
    };
    Cursor {
        field: written.field.as_ref().map(|field| path(field, &format!("{pointer}/field"), problems)),
        kind,
        order: written.order,
        lookback_ms: written.lookback.map_or(0, |lookback| lookback.ms),
        deep: written.deep.map(|deep| Deep { lookback_ms: deep.lookback.ms, every_ms: deep.every.ms }),
        max_age_ms: written.max_age.map(|max_age| max_age.ms),
    }
}

/// Reads a key.
pub fn key(written: &written::Key, pointer: &str, problems: &mut Vec<Problem>) -> Key {
    match written {
        written::Key::Fields(fields) => {
            let mut paths: Vec<_> =
                fields.as_slice().iter().map(|field| path_source(field, pointer, problems)).collect();
            match (paths.len(), paths.pop()) {
                (1, Some(only)) => Key::Field(only),
                (_, Some(last)) => {
                    paths.push(last);
                    Key::Fields(paths)
                }
                (_, None) => {
                    problems.push(Problem::new(pointer, "key_invalid", "a key names at least one field"));
                    Key::Hash(Vec::new())
                }
            }
        }
        written::Key::Hash(hash) => match hash.hash.as_slice() {
            [whole] if whole == "record" => Key::Hash(Vec::new()),
            fields => {
                Key::Hash(fields.iter().map(|field| path_source(field, &format!("{pointer}/hash"), problems)).collect())
            }
        },
    }
}

fn snowflake(written: &written::Cursor, pointer: &str, problems: &mut Vec<Problem>) -> Kind {
    let shift = written.shift.unwrap_or(22);
    if shift > 62 {
        let message = "a snowflake's time begins at one of its 63 bits";
        problems.push(Problem::new(format!("{pointer}/shift"), "cursor_invalid", message));
    }
    if written.epoch_ms.is_none() {
        let message = "a snowflake needs `epoch_ms`, the time at which its ids began";
        problems.push(Problem::new(pointer, "cursor_invalid", message));
    }
    Kind::Snowflake { epoch_ms: written.epoch_ms.unwrap_or_default(), shift }
}

fn form(name: &str, pointer: &str, problems: &mut Vec<Problem>) -> Option<Form> {
    Form::compile(name).map_err(|message| problems.push(Problem::new(pointer, "datetime_form", message))).ok()
}
