//! What an action sends and what it makes of the answer, its own words and those of its parts. Parts are
//! checked in the light of each action that takes them, as the inputs differ.

use super::expressions::{self, is_template};
use super::files;
use super::findings::{Findings, below};
use super::output;
use super::scope::Scope;
use super::selectors::selector;
use super::shapes::{self, Shape};
use super::types::Type;
use crate::manifest::Connector;
use crate::manifest::connector::{Action, Format, Request, Response};

/// What is sent.
pub fn requests(findings: &mut Findings<'_>, connector: &Connector, pointer: &str, action: &Action, scope: &Scope) {
    let own = (below(pointer, "request"), &action.request);
    let parts = shapes::parts(connector, action);
    let shared = parts.iter().map(|(name, part)| (format!("{}/request", below("/parts", name)), &part.request));
    let all: Vec<(String, &Request)> = std::iter::once(own).chain(shared).collect();
    for (place, request) in &all {
        self::request(findings, place, request, scope);
    }
    let requests = || all.iter().map(|(_, request)| *request);
    let mut bodies: Vec<&str> = Vec::new();
    for name in requests().flat_map(Request::bodies) {
        if !bodies.contains(&name) {
            bodies.push(name);
        }
    }
    if bodies.len() > 1 {
        let message = format!("this request has several bodies: {}", bodies.join(", "));
        let help = "write one of `json`, `form`, `multipart` and `raw`";
        findings.error("several_bodies", &below(pointer, "request"), message, help);
    }
    if requests().all(|request| request.path.is_none()) {
        findings.error("path_missing", pointer, "this action has no path", "write `request: {path: /...}`");
    }
}

/// What is given back where nothing is sent.
pub fn answer(findings: &mut Findings<'_>, pointer: &str, action: &Action, scope: &Scope) {
    request(findings, &below(pointer, "request"), &action.request, scope);
}

/// What is made of the answer; `sent` is what the request could read.
pub fn responses(
    findings: &mut Findings<'_>,
    connector: &Connector,
    pointer: &str,
    action: &Action,
    (inputs, sent): (&Scope, &Scope),
    shape: &Shape,
) {
    let own = (below(pointer, "response"), &action.response);
    let parts = shapes::parts(connector, action);
    let shared = parts.iter().map(|(name, part)| (format!("{}/response", below("/parts", name)), &part.response));
    let all: Vec<(String, &Response)> = std::iter::once(own).chain(shared).collect();
    let format = all.iter().find_map(|(_, response)| response.format).unwrap_or_default();
    let is_text = format == Format::Text;
    if format == Format::Binary && action.paginate.is_some() {
        let message = "an answer that becomes a file has no further pages";
        findings.error("setting_without_effect", &below(pointer, "paginate"), message, "remove it");
    }
    for (place, response) in &all {
        files::answer(findings, place, response, format, sent);
        self::response(findings, connector, place, response, (inputs, sent), shape);
        if is_text && response.records.is_some() {
            findings.error(
                "setting_without_effect",
                &below(place, "records"),
                "a text has no records to select",
                "leave `records` out, or read the answer as `json`",
            );
        }
    }
}

fn request(findings: &mut Findings<'_>, pointer: &str, request: &Request, scope: &Scope) {
    if let Some(path) = &request.path {
        let place = below(pointer, "path");
        if !path.starts_with('/') && !is_template(path) {
            findings.error(
                "path_invalid",
                &place,
                "a path begins with `/`",
                "write what comes after the host; the host itself stands below `hosts`",
            );
        }
        expressions::template(findings, scope, &place, path);
    }
    for (name, value) in &request.query {
        expressions::tree(findings, scope, &below(&below(pointer, "query"), name), value);
    }
    for (name, value) in &request.headers {
        expressions::tree(findings, scope, &below(&below(pointer, "headers"), name), value);
    }
    if let Some(json) = &request.json {
        expressions::tree(findings, scope, &below(pointer, "json"), json);
    }
    for (name, value) in request.form.iter().flatten() {
        expressions::tree(findings, scope, &below(&below(pointer, "form"), name), value);
    }
    files::parts(findings, pointer, request, scope);
    if let Some(raw) = &request.raw {
        expressions::template(findings, scope, &below(pointer, "raw"), raw);
    }
}

fn response(
    findings: &mut Findings<'_>,
    connector: &Connector,
    pointer: &str,
    response: &Response,
    (inputs, sent): (&Scope, &Scope),
    shape: &Shape,
) {
    if let Some(records) = &response.records {
        // The inputs may say where the records are.
        if is_template(records) {
            expressions::template(findings, inputs, &below(pointer, "records"), records);
        } else {
            selector(findings, &below(pointer, "records"), records);
        }
    }
    output::shape(findings, connector, &below(pointer, "shape"), response.shape.as_ref());
    output::expands(findings, connector, pointer, &response.expand, &with_removed(response, &shape.record));
    if let Some(raw) = &response.raw {
        expressions::condition(findings, inputs, &below(pointer, "raw"), raw);
    }
    let scope = sent.clone().with("record", with_removed(response, &shape.record));
    if let Some(condition) = &response.condition {
        expressions::condition(findings, &scope, &below(pointer, "where"), condition);
    }
    let scope = scope.with("body", Type::any());
    for (name, value) in &response.set {
        expressions::tree(findings, &scope, &below(&below(pointer, "set"), name), value);
    }
}

/// The record before members are taken out of it: they can still be read.
fn with_removed(response: &Response, record: &Type) -> Type {
    use super::types::Member;
    let mut of = record.clone();
    for name in response.remove.as_slice().iter().filter(|_| !record.open) {
        of = of.with(name, Member::perhaps(Type::any()));
    }
    of
}
