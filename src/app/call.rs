//! `tidegate call`: one action of a connector, through the same executor as any step.

mod table;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

pub use self::table::Table;
use super::{Error, Exit, Place, Project, Result, connectors, deploy, open, project, value};
use crate::connector::Call;
use crate::manifest::Connector;
use crate::manifest::connector::Action;
use crate::manifest::diagnostic::did_you_mean;
use crate::secrets::Secrets;
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
    /// `succeeded`, `partially_successful` or `failed`.
    pub status: String,
    /// What a step would see.
    pub output: Value,
    /// What the service told beside it.
    pub problems: Vec<String>,
    /// The last request with its answer, secrets masked; none for what is done without one.
    pub exchanges: Vec<Value>,
    /// The output for people.
    #[serde(skip)]
    pub table: Table,
}

/// Calls an action once, every page and element of it.
///
/// # Errors
/// `action_unknown`, `input_...`, `connection_...` before anything is sent; the service's refusal after.
pub async fn call(place: &Place, action: &str, inputs: Inputs, connection: Option<&str>) -> Result<Called> {
    let project = project::load(place);
    let (connector, written) = find(&project, action)?;
    let declared = connectors::inputs_of(connector, written);
    let mut given = value::object(inputs.json.unwrap_or_default())?;
    given.extend(value::pairs(&inputs.pairs, &declared, &connector.schemas)?);
    let settings = &project.catalog.settings.value;
    let accounts = Accounts::new(deploy::accounts(&project.catalog), Secrets::new(&place.directory));
    let name = connector.connector.as_str();
    let account = account(&project, name, connection)?;
    let compiled = compile(&project, name)?;
    let bound = accounts.connection(name, account.as_deref(), &compiled.connector)?;
    let (_, short) = action.split_once('.').unwrap_or_default();
    let ready = compiled.connector.action(short).ok_or_else(|| unknown_action(connector, name, short))?;
    let executor = open::executor(&place.directory, settings, &place.clock)?;
    let sent = executor.call(Call::new(&bound, ready, Value::Object(given))).await;
    let exchange = sent.exchange.and_then(|exchange| serde_json::to_value(exchange).ok());
    let page = sent.result?;
    let problems = page.problems.clone();
    let output = page.into_output();
    let told = output.get("status").and_then(Value::as_str).filter(|_| ready.foreach.is_some());
    let status = match told {
        None | Some("successful") => "succeeded",
        Some(other) => other,
    };
    Ok(Called {
        action: action.to_owned(),
        connection: account,
        status: status.to_owned(),
        table: Table::of(output.get("results").filter(|_| ready.foreach.is_some()).unwrap_or(&output)),
        output,
        problems,
        exchanges: exchange.into_iter().collect(),
    })
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
    Definitions::default().connector(&loaded.value).map_err(|problems| Error {
        diagnostics: project::diagnostics(&loaded.source, "", problems),
        files: Arc::new(project.catalog.files.clone()),
        ..Error::problem("connector_broken", format!("the file of connector `{name}` has errors"))
    })
}
