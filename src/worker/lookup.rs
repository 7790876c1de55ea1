//! Asking the service whether an attempt of unknown outcome was done: the manifest's `reconcile`, by its own
//! list action. Absence is told as it is; what it means is the engine's.

use serde_json::Value;

use super::definition::Definition;
use super::host::Host;
use super::send;
use crate::connector::Call;
use crate::engine::{Event, Failure, LookUp, Target};
use crate::store;
use crate::template::{Expression, Scope, Tree};

// Services date by the second, and their clocks differ a little from ours.
const SLACK_MS: i64 = 5_000;

/// Looks once.
///
/// # Errors
/// The store's alone.
pub async fn look(host: &Host, definition: &Definition, run: &str, look: &LookUp) -> store::Result<Event> {
    let event = match ask(host, definition, look).await {
        Ok(records) => find(host, definition, run, look, records).await?,
        Err(failure) => Event::Failed(failure),
    };
    if let Event::Failed(failure) = &event {
        send::report(host, definition, &look.target, failure).await?;
    }
    Ok(event)
}

async fn ask(host: &Host, definition: &Definition, look: &LookUp) -> Result<Vec<Value>, Failure> {
    let Target::Action { connector, .. } = &look.target else {
        return Err(Failure::not_sent("reconcile_target", "only actions of connectors can be looked up"));
    };
    let connection = host.connection(definition, connector)?;
    let action = send::action_of(definition, connector, &look.reconcile.action)?;
    let with = Tree::compile(&Value::Object(look.reconcile.with.clone()), "/reconcile/with").map_err(|mut problems| {
        let message = problems.pop().map(|(_, error)| error.message).unwrap_or_default();
        Failure::not_sent("reconcile_with", message)
    })?;
    let inputs = with
        .evaluate_pruned(&scope(host, definition, look))
        .map_err(|error| Failure::not_sent(error.code, error.message))?;
    let sent = host.executor.call(Call::new(&connection, &action, inputs)).await;
    sent.result.map(|page| page.records)
}

async fn find(host: &Host, definition: &Definition, run: &str, look: &LookUp, records: Vec<Value>) -> store::Result<Event> {
    let matches = match Expression::compile(&look.reconcile.r#match) {
        Ok(matches) => matches,
        Err(error) => return Ok(Event::Failed(Failure::not_sent(error.code, error.message))),
    };
    let mut scope = scope(host, definition, look);
    // Oldest first: of two equal texts the earlier attempt made the earlier one.
    for record in records.into_iter().rev() {
        if !is_recent(look, &record) {
            continue;
        }
        scope.set("record", record);
        let is_match = matches.is_true(&scope);
        let record = scope.take("record").unwrap_or_default();
        match is_match {
            Ok(false) => {}
            Ok(true) => {
                let id = record.pointer(&pointer(&look.reconcile.id)).map(text).unwrap_or_default();
                let target = look.target.to_string();
                let (run, key, now_ms) = (run.to_owned(), look.key.clone(), host.now_ms());
                if host.store.claim_match(target, id, run, key, now_ms).await? {
                    return Ok(Event::Found { output: record });
                }
            }
            Err(error) => return Ok(Event::Failed(Failure::not_sent(error.code, error.message))),
        }
    }
    Ok(Event::NotFound)
}

fn scope(host: &Host, definition: &Definition, look: &LookUp) -> Scope {
    let mut scope = Scope::new();
    scope.set_now(host.now_ms());
    scope.set("inputs", look.inputs.as_ref().clone());
    if let (Some(element), Target::Action { connector, action }) = (&look.element, &look.target)
        && let Ok(action) = send::action_of(definition, connector, action)
        && let Some(foreach) = &action.foreach
    {
        scope.set(&foreach.name, element.clone());
    }
    scope
}

// Only what was made from the attempt on can be of its making.
fn is_recent(look: &LookUp, record: &Value) -> bool {
    let Some(field) = &look.reconcile.time else { return true };
    let time = record.pointer(&pointer(field)).and_then(Value::as_str).and_then(|text| {
        let rfc3339 = text.parse::<jiff::Timestamp>().ok();
        rfc3339.or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp()))
    });
    time.is_none_or(|time| time.as_millisecond() >= look.since_ms - SLACK_MS)
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
