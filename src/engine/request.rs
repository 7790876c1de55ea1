//! The request of a step: begun, described for the worker, and, where the action has a list of its own, begun
//! again for each element.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::frame::{ElementResult, Phase, Underway};
use super::retry::idempotency_key;
use super::run::describe;
use super::walk::Walk;
use super::{Call, Effect, EntryState, Failure, LookUp, Next, Outcome, Reason, Verdict};
use crate::manifest::connector::OnPartial;
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
        current.uncertain_since_ms = None;
        current.failure = None;
        current.sent_ms = now_ms;
    }

    /// The end of `step`'s time, where it has one.
    pub(super) fn deadline_ms(&self, step: &Step) -> Option<i64> {
        let entered_ms = self.run.current.as_ref()?.entered_ms;
        Some(entered_ms.saturating_add(step.deadline_ms?))
    }

    fn call(&mut self, step: &'a Step) -> Option<Next> {
        let outside = step.form.outside()?;
        let deadline_ms = self.deadline_ms(step);
        let (key, scope) = self.place();
        let step_name = step.id.clone().unwrap_or_else(|| key.clone());
        let current = self.run.current.as_mut()?;
        current.phase = Phase::Sending;
        let (key, scope) = current.place(key, scope);
        let attempt = current.attempt;
        if let Some(mark) = self.run.mark.take_if(|mark| mark.key == key && mark.attempt == attempt) {
            current.sent_ms = mark.at_ms;
            self.attempt_failed(step, crashed());
            return None;
        }
        if let Some(output) = self.run.known.remove(&key) {
            self.done(step, output);
            return None;
        }
        if deadline_ms.is_some_and(|deadline_ms| deadline_ms <= self.now_ms) {
            self.give_up_in_time(step);
            return None;
        }
        current.sent_ms = self.now_ms;
        let timeout_ms = step.timeout_ms.or(outside.timeout_ms);
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
            idempotency_key: (outside.effect == Effect::Key).then(|| idempotency_key(&self.run.id, &key)),
            timeout_ms: timeout_ms.into_iter().chain(left_ms).min(),
            after_uncertain: current.uncertain_since_ms.is_some(),
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
        let step_name = step.id.clone().unwrap_or_else(|| key.clone());
        let (key, _) = current.place(key, scope);
        Some(Next::Reconcile(Box::new(LookUp {
            key,
            step: step_name,
            target: outside.target.clone(),
            inputs: current.input.clone(),
            element: current.element_value().cloned(),
            reconcile: reconcile.clone(),
            since_ms: current.uncertain_since_ms.unwrap_or(current.sent_ms),
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
                Err(failure) => ("failed", "error", describe(&failure)),
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
