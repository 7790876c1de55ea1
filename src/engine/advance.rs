//! Takes what has happened outside into the run, then goes on to what it needs next.

use super::frame::{Phase, step};
use super::walk::Walk;
use super::{Decision, Event, Flow, Run, Settlement};

/// Decides what comes next. Pure: the same run, event and time give the same decision. Steps that need
/// nothing from outside are done on the way; it returns at the next request, wait or end.
///
/// The worker commits the entries and [`Run::frames`] together, then does what `next` says.
pub fn advance(flow: &Flow, run: &mut Run, event: Event, now_ms: i64) -> Decision {
    let is_orphaned = matches!(event, Event::Orphaned);
    let mut walk = Walk { flow, run, now_ms, entries: Vec::new(), asks: Vec::new(), is_orphaned };
    walk.take(event);
    let next = walk.go_on();
    Decision { entries: walk.entries, asks: walk.asks, next }
}

impl Walk<'_> {
    fn take(&mut self, event: Event) {
        let Some(current) = &self.run.current else {
            return;
        };
        let Some(step) = step(self.flow, self.run.section, &self.run.frames) else {
            return;
        };
        match (current.phase, event) {
            (Phase::Sending, Event::Answered { output }) => self.done(step, output),
            (Phase::Sending, Event::Failed(failure)) => self.attempt_failed(step, failure),
            (Phase::LookingUp { .. }, Event::Found { output }) => self.done(step, output),
            (Phase::LookingUp { .. }, Event::NotFound { doubt }) => self.look_up_missed(step, None, doubt),
            (Phase::LookingUp { .. }, Event::Failed(failure)) => {
                self.look_up_missed(step, Some(failure), None);
            }
            (Phase::Unknown, Event::Settled(settlement)) => match settlement {
                Settlement::Done(output) => self.done(step, output),
                Settlement::Retry => self.try_again_as_told(),
                Settlement::Failed => self.give_up_with_last(step),
            },
            (Phase::Asking { .. }, Event::Failed(failure)) => self.give_up(step, failure),
            (Phase::Asking { .. }, Event::Resolved(resolution)) => self.resolved(step, &resolution),
            (Phase::Asking { expires_ms, .. }, Event::Remind { answered }) => self.remind(step, &answered, expires_ms),
            _ => {}
        }
    }
}
