//! JMESPath expressions: that they can be read, that their functions exist, and that a plain path leads to a
//! member that the record's schema knows.

use super::findings::{Findings, suggestion};
use super::types::{Found, Type};
use crate::formats::jmespath::{self, Wrong};
use crate::manifest::Severity;

/// A selector at `pointer`.
pub fn selector(findings: &mut Findings<'_>, pointer: &str, text: &str) {
    match jmespath::read(text) {
        Ok(_) => {}
        Err(Wrong::Unreadable(reason, offset)) => {
            let message = format!("this is no JMESPath: {reason}");
            findings.within(Severity::Error, "selector_invalid", pointer, (offset, 1), message, jmespath::EXAMPLES);
        }
        Err(Wrong::Function(name)) => {
            let help = suggestion(&name, jpx_core::DEFAULT_RUNTIME.function_names());
            findings.error("selector_unknown_function", pointer, format!("there is no function `{name}`"), help);
        }
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
