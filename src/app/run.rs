//! `tidegate run`: a flow for one item, now.

mod dry;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::deploy::Prepared;
use super::{Error, Place, Project, Result, View, deploy, open, project, runs};
use crate::manifest::Diagnostic;
use crate::store::Store;
use crate::store::database::Synchronous;
use crate::store::database::code::LOCKED;
use crate::worker::{self, Definitions};

// How long a run is worked off at most, retries and look-ups waited for; what is due later is left to a host.
const PATIENCE_MS: i64 = 300_000;
// How often a run is looked at that another process works on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// The flow.
    pub flow: String,
    /// Whether a host that is at work took it up (then it may not be over yet).
    pub by_host: bool,
    /// The run; none for a dry run.
    pub run: Option<runs::Detail>,
    /// What each step would send; for a dry run alone.
    pub requests: Vec<Preview>,
}

/// What a step would do.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// Its id, or its place.
    pub step: String,
    /// What it calls: `twilio.send_sms`, `http`, or its form.
    pub action: String,
    /// Whether it was sent: reads are, so that later steps have something to work with.
    pub sent: bool,
    /// `{method, url, headers, body}` without credentials; none where there is no request.
    pub request: Option<Value>,
    /// Its output, or `null` where a write was not sent.
    pub output: Option<Value>,
    /// Why it would fail.
    pub error: Option<String>,
}

/// Runs a flow for an item (`null` unless given): by the host that is at work here, or else by itself. A dry
/// run sends no writes and keeps nothing. What `place.sets` gives is for this flow.
///
/// # Errors
/// `flow_unknown`; `flow_unsound` and `flow_unfit` with the findings about what it uses; the store's.
pub async fn run(place: &Place, flow: &str, item: Option<Value>, dry_run: bool) -> Result<Ran> {
    run_seen(place, flow, item, dry_run, |_| {}).await
}

/// The same; `begun` is told the run's id as soon as it is kept.
///
/// # Errors
/// As [`run`].
pub async fn run_seen(
    place: &Place,
    flow: &str,
    item: Option<Value>,
    dry_run: bool,
    begun: impl FnOnce(&str),
) -> Result<Ran> {
    project::folder(place)?;
    let sets = place.sets.iter().map(|set| project::set_of(flow, set)).collect();
    let place = &Place { sets, ..place.clone() };
    let project = project::load(place);
    project.flow(flow)?;
    sound(&project, flow)?;
    let settings = Arc::clone(&project.catalog.settings.value);
    let now_ms = place.clock.now_ms();
    let definitions = Definitions::default();
    let prepared = deploy::prepare(&project, &definitions, open::secrets(place, &project).await?, now_ms);
    let definition = match prepared.deployment.flows.get(flow) {
        Some(definition) => Arc::clone(definition),
        None => return Err(unfit(&project, prepared, flow)),
    };
    let item = item.unwrap_or(Value::Null);
    if dry_run {
        let executor = open::signing(place, &settings)?;
        let deployment = Arc::new(prepared.deployment);
        let requests = dry::run(&project, &executor, deployment, &definition, item, &place.clock).await;
        return Ok(Ran { flow: flow.to_owned(), by_host: false, run: None, requests });
    }
    let location = open::location(place, &settings)?;
    let new = runs::new_run(&definition, item.to_string(), now_ms)?;
    let id = new.id.clone();
    let insert = async |store: &Store| -> Result<()> {
        store.keep_definitions(prepared.definitions.clone(), now_ms).await?;
        store.insert_run(new.clone(), now_ms).await?;
        Ok(())
    };
    let (by_host, store) = match open::host_store(&location, &settings, "a single run", Synchronous::Full, &place.clock)
    {
        Ok(store) => {
            insert(&store).await?;
            begun(&id);
            let host = open::host(store.clone(), place, &settings)?;
            host.deploy(prepared.deployment);
            worker::work_off(&host, &id, PATIENCE_MS).await?;
            (false, store)
        }
        Err(error) if error.code == LOCKED => {
            if let Some(input) = secret_given(&project, flow) {
                return Err(not_handed_on(input));
            }
            let store = open::tool(&location, &place.clock)?;
            insert(&store).await?;
            begun(&id);
            wait(&store, &id).await?;
            (true, store)
        }
        Err(error) => return Err(error),
    };
    let view = View { project: Arc::new(project), store: Some(store.clone()), clock: place.clock.clone() };
    let run = runs::show(&view, &id).await?;
    store.close().await?;
    Ok(Ran { flow: flow.to_owned(), by_host, run: Some(run), requests: Vec::new() })
}

// Until the host at work is done with it, or for as long as a person would wait.
async fn wait(store: &Store, id: &str) -> Result<()> {
    let give_up = tokio::time::Instant::now() + Duration::from_millis(PATIENCE_MS.unsigned_abs());
    while tokio::time::Instant::now() < give_up {
        let state = store.run(id.to_owned()).await?.map(|run| run.summary.state);
        match state.as_deref() {
            Some("queued" | "running") => tokio::time::sleep(LOOK_EVERY).await,
            _ => break,
        }
    }
    Ok(())
}

// What `up` would refuse is not begun by hand either: a step that is wrong is found before one that sends.
fn sound(project: &Project, flow: &str) -> Result<()> {
    let errors: Vec<Diagnostic> = project.errors_of(flow).cloned().collect();
    if errors.is_empty() {
        return Ok(());
    }
    let exit = project::exit_of(&errors);
    let message = match errors.len() {
        1 => format!("flow `{flow}` cannot run: there is an error"),
        many => format!("flow `{flow}` cannot run: there are {many} errors"),
    };
    Err(Error {
        diagnostics: errors,
        files: Arc::new(project.catalog.files.clone()),
        ..Error::new(exit, "flow_unsound", message).with_help("nothing was sent; put right what is listed")
    })
}

// A secret that the command line gives: no run carries one, so the host would use its own.
fn secret_given<'a>(project: &'a Project, flow: &str) -> Option<&'a str> {
    let declared = &project.catalog.flows.get(flow)?.value.inputs;
    let mut given = project.sets.get(flow)?.keys().map(String::as_str);
    given.find(|name| declared.get(*name).is_some_and(|input| input.secret))
}

fn not_handed_on(input: &str) -> Error {
    let message = format!("`{input}` is secret and cannot be given to the host that is at work here");
    Error::usage("secret_given", message)
        .with_help("give it in tidegate.yaml, where the host reads it, or stop the host")
}

fn unfit(project: &Project, prepared: Prepared, flow: &str) -> Error {
    let stopped = prepared.triggers.into_iter().find(|sync| sync.flow == flow).and_then(|sync| sync.stopped);
    let message = match (prepared.diagnostics.is_empty(), stopped) {
        (true, Some(why)) => format!("flow `{flow}` cannot run here: {why}"),
        // They say it, with their place.
        _ => format!("flow `{flow}` cannot run here"),
    };
    let exit = project::exit_of(&prepared.diagnostics);
    Error {
        diagnostics: prepared.diagnostics,
        files: Arc::new(project.catalog.files.clone()),
        ..Error::new(exit, "flow_unfit", message)
    }
}
