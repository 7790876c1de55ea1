//! Which window a walk reads, and which of its records are news: the rules of polling without any I/O.
//! Design section 5 in one place; `poll` calls it page by page.

use crate::connector::cursor::{Cursor, Position};
use crate::manifest::connector::Order;
use crate::manifest::flow::{Start, StartWord};
use crate::store::triggers::TriggerRow;

/// The window of a new walk.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// `seed`, `poll` or `deep`.
    pub mode: Mode,
    /// From where to ask; none asks for everything.
    pub since: Option<Position>,
    /// Records dated before this are outside; UTC epoch milliseconds.
    pub lower_ms: Option<i64>,
    /// The service no longer has what lies between these two times; UTC epoch milliseconds.
    pub gap: Option<(i64, i64)>,
}

/// Why a walk is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The first reading: it tells history from news.
    Seed,
    /// The usual look.
    Poll,
    /// The rarer, wider look for late rows.
    Deep,
}

impl Mode {
    /// The word that the row holds.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Seed => "seed",
            Mode::Poll => "poll",
            Mode::Deep => "deep",
        }
    }

    /// The mode that a word stands for.
    pub fn from_word(word: &str) -> Mode {
        match word {
            "seed" => Mode::Seed,
            "deep" => Mode::Deep,
            _ => Mode::Poll,
        }
    }
}

// A cursor that is asked for at its very limit may be too old when the request arrives.
const MARGIN_MS: i64 = 60_000;

impl Window {
    /// The window of the next walk. `is_first`: the host has not polled this trigger yet since it started,
    /// so rows may have shown up late meanwhile.
    pub fn next(cursor: &Cursor, start: &Start, row: &TriggerRow, is_first: bool, now_ms: i64) -> Window {
        if !row.seeded {
            return Window::seed(cursor, start, now_ms);
        }
        let is_deep = cursor.deep.is_some_and(|deep| {
            is_first || row.failures > 0 || row.deep_at.is_none_or(|at| now_ms - at >= deep.every_ms)
        });
        let (mode, lookback_ms) = match cursor.deep {
            Some(deep) if is_deep => (Mode::Deep, deep.lookback_ms),
            _ => (Mode::Poll, cursor.lookback_ms),
        };
        let value = row.value.as_deref().and_then(|value| cursor.parse(value));
        let since = cursor.since(value.as_ref(), row.covered_until, lookback_ms, now_ms);
        Window::from(mode, cursor, since, row.covered_until, now_ms)
    }

    fn seed(cursor: &Cursor, start: &Start, now_ms: i64) -> Window {
        let widest = cursor.deep.map_or(0, |deep| deep.lookback_ms).max(cursor.lookback_ms);
        let since = match start {
            Start::Word(StartWord::Now) => cursor.since(None, Some(now_ms), widest, now_ms),
            Start::Since { since } => cursor.since(None, parse_time(since), 0, now_ms),
            Start::Word(StartWord::All) | Start::Last { .. } => None,
        };
        Window::from(Mode::Seed, cursor, since, None, now_ms)
    }

    // The service refuses what is older than `max_age`: a gap only if that was not covered yet.
    fn from(mode: Mode, cursor: &Cursor, since: Option<Position>, covered_until: Option<i64>, now_ms: i64) -> Window {
        let mut window =
            Window { mode, lower_ms: since.as_ref().and_then(|since| cursor.time_ms(since)), since, gap: None };
        if let (Some(since), Some(oldest)) = (&window.since, cursor.oldest_permitted(now_ms - MARGIN_MS))
            && *since < oldest
        {
            let oldest_ms = cursor.time_ms(&oldest);
            window.gap = covered_until.zip(oldest_ms).filter(|(covered, oldest)| covered < oldest);
            window.lower_ms = oldest_ms;
            window.since = Some(oldest);
        }
        window
    }

    /// The window after the service refused this one's cursor as too old: the oldest that it permits, or
    /// everything that it lists.
    pub fn after_expiry(cursor: &Cursor, mode: Mode, covered_until: Option<i64>, now_ms: i64) -> Window {
        let since = cursor.oldest_permitted(now_ms - MARGIN_MS);
        let lower_ms = since.as_ref().and_then(|since| cursor.time_ms(since));
        let oldest_ms = lower_ms.unwrap_or(now_ms);
        Window {
            mode,
            since,
            lower_ms,
            gap: covered_until.filter(|covered| *covered < oldest_ms).map(|covered| (covered, oldest_ms)),
        }
    }
}

/// What tells news from history in one walk.
#[derive(Clone, Debug)]
pub struct News {
    mode: Mode,
    baseline_ms: Option<i64>,
    baseline: Option<Position>,
    is_ordered: bool,
    is_all: bool,
}

impl News {
    /// The rules for a walk of this trigger; `server_ms` is the service's time when the walk began.
    pub fn of(cursor: &Cursor, start: &Start, mode: Mode, row: &TriggerRow, server_ms: i64) -> News {
        let (baseline_ms, is_all) = match (mode, start) {
            (Mode::Seed, Start::Word(StartWord::Now)) => (Some(server_ms), false),
            (Mode::Seed, Start::Since { since }) => (parse_time(since), false),
            (Mode::Seed, Start::Word(StartWord::All) | Start::Last { .. }) => (None, true),
            _ => (row.baseline_at, false),
        };
        News {
            mode,
            baseline_ms,
            baseline: row.baseline_value.as_deref().and_then(|value| cursor.parse(value)),
            is_ordered: cursor.is_ordered(),
            is_all,
        }
    }

    /// The time from which items count, to be kept with the trigger.
    pub fn baseline_ms(&self) -> Option<i64> {
        self.baseline_ms
    }

    /// Whether a record starts a run when its key is new. Services date by the second, so the second of the
    /// baseline counts as news, except in the reading that was done at that moment.
    pub fn is_news(&self, position: Option<&Position>, time_ms: Option<i64>) -> bool {
        if self.is_all {
            return true;
        }
        match (time_ms, self.mode) {
            (Some(time), Mode::Seed) => self.baseline_ms.is_some_and(|baseline| time >= second(baseline) + 1_000),
            (Some(time), _) => self.baseline_ms.is_none_or(|baseline| time >= second(baseline)),
            (None, Mode::Seed) => false,
            (None, _) if self.is_ordered => match (&self.baseline, position) {
                (Some(baseline), Some(position)) => position > baseline,
                _ => true,
            },
            (None, _) => true,
        }
    }
}

/// Whether a page is the last that its walk needs, although the service has more.
pub fn is_covered(
    cursor: &Cursor,
    start: &Start,
    mode: Mode,
    window: (Option<&Position>, Option<i64>),
    oldest: Option<&Position>,
) -> bool {
    let (since, lower_ms) = window;
    if cursor.order != Order::Desc {
        return false;
    }
    let Some(oldest) = oldest else { return false };
    match (cursor.time_ms(oldest), lower_ms) {
        (Some(time), Some(lower)) => time < lower,
        (Some(_), None) => false,
        // Values that are no times: the first page of the first reading shows the newest, which is enough.
        (None, _) if mode == Mode::Seed => matches!(start, Start::Word(StartWord::Now)),
        (None, _) => since.is_some_and(|since| oldest < since),
    }
}

fn second(time_ms: i64) -> i64 {
    time_ms.div_euclid(1_000) * 1_000
}

fn parse_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond())
}
