//! Health checks: a connection's own test action, asked on a schedule. After some failures in a row a person is
//! told once, and once more when it works again. A service that refuses the credentials stops the polls as it
//! does anywhere else.

use std::sync::Arc;

use serde_json::json;

use super::deployment::Deployment;
use super::host::Host;
use super::trouble;
use crate::connector::Connection;
use crate::engine::{Failure, Verdict};
use crate::settings;
use crate::store;
use crate::store::checks::Check;
use crate::store::connections::Standing;
use crate::store::notices::Notice;

/// Which connections are checked, with the latest time of their next check.
pub fn scheduled(deployment: &Deployment, now_ms: i64) -> Vec<(String, i64)> {
    let all = deployment.accounts.configured().iter().filter(|(_, account)| account.active);
    all.filter_map(|(name, account)| Some((name.clone(), now_ms + account.health.as_ref()?.every.ms))).collect()
}

/// Sets to work every check that is due.
///
/// # Errors
/// The store's.
pub async fn set_to_work(host: &Arc<Host>) -> store::Result<()> {
    let deployment = host.deployment();
    if deployment.accounts.configured().values().all(|account| account.health.is_none()) {
        return Ok(());
    }
    let now_ms = host.now_ms();
    let checks = host.store.checks().await?;
    let mut due = checks.into_iter().filter(|check| check.due_at <= now_ms).peekable();
    // One host checks for all.
    if due.peek().is_none() || !host.store.claim("checks".to_owned()).await? {
        return Ok(());
    }
    for check in due {
        let account = deployment.accounts.configured().get(&check.connection);
        let Some(health) = account.and_then(|account| account.health.clone()) else { continue };
        if !host.checking.lock().insert(check.connection.clone()) {
            continue;
        }
        let (host, deployment) = (Arc::clone(host), Arc::clone(&deployment));
        tokio::spawn(async move {
            let name = check.connection.clone();
            match perform(&host, &deployment, &health, check).await {
                Ok(()) => host.store_took(),
                Err(error) => host.store_refused(&error),
            }
            host.checking.lock().remove(&name);
            host.wake.notify_one();
            host.idle.notify_one();
        });
    }
    Ok(())
}

async fn perform(
    host: &Arc<Host>,
    deployment: &Deployment,
    health: &settings::Health,
    check: Check,
) -> store::Result<()> {
    let (connection, result) = match bound(deployment, &check.connection) {
        Ok(connection) => {
            let result = ask(host, &connection).await;
            (Some(connection), result)
        }
        Err(failure) => (None, Err(failure)),
    };
    let now_ms = host.now_ms();
    let (next, notice) = judged(&check, health, result.as_ref().err(), now_ms);
    if !host.store.settle_check(check.due_at, next, notice.clone()).await? {
        return Ok(());
    }
    if let Some(notice) = &notice {
        host.announce(notice);
    }
    let Some(connection) = connection else { return Ok(()) };
    match &result {
        Ok(()) => trouble::resume_connection(host, &connection).await,
        Err(failure) => match failure.verdict {
            Verdict::Reauth => trouble::stop_connection(host, &connection, Standing::Attention, failure).await,
            Verdict::Suspended => trouble::stop_connection(host, &connection, Standing::Suspended, failure).await,
            _ => Ok(()),
        },
    }
}

/// What a check's outcome makes of its row, and what a person should know.
pub fn judged(
    check: &Check,
    health: &settings::Health,
    failure: Option<&Failure>,
    now_ms: i64,
) -> (Check, Option<Notice>) {
    let name = &check.connection;
    let notice = |kind: &str, message: String, failures: i64| Notice {
        connection: Some(name.clone()),
        kind: kind.to_owned(),
        message,
        details: Some(json!({ "failures": failures }).to_string()),
        at: now_ms,
        ..Notice::default()
    };
    let mut next = Check { due_at: now_ms + health.every.ms, checked_at: Some(now_ms), ..check.clone() };
    let told = match failure {
        None => {
            (next.failures, next.is_alerted, next.message) = (0, false, None);
            let message = format!("connection `{name}` works again after {} failed checks", check.failures);
            check.is_alerted.then(|| notice("healthy", message, check.failures))
        }
        Some(failure) => {
            next.failures += 1;
            next.message = Some(failure.message.clone());
            let is_news = !check.is_alerted && next.failures >= i64::from(health.alert_after.max(1));
            next.is_alerted |= is_news;
            let message = format!("connection `{name}` failed {} checks in a row: {}", next.failures, failure.message);
            is_news.then(|| notice("unhealthy", message, next.failures))
        }
    };
    (next, told)
}

fn bound(deployment: &Deployment, name: &str) -> Result<Arc<Connection>, Failure> {
    let unknown = || Failure::not_sent("connection_unknown", format!("there is no connection `{name}`"));
    let account = deployment.accounts.configured().get(name).ok_or_else(unknown)?;
    let connector = deployment.connectors.get(&account.connector).ok_or_else(|| {
        Failure::not_sent("connector_unknown", format!("there is no sound connector `{}`", account.connector))
    })?;
    deployment.accounts.connection(&account.connector, Some(name), connector)
}

async fn ask(host: &Host, connection: &Arc<Connection>) -> Result<(), Failure> {
    match host.executor.prove(connection).await.result {
        // A limit that is reached says nothing about health.
        Err(failure) if matches!(failure.verdict, Verdict::RateLimited { .. }) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Duration;

    #[test]
    fn a_person_is_told_once_after_failures_in_a_row_and_once_on_recovery() {
        let health = settings::Health { every: Duration::from_secs(60), alert_after: 3 };
        let failure = Failure::not_sent("connect_failed", "no answer");
        let mut check = Check { connection: "support".to_owned(), ..Check::default() };
        let mut told = Vec::new();
        // f: it fails, w: it works.
        for (minute, outcome) in "ffwfffffwwfffw".chars().enumerate() {
            let now_ms = minute as i64 * 60_000;
            let failed = (outcome == 'f').then_some(&failure);
            let (next, notice) = judged(&check, &health, failed, now_ms);
            assert_eq!((next.due_at, next.checked_at), (now_ms + 60_000, Some(now_ms)));
            told.extend(notice.map(|notice| (minute, notice.kind)));
            check = next;
        }
        let told: Vec<(usize, &str)> = told.iter().map(|(minute, kind)| (*minute, kind.as_str())).collect();
        assert_eq!(told, [(5, "unhealthy"), (8, "healthy"), (12, "unhealthy"), (13, "healthy")]);
        assert_eq!((check.failures, check.message), (0, None));
    }
}
