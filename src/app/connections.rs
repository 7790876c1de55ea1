//! `tidegate connections`: the configured accounts, how they are, and whether they work.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Error, Exit, Place, Project, Result, Time, View, connectors, deploy, open};
use crate::connector::{Call, Connection, Executor};
use crate::engine::{Failure, Outcome, Verdict};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::{Catalog, Flow};
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::store::Store;
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
    /// `working`, `attention`, `suspended`, `inactive` (switched off) or `unknown` (never used).
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// When that was found out.
    pub checked_at: Option<Time>,
    /// The service's limit is reached until then.
    pub blocked_until: Option<Time>,
    /// The flows that use it.
    pub flows: Vec<String>,
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
}

/// Every configured account, by name.
///
/// # Errors
/// The store's.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    let (states, blocks) = match &view.store {
        Some(store) => (store.connection_states().await?, store.blocks(view.clock.now_ms()).await?),
        None => (Vec::new(), Vec::new()),
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
            flows: flows_with(catalog, name, &account.connector),
        }
    });
    Ok(rows.collect())
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
    let executor = open::executor(&place.directory, settings, &place.clock)?;
    let accounts = Accounts::new(deploy::accounts(&project.catalog), Secrets::new(&place.directory));
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

/// A question to the service, and what came of it.
struct Asked {
    action: Option<String>,
    result: std::result::Result<(), Failure>,
}

async fn ask(project: &Project, executor: &Executor, accounts: &Accounts, name: &str) -> Asked {
    let bound = bind(project, accounts, name);
    let connection = match bound {
        Ok(connection) => connection,
        Err(failure) => {
            return Asked { action: None, result: Err(failure) };
        }
    };
    let Some(action) = connection.test_action() else {
        let result = match connection.connector.test.first().and_then(|name| connection.connector.action(name)) {
            // None that these credentials allow: what the first lacks is the answer.
            Some(first) => connection.credentials(first).map(|_| ()),
            None => Ok(()),
        };
        return Asked { action: None, result };
    };
    let sent = executor.call(Call::new(&connection, action, Value::Object(Map::new()))).await;
    Asked { action: Some(action.to_string()), result: sent.result.map(|_| ()) }
}

fn bind(project: &Project, accounts: &Accounts, name: &str) -> std::result::Result<Arc<Connection>, Failure> {
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
    let compiled = Definitions::default().connector(&written.value).map_err(|problems| {
        let told: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        Failure::not_sent("connector_broken", format!("connector `{connector}`: {}", told.join("; ")))
            .with_help("`tidegate check` tells where")
    })?;
    accounts.connection(connector, Some(name), &compiled.connector)
}

fn tell(name: &str, action: Option<String>, result: &std::result::Result<(), Failure>, elapsed_ms: i64) -> Tested {
    let (message, help) = match (result, &action) {
        (Ok(()), Some(action)) => (format!("{action} answered"), None),
        (Ok(()), None) => ("its fields are complete; the connector has no action to test it with".to_owned(), None),
        (Err(failure), _) => (failure.message.clone(), failure.help.clone().or_else(|| advice(name, failure))),
    };
    Tested { name: name.to_owned(), works: result.is_ok(), action, message, help, elapsed_ms, resumed: Vec::new() }
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

// What the answer says of the account; of other failures it says nothing.
async fn record(
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
    let uses = |flow: &str, written: &Flow| {
        deploy::connectors_of(written).contains(connector)
            && deploy::connection_of(catalog, flow, connector).as_deref() == Some(name)
    };
    let using = catalog.flows.iter().filter(|(flow, loaded)| uses(flow, &loaded.value));
    using.map(|(flow, _)| flow.clone()).collect()
}

fn unknown(name: &str, settings: &Settings) -> Error {
    let error = Error::new(Exit::Connection, "connection_unknown", format!("there is no connection `{name}`"));
    match did_you_mean(name, settings.connections.keys().map(String::as_str)) {
        Some(close) => error.with_help(format!("did you mean `{close}`?")),
        None => error.with_help("add it under `connections` in tidegate.yaml"),
    }
}
