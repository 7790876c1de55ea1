//! What is said of files: the inputs that take one, the parts of a request that send one, the answers that
//! become one.

use serde_json::Value;

use super::expressions::{self, is_template};
use super::findings::{Findings, below};
use super::scope::Scope;
use crate::manifest::Inputs;
use crate::manifest::connector::request::FILE_PART;
use crate::manifest::connector::{Format, Request, Response};
use crate::manifest::input::is_file;

/// `accept` and `max_bytes` of inputs. `scope` makes what the limit may read; without one nothing is looked at
/// where these inputs are, so the words would promise too much.
pub fn inputs(findings: &mut Findings<'_>, pointer: &str, inputs: &Inputs, scope: Option<&dyn Fn() -> Scope>) {
    for (name, input) in inputs {
        let place = below(pointer, name);
        let words = [(!input.accept.is_empty(), "accept"), (input.max_bytes.is_some(), "max_bytes")];
        for (_, word) in words.into_iter().filter(|(is_there, _)| *is_there) {
            let (message, help) = match scope {
                _ if !is_file(&input.schema) => (
                    format!("`{word}` is about files, and this input takes none"),
                    "write `format: file`, or remove it",
                ),
                None => (format!("`{word}` is looked at for the inputs of actions"), "leave it to the action"),
                Some(_) => continue,
            };
            findings.error("setting_without_effect", &below(&place, word), message, help);
        }
        let is_text = |schema: &serde_json::Map<String, Value>| schema.get("type").is_some_and(|kind| kind == "string");
        let items = input.schema.get("items").and_then(Value::as_object);
        let is_path = is_text(&input.schema) || items.is_some_and(is_text);
        if is_file(&input.schema) && !is_path {
            let help = "write `type: string`, or a list of such";
            findings.error("schema_invalid", &place, "a file is given by its path, which is a text", help);
        }
        for (position, pattern) in input.accept.as_slice().iter().enumerate() {
            let is_pattern = pattern.split_once('/').is_some_and(|(main, sub)| !main.is_empty() && !sub.is_empty());
            if !is_pattern {
                let message = format!("`{pattern}` is no media type");
                let help = "write for example `image/png`, or `image/*`";
                findings.error("accept_invalid", &below(&below(&place, "accept"), position), message, help);
            }
        }
        if let (Some(limit), Some(scope)) = (&input.max_bytes, scope) {
            bound(findings, &scope(), &below(&place, "max_bytes"), limit);
        }
    }
}

/// The parts of a `multipart` body.
pub fn parts(findings: &mut Findings<'_>, pointer: &str, request: &Request, scope: &Scope) {
    let place = below(pointer, "multipart");
    for (name, value) in request.multipart.iter().flatten() {
        let place = below(&place, name);
        expressions::tree(findings, scope, &place, value);
        let Value::Object(members) = value else {
            continue;
        };
        if let Some(unknown) = members.keys().find(|member| !FILE_PART.contains(&member.as_str())) {
            let message = format!("a part of a file has no `{unknown}`");
            let help = super::findings::suggestion(unknown, FILE_PART.iter().copied());
            findings.key_error("multipart_invalid", &below(&place, unknown), message, help);
        } else if !members.contains_key("file") {
            let help = "write `{file: PATH}`, or a text";
            findings.error("multipart_invalid", &place, "it is not said which file this part is", help);
        }
    }
    let content_type = request.headers.keys().find(|name| name.eq_ignore_ascii_case("content-type"));
    if let (Some(name), Some(_)) = (content_type, &request.multipart) {
        let message = "a `multipart` body has a content type of its own, with its boundary";
        findings.error("setting_without_effect", &below(&below(pointer, "headers"), name), message, "remove it");
    }
}

/// The words of an answer that becomes a file, and those that have no meaning for one.
pub fn answer(findings: &mut Findings<'_>, pointer: &str, response: &Response, format: Format, scope: &Scope) {
    let misplaced = |findings: &mut Findings<'_>, word: &str, message: &str, help: &str| {
        findings.error("setting_without_effect", &below(pointer, word), message, help);
    };
    if format != Format::Binary {
        let words = [(response.save_to.is_some(), "save_to"), (response.max_bytes.is_some(), "max_bytes")];
        for (_, word) in words.into_iter().filter(|(is_there, _)| *is_there) {
            let message = format!("`{word}` is for an answer that becomes a file");
            misplaced(findings, word, &message, "write `format: binary`, or remove it");
        }
        return;
    }
    let words = [
        (response.records.is_some(), "records"),
        (response.many.is_some(), "many"),
        (response.required.is_some(), "required"),
        (response.condition.is_some(), "where"),
        (!response.expand.is_empty(), "expand"),
        (!response.set.is_empty(), "set"),
        (!response.remove.is_empty(), "remove"),
        (!response.secret.is_empty(), "secret"),
    ];
    for (_, word) in words.into_iter().filter(|(is_there, _)| *is_there) {
        let message = format!("an answer that becomes a file has nothing for `{word}`");
        misplaced(findings, word, &message, "remove it: the record is `{path, bytes, type, sha256}`");
    }
    if let Some(path) = &response.save_to {
        expressions::template(findings, scope, &below(pointer, "save_to"), path);
    }
    if let Some(limit) = &response.max_bytes {
        bound(findings, scope, &below(pointer, "max_bytes"), limit);
    }
}

/// A number of bytes, one for each family of files, or a template.
fn bound(findings: &mut Findings<'_>, scope: &Scope, pointer: &str, limit: &Value) {
    let is_number = |value: &Value| value.as_u64().is_some_and(|bytes| bytes > 0);
    match limit {
        Value::String(text) if is_template(text) => {
            expressions::template(findings, scope, pointer, text);
        }
        Value::Object(families) => {
            for (family, limit) in families {
                bound(findings, scope, &below(pointer, family), limit);
            }
        }
        number if is_number(number) => {}
        _ => findings.error("out_of_range", pointer, "this is no number of bytes", "write for example `5242880`"),
    }
}
