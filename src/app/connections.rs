//! `tidegate connections`: the accounts, configured and stored, how they are, and whether they work.

pub mod change;
pub mod show;

use std::sync::Arc;

use serde::Serialize;

use super::{Error, Exit, Place, Project, Result, Time, View, connectors, deploy, open};
use crate::connector::executor::Proof;
use crate::connector::{Connection, Executor};
use crate::engine::{Failure, Outcome, Verdict};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{Catalog, Flow};
use crate::settings::Settings;
use crate::store::Store;
use crate::store::checks::Check;
use crate::store::connections::{ConnectionState, Standing};
use crate::worker::{Accounts, Definitions};

/// One account in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is an account of.
    pub connector: String,
    /// What it is for.
    pub description: Option<String>,
    /// `settings` or `store`: where it stands.
    pub origin: &'static str,
    /// `working`, `attention`, `suspended`, `inactive` (switched off) or `unknown` (never used).
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// When that was found out.
    pub checked_at: Option<Time>,
    /// The service's limit is reached until then.
    pub blocked_until: Option<Time>,
    /// Its scheduled checks, where it has any.
    pub health: Option<Health>,
    /// The flows that use it.
    pub flows: Vec<String>,
}

/// How an account's scheduled checks went.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Whether the last one found that it works; none before the first.
    pub works: Option<bool>,
    /// When it was checked last.
    pub checked_at: Option<Time>,
    /// When it is checked next.
    pub due_at: Time,
    /// Failures in a row.
    pub failures: i64,
    /// Why the last one failed.
    pub message: Option<String>,
}

/// What a test found.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// The account.
    pub name: String,
    /// Whether it works.
    pub works: bool,
    /// The action that was asked, as `x.get_me`.
    pub action: Option<String>,
    /// What the service said, in words.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// How long it took.
    pub elapsed_ms: i64,
    /// Flows whose polls go on now.
    pub resumed: Vec<String>,
    /// How the command exits because of it; none where the account works.
    #[serde(skip)]
    pub exit: Option<Exit>,
}

/// Every configured account, by name.
///
/// # Errors
/// The store's.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    let (states, blocks, checks) = match &view.store {
        Some(store) => {
            (store.connection_states().await?, store.blocks(view.clock.now_ms()).await?, store.checks().await?)
        }
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    let catalog = &view.project.catalog;
    let rows = catalog.settings.value.connections.iter().map(|(name, account)| {
        let known = states.iter().find(|state| state.name == *name);
        let state = match known {
            _ if !account.active => "inactive",
            Some(known) => known.state.word(),
            None => "unknown",
        };
        Row {
            name: name.clone(),
            connector: account.connector.clone(),
            description: account.description.clone(),
            origin: if account.is_stored { "store" } else { "settings" },
            state: state.to_owned(),
            reason: known.and_then(|known| known.reason.clone()),
            checked_at: known.and_then(|known| known.checked_at).map(Time::from_ms),
            blocked_until: blocks
                .iter()
                .filter(|block| match &block.connection {
                    Some(blocked) => blocked == name,
                    None => block.connector == account.connector,
                })
                .map(|block| block.until_ms)
                .max()
                .map(Time::from_ms),
            health: checks.iter().find(|check| check.connection == *name && account.health.is_some()).map(health),
            flows: flows_with(catalog, name, &account.connector),
        }
    });
    Ok(rows.collect())
}

fn health(check: &Check) -> Health {
    Health {
        works: check.checked_at.map(|_| check.failures == 0),
        checked_at: check.checked_at.map(Time::from_ms),
        due_at: Time::from_ms(check.due_at),
        failures: check.failures,
        message: check.message.clone(),
    }
}

/// Asks the service whether accounts work (the named one, or all), and records what it says. Polls that were
/// stopped because of an account that works again go on.
///
/// # Errors
/// `connection_unknown` and the store's. That an account does not work is no error here: see
/// [`Tested::works`].
pub async fn test(place: &Place, name: Option<&str>) -> Result<Vec<Tested>> {
    let view = open::view(place).await?;
    let project = &view.project;
    let settings = &project.catalog.settings.value;
    let names: Vec<&String> = match name {
        None => settings.connections.keys().collect(),
        Some(name) => vec![settings.connections.get_key_value(name).ok_or_else(|| unknown(name, settings))?.0],
    };
    let executor = open::signing(place, settings)?;
    let accounts = Accounts::new(deploy::accounts(&project.catalog), open::secrets(place, project).await?);
    let mut tested = Vec::new();
    for name in names {
        let started_ms = place.clock.now_ms();
        let asked = ask(project, &executor, &accounts, name).await;
        let elapsed_ms = place.clock.now_ms() - started_ms;
        let mut one = tell(name, asked.action, &asked.result, elapsed_ms);
        if let Some(store) = &view.store {
            one.resumed = record(&view, store, name, &asked.result).await?;
        }
        tested.push(one);
    }
    Ok(tested)
}

/// Asks the service whether an account works.
pub(super) async fn ask(project: &Project, executor: &Executor, accounts: &Accounts, name: &str) -> Proof {
    match bind(project, accounts, name) {
        Ok(connection) => executor.prove(&connection).await,
        Err(failure) => Proof { action: None, result: Err(failure) },
    }
}

pub(super) fn bind(
    project: &Project,
    accounts: &Accounts,
    name: &str,
) -> std::result::Result<Arc<Connection>, Failure> {
    let Some(account) = accounts.configured().get(name) else {
        return Err(Failure::not_sent("connection_unknown", format!("there is no connection `{name}`")));
    };
    let connector = account.connector.as_str();
    let written = connectors::find(project, connector).map_err(|error| {
        let failure = Failure::not_sent(error.code, error.message);
        match error.help {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    })?;
    let compiled = Definitions::default().connector(&written.value, written.origin).map_err(|problems| {
        let told: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        Failure::not_sent("connector_broken", format!("connector `{connector}`: {}", told.join("; ")))
            .with_help("`tidegate check` tells where")
    })?;
    accounts.connection(connector, Some(name), &compiled.connector)
}

/// What came of it, in words.
pub(super) fn tell(
    name: &str,
    action: Option<String>,
    result: &std::result::Result<(), Failure>,
    elapsed_ms: i64,
) -> Tested {
    let (message, help) = match (result, &action) {
        (Ok(()), Some(action)) => (format!("{action} answered"), None),
        (Ok(()), None) => ("its fields are complete; the connector has no action to test it with".to_owned(), None),
        (Err(failure), _) => (failure.message.clone(), failure.help.clone().or_else(|| advice(name, failure))),
    };
    Tested {
        name: name.to_owned(),
        works: result.is_ok(),
        action,
        message,
        help,
        elapsed_ms,
        resumed: Vec::new(),
        exit: result.as_ref().err().map(|failure| Error::from(failure.clone()).exit),
    }
}

fn advice(name: &str, failure: &Failure) -> Option<String> {
    match failure.verdict {
        Verdict::Reauth => Some(format!(
            "the service refuses these credentials: renew them under `connections: {{{name}: {{fields: ...}}}}` in tidegate.yaml, or in the variables that it names"
        )),
        Verdict::Suspended => Some("the service has stopped the account: settle it there, then test again".to_owned()),
        Verdict::Retry { .. } if failure.outcome == Outcome::NotSent => {
            Some(format!("check `connections: {{{name}: {{hosts: ...}}}}` in tidegate.yaml, the network and the proxy"))
        }
        _ => None,
    }
}

/// Records what the answer says of the account; of other failures it says nothing. Returns the flows that poll
/// again.
pub(super) async fn record(
    view: &View,
    store: &Store,
    name: &str,
    result: &std::result::Result<(), Failure>,
) -> Result<Vec<String>> {
    let (state, reason) = match result {
        Ok(()) => (Standing::Working, None),
        Err(failure) => match failure.verdict {
            Verdict::Reauth => (Standing::Attention, Some(failure.message.clone())),
            Verdict::Suspended => (Standing::Suspended, Some(failure.message.clone())),
            _ => return Ok(Vec::new()),
        },
    };
    let now_ms = view.clock.now_ms();
    let known = ConnectionState { name: name.to_owned(), state, reason, checked_at: Some(now_ms) };
    store.set_connection(known, now_ms).await?;
    let mut resumed = Vec::new();
    if state != Standing::Working {
        return Ok(resumed);
    }
    for row in store.triggers().await? {
        let is_stopped = matches!(row.state.as_str(), "attention" | "suspended");
        if is_stopped && polls_with(&view.project.catalog, &row.flow, name) {
            store.set_trigger_state(row.flow.clone(), "enabled", None, Some(now_ms), now_ms).await?;
            resumed.push(row.flow);
        }
    }
    Ok(resumed)
}

fn polls_with(catalog: &Catalog, flow: &str, name: &str) -> bool {
    let polled = catalog.flows.get(flow).and_then(|loaded| deploy::polled_connector(&loaded.value));
    polled.is_some_and(|connector| deploy::connection_of(catalog, flow, connector).as_deref() == Some(name))
}

fn flows_with(catalog: &Catalog, name: &str, connector: &str) -> Vec<String> {
    let manifests = catalog.manifests();
    let uses = |flow: &str, written: &Flow| {
        deploy::connectors_of(written, &manifests).contains(connector)
            && deploy::connection_of(catalog, flow, connector).as_deref() == Some(name)
    };
    let using = catalog.flows.iter().filter(|(flow, loaded)| uses(flow, &loaded.value));
    using.map(|(flow, _)| flow.clone()).collect()
}

pub(super) fn unknown(name: &str, settings: &Settings) -> Error {
    let error = Error::new(Exit::Connection, "connection_unknown", format!("there is no connection `{name}`"));
    match did_you_mean(name, settings.connections.keys().map(String::as_str)) {
        Some(close) => error.with_help(format!("did you mean `{close}`?")),
        None => error.with_help("add it under `connections` in tidegate.yaml, or make it with `tidegate connect`"),
    }
}
