//! When a poll fails: who has to wait, for how long, and what a person is told. A service's limit parks the
//! connection; refused credentials and a stopped account stop its polls until somebody acts.

use std::sync::Arc;

use serde_json::json;

use super::events::What;
use super::host::Host;
use crate::clock::rfc3339;
use crate::connector::Connection;
use crate::engine::{Failure, Verdict};
use crate::store;
use crate::store::connections::{ConnectionState, Standing};
use crate::store::notices::Notice;
use crate::store::triggers::TriggerRow;

/// Why a page could not be had.
pub enum Trouble {
    /// A limit is reached.
    Blocked {
        /// UTC epoch milliseconds.
        until_ms: i64,
    },
    /// The attempt failed.
    Failed(Failure),
}

const FIRST_WAIT_MS: i64 = 10_000;
const LONGEST_WAIT_MS: i64 = 600_000;

/// Records that a poll failed and when it is tried again.
pub async fn poll_failed(
    host: &Host,
    row: &TriggerRow,
    connection: Option<&Arc<Connection>>,
    failure: Failure,
    exchange: Option<String>,
) -> store::Result<()> {
    let now_ms = host.now_ms();
    let regular_ms = host.deployment().polled(&row.flow).and_then(|definition| definition.next_due(now_ms));
    let (due_ms, counts) = match failure.verdict {
        Verdict::RateLimited { until_ms } => (until_ms.max(now_ms + 1_000), false),
        Verdict::Retry { after_ms } => (now_ms + after_ms.unwrap_or_else(|| backoff_ms(row.failures)), true),
        Verdict::Reauth | Verdict::Suspended => (regular_ms.unwrap_or(i64::MAX), true),
        Verdict::CursorExpired | Verdict::Reconcile | Verdict::Fail => {
            // Asking again at once would change nothing; asking never again would lose items.
            (
                regular_ms
                    .unwrap_or(now_ms + LONGEST_WAIT_MS)
                    .min(now_ms + LONGEST_WAIT_MS)
                    .max(now_ms + backoff_ms(row.failures)),
                true,
            )
        }
    };
    let message = failure.message.clone();
    host.store
        .poll_failed(row.flow.clone(), row.epoch, json!(failure).to_string(), exchange, due_ms, counts, now_ms)
        .await?;
    host.tell(&row.flow, || What::PollFailed { message: message.clone(), due_ms });
    match (failure.verdict, connection) {
        (Verdict::Reauth, Some(connection)) => stop_connection(host, connection, Standing::Attention, &failure).await?,
        (Verdict::Suspended, Some(connection)) => {
            stop_connection(host, connection, Standing::Suspended, &failure).await?
        }
        (Verdict::RateLimited { until_ms }, Some(connection)) => {
            host.keep_blocks().await?;
            tracing::info!(
                flow = row.flow,
                connection = connection.name,
                "limit reached: polled again at {}",
                rfc3339(until_ms)
            );
        }
        _ => {
            tracing::warn!(
                flow = row.flow,
                code = failure.code,
                "poll failed: {message}; tried again at {}",
                rfc3339(due_ms)
            );
            if row.failures == 0 {
                let notice = Notice {
                    flow: Some(row.flow.clone()),
                    connection: connection.map(|connection| connection.name.clone()),
                    kind: "poll_failed".to_owned(),
                    message,
                    details: None,
                    at: now_ms,
                };
                host.store.notice(notice).await?;
            }
        }
    }
    host.wake.notify_one();
    Ok(())
}

/// The service answered: what was known against the connection no longer holds.
pub async fn connection_works(host: &Host, connection: &Connection) -> store::Result<()> {
    if !host.troubled.lock().remove(&connection.name) {
        return Ok(());
    }
    let now_ms = host.now_ms();
    let state = ConnectionState {
        name: connection.name.clone(),
        state: Standing::Working,
        reason: None,
        checked_at: Some(now_ms),
    };
    if host.store.set_connection(state, now_ms).await? {
        let notice = Notice {
            connection: Some(connection.name.clone()),
            kind: "recovered".to_owned(),
            message: format!("connection `{}` works again", connection.name),
            at: now_ms,
            ..Notice::default()
        };
        host.notice(notice).await?;
    }
    Ok(())
}

/// A check found that an account works: polls that were stopped because of it go on.
pub async fn resume_connection(host: &Host, connection: &Connection) -> store::Result<()> {
    let known = host.store.connection_states().await?;
    if known.iter().any(|state| state.name == connection.name && state.state != Standing::Working) {
        host.troubled.lock().insert(connection.name.clone());
    }
    let now_ms = host.now_ms();
    if !host.troubled.lock().contains(&connection.name) {
        return Ok(());
    }
    for row in host.store.triggers().await? {
        let is_stopped = matches!(row.state.as_str(), "attention" | "suspended");
        let polls_with_it =
            host.deployment().flows.get(&row.flow).is_some_and(|definition| definition.polls_with(&connection.name));
        if is_stopped && polls_with_it {
            host.store.set_trigger_state(row.flow, "enabled", None, Some(now_ms), now_ms).await?;
        }
    }
    connection_works(host, connection).await?;
    host.wake.notify_one();
    Ok(())
}

/// The service refused an account: its polls stop, and a person is told once.
pub async fn stop_connection(
    host: &Host,
    connection: &Connection,
    standing: Standing,
    failure: &Failure,
) -> store::Result<()> {
    let now_ms = host.now_ms();
    let state = ConnectionState {
        name: connection.name.clone(),
        state: standing,
        reason: Some(failure.message.clone()),
        checked_at: Some(now_ms),
    };
    host.troubled.lock().insert(connection.name.clone());
    let is_new = host.store.set_connection(state, now_ms).await?;
    let deployment = host.deployment();
    for (flow, definition) in deployment.flows.iter().chain(&deployment.replies) {
        if definition.polls_with(&connection.name) {
            host.store.stop_trigger(flow.clone(), standing.word(), Some(failure.message.clone()), now_ms).await?;
        }
    }
    if is_new {
        let advice = match standing {
            Standing::Suspended => {
                "its polls are stopped; settle it with the service, then run `tidegate connections test`"
            }
            _ => "its polls are stopped; renew its credentials, then run `tidegate connections test`",
        };
        let notice = Notice {
            connection: Some(connection.name.clone()),
            kind: standing.word().to_owned(),
            message: format!("connection `{}`: {}; {advice}", connection.name, failure.message),
            at: now_ms,
            ..Notice::default()
        };
        host.notice(notice).await?;
    }
    Ok(())
}

fn backoff_ms(failures: i64) -> i64 {
    let doublings = u32::try_from(failures.clamp(0, 10)).unwrap_or(10);
    (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS)
}
