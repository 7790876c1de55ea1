//! When a flow is due: an interval with a phase of its own, or a cron expression in a time zone. Pure; the same
//! question has the same answer after a restart.

mod cron;
mod spread;

#[cfg(test)]
mod tests;

pub use self::cron::Cron;

use crate::manifest::flow::{Missed, Trigger};
use crate::manifest::{Duration, Problem};

/// The most times that `missed: run_all` makes up for; the newest.
pub const MAX_MISSED: usize = 1_000;

/// How late a time may be noticed and still count as not missed.
const ON_TIME_MS: i64 = 60_000;

/// When a flow is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Each time that this length has passed; where in it depends on the flow's name.
    Every(Duration),
    /// At the times that the expression names.
    Cron(Box<Cron>),
}

impl Schedule {
    /// What a flow's trigger says; `None` where it says nothing (a poll takes its trigger's own interval).
    ///
    /// # Errors
    /// `schedule_conflict`, `every_zero`, `cron_syntax`, `cron_never_fires`, `unknown_timezone`,
    /// `timezone_without_cron`.
    pub fn of_trigger(trigger: &Trigger) -> Result<Option<Schedule>, Problem> {
        match (trigger.every, &trigger.cron) {
            (Some(_), Some(_)) => {
                Err(Problem::new("/trigger/cron", "schedule_conflict", "this trigger has both `every` and `cron`")
                    .with_help("write one of them"))
            }
            (Some(every), None) if every.ms == 0 => {
                Err(Problem::new("/trigger/every", "every_zero", "an interval must be longer than nothing")
                    .with_help("write for example `every: 1h`"))
            }
            (None, Some(text)) => {
                let zone = trigger.timezone.as_deref();
                Cron::parse(text, zone).map(|cron| Some(Schedule::Cron(Box::new(cron))))
            }
            (_, None) if trigger.timezone.is_some() => {
                Err(Problem::new("/trigger/timezone", "timezone_without_cron", "`timezone` does nothing here")
                    .with_help("an interval is the same everywhere; `timezone` belongs to `cron`"))
            }
            (every, None) => Ok(every.map(Schedule::Every)),
        }
    }

    /// All that is wrong with what a flow's trigger says: an unknown zone hides no mistake of the expression.
    pub fn problems(trigger: &Trigger) -> Vec<Problem> {
        let Err(problem) = Schedule::of_trigger(trigger) else { return Vec::new() };
        let is_of_zone = problem.code == "unknown_timezone";
        let in_utc = is_of_zone.then(|| Trigger { timezone: None, ..trigger.clone() });
        let others = in_utc.and_then(|trigger| Schedule::of_trigger(&trigger).err());
        std::iter::once(problem).chain(others).collect()
    }

    /// The first time after `after_ms` at which the flow called `name` is due, UTC epoch milliseconds; `None`
    /// beyond the calendar.
    pub fn next_due(&self, after_ms: i64, name: &str) -> Option<i64> {
        match self {
            Schedule::Every(every) => Some(spread::next_due(every.ms, after_ms, name)),
            Schedule::Cron(cron) => cron.next_after(after_ms),
        }
    }

    /// The times from `due_ms`, the first that was not heard, up to `now_ms` that are to be made up for, oldest
    /// first.
    pub fn missed(&self, policy: Missed, due_ms: i64, now_ms: i64, name: &str) -> Vec<i64> {
        let last_ms = due_ms.saturating_sub(1);
        match policy {
            Missed::RunAll => self.newest(MAX_MISSED, last_ms, now_ms, name),
            Missed::RunOnce => self.newest(1, last_ms, now_ms, name),
            Missed::Skip => {
                let mut newest = self.newest(1, last_ms, now_ms, name);
                newest.retain(|due_ms| now_ms.saturating_sub(*due_ms) <= ON_TIME_MS);
                newest
            }
        }
    }

    /// The newest `count` due times after `last_ms` up to `now_ms`. Looks back in windows that double, so
    /// that a second-by-second schedule after a year's pause costs no more than any other.
    fn newest(&self, count: usize, last_ms: i64, now_ms: i64, name: &str) -> Vec<i64> {
        let mut window_ms = ON_TIME_MS;
        loop {
            let start_ms = now_ms.saturating_sub(window_ms).max(last_ms);
            let mut due = Vec::new();
            let mut next = self.next_due(start_ms, name);
            while let Some(next_ms) = next.filter(|next_ms| *next_ms <= now_ms) {
                due.push(next_ms);
                next = self.next_due(next_ms, name);
            }
            if due.len() >= count || start_ms <= last_ms {
                return due.split_off(due.len().saturating_sub(count));
            }
            window_ms = window_ms.saturating_mul(2);
        }
    }
}
