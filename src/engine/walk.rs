//! Goes from step to step and from block to block, writing the journal on the way, until the run needs
//! something from outside.

use std::sync::Arc;

use serde_json::Value;

use super::approval::Ask;
use super::frame::{Frame, Phase, Section, Underway, step};
use super::{Ending, Entry, EntryState, Failure, Flow, Next, Reason, Run, StepFailure};
use crate::manifest::flow::OnError;
use crate::steps::approval::with_code;
use crate::steps::{self, Entered, Move, Step};

/// How many entries are decided before a commit is asked for.
const COMMIT_AFTER: usize = 1_000;

/// One call of `advance`.
pub(super) struct Walk<'a> {
    pub flow: &'a Flow,
    pub run: &'a mut Run,
    pub now_ms: i64,
    pub entries: Vec<Entry>,
    pub asks: Vec<Ask>,
    /// Whoever made the mark in the journal may still be at it.
    pub is_orphaned: bool,
}

impl<'a> Walk<'a> {
    /// Goes on from where the run stands to what it needs next.
    pub(super) fn go_on(&mut self) -> Next {
        loop {
            if let Some(ending) = &self.run.ended {
                return Next::Ended(ending.clone());
            }
            if self.entries.len() >= COMMIT_AFTER {
                return Next::Wait { due_ms: self.now_ms, reason: Reason::Commit };
            }
            let next = match step(self.flow, self.run.section, &self.run.frames) {
                Some(step) if self.run.current.is_some() => self.proceed(step),
                Some(step) => self.enter(step),
                None => self.end_block(),
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    /// An entry for `step`, where the innermost frame stands.
    pub(super) fn entry(&self, step: &Step, state: EntryState) -> Entry {
        let (key, scope) = self.place();
        Entry {
            key,
            scope,
            id: step.id.clone(),
            attempt: 1,
            form: step.form_name.into(),
            state,
            input: None,
            output: None,
            error: None,
            started_ms: self.now_ms,
            ended_ms: Some(self.now_ms),
        }
    }

    /// The key and the journal scope of the step at which the innermost frame stands.
    pub(super) fn place(&self) -> (String, String) {
        match self.run.frames.last() {
            Some(frame) => (frame.key(), frame.scope.clone()),
            None => (String::new(), String::new()),
        }
    }

    /// Notes that `step` is done and goes behind it.
    pub(super) fn succeed(&mut self, step: &Step, mut entry: Entry, output: Value) {
        if let Some(id) = &step.id {
            self.run.publish(id, EntryState::Succeeded, Some(output.clone()), None);
        }
        entry.state = EntryState::Succeeded;
        entry.output = Some(output);
        self.entries.push(entry);
        if self.flow.may_ask()
            && let Some(frame) = self.run.frames.last_mut()
        {
            frame.has_done = true;
        }
        self.next_position();
    }

    /// Notes that `step` failed for good; with it every step around it up to one that goes on all the same.
    pub(super) fn fail(&mut self, step: &'a Step, entry: Entry, failure: Failure) {
        let origin = self.name(step);
        self.fail_of(origin, step, entry, failure, usize::MAX);
    }

    /// The same where `origin` is what failed, and no step goes on that stands in more than `depth` frames.
    pub(super) fn fail_of(
        &mut self,
        origin: String,
        mut step: &'a Step,
        mut entry: Entry,
        failure: Failure,
        depth: usize,
    ) {
        loop {
            self.give_up_asking(step);
            if let Some(id) = &step.id {
                let output = entry.output.clone();
                self.run.publish(id, EntryState::Failed, output, Some(&failure));
            }
            entry.state = EntryState::Failed;
            entry.error = Some(failure.clone());
            self.entries.push(entry);
            let goes_on = step.on_error == OnError::Continue && self.run.frames.len() <= depth;
            if goes_on || self.passes_over(&failure, depth) {
                return self.next_position();
            }
            let Some((container, frame)) = self.leave_block() else {
                return self.fail_run(StepFailure { step: origin, failure, on_failure: None });
            };
            step = container;
            entry = self.entry(container, EntryState::Failed);
            entry.started_ms = frame.started_ms;
        }
    }

    fn enter(&mut self, step: &'a Step) -> Option<Next> {
        self.run.scope.set_now(self.run.clock_ms);
        if let Some(deadline) = self.deadline_around().filter(|deadline| deadline.at_ms < self.now_ms) {
            let entry = self.entry(step, EntryState::Failed);
            let origin = self.name(step);
            self.fail_of(origin, step, entry, deadline.failure(None), deadline.depth);
            return None;
        }
        match self.try_enter(step) {
            Ok(Some(entered)) => self.follow(step, entered),
            Ok(None) => {
                let entry = self.entry(step, EntryState::Skipped);
                if let Some(id) = &step.id {
                    self.run.publish(id, EntryState::Skipped, None, None);
                }
                self.entries.push(entry);
                self.next_position();
                None
            }
            Err(error) => {
                let entry = self.entry(step, EntryState::Failed);
                self.fail(step, entry, error.into());
                None
            }
        }
    }

    fn try_enter(&self, step: &Step) -> Result<Option<Entered>, steps::Error> {
        let scope = &self.run.scope;
        if let Some(guard) = &step.guard
            && !guard.is_true(scope)?
        {
            return Ok(None);
        }
        let mut entered = step.form.enter(scope)?;
        if self.flow.may_ask()
            && let Some(code) = scope.get("approval").and_then(|approval| approval.get("code")?.as_str())
        {
            entered.input = with_code(entered.input, code);
        }
        Ok(Some(entered))
    }

    fn follow(&mut self, step: &'a Step, entered: Entered) -> Option<Next> {
        let Entered { input, then } = entered;
        match then {
            Move::Call => self.begin_request(step, input),
            Move::Blocks => self.open(step, input),
            Move::Await => self.await_answers(step),
            Move::Done(output) => {
                let mut entry = self.entry(step, EntryState::Succeeded);
                entry.input = Some(Arc::new(input));
                self.succeed(step, entry, output);
            }
            Move::Wait { due_ms } => {
                if let Some(deadline) = self.deadline_around().filter(|deadline| deadline.at_ms < due_ms) {
                    let entry = self.entry(step, EntryState::Failed);
                    let origin = self.name(step);
                    self.fail_of(origin, step, entry, deadline.failure(None), deadline.depth);
                    return None;
                }
                let mut entry = self.entry(step, EntryState::Waiting);
                entry.input = Some(Arc::new(input));
                entry.ended_ms = None;
                self.entries.push(entry);
                self.run.current = Some(Underway::new(Phase::Waiting { due_ms }, self.now_ms));
            }
            Move::Stop { failed, message } => {
                let mut entry = self.entry(step, EntryState::Succeeded);
                entry.input = Some(Arc::new(input));
                let origin = self.name(step);
                self.entries.push(entry);
                self.stop(origin, failed, message);
            }
        }
        None
    }

    pub(super) fn next_position(&mut self) {
        if let Some(frame) = self.run.frames.last_mut() {
            frame.at += 1;
        }
    }

    pub(super) fn end_section(&mut self) {
        self.run.ended = Some(match self.run.failed.take() {
            Some(failed) => Ending::Failed(failed),
            None => Ending::Succeeded,
        });
    }

    /// Ends the composite action that the run is in, or else the run.
    fn stop(&mut self, origin: String, failed: bool, message: Option<String>) {
        let failure = failed
            .then(|| Failure::not_sent("stopped", message.clone().unwrap_or_else(|| "stopped by the flow".to_owned())));
        if self.stop_composite(failure.clone().map(|failure| (origin.clone(), failure))).is_some() {
            return;
        }
        let state = if failed { EntryState::Failed } else { EntryState::Succeeded };
        while let Some((step, frame)) = self.leave_block() {
            let mut entry = self.entry(step, state);
            entry.started_ms = frame.started_ms;
            self.entries.push(entry);
        }
        if let Some(failure) = failure {
            self.fail_run(StepFailure { step: origin, failure, on_failure: None });
        } else {
            self.run.ended = Some(match self.run.failed.take() {
                Some(failed) => Ending::Failed(failed),
                None => Ending::Stopped { message },
            });
        }
    }

    /// Does what the flow wants done when it fails; a failure of that ends the run with the first one.
    fn fail_run(&mut self, failed: StepFailure) {
        match self.run.failed.take() {
            Some(mut first) => {
                first.on_failure = Some(Box::new(failed));
                self.run.ended = Some(Ending::Failed(first));
            }
            None if self.flow.on_failure.steps.is_empty() => {
                self.run.ended = Some(Ending::Failed(failed));
            }
            None => self.run.begin_on_failure(failed),
        }
    }
}

impl Run {
    /// Turns to the steps of `on_failure`, which see what failed as `error`.
    pub(super) fn begin_on_failure(&mut self, failed: StepFailure) {
        let mut error = failed.failure.told();
        if let Value::Object(members) = &mut error {
            members.insert("step".to_owned(), Value::from(failed.step.as_str()));
        }
        self.scope.set("error", error);
        self.section = Section::OnFailure;
        self.scope.set("seed", Value::from(self.id.as_str()));
        self.frames = vec![Frame::root(Section::OnFailure)];
        self.failed = Some(failed);
    }
}

impl From<steps::Error> for Failure {
    fn from(error: steps::Error) -> Self {
        let failure = Failure::not_sent(error.code, error.message);
        match error.help {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }
}
