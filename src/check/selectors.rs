//! JMESPath expressions: that they can be read, that their functions exist, and that a plain path leads to a
//! member that the record's schema knows.

use jpx_core::{ErrorReason, RuntimeError};
use serde_json::Value;

use super::findings::{Findings, suggestion};
use super::types::{Found, Type};
use crate::manifest::Severity;

/// A selector at `pointer`.
pub fn selector(findings: &mut Findings<'_>, pointer: &str, text: &str) {
    let compiled = match jpx_core::compile(text) {
        Ok(compiled) => compiled,
        Err(error) => {
            let message = format!("this is no JMESPath: {}", reason(&error.reason));
            let help = "write for example `data.items`, `items[0].id` or `detail || message`";
            findings.within(Severity::Error, "selector_invalid", pointer, (error.offset, 1), message, help);
            return;
        }
    };
    // Functions are looked up when they are called; nothing to select from is enough to find those at the top.
    if let Err(error) = compiled.search(&Value::Null)
        && let ErrorReason::Runtime(RuntimeError::UnknownFunction(name)) = &error.reason
    {
        let known = jpx_core::DEFAULT_RUNTIME.function_names();
        let help = suggestion(name, known);
        findings.error("selector_unknown_function", pointer, format!("there is no function `{name}`"), help);
    }
}

/// A selector of one member of a record.
pub fn of_record(findings: &mut Findings<'_>, pointer: &str, text: &str, record: &Type) {
    let before = findings.count();
    selector(findings, pointer, text);
    let is_plain =
        text.split('.').all(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    if findings.count() > before || !is_plain {
        return;
    }
    let mut of = record.clone();
    for name in text.split('.') {
        match of.member(name) {
            Found::Member(member) => of = member.of,
            Found::Unknown => return,
            Found::Missing | Found::Scalar => {
                let help = suggestion(name, of.members.keys().map(String::as_str));
                findings.error(
                    "selector_unknown_member",
                    pointer,
                    format!("the schema of a record has no `{text}`"),
                    help,
                );
                return;
            }
        }
    }
}

fn reason(reason: &ErrorReason) -> String {
    match reason {
        ErrorReason::Parse(message) if message.ends_with("found Eof") => "it ends too early".to_owned(),
        ErrorReason::Parse(message) => message.clone(),
        other => other.to_string(),
    }
}
