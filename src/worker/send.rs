//! From the engine's call to the connector's request: which account, which action, and a permit.

use std::sync::Arc;

use serde_json::Value;

use super::definition::Definition;
use super::drive::Sent;
use super::host::Host;
use super::trouble;
use crate::connector::{self, Permit};
use crate::engine::{Call, Failure, Target, Verdict};
use crate::store::connections::Standing;
use crate::store;

/// A request that is ready but for its permit.
pub struct Prepared {
    request: connector::Prepared,
}

/// A request with its permit, or the time to try for one again.
pub enum Ready {
    /// It can be sent.
    Now(Box<Sending>),
    /// A limit is reached.
    Later {
        /// UTC epoch milliseconds.
        until_ms: i64,
    },
}

/// A request that holds its permit.
pub struct Sending {
    request: connector::Prepared,
    permit: Permit,
}

/// What asking for a permit gave.
pub enum Permitted {
    /// A permit, or a time.
    Ready(Ready),
    /// As many requests as permitted are under way: a place comes free when one of them ends.
    Crowded(Prepared),
}

/// Renders and validates the request of a call.
///
/// # Errors
/// Nothing was sent: the account, the action or the input is wrong.
pub fn prepare(host: &Host, definition: &Definition, call: &Call) -> Result<Prepared, Failure> {
    let request = match &call.target {
        Target::Action { connector, action } => {
            let connection = host.connection(definition, connector)?;
            let action = action_of(definition, connector, action)?;
            host.executor.prepare(connector::Call {
                element: call.element.clone(),
                idempotency_key: call.idempotency_key.clone(),
                timeout_ms: call.timeout_ms,
                after_uncertain: call.after_uncertain,
                ..connector::Call::new(&connection, &action, call.inputs.as_ref().clone())
            })?
        }
        Target::Http => {
            let name = call.inputs.get("connection").and_then(Value::as_str);
            let connection = name.map(|name| host.account(definition, name)).transpose()?;
            host.executor.prepare_http(connection.as_deref(), &call.inputs, call.timeout_ms)?
        }
    };
    Ok(Prepared { request })
}

/// Asks for a permit without waiting.
pub fn permit(host: &Host, prepared: Prepared) -> Permitted {
    match host.executor.permit(&prepared.request) {
        Ok(permit) => Permitted::Ready(Ready::Now(Box::new(Sending { request: prepared.request, permit }))),
        Err(blocked) => match blocked.until_ms {
            Some(until_ms) => Permitted::Ready(Ready::Later { until_ms }),
            None => Permitted::Crowded(prepared),
        },
    }
}

/// Waits for a place among the requests under way.
pub async fn wait(host: &Host, prepared: Prepared) -> Ready {
    let mut prepared = prepared;
    loop {
        let freed = host.executor.place(&prepared.request);
        match permit(host, prepared) {
            Permitted::Ready(ready) => return ready,
            Permitted::Crowded(crowded) => prepared = crowded,
        }
        freed.await;
    }
}

impl Sending {
    /// Sends it.
    pub async fn send(self, host: &Host) -> Sent {
        let sent = host.executor.call(self.request, self.permit).await;
        Sent { exchange: sent.exchange.to_json(), result: sent.result.map(|page| page.output) }
    }
}

/// What a failed request says of the account that it was sent with.
pub async fn report(host: &Host, definition: &Definition, target: &Target, failure: &Failure) -> store::Result<()> {
    let standing = match failure.verdict {
        Verdict::Reauth => Standing::Attention,
        Verdict::Suspended => Standing::Suspended,
        _ => return Ok(()),
    };
    let Target::Action { connector, .. } = target else { return Ok(()) };
    match host.connection(definition, connector) {
        Ok(connection) => trouble::stop_connection(host, &connection, standing, failure).await,
        Err(_) => Ok(()),
    }
}

/// A compiled action by its names.
///
/// # Errors
/// When the definition does not have it.
pub fn action_of(definition: &Definition, connector: &str, action: &str) -> Result<Arc<connector::Action>, Failure> {
    definition
        .connectors
        .get(connector)
        .and_then(|found| found.action(action))
        .cloned()
        .ok_or_else(|| Failure::not_sent("action_unknown", format!("there is no action {connector}.{action}")))
}

