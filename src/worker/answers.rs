//! What a run that asks people needs of the host: links put into what it sends and taken out of what is kept, who
//! is asked noted before they are, and the answers read where the store has written them down.

use serde_json::Value;

use super::definition::Definition;
use super::host::Host;
use super::links::{self, Veil};
use super::send;
use crate::clock::rfc3339;
use crate::engine::approval::{Answer, Asking, Awaited, End, NotAsked, Resolution};
use crate::engine::{Call, Event, Failure, Target};
use crate::store;
use crate::store::approvals::{Approval, Asked, State};

/// What a run does that waits for answers.
pub enum Looked {
    /// It goes on.
    Now(Event),
    /// It waits on.
    Waits,
}

/// Reads what was answered so far; ends the approval where its time has passed.
///
/// # Errors
/// The store's.
pub async fn look(host: &Host, awaited: &Awaited) -> store::Result<Looked> {
    let now_ms = host.now_ms();
    let found = match now_ms >= awaited.expires_ms {
        // Ended by whoever comes first, this or an answer: what then stands is what counts.
        true => host.store.expire_approval(awaited.approval.clone(), now_ms).await?,
        false => host.store.approval(awaited.approval.clone()).await?,
    };
    let Some(approval) = found else {
        let failure = Failure::not_sent("approval_lost", "the store does not have this approval any more");
        return Ok(Looked::Now(Event::Failed(failure)));
    };
    let end = match approval.state {
        State::Decided => End::Decided,
        State::Split if approval.terms.is_hopeless(approval.terms.unreached.len()) => End::Unreachable,
        State::Split => End::Split,
        State::Expired | State::Closed => End::Expired,
        State::Open if now_ms >= awaited.due_ms && now_ms < awaited.expires_ms => {
            let answered = approval.approvers.iter().filter(|approver| approver.at.is_some());
            return Ok(Looked::Now(Event::Remind { answered: answered.map(|approver| approver.position).collect() }));
        }
        State::Open => return Ok(Looked::Waits),
    };
    Ok(Looked::Now(Event::Resolved(Box::new(resolution(approval, end)))))
}

/// The link for what is about to be sent, where its texts ask for one.
///
/// # Errors
/// `public_url_missing`; the key's.
pub async fn veil(
    host: &Host,
    asking: Option<&Asking>,
    inputs: &Value,
    element: Option<&Value>,
) -> Result<Option<Veil>, Failure> {
    let Some(asking) = asking else { return Ok(None) };
    let texts: Vec<&Value> = std::iter::once(inputs).chain(element).collect();
    match host.links() {
        Some(links) => links.veil(asking, &texts, host.now_ms()).await,
        None if links::holds_link(asking, &texts) => Err(links::no_public_url()),
        None => Ok(None),
    }
}

/// Who is about to be asked, where an answer may come back over the same connection.
pub fn asked(host: &Host, definition: &Definition, call: &Call) -> Option<Asked> {
    let asking = call.asking.as_ref()?;
    let Target::Action { connector, action } = &call.target else { return None };
    let replies = definition.connectors.get(connector.as_ref())?.replies.as_ref()?;
    let action = send::action_of(definition, connector, action).ok()?;
    let address = replies.address(&action, &call.inputs, call.element.as_ref())?;
    let connection = host.deployment().connection(definition, connector).ok()?;
    Some(Asked {
        connection: connection.name.clone(),
        address,
        approval: asking.approval.clone(),
        position: asking.position,
    })
}

/// Why somebody is not asked: another approver of the same approval was, at the same address. With two codes one
/// person could decide alone.
///
/// # Errors
/// The store's.
pub async fn asked_twice(host: &Host, asked: Option<&Asked>) -> store::Result<Option<Failure>> {
    let Some(asked) = asked else { return Ok(None) };
    if !host.store.is_asked_as_another(asked.clone()).await? {
        return Ok(None);
    }
    let message = format!("{} is asked already, for another of the approvers", asked.address);
    let failure = Failure::not_sent("approval_invalid", message);
    Ok(Some(failure.with_help("give each approver a number of their own, or name one of them only")))
}

fn resolution(approval: Approval, end: End) -> Resolution {
    let answers = approval.approvers.into_iter().filter_map(|approver| {
        let at = approver.at.map(rfc3339)?;
        let (choice, text, by, how) = (approver.choice, approver.text, approver.by, approver.how);
        Some(Answer { choice, text, by, at: Some(at), how })
    });
    let answers = answers.collect();
    let Approval { terms, choice, text, by, how, decided_at, .. } = approval;
    let unreached = terms.unreached.iter().map(|unreached| NotAsked {
        approver: terms.name_of(unreached.position).map(str::to_owned),
        code: unreached.code.clone(),
        message: unreached.message.clone(),
    });
    let unreached = unreached.collect();
    Resolution { end, choice, text, by, at: decided_at.map(rfc3339), how, answers, unreached }
}
