//! The accounts of the settings: their fields and defaults typed by the connector's schemas, and which account
//! a flow uses a connector with.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::typed::{escape, typed};
use crate::manifest::{Catalog, Connector, Input};
use crate::settings::{Connection, Source};

/// The settings' accounts, typed: an account's number is text, whatever it looks like.
pub fn accounts(catalog: &Catalog) -> BTreeMap<String, Connection> {
    let settings = &catalog.settings;
    let all = settings.value.connections.iter();
    all.map(|(name, written)| {
        let mut account = written.clone();
        // A stored one was typed when it was made.
        if let (false, Some(loaded)) = (written.is_stored, catalog.connectors.get(&written.connector)) {
            let connector = loaded.value.as_ref();
            let place = format!("/connections/{}", escape(name));
            let retype = |value: &Value, input: &Input, place: String| {
                typed(value, &Value::Object(input.schema.clone()), &settings.source, &place, &connector.schemas)
            };
            for (field, source) in &mut account.fields {
                if let (Source::Value(value), Some(input)) = (&*source, connector.connection.fields.get(field)) {
                    let place = format!("{place}/fields/{}", escape(field));
                    *source = Source::Value(retype(value, input, place));
                }
            }
            for (name, value) in &mut account.defaults {
                if let Some(input) = input(connector, name) {
                    *value = retype(value, input, format!("{place}/defaults/{}", escape(name)));
                }
            }
        }
        (name.clone(), account)
    })
    .collect()
}

/// The account that a flow uses a connector with: the settings say it, else the flow, else there is only one.
pub fn connection_of(catalog: &Catalog, flow: &str, connector: &str) -> Option<String> {
    let settings = catalog.settings.value.as_ref();
    let by_settings = settings.flows.get(flow).and_then(|flow| flow.connections.get(connector));
    let by_flow = || catalog.flows.get(flow).and_then(|flow| flow.value.connections.get(connector));
    if let Some(chosen) = by_settings.or_else(by_flow) {
        return Some(chosen.clone());
    }
    only_connection(catalog, connector)
}

/// The account of a connector, where there is just one.
fn only_connection(catalog: &Catalog, connector: &str) -> Option<String> {
    let all = catalog.settings.value.connections.iter();
    let mut of_it = all.filter(|(_, account)| account.connector == connector).map(|(name, _)| name.clone());
    let only = of_it.next()?;
    of_it.next().is_none().then_some(only)
}

fn input<'a>(connector: &'a Connector, name: &str) -> Option<&'a Input> {
    connector.actions.values().find_map(|action| action.inputs.get(name))
}
