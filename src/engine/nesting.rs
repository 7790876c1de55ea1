//! What the steps around a step mean for it: the names of composite actions that it is in, their scopes, and the
//! `deadline`, `timeout` and `retry` of the steps that call them.

use std::fmt::Debug;

use serde_json::{Map, Value};

use super::frame::{Frame, block, containers};
use super::walk::Walk;
use super::{EntryState, Failure, Run, Target};
use crate::manifest::Duration;
use crate::manifest::flow::Retry;
use crate::steps::Step;
use crate::template::Scope;

/// Whoever knows the accounts: completes and checks what a composite action is given, before its steps begin.
/// Asks nothing of the outside.
pub trait Composites: Debug + Send + Sync {
    /// The roots that the steps of `target` read: `{inputs, connection}`.
    ///
    /// # Errors
    /// Nothing was sent: an input is wrong, or there is no account.
    fn begin(&self, target: &Target, given: Value) -> Result<Value, Failure>;
}

/// The end of the time that a step, or one around it, has.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    /// UTC epoch milliseconds.
    pub at_ms: i64,
    pub length_ms: i64,
    /// How many frames there are where the step stands whose time it is.
    pub depth: usize,
}

impl Deadline {
    pub(super) fn failure(&self, last: Option<Failure>) -> Failure {
        let length = Duration::from_ms(self.length_ms);
        let message = match &last {
            Some(last) => format!("not done within {length}: {}", last.message),
            None => format!("not done within {length}"),
        };
        Failure {
            code: "deadline_exceeded".to_owned(),
            message,
            verdict: super::Verdict::Fail,
            ..last.unwrap_or_else(|| Failure::not_sent("", ""))
        }
    }
}

impl<'a> Walk<'a> {
    /// What people call `step`, which is where the innermost frame stands: its id, or else its key; within
    /// composite actions behind the name of the step that calls them.
    pub(super) fn name(&self, step: &Step) -> String {
        let frames = &self.run.frames;
        let mut name = String::new();
        let mut prefix = "";
        let mut add = |id: Option<&String>, key: &str, prefix: &str| {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(id.map_or_else(|| key.strip_prefix(prefix).unwrap_or(key), String::as_str));
        };
        for (container, frame) in containers(self.flow, self.run.section, frames) {
            let key = frame.scope.rsplit_once('.').map_or("", |(key, _)| key);
            if container.form.composite().is_some() {
                add(container.id.as_ref(), key, prefix);
                prefix = frame.prefix.get(..=key.len()).unwrap_or_default();
            }
        }
        add(step.id.as_ref(), &frames.last().map(Frame::key).unwrap_or_default(), prefix);
        name
    }

    /// The first deadline of the steps around where the run stands.
    pub(super) fn deadline_around(&self) -> Option<Deadline> {
        let around = containers(self.flow, self.run.section, &self.run.frames).into_iter().enumerate();
        let deadlines = around.filter_map(|(place, (container, frame))| {
            let length_ms = container.deadline_ms.filter(|_| container.form.is_timed())?;
            Some(Deadline { at_ms: frame.started_ms.saturating_add(length_ms), length_ms, depth: place + 1 })
        });
        deadlines.min_by_key(|deadline| deadline.at_ms)
    }

    /// The end of `step`'s time: its own, or that of a step around it.
    pub(super) fn deadline(&self, step: &Step) -> Option<Deadline> {
        let own = self.run.current.as_ref().and_then(|current| {
            let length_ms = step.deadline_ms?;
            let depth = self.run.frames.len();
            Some(Deadline { at_ms: current.entered_ms.saturating_add(length_ms), length_ms, depth })
        });
        own.into_iter().chain(self.deadline_around()).min_by_key(|deadline| deadline.at_ms)
    }

    /// How often `step` is tried: as it says itself, or as the step says that calls the composite it is in.
    pub(super) fn retry(&self, step: &'a Step) -> Option<&'a Retry> {
        step.retry.as_ref().or_else(|| self.callers().find_map(|caller| caller.retry.as_ref()))
    }

    /// How long an attempt of `step` may take, in milliseconds; found in the same way.
    pub(super) fn timeout_ms(&self, step: &'a Step) -> Option<i64> {
        step.timeout_ms.or_else(|| self.callers().find_map(|caller| caller.timeout_ms))
    }

    /// The steps whose composite actions the run is in, the innermost first.
    fn callers(&self) -> impl Iterator<Item = &'a Step> {
        let around = containers(self.flow, self.run.section, &self.run.frames).into_iter().rev();
        around.map(|(container, _)| container).filter(|container| container.form.composite().is_some())
    }

    /// Ends the composite action that the run is in as if its last step were done; `None` outside of any.
    pub(super) fn stop_composite(&mut self, failed: Option<(String, Failure)>) -> Option<()> {
        let flow = self.flow;
        let around = containers(flow, self.run.section, &self.run.frames);
        let place = around.iter().rposition(|(container, _)| container.form.composite().is_some())?;
        let state = if failed.is_some() { EntryState::Failed } else { EntryState::Succeeded };
        while self.run.frames.len() > place + 2 {
            let (step, frame) = self.leave_block()?;
            let mut entry = self.entry(step, state);
            entry.started_ms = frame.started_ms;
            self.entries.push(entry);
        }
        match failed {
            Some((origin, failure)) => {
                let (container, frame) = self.leave_block()?;
                let mut entry = self.entry(container, state);
                entry.started_ms = frame.started_ms;
                self.fail_of(origin, container, entry, failure, usize::MAX);
            }
            None => {
                let end = block(flow, self.run.section, &self.run.frames)?.steps.len();
                self.run.frames.last_mut()?.at = end;
            }
        }
        Some(())
    }
}

impl Run {
    /// Goes into a turn of `step`, whose key is `key`: binds the names that its steps see.
    pub(super) fn enter_turn(&mut self, step: &Step, key: &str, mut frame: Frame) {
        if step.form.composite().is_some() {
            let inner = self.inner_scope(key);
            frame.outside = Some(std::mem::replace(&mut self.scope, inner));
        }
        let locals = step.form.locals(frame.turn, &mut frame.input, frame.collected.last());
        self.frames.push(frame);
        self.bind(locals);
    }

    /// Leaves the innermost frame: its names mean what they mean outside it.
    pub(super) fn leave_turn(&mut self) -> Option<Frame> {
        let mut frame = self.frames.pop()?;
        self.unbind(std::mem::take(&mut frame.shadowed));
        if let Some(outside) = frame.outside.take() {
            self.scope = outside;
        }
        Some(frame)
    }

    fn inner_scope(&self, key: &str) -> Scope {
        let mut scope = Scope::new();
        scope.set("steps", Value::Object(Map::new()));
        scope.set("run", self.scope.get("run").cloned().unwrap_or_default());
        // Two calls of one composite in a run make different ids.
        scope.set("seed", Value::from(format!("{}/{key}", self.origin())));
        scope.set_now(self.clock_ms);
        scope
    }
}
