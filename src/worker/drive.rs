//! One run at work: `engine` says what is next, this performs it, and the store commits what came of it.
//! A settlement never waits for a permit; the mark of the next request shares its commit where it is at hand.

mod settling;

use std::sync::Arc;

use serde_json::Value;

use super::answers::{self, Looked};
use super::appends;
use super::composites::Composites;
use super::definition::Definition;
use super::events::What;
use super::host::{Host, Stop};
use super::journal::{self, Notes, Pending};
use super::links::Veil;
use super::lookup;
use super::secret_inputs::SecretInputs;
use super::send::{self, Ready};
use crate::engine::{self, Call, Decision, EntryState, Event, Facts, Failure, Next, Reason, Run, advance};
use crate::store;
use crate::store::due::DueRun;
use crate::store::matches::Match;
use crate::store::runs::State;
use crate::store::settle::Change;

/// How a run was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is over, or waits for a person.
    Over,
    /// It has begun and goes on at a time; UTC epoch milliseconds.
    Waits {
        /// UTC epoch milliseconds.
        due_ms: i64,
    },
    /// It waits for answers, until then at the longest: one may have come while it was left.
    Asks {
        /// UTC epoch milliseconds.
        due_ms: i64,
    },
}

/// What one run is worked on with.
struct Drive<'a> {
    host: &'a Host,
    id: String,
    epoch: i64,
    /// Of the lease, when the run was known to be this host's.
    lapses: u32,
    flow: Arc<Definition>,
    created_ms: i64,
    started_ms: i64,
    run: Run,
    secrets: Option<SecretInputs>,
    pending: Pending,
    notes: Notes,
}

/// Works on a run until it waits or is over.
///
/// # Errors
/// The store's alone: then the run is as the store last had it, and is taken up again from there.
pub async fn drive(host: &Host, due: &DueRun) -> store::Result<Left> {
    let definition = match host.definitions.get(&host.store, &due.definition).await {
        Ok(definition) => definition,
        Err(failure) => return give_up(host, due, &failure).await,
    };
    let item = match serde_json::from_str(&due.item) {
        Ok(item) => item,
        Err(error) => {
            let failure = Failure::not_sent("item_unreadable", format!("the run's item is not readable: {error}"));
            return give_up(host, due, &failure).await;
        }
    };
    let started_ms = due.started_at.unwrap_or(host.now_ms());
    let root_id = due.root.clone().unwrap_or_else(|| due.id.clone());
    let deployment = host.deployment();
    let mut inputs = definition.inputs.clone();
    let secrets = SecretInputs::hide(&mut inputs, deployment.secrets.get(&definition.name), &root_id);
    let facts = Facts {
        run_id: due.id.clone(),
        root_id,
        item,
        inputs,
        started_ms,
        composites: Composites::new(deployment, Arc::clone(&definition)),
    };
    let mut taken = match take_up(host, due, &definition.flow, facts).await? {
        Ok(taken) => taken,
        Err(failure) => return give_up(host, due, &failure).await,
    };
    if let Some(before) = &due.retry_of {
        for run in host.store.line_of_retries(before.clone()).await? {
            let rows = host.store.steps(run, None).await?;
            if let Err(failure) = journal::go_on(&mut taken.run, rows) {
                return give_up(host, due, &failure).await;
            }
        }
    }
    let id = due.id.clone();
    let mut drive = Drive {
        host,
        id,
        epoch: due.epoch,
        lapses: due.lapses,
        flow: definition,
        created_ms: due.created_at,
        started_ms,
        run: taken.run,
        secrets,
        pending: Pending::default(),
        notes: taken.notes,
    };
    if !due.has_begun {
        host.tell(&drive.flow.name, || What::RunBegan { run: due.id.clone() });
    }
    drive.go(taken.event).await
}

// A run that never settled anything and left no mark has no frames: it begins.
async fn take_up(
    host: &Host,
    due: &DueRun,
    flow: &engine::Flow,
    facts: Facts,
) -> store::Result<Result<Taken, Failure>> {
    let Some(frames) = due.frames.as_deref() else {
        return Ok(Ok(Taken { run: Run::begin(flow, facts), event: Event::Begin, notes: Notes::default() }));
    };
    let scopes = match Run::visible_scopes(flow, frames) {
        Ok(scopes) => scopes,
        Err(failure) => return Ok(Err(failure)),
    };
    let rows = host.store.steps(due.id.clone(), Some(scopes)).await?;
    let words = journal::words(&rows);
    let notes = Notes::of(&rows);
    let was_sending = rows.iter().any(|row| row.state == EntryState::Sending.as_str());
    let entries = match journal::entries(rows) {
        Ok(entries) => entries,
        Err(failure) => return Ok(Err(failure)),
    };
    Ok(Run::resume(flow, facts, Some(frames), entries).map(|run| {
        let otherwise = match was_sending {
            true if due.may_still_send => Event::Orphaned,
            true => Event::Crashed,
            false => Event::Due,
        };
        let said = run.unknown().and_then(|(key, attempt)| words.of(&key, attempt));
        let event = said.map_or(otherwise, Event::Settled);
        Taken { run, event, notes }
    }))
}

// A run as it was left, and how it goes on.
struct Taken {
    run: Run,
    event: Event,
    notes: Notes,
}

impl Drive<'_> {
    async fn go(&mut self, mut event: Event) -> store::Result<Left> {
        loop {
            let now_ms = self.host.now_ms();
            let Decision { entries, asks, next } = advance(&self.flow.flow, &mut self.run, event, now_ms);
            self.pending.add(entries);
            self.pending.approvals.asks.extend(asks);
            self.tell_steps(now_ms);
            let is_between = matches!(next, Next::Call(_) | Next::Wait { .. } | Next::Answers(_));
            if is_between && !self.run.is_uncertain() && self.host.replaced.lock().remove(&self.id) {
                return self.give_way().await;
            }
            event = match next {
                Next::Call(call) => {
                    if self.host.stop() == Stop::Drain {
                        return self.leave(now_ms).await;
                    }
                    if send::looks_up(&self.flow, &call) && !self.settle_progress(now_ms).await? {
                        return Ok(Left::Over);
                    }
                    let veil = match self.veil(&call).await {
                        Ok(veil) => veil,
                        Err(failure) => {
                            event = Event::Failed(failure);
                            continue;
                        }
                    };
                    let call = match &veil {
                        Some(veil) => Box::new(veil.lifted(*call)),
                        None => call,
                    };
                    let call = match &self.secrets {
                        Some(secrets) => Box::new(secrets.lifted(*call)),
                        None => call,
                    };
                    let note = self.notes.of_key(&call.key);
                    let note = appends::known(self.host, self.run.origin(), &call, note).await?;
                    match self.prepare(&call, note).await {
                        Err(failure) => Event::Failed(self.covered(covered(veil.as_ref(), failure))),
                        Ok(prepared) => match self.permit(prepared).await? {
                            Ready::Later { until_ms } => {
                                self.host.keep_blocks().await?;
                                return self.leave(until_ms).await;
                            }
                            Ready::Now(sending) => {
                                let note = sending.note();
                                let asked = answers::asked(self.host, &self.flow, &call);
                                if let Some(failure) = answers::asked_twice(self.host, asked.as_ref()).await? {
                                    event = Event::Failed(failure);
                                    continue;
                                }
                                self.pending.approvals.asked.extend(asked);
                                if !self.commit_before(&call, note).await? {
                                    return Ok(Left::Over);
                                }
                                if !self.is_still_ours().await? {
                                    return Ok(Left::Over);
                                }
                                let sent = sending.send(&self.host.executor).await;
                                self.pending.made.extend(self.made(&call, &sent));
                                let sent = match &veil {
                                    Some(veil) => veil.covered(sent),
                                    None => sent,
                                };
                                let sent = match &self.secrets {
                                    Some(secrets) => secrets.covered(sent),
                                    None => sent,
                                };
                                self.pending.exchange(&call.key, self.host.kept(sent.exchange));
                                match sent.result {
                                    Ok(output) => Event::Answered { output },
                                    Err(failure) => {
                                        let asked = (&call.target, call.inputs.as_ref());
                                        send::report(self.host, &self.flow, asked, &failure).await?;
                                        Event::Failed(failure)
                                    }
                                }
                            }
                        },
                    }
                }
                Next::Reconcile(look) => {
                    if !self.settle_progress(now_ms).await? {
                        return Ok(Left::Over);
                    }
                    lookup::look(self.host, &self.flow, self.run.origin(), &look, self.secrets.as_ref()).await?
                }
                Next::Wait { reason: Reason::Commit, .. } => {
                    if !self.settle_progress(now_ms).await? {
                        return Ok(Left::Over);
                    }
                    Event::Due
                }
                Next::Wait { due_ms, .. } => return self.leave(due_ms).await,
                Next::Answers(awaited) => {
                    let (frames, approval) = (self.run.frames(), awaited.approval.clone());
                    let change = Change::Await { frames, approval, due_at: awaited.due_ms };
                    if !self.settle(change, now_ms).await? {
                        return Ok(Left::Over);
                    }
                    match answers::look(self.host, &awaited).await? {
                        Looked::Now(event) => event,
                        Looked::Waits => return Ok(Left::Asks { due_ms: awaited.due_ms }),
                    }
                }
                Next::Unknown => return self.park().await,
                Next::Ended(ending) => return self.end(ending).await,
            };
        }
    }

    // The record that the call made, by the service's own word: it is no other step's.
    fn made(&self, call: &Call, sent: &send::Sent) -> Option<Match> {
        let output = sent.result.as_ref().ok()?;
        let made = lookup::made(&self.host.deployment(), &self.flow, call, output);
        let (list, provider_id) = made.or_else(|| appends::made(call, output))?;
        Some(Match { list, provider_id, root: self.run.origin().to_owned(), key: call.key.clone() })
    }

    async fn veil(&self, call: &Call) -> Result<Option<Veil>, Failure> {
        answers::veil(self.host, call.asking.as_ref(), &call.inputs, call.element.as_ref()).await
    }

    fn covered(&self, failure: Failure) -> Failure {
        match &self.secrets {
            Some(secrets) => secrets.cover_failure(failure),
            None => failure,
        }
    }

    async fn prepare(&self, call: &Call, note: Option<Value>) -> Result<send::Prepared, Failure> {
        send::prepare(&self.host.executor, &self.host.deployment(), &self.flow, call, note).await
    }

    // A permit that is free at once lets the mark share the settlement's commit.
    async fn permit(&mut self, prepared: send::Prepared) -> store::Result<Ready> {
        match send::permit(&self.host.executor, prepared) {
            send::Permitted::Ready(ready) => Ok(ready),
            send::Permitted::Crowded(prepared, blocked) => {
                if !self.pending.is_empty() && !self.settle_progress(self.host.now_ms()).await? {
                    return Ok(Ready::Later { until_ms: self.host.now_ms() });
                }
                Ok(send::wait(&self.host.executor, prepared, blocked).await)
            }
        }
    }
}

fn covered(veil: Option<&Veil>, failure: Failure) -> Failure {
    match veil {
        Some(veil) => veil.cover_failure(failure),
        None => failure,
    }
}

// The run cannot even be read: it ends, and says why.
async fn give_up(host: &Host, due: &DueRun, failure: &Failure) -> store::Result<Left> {
    let error = serde_json::to_string(failure).ok();
    let now_ms = host.now_ms();
    if host.store.end_run(due.id.clone(), Some(due.epoch), State::Failed, error, now_ms).await? {
        host.ended();
        tracing::error!(run = due.id, code = failure.code, "run failed: {}", failure.message);
    }
    Ok(Left::Over)
}
