//! What becomes of an attempt: done, tried again, looked up, left to a person, or failed for good.

use serde_json::Value;

use super::frame::{Phase, Underway};
use super::retry::{Attempt, Judgement, attempts};
use super::run::Uncertain;
use super::walk::Walk;
use super::{Effect, Entry, EntryState, Failure, Outcome, Verdict};
use crate::manifest::connector::{Absent, Reconcile};
use crate::planted::bug;
use crate::steps::Step;

/// The least time between two looks.
const LOOK_INTERVAL_MS: i64 = 1_000;

impl<'a> Walk<'a> {
    /// The step under way, or its present element, is done.
    pub(super) fn done(&mut self, step: &'a Step, output: Value) {
        let Some(mut entry) = self.attempt_entry(step, EntryState::Succeeded) else {
            return;
        };
        self.run.mark = None;
        if self.is_at_element() {
            entry.output = Some(output.clone());
            self.entries.push(entry);
            self.next_element(step, Ok(output));
        } else {
            self.run.current = None;
            self.run.clock_ms = self.now_ms;
            self.succeed(step, entry, output);
        }
    }

    /// The attempt failed: decides what follows.
    pub(super) fn attempt_failed(&mut self, step: &'a Step, failure: Failure) {
        let Some(outside) = step.form.outside() else {
            return;
        };
        let (key, scope) = self.place();
        let retry = self.retry(step);
        let Some(current) = &mut self.run.current else {
            return;
        };
        let (key, _) = current.place(key, scope);
        let judgement = Attempt {
            run_id: &self.run.id,
            key: &key,
            number: current.used_up(),
            is_after_uncertain: current.uncertain_since_ms.is_some(),
            effect: &outside.effect,
            retry,
        }
        .judge(&failure, self.now_ms);
        if failure.outcome == Outcome::Unknown {
            current.uncertain_since_ms.get_or_insert(current.sent_ms);
        }
        self.run.mark = None;
        current.failure = Some(failure);
        let sent_ms = current.sent_ms;
        match judgement {
            Judgement::Fail => self.give_up_with_last(step),
            Judgement::Retry { due_ms } | Judgement::RateLimited { due_ms } if self.is_too_late(step, due_ms) => {
                self.give_up_in_time(step);
            }
            Judgement::Retry { due_ms } => {
                self.note(step, EntryState::Retrying);
                self.next_attempt(Phase::Retrying { due_ms });
            }
            Judgement::RateLimited { due_ms } => {
                self.note(step, EntryState::Retrying);
                self.set_phase(Phase::RateLimited { due_ms });
            }
            Judgement::LookUp { refused: true } => self.begin_look_up(step, self.now_ms, self.now_ms, true),
            // A process may stand still between its mark and its request: all that is sure is that it was sent by now.
            Judgement::LookUp { refused: false } => self.begin_look_up(step, sent_ms, self.now_ms, false),
            Judgement::Park => self.park(step),
        }
    }

    /// A look-up found nothing, which proves nothing where there is a `doubt`, or `failure` kept it from looking.
    pub(super) fn look_up_missed(&mut self, step: &'a Step, failure: Option<Failure>, doubt: Option<String>) {
        let Some(reconcile) = reconcile(step) else {
            return;
        };
        let Some(current) = &self.run.current else {
            return;
        };
        let Phase::LookingUp { until_ms, looks, refused, .. } = current.phase else {
            return;
        };
        let again = |due_ms| Phase::LookingUp { due_ms, until_ms, looks: looks.saturating_add(1), refused };
        let limited_until_ms = failure.as_ref().and_then(|failure| match failure.verdict {
            Verdict::RateLimited { until_ms } => Some(until_ms),
            _ => None,
        });
        if let Some(due_ms) = limited_until_ms {
            return self.look_again(step, again(due_ms.max(self.now_ms + LOOK_INTERVAL_MS)));
        }
        if self.now_ms < until_ms && !bug("look_up_too_early") {
            let interval_ms = reconcile.after.ms.max(LOOK_INTERVAL_MS).saturating_mul(1 << looks.min(20));
            let due_ms = self.now_ms.saturating_add(interval_ms).min(until_ms);
            return self.look_again(step, again(due_ms));
        }
        let doubt = doubt.filter(|_| reconcile.absent == Absent::Retry);
        let why = failure.map(|look_up| format!("looking it up failed: {}", look_up.message)).or(doubt);
        if let Some(why) = why {
            // The person who settles it wants to know why nobody could tell.
            if let Some(first) = self.run.current.as_mut().and_then(|current| current.failure.as_mut()) {
                first.message = format!("{}; {why}", first.message);
            }
            return self.park(step);
        }
        if reconcile.absent == Absent::Unknown && !bug("absence_is_proof") {
            return self.park(step);
        }
        let number = current.used_up();
        // What a run before this one left open is none of this run's attempts.
        let is_left = current.failure.as_ref().is_some_and(|failure| failure.code == LEFT_UNKNOWN);
        let retry = self.retry(step);
        let may_try_again = outside_effect(step).is_some_and(|effect| is_left || number < attempts(retry, effect));
        if may_try_again && !refused {
            self.try_again();
        } else {
            self.give_up_with_last(step);
        }
    }

    /// Makes another attempt at once, because a person says so: its time begins anew.
    pub(super) fn try_again_as_told(&mut self) {
        if let Some(current) = &mut self.run.current {
            current.entered_ms = self.now_ms;
        }
        self.try_again();
    }

    fn try_again(&mut self) {
        self.next_attempt(Phase::Sending);
    }

    /// Fails for good, for the reason for which the last attempt failed.
    pub(super) fn give_up_with_last(&mut self, step: &'a Step) {
        let last = self.run.current.as_mut().and_then(|current| current.failure.take());
        let failure =
            last.unwrap_or_else(|| Failure::not_sent("settled_failed", "a person settled this step as failed"));
        self.give_up(step, failure);
    }

    /// Fails for good because the time of the step, or of one around it, is over.
    pub(super) fn give_up_in_time(&mut self, step: &'a Step) {
        let Some(deadline) = self.deadline(step) else {
            return;
        };
        let last = self.run.current.as_mut().and_then(|current| current.failure.take());
        let failure = deadline.failure(last);
        match deadline.depth == self.run.frames.len() {
            true => self.give_up(step, failure),
            false => self.abandon(step, failure, deadline.depth),
        }
    }

    /// Fails what is under way with every step around it down to the one whose frames are `depth`.
    fn abandon(&mut self, step: &'a Step, failure: Failure, depth: usize) {
        let Some(entry) = self.attempt_entry(step, EntryState::Failed) else {
            return;
        };
        self.run.current = None;
        self.run.clock_ms = self.now_ms;
        let origin = self.name(step);
        self.fail_of(origin, step, entry, failure, depth);
    }

    /// Fails for good.
    pub(super) fn give_up(&mut self, step: &'a Step, failure: Failure) {
        let Some(mut entry) = self.attempt_entry(step, EntryState::Failed) else {
            return;
        };
        if self.is_at_element() {
            entry.error = Some(failure.clone());
            self.entries.push(entry);
            self.next_element(step, Err(failure));
        } else {
            self.run.current = None;
            self.run.clock_ms = self.now_ms;
            self.fail(step, entry, failure);
        }
    }

    /// The run that this one goes on with left the step, and nobody knows whether it was done.
    pub(super) fn take_over_unknown(&mut self, step: &'a Step, left: Uncertain) {
        if let Some(current) = &mut self.run.current {
            current.uncertain_since_ms = Some(left.since_ms);
            current.failure = Some(left_unknown());
        }
        match outside_effect(step) {
            Some(Effect::Lookup(_)) => self.begin_look_up(step, left.last_ms, left.last_ms, false),
            _ => self.park(step),
        }
    }

    /// Looks for what an attempt made that began at `from_ms` and was over by `over_ms`; `refused` where the service took the last one for its repeat.
    fn begin_look_up(&mut self, step: &'a Step, from_ms: i64, over_ms: i64, refused: bool) {
        let Some(reconcile) = reconcile(step) else {
            return;
        };
        let first_ms = if refused { from_ms } else { from_ms.saturating_add(reconcile.after.ms) };
        let due_ms = first_ms.max(self.now_ms);
        self.note(step, EntryState::Unknown);
        self.look_again(
            step,
            Phase::LookingUp { due_ms, until_ms: over_ms.saturating_add(reconcile.within.ms), looks: 0, refused },
        );
    }

    fn look_again(&mut self, step: &'a Step, phase: Phase) {
        match phase {
            Phase::LookingUp { due_ms, .. } if self.is_too_late(step, due_ms) => self.park(step),
            phase => self.set_phase(phase),
        }
    }

    /// Leaves an attempt to a person that nothing can tell about.
    pub(super) fn park_unseen(&mut self, step: &'a Step, failure: Failure) {
        if let Some(current) = &mut self.run.current {
            current.uncertain_since_ms.get_or_insert(current.sent_ms);
            current.failure = Some(failure);
        }
        self.run.mark = None;
        self.park(step);
    }

    fn park(&mut self, step: &Step) {
        self.note(step, EntryState::Unknown);
        self.set_phase(Phase::Unknown);
    }

    fn is_too_late(&self, step: &Step, due_ms: i64) -> bool {
        self.deadline(step).is_some_and(|deadline| due_ms > deadline.at_ms)
    }

    fn is_at_element(&self) -> bool {
        self.run.current.as_ref().is_some_and(|current| current.element.is_some())
    }

    fn next_attempt(&mut self, phase: Phase) {
        if let Some(current) = &mut self.run.current {
            current.attempt = current.attempt.saturating_add(1);
            current.phase = phase;
        }
    }

    fn set_phase(&mut self, phase: Phase) {
        if let Some(current) = &mut self.run.current {
            current.phase = phase;
        }
    }

    /// Writes down how the present attempt stands and why it failed.
    fn note(&mut self, step: &Step, state: EntryState) {
        if let Some(mut entry) = self.attempt_entry(step, state) {
            entry.error = self.run.current.as_ref().and_then(|current| current.failure.clone());
            self.entries.push(entry);
        }
    }

    fn attempt_entry(&self, step: &Step, state: EntryState) -> Option<Entry> {
        let current: &Underway = self.run.current.as_ref()?;
        let mut entry = self.entry(step, state);
        (entry.key, entry.scope) = current.place(entry.key, entry.scope);
        if current.element.is_some() {
            entry.id = None;
        }
        entry.attempt = current.attempt;
        entry.started_ms = current.sent_ms;
        entry.input = match current.phase {
            Phase::Waiting { .. } | Phase::Asking { .. } => None,
            _ => Some(current.input.clone()),
        };
        Some(entry)
    }
}

/// The code of what a run before this one left open.
const LEFT_UNKNOWN: &str = "left_unknown";

fn left_unknown() -> Failure {
    let message = "the run that this one goes on with ended while nobody knew whether this was done";
    Failure { outcome: Outcome::Unknown, verdict: Verdict::Fail, ..Failure::not_sent(LEFT_UNKNOWN, message) }
}

fn outside_effect(step: &Step) -> Option<&Effect> {
    Some(&step.form.outside()?.effect)
}

fn reconcile(step: &Step) -> Option<&Reconcile> {
    match outside_effect(step)? {
        Effect::Lookup(reconcile) => Some(reconcile),
        _ => None,
    }
}
