//! `tidegate call` of an action that asks people: a run in the store, done by the host at work, because somebody must
//! serve the links and read the replies. This waits until it is over; who stops waiting stops nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::composite::placed;
use super::{Done, Error, Place, Project, Result, open};
use crate::app::open::Location;
use crate::app::runs::{self, results};
use crate::engine::{Failure, Outcome, StepFailure};
use crate::store::Store;
use crate::store::database::Synchronous;
use crate::store::database::code::LOCKED;
use crate::store::runs::Detail;
use crate::worker::Definition;

// Where the run's one step is.
const STEP_KEY: &str = "0";
// How often the run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Queues the run and waits for its end. `texts` are what the definition is kept as.
///
/// # Errors
/// `approval_needs_host`, before anything is kept; the store's.
pub async fn call(
    place: &Place,
    project: &Project,
    definition: &Arc<Definition>,
    texts: Vec<(String, String)>,
    item: Value,
    waits: Option<fn(&str)>,
) -> Result<Done> {
    let settings = &project.catalog.settings.value;
    let location = open::location(place, settings)?;
    if !is_worked_on(place, project, &location).await? {
        return Err(Error::problem(
            "approval_needs_host",
            "it asks people, and no host is at work that would show them the page and read their replies",
        )
        .with_help("start one with `tidegate up` and call this again beside it, or use the action in a flow"));
    }
    let store = open::tool(&location, &place.clock)?;
    let now_ms = place.clock.now_ms();
    let new = runs::new_run(definition, item.to_string(), now_ms)?;
    let id = new.id.clone();
    store.keep_definitions(texts, now_ms).await?;
    store.insert_run(new, now_ms).await?;
    if let Some(waits) = waits {
        waits(&id);
    }
    let done = wait(&store, &id).await;
    store.close().await?;
    done
}

/// Whether a host is at work on the store.
async fn is_worked_on(place: &Place, project: &Project, location: &Location) -> Result<bool> {
    let settings = &project.catalog.settings.value;
    match location {
        Location::File(path) if !path.exists() => Ok(false),
        // Whoever gets the lock of a file is the only one.
        Location::File(_) => {
            match open::host_store(location, settings, "a question", Synchronous::Full, &place.clock) {
                Err(error) if error.code == LOCKED => Ok(true),
                Err(error) => Err(error),
                Ok(store) => {
                    store.close().await?;
                    Ok(false)
                }
            }
        }
        Location::Server(_) => {
            let store = open::tool(location, &place.clock)?;
            let is_worked_on = store.has_living_host().await?;
            store.close().await?;
            Ok(is_worked_on)
        }
    }
}

async fn wait(store: &Store, id: &str) -> Result<Done> {
    loop {
        let Some(run) = store.run(id.to_owned()).await? else {
            return Err(Error::problem("run_unknown", format!("run {id} is gone")));
        };
        let result = match run.summary.state.as_str() {
            "queued" | "running" | "held" => {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            "succeeded" => Ok(output(&run)),
            "unknown" => Err(Failure {
                outcome: Outcome::Unknown,
                ..Failure::not_sent("outcome_unknown", "the service may or may not have sent what asks")
                    .with_help(format!("look there, then say so: `tidegate runs settle {id} --as done|retry|failed`"))
            }),
            _ => Err(failure(run.summary.error.as_deref().unwrap_or_default())),
        };
        let raw = results::raw(&run.steps, STEP_KEY);
        let exchanges = run.steps.iter().filter_map(|step| serde_json::from_str(step.exchange.as_deref()?).ok());
        let exchanges = exchanges.collect();
        return Ok(Done { run: Some(id.to_owned()), raw, exchanges, ..Done::new(result, &[]) });
    }
}

/// Of the run's one step.
fn output(run: &Detail) -> Value {
    let step = run.steps.iter().rev().find(|step| step.key == STEP_KEY);
    let output = step.and_then(|step| step.output.as_deref());
    output.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn failure(stored: &str) -> Failure {
    match serde_json::from_str::<StepFailure>(stored) {
        Ok(failed) => placed(&failed.step, failed.failure),
        Err(_) => Failure::not_sent("run_ended", runs::failure_text(stored)),
    }
}
