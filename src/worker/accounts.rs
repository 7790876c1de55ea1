//! The configured accounts, bound to the connectors that use them: a connection is made when it is first
//! needed and kept while the deployment lasts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::connector::{Connection, Connector};
use crate::engine::Failure;
use crate::secrets::Secrets;
use crate::settings;

/// The accounts of a deployment.
#[derive(Default)]
pub struct Accounts {
    configured: BTreeMap<String, settings::Connection>,
    secrets: Secrets,
    // By account and connector version: a run that began with an older connector keeps using that one.
    bound: Mutex<HashMap<(String, usize), Arc<Connection>>>,
}

impl Accounts {
    /// Of these settings; `secrets` reads what they only point at.
    pub fn new(configured: BTreeMap<String, settings::Connection>, secrets: Secrets) -> Self {
        Accounts { configured, secrets, bound: Mutex::default() }
    }

    /// The configured accounts.
    pub fn configured(&self) -> &BTreeMap<String, settings::Connection> {
        &self.configured
    }

    /// Has the tokens of sign-ins read again: another process may have written them.
    pub fn forget_tokens(&self) {
        for connection in self.bound.lock().values() {
            connection.forget_tokens();
        }
    }

    /// The account by its name, or the one there must be where a connector needs no fields.
    ///
    /// # Errors
    /// When it is unknown, switched off, or lacks something.
    pub fn connection(
        &self,
        connector: &str,
        name: Option<&str>,
        compiled: &Arc<Connector>,
    ) -> Result<Arc<Connection>, Failure> {
        let name = name.unwrap_or(connector);
        let key = (name.to_owned(), Arc::as_ptr(compiled) as usize);
        if let Some(found) = self.bound.lock().get(&key) {
            return Ok(Arc::clone(found));
        }
        let implied;
        let settings = match self.configured.get(name) {
            Some(settings) => settings,
            None if compiled.needs_no_fields() => {
                implied = settings::Connection { connector: connector.to_owned(), active: true, ..Default::default() };
                &implied
            }
            None => {
                return Err(Failure::not_sent(
                    "connection_unknown",
                    format!("there is no connection `{name}` for {connector}"),
                )
                .with_help(format!("add it under `connections` in tidegate.yaml with `connector: {connector}`")));
            }
        };
        if !settings.active {
            return Err(Failure::not_sent("connection_inactive", format!("connection `{name}` is switched off"))
                .with_help(match settings.is_stored {
                    true => format!("switch it on: `tidegate connections activate {name}`"),
                    false => "set `active: true` in tidegate.yaml".to_owned(),
                }));
        }
        let connection = Connection::bind(name, Arc::clone(compiled), settings, &self.secrets).map_err(|problems| {
            let told: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
            Failure::not_sent("connection_incomplete", format!("connection `{name}`: {}", told.join("; ")))
        })?;
        let connection = Arc::new(connection);
        self.bound.lock().insert(key, Arc::clone(&connection));
        Ok(connection)
    }
}
