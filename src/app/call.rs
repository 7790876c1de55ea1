//! `tidegate call`: one action of a connector, through the same executor as any step.

mod composite;
mod hosted;
mod table;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use self::composite::Composite;
use super::result::ActionResult;
use super::{Error, Exit, Place, Project, Result, connectors, deploy, open, project, value};
use crate::connector::paginator::At;
use crate::connector::{self, Call, Exchange};
use crate::engine::Failure;
use crate::manifest::Connector;
use crate::manifest::connector::Action;
use crate::manifest::diagnostic::did_you_mean;
use crate::worker::{Accounts, CompiledConnector, Definitions};

/// What an action is given: values as a person writes them, or JSON.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `name=value`, typed by the action's schema; the same name again makes a list.
    pub pairs: Vec<String>,
    /// All inputs as one JSON object; pairs win.
    pub json: Option<Value>,
}

/// What came of a call.
#[derive(Clone, Debug, Serialize)]
pub struct Called {
    /// `x.search_tweets`
    pub action: String,
    /// The account.
    pub connection: Option<String>,
    /// Status, output, raw data, tables, failure. Where the action names no tables, one of all that is in the output.
    #[serde(flatten)]
    pub result: ActionResult,
    /// What the service told beside it.
    pub problems: Vec<String>,
    /// Of a list that was read only so far: the service's token of the page after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Every request with its answer, secrets masked; none for what is done without one.
    pub exchanges: Vec<Value>,
    /// The run that did it, where it asked people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// How a command exits that fails like this.
    #[serde(skip)]
    pub exit: Option<Exit>,
}

/// How an action is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<'a> {
    /// The account; may be left out where the connector has just one.
    pub connection: Option<&'a str>,
    /// Is told the run that waits for people, as soon as there is one.
    pub waits: Option<fn(&str)>,
}

/// Calls an action once, every page and element of it. An action that asks people is done by the host at work, and
/// waited for.
///
/// # Errors
/// What is wrong with the project, the connection or the action's name, and what keeps a store from being used. A
/// failure of the action itself is in [`Called::result`].
pub async fn call(place: &Place, action: &str, inputs: Inputs, way: Way<'_>) -> Result<Called> {
    let project = project::settled(place)?;
    let (connector, written) = find(&project, action)?;
    let declared = connectors::inputs_of(connector, written);
    let mut given = value::object(inputs.json.unwrap_or_default())?;
    given.extend(value::pairs(&inputs.pairs, &declared, &connector.schemas)?);
    let settings = &project.catalog.settings.value;
    let accounts = Accounts::new(deploy::accounts(&project.catalog), open::secrets(place, &project).await?);
    let name = connector.connector.as_str();
    let account = account(&project, name, way.connection)?;
    let compiled = compile(&project, name)?;
    let bound = accounts.connection(name, account.as_deref(), &compiled.connector)?;
    let (_, short) = action.split_once('.').unwrap_or_default();
    let ready = compiled.connector.action(short).ok_or_else(|| unknown_action(connector, name, short))?;
    let executor = open::signing(place, settings)?;
    let done = if ready.is_composite {
        let composite =
            Composite { place, project: &project, action, account: account.as_deref(), inputs: given.clone() };
        // What is wrong with the inputs is told before anything is done.
        match connector::composite::roots(&bound, ready, Value::Object(given)) {
            Err(failure) => Done::new(Err(failure), &[]),
            Ok(_) => composite.call(&executor, accounts, way.waits).await?,
        }
    } else {
        let mut exchanges = Vec::new();
        let call = Call::new(&bound, ready, Value::Object(given));
        let sent = executor.call_seen(call, &mut |exchange| exchanges.push(exchange.clone())).await;
        let problems = sent.result.as_ref().map(|page| page.problems.clone()).unwrap_or_default();
        let next_token = sent.result.as_ref().ok().and_then(next_token);
        let result = sent.result.map(connector::Page::into_output);
        Done { output: sent.elements.unwrap_or_default(), problems, next_token, ..Done::new(result, &exchanges) }
    };
    let Done { result, output, raw, exchanges, problems, next_token, run } = done;
    let exit = result.as_ref().err().map(|failure| Error::from(failure.clone()).exit);
    let mut result = match result {
        Ok(output) => ActionResult::done(Some(ready), output, raw),
        Err(failure) => ActionResult::failed(Some(ready), failure, output, raw),
    };
    if result.tables.is_empty() && result.error.is_none() {
        let rows = result.output.get("results").filter(|_| ready.foreach.is_some());
        result.tables.push(table::whole(rows.unwrap_or(&result.output)));
    }
    Ok(Called { action: action.to_owned(), connection: account, result, problems, next_token, exchanges, run, exit })
}

/// What was done.
struct Done {
    result: std::result::Result<Value, Failure>,
    /// What it gave although it failed.
    output: Value,
    /// What the service sent.
    raw: Vec<Value>,
    exchanges: Vec<Value>,
    problems: Vec<String>,
    next_token: Option<String>,
    run: Option<String>,
}

impl Done {
    fn new(result: std::result::Result<Value, Failure>, exchanges: &[Exchange]) -> Done {
        Done {
            result,
            output: Value::Null,
            raw: exchanges.iter().map(Exchange::raw).filter(|raw| !raw.is_null()).collect(),
            exchanges: exchanges.iter().filter_map(|exchange| serde_json::to_value(exchange).ok()).collect(),
            problems: Vec::new(),
            next_token: None,
            run: None,
        }
    }
}

/// Where the next call would go on; none where that would pass over records that were left out.
fn next_token(page: &connector::Page) -> Option<String> {
    match &page.next.as_ref().filter(|_| !page.is_truncated)?.at {
        At::Token(token) => Some(token.clone()),
        At::Url(_) | At::Number(_) => None,
    }
}

fn find<'a>(project: &'a Project, action: &str) -> Result<(&'a Connector, &'a Action)> {
    let Some((connector, name)) = action.split_once('.') else {
        return Err(Error::usage("action_unknown", format!("`{action}` is no `<connector>.<action>`"))
            .with_help("write for example x.search_tweets"));
    };
    let connector = connectors::find(project, connector)?.value.as_ref();
    let found = connector.actions.get(name);
    Ok((connector, found.ok_or_else(|| unknown_action(connector, &connector.connector, name))?))
}

fn unknown_action(connector: &Connector, name: &str, action: &str) -> Error {
    let error = Error::problem("action_unknown", format!("connector `{name}` has no action `{action}`"));
    match did_you_mean(action, connector.actions.keys().map(String::as_str)) {
        Some(close) => error.with_help(format!("did you mean `{name}.{close}`?")),
        None => error.with_help(format!("`tidegate connectors show {name}` lists them")),
    }
}

// The named account, or the only one; none where the connector may need none.
fn account(project: &Project, connector: &str, name: Option<&str>) -> Result<Option<String>> {
    let accounts = &project.catalog.settings.value.connections;
    if let Some(name) = name {
        let wrong = |message: String| Error::new(Exit::Connection, "connection_unknown", message);
        return match accounts.get(name) {
            Some(account) if account.connector == connector => Ok(Some(name.to_owned())),
            Some(account) => {
                Err(wrong(format!("connection `{name}` is one of {}, not of {connector}", account.connector)))
            }
            None => Err(match did_you_mean(name, accounts.keys().map(String::as_str)) {
                Some(close) => {
                    wrong(format!("there is no connection `{name}`")).with_help(format!("did you mean `{close}`?"))
                }
                None => wrong(format!("there is no connection `{name}`")),
            }),
        };
    }
    let of_it: Vec<&str> =
        accounts.iter().filter(|(_, account)| account.connector == connector).map(|(name, _)| name.as_str()).collect();
    match of_it.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some((*only).to_owned())),
        several => Err(Error::new(
            Exit::Connection,
            "connection_ambiguous",
            format!("connector `{connector}` has several connections: {}", several.join(", ")),
        )
        .with_help("say which with --connection")),
    }
}

/// A connector of the project, compiled.
pub(super) fn compile(project: &Project, name: &str) -> Result<CompiledConnector> {
    let loaded = connectors::find(project, name)?;
    Definitions::default().connector(&loaded.value, loaded.origin).map_err(|problems| Error {
        diagnostics: project::diagnostics(&loaded.source, "", problems),
        files: Arc::new(project.catalog.files.clone()),
        ..Error::problem("connector_broken", format!("the file of connector `{name}` has errors"))
    })
}
