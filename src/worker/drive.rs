//! One run at work: `engine` says what is next, this performs it, and the store commits what came of it.
//! A settlement never waits for a permit; the mark of the next request shares its commit where it is at hand.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::answers::{self, Looked};
use super::busy::REPLACED;
use super::claims::STORE_PAUSE_MS;
use super::composites::Composites;
use super::definition::Definition;
use super::events::What;
use super::host::{Host, Stop};
use super::journal::{self, Notes, Pending};
use super::links::Veil;
use super::lookup;
use super::secret_inputs::SecretInputs;
use super::send::{self, Ready};
use crate::crash;
use crate::engine::{self, Call, Decision, Ending, EntryState, Event, Facts, Failure, Next, Reason, Run, advance};
use crate::planted::bug;
use crate::store::approvals::Changes;
use crate::store::due::DueRun;
use crate::store::matches::Match;
use crate::store::notices::Notice;
use crate::store::runs::State;
use crate::store::settle::{Change, Settlement};
use crate::store::{self};

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
    /// The run that the line of retries began with.
    root: String,
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
        root_id: root_id.clone(),
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
        root: root_id,
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
    let settled = journal::settlement(&rows);
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
        // What was said of an earlier step has been heeded.
        let event = settled.filter(|_| run.is_unknown()).map_or(otherwise, Event::Settled);
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
                    match self.prepare(&call).await {
                        Err(failure) => Event::Failed(self.covered(covered(veil.as_ref(), failure))),
                        Ok(prepared) => match self.permit(prepared).await? {
                            Ready::Later { until_ms } => {
                                self.host.keep_blocks().await?;
                                return self.leave(until_ms).await;
                            }
                            Ready::Now(sending) => {
                                let note = sending.note();
                                self.pending.approvals.asked.extend(answers::asked(self.host, &self.flow, &call));
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
                                        send::report(self.host, &self.flow, &call.target, &failure).await?;
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
                    lookup::look(self.host, &self.flow, &self.root, &look, self.secrets.as_ref()).await?
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
        let (list, provider_id) = lookup::made(&self.host.deployment(), &self.flow, call, output)?;
        Some(Match { list, provider_id, root: self.root.clone(), key: call.key.clone() })
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

    async fn prepare(&self, call: &Call) -> Result<send::Prepared, Failure> {
        let note = self.notes.of_key(&call.key);
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

    // What was settled before, and the mark of what is about to be sent: one commit. False when the run is
    // over meanwhile. `note` is what a repeat of a built-in action has to know.
    async fn commit_before(&mut self, call: &Call, note: Option<Value>) -> store::Result<bool> {
        let now_ms = self.host.now_ms();
        let had_progress = !self.pending.is_empty();
        if call.needs_mark || note.is_some() {
            let mark = self.run.mark(&self.flow.flow, now_ms);
            self.pending.add(mark);
        }
        if let Some(note) = note {
            self.pending.exchange(&call.key, Some(self.notes.keep(&call.key, note)));
        }
        if self.pending.is_empty() || bug("mark_not_committed") {
            return Ok(true);
        }
        let frames = self.run.frames();
        let change = if had_progress { Change::Continue { frames, due_at: now_ms } } else { Change::Mark { frames } };
        crash::point("mark.before");
        let is_live = self.settle(change, now_ms).await?;
        crash::point("mark.after");
        Ok(is_live)
    }

    // The last look before a request leaves: among other hosts a lease may have run out since the claim, while
    // this process was stopped or the database was away. Then the run says whether somebody else has it.
    async fn is_still_ours(&mut self) -> store::Result<bool> {
        let Some(presence) = self.host.store.presence().cloned() else { return Ok(true) };
        while !presence.is_valid() || presence.lapses() != self.lapses {
            presence.is_valid_again().await;
            let lapses = presence.lapses();
            if !self.settle(Change::Mark { frames: self.run.frames() }, self.host.now_ms()).await? {
                return Ok(false);
            }
            self.lapses = lapses;
        }
        Ok(true)
    }

    async fn settle_progress(&mut self, now_ms: i64) -> store::Result<bool> {
        if self.pending.is_empty() {
            return Ok(true);
        }
        self.settle(Change::Continue { frames: self.run.frames(), due_at: now_ms }, now_ms).await
    }

    async fn leave(&mut self, due_ms: i64) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let due_ms = if bug("retry_lost") { i64::MAX } else { due_ms };
        let is_live = self.settle(Change::Wait { frames: self.run.frames(), due_at: due_ms }, now_ms).await?;
        Ok(if is_live { Left::Waits { due_ms } } else { Left::Over })
    }

    async fn park(&mut self) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let message = format!(
            "run {0} waits for a person: the service may or may not have done its last step; look there, then \
             `tidegate runs settle {0} done|retry|failed`",
            self.id
        );
        let notice = Notice {
            flow: Some(self.flow.name.clone()),
            kind: State::Unknown.word().to_owned(),
            message: message.clone(),
            at: now_ms,
            ..Notice::default()
        };
        if self.settle(Change::Unknown { frames: self.run.frames(), notice: notice.clone() }, now_ms).await? {
            self.host.announce(&notice);
            self.over(State::Unknown, Some(message), now_ms);
        }
        Ok(Left::Over)
    }

    async fn end(&mut self, ending: Ending) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let (state, error, message) = match ending {
            Ending::Succeeded => (State::Succeeded, None, None),
            Ending::Stopped { message } => (State::Succeeded, None, message),
            Ending::Failed(failure) => {
                let message = format!("{}: {}", failure.step, failure.failure.message);
                (State::Failed, serde_json::to_string(&failure).ok(), Some(message))
            }
        };
        if self.settle(Change::End { state, error }, now_ms).await? {
            self.over(state, message, now_ms);
        }
        Ok(Left::Over)
    }

    // A newer item takes this run's place; nothing is being sent now, and nothing is left open.
    async fn give_way(&mut self) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let error = Some(serde_json::json!({ "message": REPLACED }).to_string());
        if self.settle(Change::End { state: State::Cancelled, error }, now_ms).await? {
            self.over(State::Cancelled, Some(REPLACED.to_owned()), now_ms);
        }
        Ok(Left::Over)
    }

    // What is known is kept until the store takes it: after a full disk no answer that came is forgotten.
    async fn settle(&mut self, change: Change, now_ms: i64) -> store::Result<bool> {
        let steps = self.pending.take();
        let made = std::mem::take(&mut self.pending.made);
        let approvals = Changes { may_ask: self.flow.flow.may_ask(), ..std::mem::take(&mut self.pending.approvals) };
        let settlement = Arc::new(Settlement {
            run: self.id.clone(),
            epoch: self.epoch,
            steps,
            made,
            change,
            approvals,
            started_at: self.started_ms,
            now_ms,
        });
        crash::point("settle.before");
        loop {
            match self.host.store.settle(Arc::clone(&settlement)).await {
                Err(error) if error.retryable && self.host.stop() == Stop::No => {
                    self.host.store_refused(&error);
                    tokio::time::sleep(Duration::from_millis(STORE_PAUSE_MS.unsigned_abs())).await;
                }
                settled => {
                    if settled.is_ok() {
                        self.host.store_took();
                    }
                    crash::point("settle.after");
                    if matches!(settled, Ok(false)) {
                        self.tell_taken().await?;
                    }
                    return settled;
                }
            }
        }
    }

    // Another host goes on with the run: what this one did of it since is in no journal.
    async fn tell_taken(&self) -> store::Result<()> {
        if self.host.store.give_way(self.id.clone(), self.epoch).await? {
            self.host.taken_over.lock().push(self.id.clone());
        }
        Ok(())
    }

    fn over(&self, state: State, message: Option<String>, now_ms: i64) {
        if state != State::Unknown {
            self.host.ended();
        }
        if state == State::Failed {
            tracing::warn!(
                flow = self.flow.name,
                run = self.id,
                "run failed: {}",
                message.as_deref().unwrap_or_default()
            );
        }
        let elapsed_ms = now_ms - self.created_ms;
        self.host.tell(&self.flow.name, || What::RunEnded {
            run: self.id.clone(),
            state: state.word(),
            message,
            elapsed_ms,
        });
    }

    fn tell_steps(&mut self, now_ms: i64) {
        if !self.host.events.is_heard() {
            self.pending.hear_nothing();
            return;
        }
        for told in self.pending.untold() {
            if told.state == EntryState::Sending {
                continue;
            }
            let step = told.id.clone().unwrap_or_else(|| told.key.clone());
            let summary = journal::summary(&told);
            let (form, state) = (told.form.to_string(), told.state.as_str().to_owned());
            let what = What::StepEnded { run: self.id.clone(), step, form, state, summary };
            self.host.events.tell(now_ms, &self.flow.name, what);
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
