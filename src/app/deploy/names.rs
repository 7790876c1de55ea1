//! What a flow names: the connectors of its trigger and steps, and the accounts that sign its `http` steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::{Connector, Flow, composite};
use crate::worker::Accounts;

/// The connectors as written, by name.
type Manifests = BTreeMap<String, Arc<Connector>>;

/// What a flow names.
#[derive(Default)]
pub struct Named {
    /// Of its trigger and steps, and of those accounts.
    pub connectors: BTreeSet<String>,
    /// That `http` steps are signed with.
    pub accounts: BTreeSet<String>,
}

/// The connectors that a flow uses, by name, also within composite actions.
pub fn connectors_of(flow: &Flow, manifests: &Manifests) -> BTreeSet<String> {
    written_names(flow, manifests).connectors
}

/// The accounts that a flow names to sign `http` steps with; composites name none (`check`).
pub fn accounts_of(flow: &Flow) -> BTreeSet<String> {
    let mut accounts = BTreeSet::new();
    for steps in [&flow.steps, &flow.on_failure] {
        composite::all_steps(steps, &mut |step| {
            accounts.extend(step.http.as_ref().and_then(|http| http.connection.clone()));
        });
    }
    accounts
}

/// The connector that a flow polls.
pub fn polled_connector(flow: &Flow) -> Option<&str> {
    flow.trigger.poll.as_deref()?.split_once('.').map(|(connector, _)| connector)
}

/// What a flow names, with the connectors of its accounts.
pub fn named(flow: &Flow, manifests: &Manifests, accounts: &Accounts) -> Named {
    let mut named = written_names(flow, manifests);
    let signers = named.accounts.iter().filter_map(|account| accounts.configured().get(account));
    named.connectors.extend(signers.map(|account| account.connector.clone()).collect::<Vec<_>>());
    named
}

fn written_names(flow: &Flow, manifests: &Manifests) -> Named {
    let mut named = Named::default();
    if let Some(connector) = polled_connector(flow) {
        named.connectors.insert(connector.to_owned());
    }
    for steps in [&flow.steps, &flow.on_failure] {
        named.connectors.extend(composite::connectors_of(steps, None, manifests));
    }
    named.accounts = accounts_of(flow);
    named
}
