//! What a walk's end says of its trigger: how far it has read, what is history from then on, when it is due next, and
//! how many of its runs stay. Pure; called by `poll` for a walk's last page, and by `batch`.

use super::definition::{Definition, Poll};
use super::page::Reading;
use super::window::{Mode, News};
use crate::connector::{Connection, Trigger};
use crate::manifest::flow::Start;
use crate::store::triggers::TriggerRow;
use crate::store::walks::Close;

/// A walk whose last page was read; times are UTC epoch milliseconds.
pub struct Ended<'a> {
    /// The trigger.
    pub trigger: &'a Trigger,
    /// What the walk is pinned to.
    pub definition: &'a Definition,
    /// The trigger's row as it was before the walk.
    pub row: &'a TriggerRow,
    /// Why the walk was done.
    pub mode: Mode,
    /// What told news from history.
    pub news: &'a News,
    /// The service's time when the walk began.
    pub began_ms: i64,
    /// The last page.
    pub reading: &'a Reading,
    /// See [`keep_newest`].
    pub keep_newest: Option<u32>,
    /// The last request and its answer, as JSON.
    pub exchange: Option<String>,
    /// The host's time.
    pub now_ms: i64,
}

/// What is written with the last page.
pub fn close(ended: &Ended<'_>) -> Close {
    let Ended { trigger, row, mode, news, reading, now_ms, .. } = *ended;
    let cursor = &trigger.cursor;
    let known = row.value.as_deref().and_then(|value| cursor.parse(value));
    let mut value = known.max(reading.newest.clone());
    let mut covered_until = ended.began_ms;
    // What was left unseen is asked for again: reading has come as far as it, unless later looks reach back to it.
    if let Some(left_ms) = reading.not_ready_ms.filter(|left| *left < covered_until && !reaches_back(trigger)) {
        covered_until = left_ms;
        value = value.min(cursor.at_ms(left_ms));
    }
    let value = value.map(|value| value.to_string());
    Close {
        baseline_at: if mode.is_first() { news.baseline_ms().or(Some(0)) } else { None },
        baseline_value: if mode.is_first() && !cursor.is_dated() { value.clone() } else { None },
        deep_at: (mode != Mode::Poll).then_some(now_ms),
        due_at: ended.definition.next_due(now_ms).unwrap_or(i64::MAX),
        keep_newest: ended.keep_newest,
        exchange: ended.exchange.clone(),
        covered_until: Some(covered_until),
        value,
    }
}

// Whether a record that is not ready is still looked at when it must be taken.
fn reaches_back(trigger: &Trigger) -> bool {
    let until_looked_ms = trigger.cursor.deep.map_or(0, |deep| deep.every_ms);
    trigger.not_ready_for_ms.saturating_add(until_looked_ms) <= trigger.cursor.widest_ms()
}

/// How many of the newest a reading keeps; none where it keeps all.
pub fn keep_newest(poll: &Poll, mode: Mode, connection: Option<&Connection>) -> Option<u32> {
    let first = match (&poll.start, mode) {
        (Start::Last { last }, Mode::Seed) => Some(*last),
        _ => None,
    };
    let most = connection.and_then(|connection| connection.most_items(&poll.trigger));
    first.into_iter().chain(most).min()
}
