//! A connector: hosts, the fields and schemes of a connection, defaults, parts. Its actions are checked in
//! `actions`, its triggers in `triggers`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use super::expressions::{self, is_template};
use super::findings::{Findings, below, suggestion};
use super::scope::Scope;
use super::shapes::inputs_type;
use super::types::Type;
use super::{
    actions, approvals, composites, errors, files, output, paginate, restrictions, schemas, schemes, triggers,
};
use crate::manifest::catalog::{Catalog, Loaded};
use crate::manifest::connector::{Effect, PlainEffect};
use crate::manifest::{Connector, Diagnostic};

/// Everything that is wrong with one connector.
pub fn connector(catalog: &Catalog, loaded: &Loaded<Connector>) -> Vec<Diagnostic> {
    let connector = loaded.value.as_ref();
    let mut findings = Findings::new(&loaded.source);
    schemas::definitions(&mut findings, &connector.schemas);
    schemas::inputs(&mut findings, "/connection/fields", &connector.connection.fields, &connector.schemas);
    files::inputs(&mut findings, "/connection/fields", &connector.connection.fields, None);
    hosts(&mut findings, connector);
    auth(&mut findings, connector);
    tests(&mut findings, connector);
    let apps = connector.connection.app.as_slice();
    known_names(&mut findings, ("unknown_field", "field"), "/connection/app", apps, &connector.connection.fields);
    defaults(&mut findings, connector);
    parts(&mut findings, connector);
    output::shapes(&mut findings, connector);
    restrictions::restrictions(&mut findings, connector);
    for (name, action) in &connector.actions {
        match &action.steps {
            None => actions::action(&mut findings, connector, name, action),
            Some(steps) => composites::composite(&mut findings, catalog, connector, name, action, steps),
        }
    }
    approvals::replies(&mut findings, connector);
    for (name, trigger) in &connector.triggers {
        triggers::trigger(&mut findings, connector, name, trigger);
    }
    findings.into_diagnostics()
}

/// What `auth` and `hosts` read: every field of the connection, the secret ones too.
fn secret_scope(connector: &Connector) -> Scope {
    // A scheme whose fields are not given is not used, so an optional field is no slip there.
    Scope::new().with("connection", inputs_type(&connector.connection.fields, &connector.schemas)).forgiving_absence()
}

/// What requests read of the connection: its fields, of which the secret ones are refused by name.
pub fn connection_scope(connector: &Connector) -> Scope {
    let fields = &connector.connection.fields;
    let secrets: BTreeSet<String> =
        fields.iter().filter(|(_, field)| field.secret).map(|(name, _)| name.clone()).collect();
    Scope::new().with("connection", inputs_type(fields, &connector.schemas)).keeping("connection", secrets)
}

/// Reports names that are none of `known`.
pub fn known_names<'a, T: 'a>(
    findings: &mut Findings<'_>,
    (code, kind): (&'static str, &str),
    pointer: &str,
    names: &[String],
    known: &'a BTreeMap<String, T>,
) {
    for (position, name) in names.iter().enumerate() {
        if !known.contains_key(name) {
            let listed = below(pointer, position);
            let place =
                if findings.source().plain_text(pointer).is_some() || names.len() == 1 { pointer } else { &listed };
            let help = suggestion(name, known.keys().map(String::as_str));
            findings.error(code, place, format!("there is no {kind} `{name}`"), help);
        }
    }
}

/// A base URL, of a connector's host or instead of it.
pub fn base_url(findings: &mut Findings<'_>, pointer: &str, text: &str) {
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
            findings.error(
                "host_invalid",
                pointer,
                "this is no web address",
                "write for example `https://api.example.org`",
            );
        }
        Ok(url)
            if url.query().is_some()
                || url.fragment().is_some()
                || !url.username().is_empty()
                || url.password().is_some() =>
        {
            findings.error(
                "host_invalid",
                pointer,
                "a host has no query, no fragment and no user name",
                "write the scheme, the name and, if need be, the beginning of the path",
            );
        }
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) => {
            findings.warning(
                "host_not_encrypted",
                pointer,
                "secrets would travel unencrypted to this host",
                "write `https://`",
            );
        }
        Ok(_) => {}
        Err(error) => findings.error(
            "host_invalid",
            pointer,
            format!("this is no web address: {error}"),
            "write for example `https://api.example.org`",
        ),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn hosts(findings: &mut Findings<'_>, connector: &Connector) {
    let scope = secret_scope(connector);
    for (name, text) in &connector.hosts {
        let pointer = below("/hosts", name);
        if is_template(text) {
            expressions::template(findings, &scope, &pointer, text);
        } else {
            base_url(findings, &pointer, text);
        }
    }
}

fn auth(findings: &mut Findings<'_>, connector: &Connector) {
    let scope = secret_scope(connector);
    for (name, scheme) in &connector.connection.auth {
        let pointer = below("/connection/auth", name);
        for (member, text) in scheme.texts() {
            expressions::template(findings, &scope, &format!("{pointer}{member}"), &text);
        }
        schemes::scheme(findings, connector, &pointer, scheme);
    }
}

fn tests(findings: &mut Findings<'_>, connector: &Connector) {
    let names = connector.connection.test.as_slice();
    let pointer = "/connection/test";
    known_names(findings, ("unknown_action", "action"), pointer, names, &connector.actions);
    for action in names {
        let Some(tested) = connector.actions.get(action) else {
            continue;
        };
        if tested.effect != Effect::Plain(PlainEffect::Read) {
            findings.error(
                "test_not_read",
                pointer,
                format!("`{action}` changes something, so it cannot test a connection"),
                "name an action with `effect: read`",
            );
        }
        composites::refuse(findings, pointer, action, tested, "a connection is tested by one request");
        if let Some((input, _)) =
            tested.inputs.iter().find(|(_, input)| input.required && input.default_value().is_none())
        {
            findings.error(
                "test_needs_input",
                pointer,
                format!("`{action}` needs the input `{input}`, which a test cannot give"),
                "give that input a `default`, or name another action",
            );
        }
    }
}

fn defaults(findings: &mut Findings<'_>, connector: &Connector) {
    let defaults = &connector.defaults;
    actions::host(findings, connector, "/defaults/host", defaults.host.as_deref());
    known_names(
        findings,
        ("unknown_auth", "auth scheme"),
        "/defaults/auth",
        defaults.auth.as_slice(),
        &connector.connection.auth,
    );
    errors::limits(findings, connector, "/defaults/limits", &defaults.limits);
    // These rules hold for every action, whatever its inputs and its effect.
    errors::rules(findings, &Scope::new().with("inputs", Type::any()), "/defaults/errors", &defaults.errors, true);
    let scope = connection_scope(connector).with("inputs", Type::any());
    for (name, value) in &defaults.headers {
        expressions::tree(findings, &scope, &below("/defaults/headers", name), value);
    }
}

/// Parts are checked with the actions that take them; here, what does not depend on one.
fn parts(findings: &mut Findings<'_>, connector: &Connector) {
    for (name, part) in &connector.parts {
        let pointer = below("/parts", name);
        schemas::inputs(findings, &below(&pointer, "inputs"), &part.inputs, &connector.schemas);
        let limits = || connection_scope(connector).with("inputs", inputs_type(&part.inputs, &connector.schemas));
        files::inputs(findings, &below(&pointer, "inputs"), &part.inputs, Some(&limits));
        if let Some(schema) = &part.response.schema {
            schemas::schema(findings, &format!("{pointer}/response/schema"), schema, &connector.schemas);
        }
        if let Some(paged) = &part.paginate {
            paginate::paginate(findings, &below(&pointer, "paginate"), paged);
        }
        if !connector.actions.values().any(|action| action.uses.as_slice().contains(name)) {
            findings.warning(
                "part_unused",
                &pointer,
                format!("no action uses the part `{name}`"),
                "take it with `use`, or remove it",
            );
        }
    }
}

/// The values of a connector's inputs that a connection gives by its defaults.
pub fn default_names(defaults: &BTreeMap<String, Value>) -> Vec<&str> {
    defaults.keys().map(String::as_str).collect()
}
