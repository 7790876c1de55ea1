//! `tidegate connections show`: one account with its fields, of which secrets only say where they are.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Row, list, unknown};
use crate::app::{Result, View};
use crate::settings::Source;

/// One account.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: Row,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its hosts instead of the connector's.
    pub hosts: BTreeMap<String, String>,
    /// Action inputs that are used where a step gives none.
    pub defaults: BTreeMap<String, Value>,
    /// Its proxy, without a password.
    pub proxy: Option<String>,
}

/// A field of an account.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// Whether it must not be shown.
    pub secret: bool,
    /// `given`, `sealed`, `missing`, `default`, or where its value comes from: `{env: NAME}`.
    pub source: String,
    /// Its value, where it is none of a secret.
    pub value: Option<Value>,
}

/// One account by its name.
///
/// # Errors
/// `connection_unknown`, the store's.
pub async fn show(view: &View, name: &str) -> Result<Detail> {
    let catalog = &view.project.catalog;
    let settings = &catalog.settings.value;
    let account = settings.connections.get(name).ok_or_else(|| unknown(name, settings))?;
    let row = list(view).await?.into_iter().find(|row| row.name == name).ok_or_else(|| unknown(name, settings))?;
    let written = catalog.connectors.get(&account.connector).map(|loaded| &loaded.value.connection.fields);
    let mut fields = Vec::new();
    for (field, input) in written.into_iter().flatten() {
        let given = account.fields.get(field);
        let (source, value) = match given {
            Some(source) => told(source),
            None if input.default_value().is_some() => ("default".to_owned(), None),
            None => ("missing".to_owned(), None),
        };
        fields.push(Field {
            name: field.clone(),
            title: input.schema.get("title").and_then(Value::as_str).map(str::to_owned),
            secret: input.secret,
            source,
            value: value.filter(|_| !input.secret),
        });
    }
    Ok(Detail {
        row,
        fields,
        hosts: account.hosts.clone(),
        defaults: account.defaults.clone(),
        proxy: account.proxy.as_deref().map(without_password),
    })
}

fn told(source: &Source) -> (String, Option<Value>) {
    match source {
        Source::Env { env } => (format!("{{env: {env}}}"), None),
        Source::File { file } => (format!("{{file: {file}}}"), None),
        Source::Vault { vault } => (format!("{{vault: {vault}}}"), None),
        Source::Sealed(_) => ("sealed".to_owned(), None),
        Source::Value(value) => ("given".to_owned(), Some(value.clone())),
    }
}

fn without_password(proxy: &str) -> String {
    match url::Url::parse(proxy) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.to_string(),
            Err(()) => "(with a password)".to_owned(),
        },
        _ => proxy.to_owned(),
    }
}
