//! The blocks of a step: begun, done turn by turn, paused between two turns, and left.

use std::sync::Arc;

use serde_json::{Value, json};

use super::frame::{Frame, block, step};
use super::nesting::Deadline;
use super::walk::Walk;
use super::{EntryState, Failure, Next, Reason};
use crate::clock::rfc3339;
use crate::steps::{EndOfTurn, Step};

impl<'a> Walk<'a> {
    /// Begins a step that has blocks.
    pub(super) fn open(&mut self, step: &'a Step, given: Value) {
        let given = match step.form.asks() {
            false => given,
            true => match self.ask(step, given) {
                Some(terms) => terms,
                None => return,
            },
        };
        let mut entry = self.entry(step, EntryState::Running);
        let input = match step.form.composite() {
            None => given,
            Some(target) => {
                if let Some(output) = self.run.known.remove(&entry.key) {
                    entry.input = Some(Arc::new(given));
                    return self.succeed(step, entry, output);
                }
                match self.run.composites.begin(target, given.clone()) {
                    Ok(roots) => roots,
                    Err(failure) => {
                        entry.input = Some(Arc::new(given));
                        return self.fail(step, entry, failure);
                    }
                }
            }
        };
        entry.input = Some(Arc::new(input.clone()));
        entry.ended_ms = None;
        self.entries.push(entry);
        self.begin_turn(step, Frame { input, started_ms: self.now_ms, ..Frame::default() });
    }

    /// The innermost block has no more steps.
    pub(super) fn end_block(&mut self) -> Option<Next> {
        let (frame, outer) = self.run.frames.split_last()?;
        let Some(step) = step(self.flow, self.run.section, outer) else {
            self.end_section();
            return None;
        };
        if let Some(due_ms) = frame.pause_ms {
            return self.end_pause(step, due_ms);
        }
        if let Some(first) = frame.missed.first().filter(|_| !frame.has_done) {
            let left = json!({"missed": first});
            self.next_turn(Some(left));
            return None;
        }
        self.run.scope.set_now(self.run.clock_ms);
        match step.form.end_turn(frame.turn, &self.run.scope) {
            Ok(EndOfTurn::Next) => self.next_turn(None),
            Ok(EndOfTurn::Leave(left)) => self.next_turn(Some(left)),
            Ok(EndOfTurn::Pause { length_ms }) => self.pause(step, length_ms),
            Ok(EndOfTurn::Done(output)) => {
                let (step, frame) = self.leave_block()?;
                let mut entry = self.entry(step, EntryState::Succeeded);
                entry.started_ms = frame.started_ms;
                self.succeed(step, entry, output);
            }
            Err(error) => self.fail_block(error.into(), None),
        }
        None
    }

    /// Leaves the innermost block; gives the step that it belongs to. `None` at the top.
    pub(super) fn leave_block(&mut self) -> Option<(&'a Step, Frame)> {
        let flow = self.flow;
        let (_, outer) = self.run.frames.split_last()?;
        let step = step(flow, self.run.section, outer)?;
        let inner = block(flow, self.run.section, &self.run.frames);
        let frame = self.run.leave_turn()?;
        if step.form.is_loop()
            && let Some(inner) = inner
        {
            self.run.withdraw(&inner.ids);
        }
        Some((step, frame))
    }

    /// Begins the turn that `frame` says, or ends `step` where there is none.
    fn begin_turn(&mut self, step: &'a Step, mut frame: Frame) {
        let Some(block) = step.form.next_block(frame.turn, &frame.input, &frame.collected) else {
            let mut entry = self.entry(step, EntryState::Succeeded);
            entry.started_ms = frame.started_ms;
            let output = match step.form.collects() {
                true => Value::Array(frame.collected),
                false => Value::Null,
            };
            return self.succeed(step, entry, output);
        };
        let (key, scope) = self.place();
        frame.block = block;
        frame.at = 0;
        frame.pause_ms = None;
        frame.missed.clear();
        frame.has_done = false;
        frame.place(step, &key, &scope);
        self.run.enter_turn(step, &key, frame);
    }

    /// Goes from the turn that has just ended, which left `left`, to the next.
    fn next_turn(&mut self, left: Option<Value>) {
        let Some((step, mut frame)) = self.leave_block() else {
            return;
        };
        if let Some(left) = left {
            let mut entry = self.entry(step, EntryState::Succeeded);
            entry.id = None;
            entry.scope = format!("{}[]", entry.key);
            entry.key = std::mem::take(&mut frame.scope);
            entry.output = Some(left.clone());
            self.entries.push(entry);
            frame.collected.push(left);
        }
        frame.turn += 1;
        self.begin_turn(step, frame);
    }

    /// Waits before the next turn, counted from when the last step was settled; not where that would be too late.
    fn pause(&mut self, step: &'a Step, length_ms: i64) {
        let due_ms = self.run.clock_ms.saturating_add(length_ms);
        if let Some(deadline) = self.deadline_around().filter(|deadline| deadline.at_ms < due_ms) {
            return self.fail_block(deadline.failure(None), Some(deadline));
        }
        self.note_pause(step, EntryState::Waiting, due_ms);
        if let Some(frame) = self.run.frames.last_mut() {
            frame.pause_ms = Some(due_ms);
        }
    }

    fn end_pause(&mut self, step: &'a Step, due_ms: i64) -> Option<Next> {
        // In a retry of a failed run it was waited for already.
        let key = self.run.frames.last().map(|frame| frame.scope.clone()).unwrap_or_default();
        let is_known = self.run.known.remove(&key).is_some();
        if due_ms > self.now_ms && !is_known {
            return Some(Next::Wait { due_ms, reason: Reason::Wait });
        }
        self.run.clock_ms = self.now_ms;
        self.note_pause(step, EntryState::Succeeded, due_ms);
        self.next_turn(None);
        None
    }

    /// The journal's entry for the pause after a turn has that turn's key.
    fn note_pause(&mut self, step: &Step, state: EntryState, due_ms: i64) {
        let Some(frame) = self.run.frames.last() else {
            return;
        };
        let turn = frame.scope.clone();
        let mut entry = self.entry(step, state);
        (entry.key, entry.scope, entry.id) = (turn.clone(), turn, None);
        entry.input = Some(Arc::new(json!({"until": rfc3339(due_ms)})));
        entry.started_ms = self.run.clock_ms.min(self.now_ms);
        if state == EntryState::Waiting {
            entry.ended_ms = None;
        }
        self.entries.push(entry);
    }

    /// Fails the step that the innermost block belongs to; because of a deadline down to the step that has it.
    pub(super) fn fail_block(&mut self, failure: Failure, deadline: Option<Deadline>) {
        if let Some((step, frame)) = self.leave_block() {
            let mut entry = self.entry(step, EntryState::Failed);
            entry.started_ms = frame.started_ms;
            let origin = self.name(step);
            let depth = deadline.map_or(usize::MAX, |deadline| deadline.depth);
            self.fail_of(origin, step, entry, failure, depth);
        }
    }
}
