//! A run without a store, for `tidegate call`: the same engine and the same requests, waits waited out, and nothing
//! kept. What nobody knows the outcome of ends it, since nobody could settle it later.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::composites::Composites;
use super::definition::Definition;
use super::deployment::Deployment;
use super::journal::Notes;
use super::lookup::{self, Listed};
use super::send::{self, Permitted, Ready, Sending, Sent};
use crate::clock::{Clock, rfc3339};
use crate::connector::reconcile::Candidate;
use crate::connector::{Exchange, Executor};
use crate::engine::{
    self, Decision, Ending, Event, Facts, Failure, LookUp, Next, Outcome, Run, StepFailure, Verdict, advance,
};

/// How long a request waits at least when as many as permitted are under way.
const CROWDED_MS: i64 = 50;

/// What is worked with.
pub struct Memory<'a> {
    /// Sends.
    pub executor: &'a Executor,
    /// Has the accounts.
    pub deployment: Arc<Deployment>,
    /// What is done.
    pub definition: Arc<Definition>,
    /// Says when.
    pub clock: &'a Clock,
}

/// What came of it.
pub struct Remembered {
    /// The template root `steps` at its end, or which step failed.
    pub result: Result<Value, StepFailure>,
    /// Every request with its answer, in their order.
    pub exchanges: Vec<Exchange>,
}

impl Memory<'_> {
    /// Does all steps for an item.
    pub async fn run(&self, run_id: String, item: Value) -> Remembered {
        let flow = &self.definition.flow;
        // Before anybody is asked: nobody would wait for the answer.
        if flow.may_ask() {
            return Remembered { result: Err(needs_host()), exchanges: Vec::new() };
        }
        let facts = Facts {
            root_id: run_id.clone(),
            run_id,
            item,
            inputs: self.definition.inputs.clone(),
            started_ms: self.clock.now_ms(),
            composites: Composites::new(Arc::clone(&self.deployment), Arc::clone(&self.definition)),
        };
        let mut run = Run::begin(flow, facts);
        let mut notes = Notes::default();
        let mut exchanges = Vec::new();
        let mut claimed = HashSet::new();
        let mut event = Event::Begin;
        let result = loop {
            let Decision { next, .. } = advance(flow, &mut run, event, self.clock.now_ms());
            event = match next {
                Next::Call(call) => {
                    let sent = self.send(&call, &mut notes, &mut |seen| exchanges.push(seen.clone())).await;
                    match sent.result {
                        Ok(output) => {
                            claimed.extend(lookup::made(&self.deployment, &self.definition, &call, &output));
                            Event::Answered { output }
                        }
                        Err(failure) => Event::Failed(failure),
                    }
                }
                Next::Reconcile(look) => self.look(&look, &mut claimed).await,
                Next::Wait { due_ms, .. } => {
                    self.clock.reach(due_ms).await;
                    Event::Due
                }
                Next::Answers(_) => break Err(needs_host()),
                Next::Unknown => break Err(unknown()),
                Next::Ended(Ending::Failed(failed)) => break Err(failed),
                Next::Ended(Ending::Succeeded | Ending::Stopped { .. }) => {
                    break Ok(run.scope().get("steps").cloned().unwrap_or_default());
                }
            };
        };
        Remembered { result, exchanges }
    }

    async fn send(&self, call: &engine::Call, notes: &mut Notes, see: &mut (dyn FnMut(&Exchange) + Send)) -> Sent {
        let note = notes.of_key(&call.key);
        let prepared = send::prepare(self.executor, &self.deployment, &self.definition, call, note).await;
        match prepared.and_then(|prepared| self.permit(prepared)) {
            Ok(sending) => {
                if let Some(note) = sending.note() {
                    notes.keep(&call.key, note);
                }
                sending.send_seen(self.executor, see).await
            }
            Err(failure) => Sent { exchange: None, result: Err(failure) },
        }
    }

    /// A permit, or until when the engine has to wait for one.
    fn permit(&self, prepared: send::Prepared) -> Result<Sending, Failure> {
        let until_ms = match send::permit(self.executor, prepared) {
            Permitted::Ready(Ready::Now(sending)) => return Ok(sending),
            Permitted::Ready(Ready::Later { until_ms }) => until_ms,
            Permitted::Crowded(..) => self.clock.now_ms() + CROWDED_MS,
        };
        let message = format!("the service may be asked again at {}", rfc3339(until_ms));
        Err(Failure { verdict: Verdict::RateLimited { until_ms }, ..Failure::not_sent("rate_limited", message) })
    }

    /// One look; a record that was found for one step is not another's.
    async fn look(&self, look: &LookUp, claimed: &mut HashSet<(String, String)>) -> Event {
        match lookup::listed(self.executor, &self.deployment, &self.definition, look).await {
            Err(failure) => Event::Failed(failure),
            Ok(Listed { list, candidates, doubt }) => {
                let mut oldest_first = candidates.into_iter().rev();
                match oldest_first.find(|Candidate { id, .. }| claimed.insert((list.clone(), id.clone()))) {
                    Some(found) => Event::Found { output: found.record },
                    None => Event::NotFound { doubt },
                }
            }
        }
    }
}

fn needs_host() -> StepFailure {
    let message = "it asks people, and nobody would wait here for what they answer";
    let failure = Failure::not_sent("approval_needs_host", message)
        .with_help("use it in a flow: its run waits in the store, and the host takes it up when the answer comes");
    StepFailure { step: String::new(), failure, on_failure: None }
}

fn unknown() -> StepFailure {
    let message = "the service may or may not have done it";
    let failure = Failure {
        outcome: Outcome::Unknown,
        ..Failure::not_sent("outcome_unknown", message).with_help("look there before you call this again")
    };
    StepFailure { step: String::new(), failure, on_failure: None }
}
