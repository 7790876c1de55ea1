//! `tidegate.yaml`: that it names what there is, gives what is required, and has addresses that can be read.

use std::collections::BTreeMap;

use super::connector::base_url;
use super::findings::{Findings, below, suggestion};
use super::schemas::is_identifier;
use super::values::report;
use super::{Surroundings, flow, inputs, restrictions, vault};
use crate::manifest::catalog::Catalog;
use crate::manifest::{Connector, Diagnostic, Inputs};
use crate::settings::{Alert, Connection, LISTEN, NOTICES, PUBLIC, Settings, Source};

/// Checks are requests, too, and count against the service's limits.
const SHORTEST_CHECK_MS: i64 = 60_000;
/// A lease has to outlive a slow commit.
const SHORTEST_LEASE_MS: i64 = 1_000;

/// Everything that is wrong with the settings.
pub fn settings(catalog: &Catalog, surroundings: &Surroundings<'_>) -> Vec<Diagnostic> {
    let settings: &Settings = catalog.settings.value.as_ref();
    let mut findings = Findings::new(&catalog.settings.source);
    addresses(&mut findings, settings);
    vault::section(&mut findings, settings);
    amounts(&mut findings, settings);
    // A stored one stands in no file: it was checked when it was made, and is again when it is bound.
    for (name, connection) in settings.connections.iter().filter(|(_, connection)| !connection.is_stored) {
        self::connection(&mut findings, catalog, name, connection, surroundings);
    }
    for (position, alert) in settings.alerts.iter().enumerate() {
        self::alert(&mut findings, catalog, &format!("/alerts/{position}"), alert);
    }
    for name in settings.flows.keys() {
        let pointer = below("/flows", name);
        match catalog.flows.get(name) {
            Some(loaded) => flow::settings(&mut findings, catalog, &pointer, name, loaded.value.as_ref()),
            // What is wrong with one that cannot be read has been told.
            None if catalog.broken_flows.contains(name) => {}
            None => {
                let help = suggestion(name, catalog.flows.keys().map(String::as_str));
                findings.key_error("unknown_flow", &pointer, format!("there is no flow `{name}`"), help);
            }
        }
    }
    findings.into_diagnostics()
}

fn alert(findings: &mut Findings<'_>, catalog: &Catalog, pointer: &str, alert: &Alert) {
    let Alert { flow, on, connections } = alert;
    for kind in on.as_slice().iter().filter(|kind| !NOTICES.contains(&kind.as_str())) {
        let help = suggestion(kind, NOTICES);
        findings.error(
            "unknown_notice",
            &below(pointer, "on"),
            format!("there are no notices of the kind `{kind}`"),
            help,
        );
    }
    if !catalog.flows.contains_key(flow) && !catalog.broken_flows.contains(flow) {
        let help = suggestion(flow, catalog.flows.keys().map(String::as_str));
        findings.error("unknown_flow", &below(pointer, "flow"), format!("there is no flow `{flow}`"), help);
    }
    let known = &catalog.settings.value.connections;
    for name in connections.as_slice().iter().filter(|name| !known.contains_key(*name)) {
        let help = suggestion(name, known.keys().map(String::as_str));
        let message = format!("there is no connection `{name}`");
        findings.error("unknown_connection", &below(pointer, "connections"), message, help);
    }
}

/// What is wrong with a connection that stands in no file yet.
pub fn alone(catalog: &Catalog, name: &str, connection: &Connection) -> Vec<Diagnostic> {
    let mut findings = Findings::new(&catalog.settings.source);
    // Whether a file or a variable is there shows when it is read.
    let surroundings = Surroundings { is_set: &|_| true, is_there: &|_| true, schedule: &|_| Vec::new() };
    self::connection(&mut findings, catalog, name, connection, &surroundings);
    findings.into_diagnostics()
}

fn connection(
    findings: &mut Findings<'_>,
    catalog: &Catalog,
    name: &str,
    connection: &Connection,
    surroundings: &Surroundings<'_>,
) {
    let pointer = below("/connections", name);
    if !is_identifier(name) {
        findings.key_error(
            "bad_identifier",
            &pointer,
            format!("`{name}` cannot be a connection's name"),
            "use letters, digits, `_` and `-`, and begin with a letter",
        );
    }
    let Some(loaded) = catalog.connectors.get(&connection.connector) else {
        if catalog.broken_connectors.contains(&connection.connector) {
            return;
        }
        let help = suggestion(&connection.connector, catalog.connectors.keys().map(String::as_str));
        findings.error(
            "unknown_connector",
            &below(&pointer, "connector"),
            format!("there is no connector `{}`", connection.connector),
            help,
        );
        return;
    };
    let connector: &Connector = loaded.value.as_ref();
    fields(findings, &pointer, connector, connection, surroundings);
    field_hosts(findings, &pointer, connector, connection);
    for (host, text) in &connection.hosts {
        let place = below(&below(&pointer, "hosts"), host);
        if connector.hosts.contains_key(host) {
            base_url(findings, &place, text);
        } else {
            let help = suggestion(host, connector.hosts.keys().map(String::as_str));
            findings.key_error("unknown_host", &place, format!("`{}` has no host `{host}`", connector.connector), help);
        }
    }
    restrictions::of_connection(findings, &pointer, connector, connection, &catalog.settings.value.connections);
    defaults(findings, &pointer, connector, connection);
    if connection.health.as_ref().is_some_and(|health| health.every.ms < SHORTEST_CHECK_MS) {
        findings.error(
            "every_too_short",
            &below(&below(&pointer, "health"), "every"),
            "a connection is not checked more often than once a minute",
            "write `1m` or more",
        );
    }
    if connection.health.as_ref().is_some_and(|health| health.alert_after == 0) {
        findings.error(
            "limit_zero",
            &below(&below(&pointer, "health"), "alert_after"),
            "after 0 failures there is nothing to tell",
            "write at least 1",
        );
    }
    if let Some(proxy) = &connection.proxy {
        let is_proxy = url::Url::parse(proxy)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        if !is_proxy {
            findings.error(
                "proxy_invalid",
                &below(&pointer, "proxy"),
                "this is no address of a proxy",
                "write for example `http://proxy.example.org:3128`",
            );
        }
    }
}

fn fields(
    findings: &mut Findings<'_>,
    pointer: &str,
    connector: &Connector,
    connection: &Connection,
    surroundings: &Surroundings<'_>,
) {
    let known = &connector.connection.fields;
    let place = below(pointer, "fields");
    for (name, source) in &connection.fields {
        let place = below(&place, name);
        let Some(field) = known.get(name) else {
            let help = suggestion(name, known.keys().map(String::as_str));
            findings.key_error(
                "unknown_field",
                &place,
                format!("a connection of `{}` has no field `{name}`", connector.connector),
                help,
            );
            continue;
        };
        match source {
            Source::File { file } if !(surroundings.is_there)(file) => {
                findings.warning(
                    "secret_file_missing",
                    &below(&place, "file"),
                    format!("the file `{file}` is not there"),
                    "put it there where the host runs; its path is relative to the project's folder",
                );
            }
            Source::Value(serde_json::Value::String(text)) if text.is_empty() && field.required => {
                findings.error(
                    "field_missing",
                    &place,
                    format!("the field `{name}` is empty"),
                    format!("write `{name}: {{env: NAME}}`"),
                );
            }
            Source::Env { env } if !(surroundings.is_set)(env) => {
                findings.warning(
                    "environment_unset",
                    &below(&place, "env"),
                    format!("the environment variable `{env}` is not set here"),
                    "set it where the host runs",
                );
            }
            Source::Vault { vault } => vault::reference(findings, &below(&place, "vault"), vault),
            Source::Env { .. } | Source::File { .. } | Source::Sealed(_) => {}
            Source::Value(value) => {
                let one: Inputs = BTreeMap::from([(name.clone(), field.clone())]);
                let schema = serde_json::Value::Object(field.schema.clone());
                let value =
                    crate::manifest::typed::typed(value, &schema, findings.source(), &place, &connector.schemas);
                let values = serde_json::Map::from_iter([(name.clone(), value)]);
                for problem in inputs::inputs(&values, &one, &connector.schemas) {
                    report(findings, &below(pointer, "fields"), problem);
                }
            }
        }
    }
    for (name, field) in known {
        if field.required && field.default_value().is_none() && !connection.fields.contains_key(name) {
            findings.error(
                "field_missing",
                &place,
                format!("a connection of `{}` needs the field `{name}`", connector.connector),
                format!("write `{name}: {{env: NAME}}`"),
            );
        }
    }
}

/// Fields that are a host as they are, where their value is written here.
fn field_hosts(findings: &mut Findings<'_>, pointer: &str, connector: &Connector, connection: &Connection) {
    let own = connector.hosts.iter().filter(|(host, _)| !connection.hosts.contains_key(*host));
    for text in own.map(|(_, text)| text) {
        let field = text.strip_prefix("{{connection.").and_then(|rest| rest.strip_suffix("}}"));
        let Some((name, Source::Value(value))) = field.and_then(|field| connection.fields.get_key_value(field)) else {
            continue;
        };
        // An empty one has been told; YAML's numbers are what was written.
        let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !written.is_empty() {
            base_url(findings, &below(&below(pointer, "fields"), name), &written);
        }
    }
}

/// Defaults are inputs of some of the connector's actions.
fn defaults(findings: &mut Findings<'_>, pointer: &str, connector: &Connector, connection: &Connection) {
    for name in connection.defaults.keys() {
        let own = connector.actions.values().flat_map(|action| action.inputs.keys());
        let shared = connector.parts.values().flat_map(|part| part.inputs.keys());
        let known: Vec<&str> = own.chain(shared).map(String::as_str).collect();
        if !known.contains(&name.as_str()) {
            let place = below(&below(pointer, "defaults"), name);
            findings.key_error(
                "input_unknown",
                &place,
                format!("no action of `{}` has an input `{name}`", connector.connector),
                suggestion(name, known),
            );
        }
    }
}

fn addresses(findings: &mut Findings<'_>, settings: &Settings) {
    if let Some(listen) = &settings.listen
        && listen != "off"
        && !is_listen(listen)
    {
        findings.error(
            "listen_invalid",
            "/listen",
            format!("`{listen}` is no address to listen at"),
            "write an address and a port, for example 127.0.0.1:7400, or off",
        );
    }
    public(findings, settings);
    apart(findings, settings);
    for (position, pattern) in settings.egress.allow.iter().enumerate() {
        if !is_egress(pattern) {
            let place = format!("/egress/allow/{position}");
            findings.error(
                "egress_invalid",
                &place,
                format!("`{pattern}` is no address that can be permitted"),
                "write an address and a port, for example 127.0.0.1:*, 10.0.0.0/8:443, [::1]:8080 or host.name:443",
            );
        }
    }
}

/// Two listeners cannot have one address; of a free port each gets its own.
fn apart(findings: &mut Findings<'_>, settings: &Settings) {
    let Some(public) = &settings.public else { return };
    let own = settings.listen.as_deref().unwrap_or(LISTEN);
    if own == "off" || own.ends_with(":0") || own != public.listen.as_deref().unwrap_or(PUBLIC) {
        return;
    }
    let (pointer, other) = match public.listen {
        Some(_) => ("/public/listen", "the host's own listener"),
        None => ("/listen", "the public listener"),
    };
    let message = format!("{other} is at {own} already");
    findings.error("listen_twice", pointer, message, "write another port");
}

fn public(findings: &mut Findings<'_>, settings: &Settings) {
    let Some(public) = &settings.public else { return };
    if let Some(listen) = &public.listen
        && listen != "off"
        && !is_listen(listen)
    {
        findings.error(
            "listen_invalid",
            "/public/listen",
            format!("`{listen}` is no address to listen at"),
            "write an address and a port, for example 127.0.0.1:7401, or off",
        );
    }
    let Some(text) = &public.url else { return };
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url.filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty())
    else {
        findings.error(
            "public_url_invalid",
            "/public/url",
            "this is no address that links can begin with",
            "write how the public listener is reached from outside, for example https://gate.example.org",
        );
        return;
    };
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "http" && !is_loopback {
        findings.warning(
            "public_url_not_encrypted",
            "/public/url",
            "whoever carries these links can read and use them",
            "put a proxy with TLS before the public listener, and write https",
        );
    }
}

fn amounts(findings: &mut Findings<'_>, settings: &Settings) {
    let worker = &settings.worker;
    for (amount, name) in
        [(u64::from(worker.runs), "runs"), (u64::from(worker.polls), "polls"), (worker.backlog, "backlog")]
    {
        if amount == 0 {
            findings.error(
                "limit_zero",
                &below("/worker", name),
                format!("with 0 {name} nothing is ever done"),
                "write at least 1",
            );
        }
    }
    if worker.lease.ms < SHORTEST_LEASE_MS {
        findings.error(
            "every_too_short",
            "/worker/lease",
            "a host that is alive would count as gone while it commits",
            "write at least 1s",
        );
    }
    let retention = &settings.retention;
    if retention.payloads > retention.runs {
        findings.warning(
            "retention_order",
            "/retention/payloads",
            "payloads are removed with their runs, which are kept for a shorter time",
            "keep `runs` at least as long as `payloads`",
        );
    }
}

/// `address:port`; a name may stand for the address.
fn is_listen(text: &str) -> bool {
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return true;
    }
    let Some((name, port)) = text.rsplit_once(':') else {
        return false;
    };
    is_name(name) && port.parse::<u16>().is_ok()
}

/// `127.0.0.1:*`, `10.0.0.0/8:443`, `[::1]:8080`, `[fd00::]/8:*`, `host.name:443`.
fn is_egress(text: &str) -> bool {
    let Some((address, port)) = text.rsplit_once(':') else {
        return false;
    };
    if port != "*" && port.parse::<u16>().is_err() {
        return false;
    }
    let (address, prefix) = match address.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (address, None),
    };
    let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let longest = match (bare, address.parse::<std::net::Ipv4Addr>()) {
        (Some(inner), _) if inner.parse::<std::net::Ipv6Addr>().is_ok() => 128,
        (None, Ok(_)) => 32,
        (None, Err(_)) => return prefix.is_none() && is_name(address),
        _ => return false,
    };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= longest))
}

fn is_name(text: &str) -> bool {
    let labels_are_fine = text.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    // All digits would be a mistyped address.
    labels_are_fine && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for (text, is_one) in [
            ("127.0.0.1:*", true),
            ("10.0.0.0/8:443", true),
            ("[::1]:8080", true),
            ("[fd00::]/8:*", true),
            ("db.internal:5432", true),
            ("10.0.0.0/33:443", false),
            ("10.0.0:443", false),
            ("127.0.0.1", false),
            ("::1:80", false),
            ("127.0.0.1:http", false),
            ("*:80", false),
        ] {
            assert_eq!(is_egress(text), is_one, "{text}");
        }
        for (text, is_one) in [
            ("127.0.0.1:7400", true),
            ("[::]:80", true),
            ("localhost:1", true),
            ("7400", false),
            ("127.0.0.1:99999", false),
        ] {
            assert_eq!(is_listen(text), is_one, "{text}");
        }
    }
}
