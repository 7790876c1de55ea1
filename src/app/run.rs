//! `tidegate run`: a flow for one item, now.

mod dry;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::deploy::Prepared;
use super::{Error, Place, Project, Result, View, deploy, open, project, runs};
use crate::secrets::Secrets;
use crate::store::Store;
use crate::store::database::Synchronous;
use crate::store::database::code::LOCKED;
use crate::worker::{self, Definitions};

// A step that is due later than this is left to the host.
const PATIENCE_MS: i64 = 60_000;
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
/// run sends no writes and keeps nothing.
///
/// # Errors
/// `flow_unknown`, the findings about its file, and the store's.
pub async fn run(place: &Place, flow: &str, item: Option<Value>, dry_run: bool) -> Result<Ran> {
    let project = project::load(place);
    project.flow(flow)?;
    let settings = Arc::clone(&project.catalog.settings.value);
    let now_ms = place.clock.now_ms();
    let definitions = Definitions::default();
    let prepared = deploy::prepare(&project, &definitions, Secrets::new(&place.directory), now_ms);
    let definition = match prepared.deployment.flows.get(flow) {
        Some(definition) => Arc::clone(definition),
        None => return Err(unfit(&project, prepared, flow)),
    };
    let item = item.unwrap_or(Value::Null);
    if dry_run {
        let executor = open::executor(&place.directory, &settings, &place.clock)?;
        let requests = dry::run(&project, &executor, &prepared.deployment, &definition, item, &place.clock).await;
        return Ok(Ran { flow: flow.to_owned(), by_host: false, run: None, requests });
    }
    let path = open::path(place, &settings)?;
    let new = runs::new_run(&definition, item.to_string(), now_ms)?;
    let id = new.id.clone();
    let insert = async |store: &Store| -> Result<()> {
        store.keep_definitions(prepared.definitions.clone(), now_ms).await?;
        store.insert_run(new.clone(), now_ms).await?;
        Ok(())
    };
    let (by_host, store) = match open::alone(&path, "a single run", Synchronous::Full, &place.clock) {
        Ok(store) => {
            insert(&store).await?;
            let host = open::host(store.clone(), &place.directory, &settings, &place.clock)?;
            host.deploy(prepared.deployment);
            worker::work_off(&host, &id, PATIENCE_MS).await?;
            (false, store)
        }
        Err(error) if error.code == LOCKED => {
            let store = open::tool(&path, &place.clock)?;
            insert(&store).await?;
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

fn unfit(project: &Project, prepared: Prepared, flow: &str) -> Error {
    let stopped = prepared.triggers.into_iter().find(|sync| sync.flow == flow).and_then(|sync| sync.stopped);
    let why = stopped.unwrap_or_else(|| "it could not be prepared".to_owned());
    Error {
        diagnostics: prepared.diagnostics,
        files: Arc::new(project.catalog.files.clone()),
        ..Error::problem("flow_unfit", format!("flow `{flow}` cannot run here: {why}"))
    }
}
