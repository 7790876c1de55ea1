//! Stored connections beside those of the settings: what the store holds becomes what `tidegate.yaml` could
//! have said, with its secrets still sealed. Where both have a name, the file's is used, and told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Error, Exit, Result};
use crate::manifest::{Catalog, Diagnostic, Severity};
use crate::sealing::{Identity, Key};
use crate::settings::{Connection, Settings, Source};
use crate::store::accounts::Account;

/// Adds stored connections to the settings of a catalog; returns what cannot be used of them.
pub fn merge(catalog: &mut Catalog, stored: &[Account]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut added = BTreeMap::new();
    for account in stored {
        if catalog.settings.value.connections.contains_key(&account.name) {
            let pointer = format!("/connections/{}", crate::manifest::typed::escape(&account.name));
            let message =
                format!("the connection `{}` is in the store, too: the one written here is used", account.name);
            let help = format!("rename it here, or `tidegate connections remove {}`", account.name);
            let source = &catalog.settings.source;
            found.push(source.at_key(&pointer, Severity::Warning, "connection_twice", message, Some(help)));
            continue;
        }
        match read(account) {
            Ok(connection) => {
                added.insert(account.name.clone(), connection);
            }
            Err(error) => found.push(of_store("connection_unreadable", error.message, error.help)),
        }
    }
    if !added.is_empty() {
        let settings: &mut Settings = Arc::make_mut(&mut catalog.settings.value);
        settings.connections.extend(added);
    }
    found
}

/// A finding about the store as a whole.
pub fn of_store(code: &'static str, message: String, help: Option<String>) -> Diagnostic {
    let file = PathBuf::from("store");
    Diagnostic { code, severity: Severity::Warning, file, line: 0, column: 0, length: 1, message, help }
}

/// A stored connection as the settings would say it; its secrets stay sealed.
///
/// # Errors
/// `connection_unreadable` where its row was made by another program.
pub fn read(account: &Account) -> Result<Connection> {
    let mut connection: Connection = serde_json::from_str(&account.body).map_err(|error| {
        Error::new(
            Exit::Connection,
            "connection_unreadable",
            format!("the stored connection `{}` cannot be read: {error}", account.name),
        )
        .with_help(format!("`tidegate connections remove {}`, and make it again", account.name))
    })?;
    connection.is_stored = true;
    // What a row claims about itself is not believed: its secrets open for this connection and these hosts only.
    let audience = connection.audience();
    for sealed in &account.secrets {
        let mut sealed = sealed.clone();
        let field = sealed.identity.field.clone();
        sealed.identity =
            Identity { connection: account.name.clone(), field: field.clone(), audience: audience.clone() };
        connection.fields.insert(field, Source::Sealed(sealed));
    }
    Ok(connection)
}

/// A connection as the store keeps it, the values of its `secrets` sealed.
///
/// # Errors
/// `seal_failed` where the system gives no random numbers.
pub fn write(name: &str, connection: &Connection, secrets: &[String], key: &Key) -> Result<Account> {
    let audience = connection.audience();
    let mut plain = connection.clone();
    let mut sealed = Vec::new();
    for field in secrets {
        match plain.fields.remove(field) {
            Some(Source::Value(value)) => {
                let identity =
                    Identity { connection: name.to_owned(), field: field.clone(), audience: audience.clone() };
                let one = key.seal(identity, &value.to_string());
                sealed.push(one.map_err(|error| {
                    Error::new(Exit::Host, "seal_failed", format!("`{field}` could not be sealed: {error}"))
                })?);
            }
            // It stays where it is, and so does what it points at.
            Some(Source::Sealed(kept)) => sealed.push(kept),
            Some(pointer @ (Source::Env { .. } | Source::File { .. } | Source::Vault { .. })) => {
                plain.fields.insert(field.clone(), pointer);
            }
            None => {}
        }
    }
    Ok(Account { name: name.to_owned(), body: body(&plain)?, secrets: sealed })
}

/// What of a connection is not sealed, as the store keeps it.
///
/// # Errors
/// `connection_unwritable`: never met.
pub fn body(connection: &Connection) -> Result<String> {
    let mut plain = connection.clone();
    plain.fields.retain(|_, source| !matches!(source, Source::Sealed(_)));
    serde_json::to_string(&plain).map_err(|error| {
        Error::new(Exit::Host, "connection_unwritable", format!("the connection cannot be written: {error}"))
    })
}
