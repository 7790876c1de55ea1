//! Asking the service whether an attempt of unknown outcome was done: the manifest's `reconcile`, by its own
//! list action. Which of its records belongs to which step is the store's; what absence means is the engine's.

use serde_json::Value;

use super::answers;
use super::definition::Definition;
use super::deployment::Deployment;
use super::host::Host;
use super::secret_inputs::SecretInputs;
use super::send;
use crate::connector::reconcile::{CLOCK_TOLERANCE_MS, Candidate, Matching, Reconcile};
use crate::connector::{Call, Executor};
use crate::crash;
use crate::engine::{self, Effect, Event, Failure, LookUp, Target};
use crate::store;
use crate::store::matches::Match;

/// What a look found.
pub struct Listed {
    /// What lists these records, and with whose account.
    pub list: String,
    /// Those that may be what the attempt made, the newest first.
    pub candidates: Vec<Candidate>,
    /// Why what is not among them may have been made all the same.
    pub doubt: Option<String>,
}

/// Looks once; `root` is the run whose doing the step is ([`engine::Run::origin`]).
///
/// # Errors
/// The store's alone.
pub async fn look(
    host: &Host,
    definition: &Definition,
    root: &str,
    look: &LookUp,
    secrets: Option<&SecretInputs>,
) -> store::Result<Event> {
    // What was sent held the link, and what is kept does not.
    let veil = match answers::veil(host, look.asking.as_ref(), &look.inputs, look.element.as_ref()).await {
        Ok(veil) => veil,
        Err(failure) => return Ok(Event::Failed(failure)),
    };
    let lifted = veil.as_ref().map(|veil| veil.lifted_look(look));
    let look = lifted.as_ref().unwrap_or(look);
    let with_secrets = secrets.map(|secrets| secrets.lifted_look(look));
    let look = with_secrets.as_ref().unwrap_or(look);
    let cover = |failure| {
        let failure = match &veil {
            Some(veil) => veil.cover_failure(failure),
            None => failure,
        };
        match secrets {
            Some(secrets) => secrets.cover_failure(failure),
            None => failure,
        }
    };
    let listed = match listed(&host.executor, &host.deployment(), definition, look).await {
        Ok(listed) => listed,
        Err(failure) => {
            let failure = cover(failure);
            send::report(host, definition, (&look.target, &look.inputs), &failure).await?;
            return Ok(Event::Failed(failure));
        }
    };
    // Oldest first: of two equal texts the earlier attempt made the earlier one.
    for Candidate { id: provider_id, record } in listed.candidates.into_iter().rev() {
        let (list, root, key) = (listed.list.clone(), root.to_owned(), look.key.clone());
        crash::point("match.before");
        let is_ours = host.store.claim_match(Match { list, provider_id, root, key }, host.now_ms()).await?;
        crash::point("match.after");
        if is_ours {
            let output = veil.as_ref().map_or_else(|| record.clone(), |veil| veil.cover(&record));
            let output = secrets.map_or_else(|| output.clone(), |secrets| secrets.cover(&output));
            return Ok(Event::Found { output });
        }
    }
    Ok(Event::NotFound { doubt: listed.doubt })
}

/// The list and the id of what a call made, where its action is one that is looked up and its answer names it.
pub fn made(
    deployment: &Deployment,
    definition: &Definition,
    call: &engine::Call,
    output: &Value,
) -> Option<(String, String)> {
    let (Effect::Lookup(_), Target::Action { connector, action }) = (&call.effect, &call.target) else { return None };
    let connection = deployment.connection(definition, connector).ok()?;
    let action = send::action_of(definition, connector, action).ok()?;
    let reconcile = action.reconcile.as_ref()?;
    Some((list(&connection.name, connector, reconcile), reconcile.id_of(output).ok()??))
}

fn list(connection: &str, connector: &str, reconcile: &Reconcile) -> String {
    format!("{connection}/{connector}.{}", reconcile.action)
}

/// The records that may be what the attempt made.
///
/// # Errors
/// Why it could not be looked.
pub async fn listed(
    executor: &Executor,
    deployment: &Deployment,
    definition: &Definition,
    look: &LookUp,
) -> Result<Listed, Failure> {
    let Target::Action { connector, action } = &look.target else {
        return Err(Failure::not_sent("reconcile_target", "only actions of connectors can be looked up"));
    };
    let connection = deployment.connection(definition, connector)?;
    let action = send::action_of(definition, connector, action)?;
    let reconcile = action.reconcile.as_ref().ok_or_else(|| {
        Failure::not_sent("reconcile_missing", format!("{connector}.{} does not say how it is looked up", action.name))
    })?;
    let inputs = look.inputs.as_ref().clone();
    let uncertain = Call { element: look.element.clone(), ..Call::new(&connection, &action, inputs.clone()) };
    let resolved = executor.resolve(uncertain).await?.resolved;
    let listing = send::action_of(definition, connector, &reconcile.action)?;
    // How far the service's clock is ahead of ours is known once it has answered: where that is far, what was asked
    // for was the wrong time, and it is asked again.
    let mut ahead_ms = None;
    loop {
        let earliest_ms = Reconcile::earliest_ms(look.since_ms, ahead_ms.unwrap_or(0));
        let mut scope = Reconcile::scope(&connection, &action, inputs.clone(), look.element.clone(), earliest_ms)?;
        if let Some(resolved) = &resolved {
            scope.set("resolved", resolved.clone());
        }
        let sent = executor.call(Call::new(&connection, &listing, reconcile.inputs(&scope)?)).await;
        let page = sent.result?;
        let told_ms = page.server_ms.map(|server_ms| server_ms - executor.now_ms());
        if ahead_ms.is_none() && told_ms.is_some_and(|ms| ms.abs() > CLOCK_TOLERANCE_MS) && reconcile.is_timed() {
            ahead_ms = told_ms;
            continue;
        }
        let is_partial = page.cut_short.is_some() || page.next.is_some() || page.is_truncated;
        let is_enough = !is_partial || reconcile.goes_back_to(&page.records, earliest_ms);
        let Matching { candidates, has_nameless } = reconcile.candidates(page.records, &mut scope)?;
        let doubt = match page.problems.first() {
            Some(problem) => Some(format!("not all could be listed ({problem}), so that absence proves nothing")),
            None if !is_enough => Some("there is more than was listed, so that absence proves nothing".to_owned()),
            None if has_nameless => Some("what was listed matches, and has no id".to_owned()),
            None => reconcile.doubt(told_ms),
        };
        return Ok(Listed { list: list(&connection.name, connector, reconcile), candidates, doubt });
    }
}
