//! What is deployed on a host, all at once: definitions, connectors, accounts, alerts. It is replaced and never changed;
//! `app::deploy` makes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::accounts::Accounts;
use super::definition::Definition;
use super::secret_inputs::FlowSecrets;
use crate::connector::{Connection, Connector};
use crate::engine::Failure;
use crate::settings::Alert;

/// What is deployed.
#[derive(Default)]
pub struct Deployment {
    /// By the flow's name.
    pub flows: BTreeMap<String, Arc<Definition>>,
    /// What looks for replies, by the name that stands for a flow's.
    pub replies: BTreeMap<String, Arc<Definition>>,
    /// The connectors, by name.
    pub connectors: BTreeMap<String, Arc<Connector>>,
    /// The accounts.
    pub accounts: Accounts,
    /// The values of secret inputs, by the flow's name.
    pub secrets: BTreeMap<String, FlowSecrets>,
    /// Flows that are started with what a person should know.
    pub alerts: Vec<Alert>,
}

impl Deployment {
    /// The account that a definition uses for a connector.
    ///
    /// # Errors
    /// When there is none, or it cannot be used: what is missing, in words.
    pub fn connection(&self, definition: &Definition, connector: &str) -> Result<Arc<Connection>, Failure> {
        let compiled = definition
            .connectors
            .get(connector)
            .ok_or_else(|| Failure::not_sent("connector_unknown", format!("there is no connector `{connector}`")))?;
        let name = definition.connections.get(connector).map(String::as_str);
        self.accounts.connection(connector, name, compiled)
    }

    /// An account by its own name, bound to the connector that it is of.
    ///
    /// # Errors
    /// When it is unknown, switched off, or lacks something.
    pub fn account(&self, definition: &Definition, name: &str) -> Result<Arc<Connection>, Failure> {
        let connector = self.accounts.configured().get(name).map(|account| account.connector.clone());
        let connector = connector.ok_or_else(|| {
            Failure::not_sent("connection_unknown", format!("there is no connection `{name}`"))
                .with_help("add it under `connections` in tidegate.yaml")
        })?;
        let compiled = definition.connectors.get(&connector).or_else(|| self.connectors.get(&connector));
        let compiled = compiled
            .ok_or_else(|| Failure::not_sent("connector_unknown", format!("there is no connector `{connector}`")))?;
        self.accounts.connection(&connector, Some(name), compiled)
    }

    /// What is polled under this name: a flow, or what looks for replies.
    pub fn polled(&self, name: &str) -> Option<&Arc<Definition>> {
        self.flows.get(name).or_else(|| self.replies.get(name))
    }
}
