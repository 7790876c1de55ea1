//! What a flow names: the connectors of its trigger and steps, and the accounts that sign its `http` steps.

use std::collections::BTreeSet;

use crate::manifest::Flow;
use crate::manifest::flow::Step;
use crate::worker::Accounts;

/// What a flow names.
#[derive(Default)]
pub struct Named {
    /// Of its trigger and steps, and of those accounts.
    pub connectors: BTreeSet<String>,
    /// That `http` steps are signed with.
    pub accounts: BTreeSet<String>,
}

/// The connectors that a flow uses, by name.
pub fn connectors_of(flow: &Flow) -> BTreeSet<String> {
    written_names(flow).connectors
}

/// The connector that a flow polls.
pub fn polled_connector(flow: &Flow) -> Option<&str> {
    flow.trigger.poll.as_deref()?.split_once('.').map(|(connector, _)| connector)
}

/// What a flow names, with the connectors of its accounts.
pub fn named(flow: &Flow, accounts: &Accounts) -> Named {
    let mut named = written_names(flow);
    let signers = named.accounts.iter().filter_map(|account| accounts.configured().get(account));
    named.connectors.extend(signers.map(|account| account.connector.clone()).collect::<Vec<_>>());
    named
}

fn written_names(flow: &Flow) -> Named {
    let mut named = Named::default();
    if let Some(connector) = polled_connector(flow) {
        named.connectors.insert(connector.to_owned());
    }
    collect(&flow.steps, &mut named);
    collect(&flow.on_failure, &mut named);
    named
}

fn collect(steps: &[Step], named: &mut Named) {
    for step in steps {
        if let Some((connector, _)) = step.action.as_deref().and_then(|action| action.split_once('.')) {
            named.connectors.insert(connector.to_owned());
        }
        if let Some(account) = step.http.as_ref().and_then(|http| http.connection.as_ref()) {
            named.accounts.insert(account.clone());
        }
        for inner in [&step.then, &step.otherwise, &step.steps] {
            collect(inner.as_deref().unwrap_or_default(), named);
        }
    }
}
