//! Approvals within a run: one begins with an id of its own, waits for answers, reminds, and is given up with the
//! step that asks. What came of the answers is decided where they are written down, in the store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::approval::{Ask, Asking, Awaited, Resolution, Terms, Unreached, approval_id, unreached};
use super::frame::{Phase, Underway, containers, step};
use super::walk::Walk;
use super::{EntryState, Failure, Next};
use crate::clock::rfc3339;
use crate::steps::Step;

impl<'a> Walk<'a> {
    /// Begins what `step` asks: its terms with their id. `None` where a run that this one retries has its answer.
    pub(super) fn ask(&mut self, step: &'a Step, mut given: Value) -> Option<Value> {
        let (key, _) = self.place();
        if let Some(output) = self.run.known.remove(&key) {
            let mut entry = self.entry(step, EntryState::Succeeded);
            entry.input = Some(Arc::new(given));
            self.succeed(step, entry, output);
            return None;
        }
        // It is asked anew, with links and codes of its own: what the earlier run sent is of no use.
        let turns = format!("{key}[");
        self.run.known.retain(|known, _| !known.starts_with(&turns));
        self.run.uncertain.retain(|uncertain, _| !uncertain.starts_with(&turns));
        let id = approval_id(&self.run.id, &key);
        if let Value::Object(terms) = &mut given {
            terms.insert("id".to_owned(), Value::from(id.as_str()));
        }
        if let Ok(terms) = serde_json::from_value::<Terms>(given.clone()) {
            let name = step.title.clone().unwrap_or_else(|| self.name(step));
            self.asks.push(Ask::Open { id, key, step: name, terms: Arc::new(terms) });
        }
        Some(given)
    }

    /// Everybody was sent the question: waits until enough have answered, a reminder is due, or the time is over.
    pub(super) fn await_answers(&mut self, step: &'a Step) {
        let Some((terms, waits, missed)) = self.run.frames.last().and_then(|frame| {
            let waits: Vec<i64> = frame.collected.iter().filter_map(|left| left.get("expires_ms")?.as_i64()).collect();
            let terms = serde_json::from_value::<Terms>(frame.input.clone()).ok()?;
            // Whoever could not be asked once may have been later: then nobody is missed any more.
            let was_missed = frame.collected.iter().any(|left| left.get("missed").is_some());
            let missed: Option<Vec<(usize, Failure)>> = was_missed.then(|| {
                let missed = unreached(terms.approvers.len(), &frame.collected).into_iter();
                missed.filter_map(|(at, why)| Some((at, serde_json::from_value(why.clone()).ok()?))).collect()
            });
            Some((terms, waits, missed))
        }) else {
            return;
        };
        if let Some(missed) = missed {
            if missed.len() == terms.approvers.len() {
                return self.nobody_asked(missed);
            }
            let told = |(position, Failure { code, message, .. })| Unreached { position, code, message };
            let unreached = missed.into_iter().map(told).collect();
            self.asks.push(Ask::Unreached { id: terms.id.clone(), unreached });
        }
        let expires_ms = match waits.first() {
            Some(expires_ms) => *expires_ms,
            None => {
                let own_ms = self.now_ms.saturating_add(terms.expires_ms);
                let expires_ms = self.deadline_around().map_or(own_ms, |deadline| deadline.at_ms.min(own_ms));
                self.asks.push(Ask::Until { id: terms.id, expires_ms });
                expires_ms
            }
        };
        let reminder = terms.reminders.filter(|reminders| waits.len() < reminders.limit as usize);
        let due_ms =
            reminder.map_or(expires_ms, |reminders| self.now_ms.saturating_add(reminders.every_ms).min(expires_ms));
        let mut entry = self.entry(step, EntryState::Waiting);
        entry.input = Some(Arc::new(json!({"until": rfc3339(expires_ms)})));
        entry.ended_ms = None;
        self.entries.push(entry);
        self.run.current = Some(Underway::new(Phase::Asking { due_ms, expires_ms }, self.now_ms));
    }

    /// Nobody could be sent the question: the first failure is the step's.
    fn nobody_asked(&mut self, missed: Vec<(usize, Failure)>) {
        let count = missed.len();
        let Some((_, first)) = missed.into_iter().next() else { return };
        let message = match count {
            1 => first.message,
            _ => format!("none of {count} could be asked; the first: {}", first.message),
        };
        self.fail_block(Failure { message, ..first }, None);
    }

    /// Whether the failure of a step in the innermost block is passed over, as another message may reach whom it
    /// was for, or others can be asked. A deadline that is not the step's own, by `depth`, ends what it is of.
    pub(super) fn passes_over(&mut self, failure: &Failure, depth: usize) -> bool {
        if !self.flow.may_ask() || self.run.frames.len() > depth {
            return false;
        }
        let Some((frame, outer)) = self.run.frames.split_last_mut() else { return false };
        let may_miss = |asking: &Step| asking.form.may_miss(frame.turn, &frame.input);
        let is_passed = step(self.flow, self.run.section, outer).is_some_and(may_miss);
        if is_passed {
            frame.missed.push(failure.clone());
        }
        is_passed
    }

    /// What the wait for answers needs.
    pub(super) fn answers(&self, due_ms: i64, expires_ms: i64) -> Option<Next> {
        let frame = self.run.frames.last()?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let first = frame.input.get("choices").and_then(|choices| choices.get(0)?.get("name"));
        Some(Next::Answers(Box::new(Awaited {
            approval: text(frame.input.get("id"))?,
            first_choice: text(first),
            due_ms,
            expires_ms,
        })))
    }

    /// The answers are in, or the time is over.
    pub(super) fn resolved(&mut self, step: &'a Step, resolution: &Resolution) {
        self.done(step, json!(resolution));
    }

    /// Those who have not answered are asked again; `answered` are the others, by position.
    pub(super) fn remind(&mut self, step: &'a Step, answered: &[usize], expires_ms: i64) {
        self.done(step, json!({"answered": answered, "expires_ms": expires_ms}));
    }

    /// Whom the request under way asks.
    pub(super) fn asking(&self) -> Option<Asking> {
        if !self.flow.may_ask() {
            return None;
        }
        let around = containers(self.flow, self.run.section, &self.run.frames);
        let (_, frame) = around.into_iter().rev().find(|(container, _)| container.form.asks())?;
        let approvers = frame.input.get("approvers").and_then(Value::as_array).map_or(0, Vec::len);
        let approval = frame.input.get("id").and_then(Value::as_str)?.to_owned();
        Some(Asking { approval, position: frame.turn % (approvers + 1) })
    }

    /// `step`, where the innermost frame stands, failed: nobody waits for what it asked.
    pub(super) fn give_up_asking(&mut self, step: &Step) {
        if step.form.asks() {
            let id = approval_id(&self.run.id, &self.place().0);
            self.asks.push(Ask::Close { id });
        }
    }
}
