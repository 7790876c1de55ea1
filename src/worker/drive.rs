//! One run at work: `engine` says what is next, this performs it, and the store commits what came of it.
//! A settlement never waits for a permit; the mark of the next request shares its commit where it is at hand.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::claims::STORE_PAUSE_MS;
use super::definition::Definition;
use super::events::What;
use super::host::{Host, Stop};
use super::journal::{self, Notes, Pending};
use super::lookup;
use super::send::{self, Ready};
use crate::engine::{self, Call, Decision, Ending, EntryState, Event, Facts, Failure, Next, Reason, Run, advance};
use crate::store::due::DueRun;
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
}

/// What one run is worked on with.
struct Drive<'a> {
    host: &'a Host,
    id: String,
    flow: Arc<Definition>,
    created_ms: i64,
    started_ms: i64,
    run: Run,
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
    let facts = Facts { run_id: due.id.clone(), item, inputs: definition.inputs.clone(), started_ms };
    let taken = match take_up(host, due, &definition.flow, facts).await? {
        Ok(taken) => taken,
        Err(failure) => return give_up(host, due, &failure).await,
    };
    let id = due.id.clone();
    let mut drive = Drive {
        host,
        id,
        flow: definition,
        created_ms: due.created_at,
        started_ms,
        run: taken.run,
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
        let otherwise = if was_sending { Event::Crashed } else { Event::Due };
        let event = settled.map_or(otherwise, Event::Settled);
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
            let Decision { entries, next } = advance(&self.flow.flow, &mut self.run, event, now_ms);
            self.pending.add(entries);
            self.tell_steps(now_ms);
            event = match next {
                Next::Call(call) => {
                    if self.host.stop() == Stop::Drain {
                        return self.leave(now_ms).await;
                    }
                    if self.host.replaced.lock().remove(&self.id) {
                        return self.give_way().await;
                    }
                    match send::prepare(self.host, &self.flow, &call, self.notes.of_key(&call.key)) {
                        Err(failure) => Event::Failed(failure),
                        Ok(prepared) => match self.permit(prepared).await? {
                            Ready::Later { until_ms } => {
                                self.host.keep_blocks().await?;
                                return self.leave(until_ms).await;
                            }
                            Ready::Now(sending) => {
                                let note = sending.note();
                                if !self.commit_before(&call, note).await? {
                                    return Ok(Left::Over);
                                }
                                let sent = sending.send(self.host).await;
                                self.pending.exchange(&call.key, sent.exchange);
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
                    lookup::look(self.host, &self.flow, &self.id, &look).await?
                }
                Next::Wait { reason: Reason::Commit, .. } => {
                    if !self.settle_progress(now_ms).await? {
                        return Ok(Left::Over);
                    }
                    Event::Due
                }
                Next::Wait { due_ms, .. } => return self.leave(due_ms).await,
                Next::Unknown => return self.park().await,
                Next::Ended(ending) => return self.end(ending).await,
            };
        }
    }

    // A permit that is free at once lets the mark share the settlement's commit.
    async fn permit(&mut self, prepared: send::Prepared) -> store::Result<Ready> {
        match send::permit(self.host, prepared) {
            send::Permitted::Ready(ready) => Ok(ready),
            send::Permitted::Crowded(prepared, blocked) => {
                if !self.pending.is_empty() && !self.settle_progress(self.host.now_ms()).await? {
                    return Ok(Ready::Later { until_ms: self.host.now_ms() });
                }
                Ok(send::wait(self.host, prepared, blocked).await)
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
        if self.pending.is_empty() {
            return Ok(true);
        }
        let frames = self.run.frames();
        let change = if had_progress { Change::Continue { frames, due_at: now_ms } } else { Change::Mark { frames } };
        self.settle(change, now_ms).await
    }

    async fn settle_progress(&mut self, now_ms: i64) -> store::Result<bool> {
        if self.pending.is_empty() {
            return Ok(true);
        }
        self.settle(Change::Continue { frames: self.run.frames(), due_at: now_ms }, now_ms).await
    }

    async fn leave(&mut self, due_ms: i64) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let is_live = self.settle(Change::Continue { frames: self.run.frames(), due_at: due_ms }, now_ms).await?;
        Ok(if is_live { Left::Waits { due_ms } } else { Left::Over })
    }

    async fn park(&mut self) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        if self.settle(Change::Unknown { frames: self.run.frames() }, now_ms).await? {
            let message = "the service may or may not have done it: settle it with `tidegate runs settle`";
            self.over(State::Unknown, Some(message.to_owned()), now_ms);
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

    // A newer item takes this run's place; nothing is being sent now.
    async fn give_way(&mut self) -> store::Result<Left> {
        let now_ms = self.host.now_ms();
        let change = Change::End { state: State::Cancelled, error: None };
        if self.settle(change, now_ms).await? {
            self.over(State::Cancelled, Some("a newer item took its place".to_owned()), now_ms);
        }
        Ok(Left::Over)
    }

    // What is known is kept until the store takes it: after a full disk no answer that came is forgotten.
    async fn settle(&mut self, change: Change, now_ms: i64) -> store::Result<bool> {
        let steps = self.pending.take();
        let settlement =
            Arc::new(Settlement { run: self.id.clone(), steps, change, started_at: self.started_ms, now_ms });
        loop {
            match self.host.store.settle(Arc::clone(&settlement)).await {
                Err(error) if error.retryable && self.host.stop() == Stop::No => {
                    self.host.store_refused(&error);
                    tokio::time::sleep(Duration::from_millis(STORE_PAUSE_MS.unsigned_abs())).await;
                }
                settled => {
                    self.host.store_took();
                    return settled;
                }
            }
        }
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
            let what = What::StepEnded { run: self.id.clone(), step, state: told.state.as_str().to_owned(), summary };
            self.host.events.tell(now_ms, &self.flow.name, what);
        }
    }
}

// The run cannot even be read: it ends, and says why.
async fn give_up(host: &Host, due: &DueRun, failure: &Failure) -> store::Result<Left> {
    let error = serde_json::to_string(failure).ok();
    let now_ms = host.now_ms();
    if host.store.end_run(due.id.clone(), State::Failed, error, now_ms).await? {
        host.ended();
        tracing::error!(run = due.id, code = failure.code, "run failed: {}", failure.message);
    }
    Ok(Left::Over)
}

/// What the service gave for one request.
pub struct Sent {
    /// The request and response, as JSON with secrets masked.
    pub exchange: Option<String>,
    /// What came of it.
    pub result: Result<Value, Failure>,
}

impl Sent {
    /// Nothing was sent.
    pub fn nothing(why: &str) -> Self {
        Sent { exchange: None, result: Err(Failure::not_sent("not_sent", why)) }
    }
}
