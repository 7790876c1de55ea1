//! Asking the service whether an attempt of unknown outcome was done: the manifest's `reconcile`, by its own
//! list action. Which of its records belongs to which step is the store's; what absence means is the engine's.

use super::definition::Definition;
use super::host::Host;
use super::send;
use crate::connector::Call;
use crate::connector::reconcile::{Candidate, Reconcile};
use crate::engine::{Event, Failure, LookUp, Target};
use crate::store;

/// Looks once.
///
/// # Errors
/// The store's alone.
pub async fn look(host: &Host, definition: &Definition, run: &str, look: &LookUp) -> store::Result<Event> {
    let candidates = match candidates(host, definition, look).await {
        Ok(candidates) => candidates,
        Err(failure) => {
            send::report(host, definition, &look.target, &failure).await?;
            return Ok(Event::Failed(failure));
        }
    };
    // Oldest first: of two equal texts the earlier attempt made the earlier one.
    for candidate in candidates.into_iter().rev() {
        let Candidate { id, record } = candidate;
        let target = look.target.to_string();
        let (run, key, now_ms) = (run.to_owned(), look.key.clone(), host.now_ms());
        if host.store.claim_match(target, id, run, key, now_ms).await? {
            return Ok(Event::Found { output: record });
        }
    }
    Ok(Event::NotFound)
}

async fn candidates(host: &Host, definition: &Definition, look: &LookUp) -> Result<Vec<Candidate>, Failure> {
    let Target::Action { connector, action } = &look.target else {
        return Err(Failure::not_sent("reconcile_target", "only actions of connectors can be looked up"));
    };
    let connection = host.connection(definition, connector)?;
    let action = send::action_of(definition, connector, action)?;
    let reconcile = action.reconcile.as_ref().ok_or_else(|| {
        Failure::not_sent("reconcile_missing", format!("{connector}.{} does not say how it is looked up", action.name))
    })?;
    let inputs = look.inputs.as_ref().clone();
    let mut scope = Reconcile::scope(&connection, &action, inputs, look.element.clone(), look.since_ms)?;
    let listing = send::action_of(definition, connector, &reconcile.action)?;
    let sent = host.executor.call(Call::new(&connection, &listing, reconcile.inputs(&scope)?)).await;
    reconcile.candidates(sent.result?.records, &mut scope)
}
