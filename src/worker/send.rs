//! From the engine's call to the connector's request: which account, which action, and a permit.

use std::sync::Arc;

use serde_json::Value;

use super::definition::Definition;
use super::deployment::Deployment;
use super::host::Host;
use super::trouble;
use crate::connector::limits::{Blocked, Permit};
use crate::connector::{self, AdHoc, Connection, Exchange, Executor};
use crate::engine::{Call, Failure, Target, Verdict};
use crate::store;
use crate::store::connections::Standing;

/// A request that is ready but for its permit.
pub struct Prepared {
    request: Request,
}

enum Request {
    /// One request.
    One(Box<connector::Prepared>),
    /// A list, page by page: it asks for its permits itself.
    Pages(Box<Pages>),
}

struct Pages {
    connection: Arc<Connection>,
    action: Arc<connector::Action>,
    inputs: Value,
    timeout_ms: Option<i64>,
}

/// A request with its permit, or the time to try for one again.
pub enum Ready {
    /// It can be sent.
    Now(Sending),
    /// A limit is reached.
    Later {
        /// UTC epoch milliseconds.
        until_ms: i64,
    },
}

/// A request that holds its permit.
pub struct Sending {
    request: Request,
    permit: Option<Permit>,
}

/// What the service gave for one request.
pub struct Sent {
    /// The request and response, as JSON with secrets masked.
    pub exchange: Option<String>,
    /// What came of it.
    pub result: Result<Value, Failure>,
}

impl Sent {
    /// Nothing was sent.
    pub fn nothing(why: &str) -> Self {
        Sent { exchange: None, result: Err(Failure::not_sent("not_sent", why)) }
    }
}

/// What asking for a permit gave.
pub enum Permitted {
    /// A permit, or a time.
    Ready(Ready),
    /// As many requests as permitted are under way: a place comes free when one of them ends.
    Crowded(Prepared, Blocked),
}

/// Renders and validates the request of a call. `note`: what an earlier attempt noted before it began.
///
/// # Errors
/// Nothing was sent: the account, the action or the input is wrong.
pub async fn prepare(
    executor: &Executor,
    deployment: &Deployment,
    definition: &Definition,
    call: &Call,
    note: Option<Value>,
) -> Result<Prepared, Failure> {
    let inputs = call.inputs.as_ref().clone();
    let request = match &call.target {
        Target::Action { connector, action } => {
            let connection = deployment.connection(definition, connector)?;
            let action = action_of(definition, connector, action)?;
            if action.paginator.is_some() && call.element.is_none() {
                let timeout_ms = call.timeout_ms;
                return Ok(Prepared {
                    request: Request::Pages(Box::new(Pages { connection, action, inputs, timeout_ms })),
                });
            }
            let call = connector::Call {
                element: call.element.clone(),
                idempotency_key: call.idempotency_key.clone(),
                timeout_ms: call.timeout_ms,
                after_uncertain: call.after_uncertain,
                journal: note,
                ..connector::Call::new(&connection, &action, inputs)
            };
            executor.prepare(executor.resolve(call).await?)?
        }
        Target::Http => {
            let name = inputs.get("connection").and_then(Value::as_str);
            let connection = name.map(|name| deployment.account(definition, name)).transpose()?;
            executor.prepare_ad_hoc(AdHoc {
                connection: connection.as_ref(),
                inputs,
                timeout_ms: call.timeout_ms,
                after_uncertain: call.after_uncertain,
            })?
        }
    };
    Ok(Prepared { request: Request::One(Box::new(request)) })
}

/// Whether a call may send another request before its own: then what was settled is committed first.
pub fn looks_up(definition: &Definition, call: &Call) -> bool {
    match &call.target {
        Target::Action { connector, action } => {
            action_of(definition, connector, action).is_ok_and(|action| !action.resolve.is_empty())
        }
        Target::Http => false,
    }
}

/// Asks for a permit without waiting.
pub fn permit(executor: &Executor, prepared: Prepared) -> Permitted {
    let Request::One(request) = prepared.request else {
        return Permitted::Ready(Ready::Now(Sending { request: prepared.request, permit: None }));
    };
    match executor.permit(&request) {
        Ok(permit) => Permitted::Ready(Ready::Now(Sending { request: Request::One(request), permit: Some(permit) })),
        Err(blocked) if blocked.is_busy() => Permitted::Crowded(Prepared { request: Request::One(request) }, blocked),
        Err(blocked) => Permitted::Ready(Ready::Later { until_ms: blocked.until_ms }),
    }
}

/// Waits for a place among the requests under way.
pub async fn wait(executor: &Executor, mut prepared: Prepared, mut blocked: Blocked) -> Ready {
    loop {
        blocked.freed().await;
        match permit(executor, prepared) {
            Permitted::Ready(ready) => return ready,
            Permitted::Crowded(again, still) => (prepared, blocked) = (again, still),
        }
    }
}

impl Sending {
    /// What has to be committed before it is sent, for a repeat to know.
    pub fn note(&self) -> Option<Value> {
        match &self.request {
            Request::One(request) => request.journal(),
            Request::Pages(_) => None,
        }
    }

    /// Sends it.
    pub async fn send(self, executor: &Executor) -> Sent {
        self.send_seen(executor, &mut |_| {}).await
    }

    /// The same, where `see` is shown the exchange of every request on the way.
    pub async fn send_seen(self, executor: &Executor, see: &mut (dyn FnMut(&Exchange) + Send)) -> Sent {
        let sent = match (self.request, self.permit) {
            (Request::One(request), Some(permit)) => {
                let sent = executor.send(*request, permit).await;
                sent.exchange.iter().for_each(&mut *see);
                sent
            }
            (Request::One(_), None) => return Sent::nothing("a request was to be sent without a permit"),
            (Request::Pages(pages), _) => {
                let Pages { connection, action, inputs, timeout_ms } = *pages;
                let call = connector::Call { timeout_ms, ..connector::Call::new(&connection, &action, inputs) };
                executor.call_seen(call, see).await
            }
        };
        Sent {
            exchange: sent.exchange.and_then(|exchange| serde_json::to_string(&exchange).ok()),
            result: sent.result.map(connector::Page::into_output),
        }
    }
}

/// What a failed request of a step with these inputs says of the account that it was sent with.
pub async fn report(
    host: &Host,
    definition: &Definition,
    (target, inputs): (&Target, &Value),
    failure: &Failure,
) -> store::Result<()> {
    let standing = match failure.verdict {
        Verdict::Reauth => Standing::Attention,
        Verdict::Suspended => Standing::Suspended,
        Verdict::RateLimited { .. } => return host.keep_blocks().await,
        _ => return Ok(()),
    };
    let connection = match target {
        Target::Action { connector, .. } => host.connection(definition, connector),
        Target::Http => match inputs.get("connection").and_then(Value::as_str) {
            Some(name) => host.deployment().account(definition, name),
            None => return Ok(()),
        },
    };
    match connection {
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
