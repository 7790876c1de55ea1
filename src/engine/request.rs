//! The request of a step: begun, described for the worker, and, where the action has a list of its own, begun
//! again for each element.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::frame::{ElementResult, Phase, Underway};
use super::retry::idempotency_key;
use super::walk::Walk;
use super::{Call, Effect, EntryState, Failure, LookUp, Next, Outcome, Reason, Verdict};
use crate::manifest::connector::OnPartial;
use crate::planted::bug;
use crate::steps::{Outside, Step};

impl<'a> Walk<'a> {
    /// Makes `step` the one that is under way.
    pub(super) fn begin_request(&mut self, step: &'a Step, input: Value) {
        match request(step, input, self.now_ms) {
            Ok(current) => {
                let is_empty = current.element.is_some() && current.elements.is_empty();
                self.run.current = Some(current);
                if is_empty {
                    self.finish_elements(step);
                }
            }
            Err(failure) => {
                let entry = self.entry(step, EntryState::Failed);
                self.fail(step, entry, failure);
            }
        }
    }

    /// What the step under way needs; `None` when that has changed where the run stands.
    pub(super) fn proceed(&mut self, step: &'a Step) -> Option<Next> {
        let phase = self.run.current.as_ref()?.phase;
        let (due_ms, reason) = match phase {
            Phase::Sending => return self.call(step),
            Phase::Unknown => return Some(Next::Unknown),
            Phase::Asking { due_ms, expires_ms } => return self.answers(due_ms, expires_ms),
            Phase::Retrying { due_ms } => (due_ms, Reason::Retry),
            Phase::RateLimited { due_ms } => (due_ms, Reason::RateLimit),
            Phase::Waiting { due_ms } => {
                let is_known = self.run.known.remove(&self.place().0).is_some();
                (if is_known { self.now_ms } else { due_ms }, Reason::Wait)
            }
            Phase::LookingUp { due_ms, .. } => (due_ms, Reason::LookUp),
        };
        if due_ms > self.now_ms {
            return Some(Next::Wait { due_ms, reason });
        }
        match reason {
            Reason::LookUp => self.look_up(step),
            Reason::Wait => {
                self.done(step, Value::Null);
                None
            }
            _ => self.call(step),
        }
    }

    /// Goes to the next element of the action's own list, or ends the step.
    pub(super) fn next_element(&mut self, step: &'a Step, result: ElementResult) {
        let now_ms = self.now_ms;
        let Some(current) = &mut self.run.current else {
            return;
        };
        current.results.push(result);
        let next = current.results.len();
        if next >= current.elements.len() {
            return self.finish_elements(step);
        }
        current.element = Some(next);
        current.phase = Phase::Sending;
        current.attempt = 1;
        current.cut_short = 0;
        current.uncertain_since_ms = None;
        current.failure = None;
        current.sent_ms = now_ms;
    }

    fn call(&mut self, step: &'a Step) -> Option<Next> {
        let outside = step.form.outside()?;
        let deadline_ms = self.deadline(step).map(|deadline| deadline.at_ms);
        let (key, scope) = self.place();
        let step_name = self.name(step);
        let timeout_ms = self.timeout_ms(step);
        let asking = self.asking();
        let origin = self.run.origin().to_owned();
        let current = self.run.current.as_mut()?;
        current.phase = Phase::Sending;
        let (key, scope) = current.place(key, scope);
        let attempt = current.attempt;
        if !bug("mark_ignored")
            && let Some(mark) = self.run.mark.take_if(|mark| mark.key == key && mark.attempt == attempt)
        {
            current.sent_ms = mark.at_ms;
            if self.is_orphaned {
                self.park_unseen(step, orphaned());
            } else {
                current.cut_short = current.cut_short.saturating_add(1);
                self.attempt_failed(step, crashed());
            }
            return None;
        }
        if let Some(output) = self.run.known.remove(&key) {
            self.done(step, output);
            return None;
        }
        // Once it has been taken over, the frames say so.
        if let Some(left) = self.run.uncertain.remove(&key)
            && current.uncertain_since_ms.is_none()
        {
            if matches!(outside.effect, Effect::None | Effect::Lookup(_)) {
                self.take_over_unknown(step, left);
                return None;
            }
            current.uncertain_since_ms = Some(left.since_ms);
        }
        if deadline_ms.is_some_and(|deadline_ms| deadline_ms <= self.now_ms) {
            self.give_up_in_time(step);
            return None;
        }
        current.sent_ms = self.now_ms;
        let timeout_ms = timeout_ms.or(outside.timeout_ms);
        let left_ms = deadline_ms.map(|deadline_ms| deadline_ms - self.now_ms);
        Some(Next::Call(Box::new(Call {
            step: step_name,
            title: step.title.clone(),
            attempt,
            target: outside.target.clone(),
            inputs: current.input.clone(),
            element: current.element_value().cloned(),
            effect: outside.effect.clone(),
            needs_mark: outside.effect.needs_mark(),
            idempotency_key: (outside.effect == Effect::Key).then(|| idempotency_key(&origin, &keyed(&key, attempt))),
            timeout_ms: timeout_ms.into_iter().chain(left_ms).min(),
            after_uncertain: current.uncertain_since_ms.is_some(),
            asking,
            key,
            scope,
        })))
    }

    fn look_up(&mut self, step: &'a Step) -> Option<Next> {
        let outside = step.form.outside()?;
        let Effect::Lookup(reconcile) = &outside.effect else {
            return None;
        };
        let (key, scope) = self.place();
        let current = self.run.current.as_ref()?;
        let step_name = self.name(step);
        let (key, _) = current.place(key, scope);
        Some(Next::Reconcile(Box::new(LookUp {
            key,
            step: step_name,
            target: outside.target.clone(),
            inputs: current.input.clone(),
            element: current.element_value().cloned(),
            reconcile: reconcile.clone(),
            since_ms: current.uncertain_since_ms.unwrap_or(current.sent_ms),
            asking: self.asking(),
        })))
    }

    fn finish_elements(&mut self, step: &'a Step) {
        let Some(current) = self.run.current.take() else {
            return;
        };
        self.run.clock_ms = self.now_ms;
        let count = current.results.len();
        let failures: Vec<Failure> =
            current.results.iter().filter_map(|result| result.as_ref().err().cloned()).collect();
        let output = gather(current.elements, current.results, failures.len());
        let mut entry = self.entry(step, EntryState::Succeeded);
        entry.input = Some(current.input);
        entry.started_ms = current.entered_ms;
        let on_partial = step
            .form
            .outside()
            .and_then(|outside| outside.elements.as_ref())
            .map(|elements| elements.on_partial)
            .unwrap_or_default();
        let failed = failures.len();
        match failures.into_iter().next() {
            Some(first) if failed == count || on_partial == OnPartial::Fail => {
                entry.output = Some(output);
                let message = format!("{failed} of {count} failed; the first: {}", first.message);
                self.fail(step, entry, Failure { message, ..first });
            }
            _ => self.succeed(step, entry, output),
        }
    }
}

/// A request of `step` with this input, before its first attempt.
pub(super) fn request(step: &Step, input: Value, now_ms: i64) -> Result<Underway, Failure> {
    let elements = step.form.outside().and_then(|outside: &Outside| outside.elements.as_ref());
    let mut current = Underway::new(Phase::Sending, now_ms);
    if let Some(elements) = elements {
        current.elements = elements.of(&input)?;
        current.element = Some(0);
    }
    current.input = Arc::new(input);
    Ok(current)
}

/// The host died with the mark in the journal: the request may have left.
fn crashed() -> Failure {
    Failure {
        outcome: Outcome::Unknown,
        verdict: Verdict::Retry { after_ms: None },
        ..Failure::not_sent("crashed", "the host stopped while the request was under way")
    }
}

/// The host that left the mark is out of sight, and not known to have ended.
fn orphaned() -> Failure {
    let message = "another host stood still while the request was under way, and may yet send it";
    Failure { outcome: Outcome::Unknown, verdict: Verdict::Fail, ..Failure::not_sent("orphaned", message) }
}

// The same for every attempt.
fn keyed(key: &str, attempt: u32) -> String {
    if bug("key_per_attempt") { format!("{key} {attempt}") } else { key.to_owned() }
}

fn gather(elements: Vec<Value>, results: Vec<ElementResult>, failed: usize) -> Value {
    let status = match failed {
        0 => "successful",
        failed if failed == results.len() => "failed",
        _ => "partially_successful",
    };
    let results = elements
        .into_iter()
        .zip(results)
        .map(|(element, result)| {
            let (status, name, value) = match result {
                Ok(output) => ("successful", "output", output),
                Err(failure) => ("failed", "error", failure.told()),
            };
            let mut told = Map::new();
            told.insert("element".to_owned(), element);
            told.insert("status".to_owned(), Value::from(status));
            told.insert(name.to_owned(), value);
            Value::Object(told)
        })
        .collect();
    let mut output = Map::new();
    output.insert("status".to_owned(), Value::from(status));
    output.insert("results".to_owned(), Value::Array(results));
    Value::Object(output)
}
