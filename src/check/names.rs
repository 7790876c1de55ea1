//! Finds what a flow names: connectors with their actions and triggers, and the connection that each connector
//! is used with. Tells what is not there, with what was probably meant.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Findings, below, suggestion};
use crate::manifest::catalog::{Catalog, Origin};
use crate::manifest::connector::{Action, Auth, Trigger};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{Connector, Flow};
use crate::settings::{Connection, FlowSettings};

/// The names that one flow, or one composite action, can use.
pub struct Names<'a> {
    catalog: &'a Catalog,
    user: User<'a>,
    /// Connectors whose connection has been looked for: it is told once, at the first use.
    seen: BTreeSet<String>,
    /// How many composites these names are within, while it is found out what they give.
    depth: usize,
}

/// Whose steps name things.
enum User<'a> {
    Flow {
        name: &'a str,
        flow: &'a Flow,
    },
    /// A composite action: it uses the connection of its caller.
    Composite {
        home: &'a Connector,
    },
}

impl<'a> Names<'a> {
    /// For the flow of this name.
    pub fn new(catalog: &'a Catalog, name: &'a str, flow: &'a Flow) -> Self {
        Names { catalog, user: User::Flow { name, flow }, seen: BTreeSet::new(), depth: 0 }
    }

    /// For the composite actions of a connector.
    pub fn within(catalog: &'a Catalog, home: &'a Connector) -> Self {
        Names { catalog, user: User::Composite { home }, seen: BTreeSet::new(), depth: 0 }
    }

    /// The connector whose composite actions these names are for.
    pub fn home(&self) -> Option<&'a Connector> {
        match self.user {
            User::Flow { .. } => None,
            User::Composite { home } => Some(home),
        }
    }

    /// For a composite action of `home` that is called from here.
    pub fn deeper<'b>(&self, home: &'b Connector) -> Names<'b>
    where
        'a: 'b,
    {
        Names { depth: self.depth + 1, ..Names::within(self.catalog, home) }
    }

    /// See [`Names::deeper`].
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What else there is.
    pub fn catalog(&self) -> &'a Catalog {
        self.catalog
    }

    /// The action that `<connector>.<action>` names.
    pub fn action(
        &mut self,
        findings: &mut Findings<'_>,
        pointer: &str,
        written: &str,
    ) -> Option<(&'a Connector, &'a Action)> {
        if let (Some(home), false) = (self.home(), written.contains('.')) {
            let found = home.actions.get(written);
            if found.is_none() {
                let help = suggestion(written, home.actions.keys().map(String::as_str));
                findings.error("unknown_action", pointer, format!("there is no action `{written}`"), help);
            }
            return Some((home, found?));
        }
        let (connector, name) = self.connector(findings, pointer, written, "action", "twilio.send_sms")?;
        let found =
            member(findings, ("unknown_action", "action"), pointer, (&connector.connector, name), &connector.actions)?;
        Some((connector, found))
    }

    /// The trigger that `<connector>.<trigger>` names.
    pub fn trigger(
        &mut self,
        findings: &mut Findings<'_>,
        pointer: &str,
        written: &str,
    ) -> Option<(&'a Connector, &'a Trigger)> {
        let (connector, name) = self.connector(findings, pointer, written, "trigger", "x.new_tweet")?;
        let found = member(
            findings,
            ("unknown_trigger", "trigger"),
            pointer,
            (&connector.connector, name),
            &connector.triggers,
        )?;
        Some((connector, found))
    }

    /// The flow's own `connections`: that they name what there is.
    pub fn connections(&self, findings: &mut Findings<'_>) {
        if let User::Flow { flow, .. } = self.user {
            connections(findings, self.catalog, "/connections", &flow.connections);
        }
    }

    /// A connection by its name.
    pub fn connection(&self, findings: &mut Findings<'_>, pointer: &str, name: &str) {
        if self.home().is_some() {
            return findings.error(
                "composite_connection",
                pointer,
                "a composite action names no connection",
                "call an action of this connector: it is signed by the connection that the flow uses",
            );
        }
        known_connection(findings, self.catalog, pointer, name);
    }

    /// The connection that this flow uses a connector with, if it is clear which.
    pub fn connection_of(&self, connector: &str) -> Option<(&'a str, &'a Connection)> {
        let settings = self.catalog.settings.value.as_ref();
        // A composite is written once for all connections.
        if self.home().is_some() {
            return None;
        }
        let chosen = self.chosen(connector);
        if let Some(name) = chosen {
            return settings.connections.get_key_value(name).map(|(name, connection)| (name.as_str(), connection));
        }
        match self.candidates(connector).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Whether there is a `tidegate.yaml`.
    pub fn has_settings(&self) -> bool {
        has_settings(self.catalog)
    }

    /// Whether there may be a connection that could not be read, or one whose connector is mistyped: that has been
    /// told.
    fn may_be_mistyped(&self, connector: &str) -> bool {
        let connectors = &self.catalog.connectors;
        let of_none = self.catalog.settings.value.connections.values().map(|connection| connection.connector.as_str());
        let mut of_none = of_none.filter(|name| !connectors.contains_key(*name));
        self.catalog.broken_settings || of_none.any(|name| did_you_mean(name, [connector]).is_some())
    }

    fn chosen(&self, connector: &str) -> Option<&'a String> {
        let User::Flow { name, flow } = self.user else { return None };
        let settings: Option<&'a FlowSettings> = self.catalog.settings.value.flows.get(name);
        settings.and_then(|flow| flow.connections.get(connector)).or_else(|| flow.connections.get(connector))
    }

    fn candidates(&self, connector: &str) -> Vec<(&'a str, &'a Connection)> {
        let all = self.catalog.settings.value.connections.iter();
        all.filter(|(_, connection)| connection.connector == connector)
            .map(|(name, connection)| (name.as_str(), connection))
            .collect()
    }

    fn connector<'w>(
        &mut self,
        findings: &mut Findings<'_>,
        pointer: &str,
        written: &'w str,
        kind: &str,
        example: &str,
    ) -> Option<(&'a Connector, &'w str)> {
        let Some((connector, name)) = written.split_once('.') else {
            findings.error(
                "action_syntax",
                pointer,
                format!("`{written}` names no {kind}"),
                format!("write `<connector>.<{kind}>`, for example `{example}`"),
            );
            return None;
        };
        let Some(loaded) = self.catalog.connectors.get(connector) else {
            // What is wrong with one that cannot be read has been told.
            if self.catalog.broken_connectors.contains(connector) {
                return None;
            }
            let help = suggestion(connector, self.catalog.connectors.keys().map(String::as_str));
            findings.error("unknown_connector", pointer, format!("there is no connector `{connector}`"), help);
            return None;
        };
        let found = loaded.value.as_ref();
        match self.home() {
            Some(home) if home.connector != connector && needs_connection(found) => {
                findings.error(
                    "composite_connection",
                    pointer,
                    format!("`{connector}` needs a connection, and a composite action has its own connector's alone"),
                    "let the flow call it, or use a connector that needs no connection, such as `file`",
                );
            }
            Some(_) => {}
            None if self.seen.insert(connector.to_owned()) => {
                self.usable_connection(findings, pointer, connector, found);
            }
            None => {}
        }
        Some((found, name))
    }

    fn usable_connection(&self, findings: &mut Findings<'_>, pointer: &str, connector: &str, found: &Connector) {
        if let Some((name, connection)) = self.connection_of(connector) {
            if !connection.active {
                let help = match connection.is_stored {
                    true => format!("run `tidegate connections activate {name}`, or use another connection"),
                    false => "write `active: true` in tidegate.yaml, or use another connection".to_owned(),
                };
                let message = format!("the connection `{name}` is not active: this flow waits");
                findings.warning("connection_inactive", pointer, message, help);
            }
            return;
        }
        // One that was chosen and is not there is told where it was chosen.
        if self.chosen(connector).is_some() || self.may_be_mistyped(connector) {
            return;
        }
        let candidates = self.candidates(connector);
        if candidates.len() > 1 {
            let names: Vec<&str> = candidates.iter().map(|(name, _)| *name).collect();
            let message = format!("`{connector}` has several connections, and none is named");
            findings.error(
                "connection_ambiguous",
                pointer,
                message,
                format!("write `connections: {{{connector}: <name>}}`; there are: {}", names.join(", ")),
            );
        } else if needs_connection(found) {
            let message = format!("there is no connection for `{connector}`");
            let help = format!(
                "describe one in tidegate.yaml: `connections: {{my-{connector}: {{connector: {connector}, fields: ...}}}}`"
            );
            match self.has_settings() {
                true => findings.error("connection_missing", pointer, message, help),
                false => findings.warning("connection_missing", pointer, message, help),
            }
        }
    }
}

/// Chosen connections, of a flow or in `tidegate.yaml`: connector to connection.
pub fn connections(findings: &mut Findings<'_>, catalog: &Catalog, pointer: &str, chosen: &BTreeMap<String, String>) {
    for (connector, name) in chosen {
        let place = below(pointer, connector);
        if !catalog.connectors.contains_key(connector) {
            if catalog.broken_connectors.contains(connector) {
                continue;
            }
            let help = suggestion(connector, catalog.connectors.keys().map(String::as_str));
            findings.key_error("unknown_connector", &place, format!("there is no connector `{connector}`"), help);
            continue;
        }
        known_connection(findings, catalog, &place, name);
        if let Some(connection) = catalog.settings.value.connections.get(name)
            && connection.connector != *connector
        {
            let message = format!("the connection `{name}` is one of `{}`, not of `{connector}`", connection.connector);
            let fitting = catalog.settings.value.connections.iter().filter(|(_, other)| other.connector == *connector);
            findings.error(
                "connection_mismatch",
                &place,
                message,
                suggestion(name, fitting.map(|(name, _)| name.as_str())),
            );
        }
    }
}

/// Whether there is a `tidegate.yaml`.
pub fn has_settings(catalog: &Catalog) -> bool {
    catalog.settings.origin == Origin::File
}

/// Whether a connector can do nothing without a configured account.
pub fn needs_connection(connector: &Connector) -> bool {
    let spec = &connector.connection;
    spec.fields.values().any(|field| field.required)
        || spec.auth.values().any(|scheme| !matches!(scheme, Auth::None {}))
}

fn known_connection(findings: &mut Findings<'_>, catalog: &Catalog, pointer: &str, name: &str) {
    // Of settings that cannot be read it is not known.
    if catalog.settings.value.connections.contains_key(name) || catalog.broken_settings {
        return;
    }
    let message = format!("there is no connection `{name}`");
    if has_settings(catalog) {
        let help = suggestion(name, catalog.settings.value.connections.keys().map(String::as_str));
        findings.error("unknown_connection", pointer, message, help);
    } else {
        findings.warning("unknown_connection", pointer, message, "describe it in tidegate.yaml, below `connections`");
    }
}

fn member<'c, T>(
    findings: &mut Findings<'_>,
    (code, kind): (&'static str, &str),
    pointer: &str,
    (connector, name): (&str, &str),
    members: &'c BTreeMap<String, T>,
) -> Option<&'c T> {
    let found = members.get(name);
    if found.is_none() {
        let help = suggestion(name, members.keys().map(String::as_str));
        let offset = connector.chars().count() + 1;
        let span = (offset, name.chars().count().max(1));
        findings.within(
            crate::manifest::Severity::Error,
            code,
            pointer,
            span,
            format!("`{connector}` has no {kind} `{name}`"),
            help,
        );
    }
    found
}
