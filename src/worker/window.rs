//! Which window a walk reads, and which of its records are news: the rules of polling without any I/O.
//! Design section 5 in one place; `poll` calls it page by page.

use crate::connector::cursor::{Cursor, Position};
use crate::manifest::connector::Order;
use crate::manifest::flow::{Start, StartWord};
use crate::planted::bug;
use crate::store::triggers::TriggerRow;

/// The window of a new walk.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// `seed`, `anew`, `poll` or `deep`.
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
    /// The first reading of other items than before: what was covered of those is history of these.
    Anew,
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
            Mode::Anew => "anew",
            Mode::Poll => "poll",
            Mode::Deep => "deep",
        }
    }

    /// The mode that a word stands for.
    pub fn from_word(word: &str) -> Mode {
        match word {
            "seed" => Mode::Seed,
            "anew" => Mode::Anew,
            "deep" => Mode::Deep,
            _ => Mode::Poll,
        }
    }

    /// Whether it tells history from news for the walks after it.
    pub fn is_first(self) -> bool {
        matches!(self, Mode::Seed | Mode::Anew)
    }
}

// A cursor that is asked for at its very limit is too old when the request arrives: it is asked for later by this.
const MARGIN_MS: i64 = 60_000;

impl Window {
    /// The window of the next walk. `is_first`: the host has not polled this trigger yet since it started,
    /// so rows may have shown up late meanwhile.
    pub fn next(cursor: &Cursor, start: &Start, row: &TriggerRow, is_first: bool, now_ms: i64) -> Window {
        let value = row.value.as_deref().and_then(|value| cursor.parse(value));
        if row.is_read_anew() {
            let since = cursor.since(value.as_ref(), row.covered_until, cursor.widest_ms(), now_ms);
            let window = Window::from(Mode::Anew, cursor, since, row.covered_until, now_ms);
            // Without dates what came since then cannot be told from history.
            let gap = if cursor.is_dated() { window.gap } else { row.covered_until.map(|covered| (covered, now_ms)) };
            return Window { gap, ..window };
        }
        if !row.seeded {
            return Window::seed(cursor, start, now_ms);
        }
        let is_deep = !bug("no_deep_look")
            && cursor.deep.is_some_and(|deep| {
                is_first || row.failures > 0 || row.deep_at.is_none_or(|at| now_ms - at >= deep.every_ms)
            });
        let (mode, lookback_ms) = match cursor.deep {
            Some(deep) if is_deep => (Mode::Deep, deep.lookback_ms),
            _ => (Mode::Poll, cursor.lookback_ms),
        };
        let lookback_ms = if bug("no_lookback") { 0 } else { lookback_ms };
        let since = cursor.since(value.as_ref(), row.covered_until, lookback_ms, now_ms);
        Window::from(mode, cursor, since, row.covered_until, now_ms)
    }

    fn seed(cursor: &Cursor, start: &Start, now_ms: i64) -> Window {
        let since = match start {
            Start::Word(StartWord::Now) => cursor.since(None, Some(now_ms), cursor.widest_ms(), now_ms),
            Start::Since { since } => cursor.since(None, parse_time(since), 0, now_ms),
            Start::Word(StartWord::All) | Start::Last { .. } => None,
        };
        Window::from(Mode::Seed, cursor, since, None, now_ms)
    }

    // The service refuses what is older than `max_age`: a gap only if that was not covered yet.
    fn from(mode: Mode, cursor: &Cursor, since: Option<Position>, covered_until: Option<i64>, now_ms: i64) -> Window {
        let mut window =
            Window { mode, lower_ms: since.as_ref().and_then(|since| cursor.time_ms(since)), since, gap: None };
        if let (Some(since), Some(oldest)) = (&window.since, cursor.oldest_permitted(now_ms + MARGIN_MS))
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
        let since = cursor.oldest_permitted(now_ms + MARGIN_MS);
        let lower_ms = since.as_ref().and_then(|since| cursor.time_ms(since));
        let oldest_ms = lower_ms.unwrap_or(now_ms);
        Window {
            mode,
            since,
            lower_ms,
            gap: covered_until.filter(|covered| *covered < oldest_ms).map(|covered| (covered, oldest_ms)),
        }
    }

    /// What the service stopped listing while a walk was read that began at `opened_ms`: nothing that was covered
    /// before, and nothing that was a gap when it began.
    pub fn lapsed(cursor: &Cursor, covered_until: Option<i64>, opened_ms: i64, now_ms: i64) -> Option<(i64, i64)> {
        let oldest = |at_ms: i64| cursor.time_ms(&cursor.oldest_permitted(at_ms)?);
        let from_ms = covered_until?.max(oldest(opened_ms + MARGIN_MS)?);
        oldest(now_ms).filter(|to_ms| from_ms < *to_ms).map(|to_ms| (from_ms, to_ms))
    }

    /// Everything that the service lists: it refused even what our clock takes for the oldest that it permits.
    pub fn unbounded(mode: Mode) -> Window {
        Window { mode, since: None, lower_ms: None, gap: None }
    }
}

/// What tells news from history in one page of a walk; times are UTC epoch milliseconds, by the service's clock.
#[derive(Clone, Debug)]
pub struct News {
    mode: Mode,
    // News are dated from here on, where records are dated; none where all are news.
    from_ms: Option<i64>,
    // What is dated this much ahead was listed by the first reading like everything else.
    until_ms: Option<i64>,
    // The second of the newest value, where a planted bug takes it for read.
    read_ms: Option<i64>,
    // What is dated before this may have been seen, and its key forgotten.
    forgotten_ms: Option<i64>,
    baseline_ms: Option<i64>,
    baseline: Option<Position>,
    is_ordered: bool,
    is_all: bool,
}

/// When a page was read; UTC epoch milliseconds by the service's clock.
#[derive(Clone, Copy, Debug)]
pub struct ReadAt {
    /// When its walk began.
    pub began_ms: i64,
    /// When the page was answered.
    pub server_ms: i64,
}

impl News {
    /// The rules for a page of a walk of this trigger; `remember_ms` is how long keys are remembered.
    pub fn of(cursor: &Cursor, start: &Start, mode: Mode, row: &TriggerRow, read: ReadAt, remember_ms: i64) -> News {
        // Services date by the second: what was listed in the second of that moment was there at that moment.
        let after = |moment: i64| second(moment) + SECOND_MS;
        let value_ms = row.value.as_deref().and_then(|value| cursor.time_ms(&cursor.parse(value)?));
        let mut news = News {
            mode,
            from_ms: row.baseline_at.map(second),
            until_ms: None,
            read_ms: None,
            forgotten_ms: None,
            baseline_ms: row.baseline_at,
            baseline: row.baseline_value.as_deref().and_then(|value| cursor.parse(value)),
            is_ordered: cursor.is_ordered(),
            is_all: bug("history_is_news"),
        };
        match (mode, start) {
            (Mode::Seed, Start::Word(StartWord::Now)) => {
                news.baseline_ms = Some(read.began_ms);
                news.from_ms = Some(after(read.began_ms));
                news.until_ms = Some(after(read.server_ms));
            }
            (Mode::Seed, Start::Since { since }) => {
                news.baseline_ms = parse_time(since);
                news.from_ms = Some(news.baseline_ms.map_or(i64::MAX, second));
            }
            (Mode::Seed, Start::Word(StartWord::All) | Start::Last { .. }) => {
                news.baseline_ms = None;
                news.is_all = true;
            }
            (Mode::Anew, _) => {
                let covered_ms = row.covered_until.unwrap_or(read.began_ms);
                news.from_ms = Some(after(value_ms.map_or(covered_ms, |value| value.max(covered_ms))));
                news.until_ms = Some(after(read.server_ms));
                // Rows that are listed late from now on are found, as far as this reading looked back.
                news.baseline_ms = row.baseline_at.max(Some(covered_ms - cursor.widest_ms()));
            }
            (Mode::Poll | Mode::Deep, _) => {
                if bug("late_is_history") {
                    news.from_ms = row.covered_until.or(row.baseline_at).map(second);
                }
                if bug("strict_bound") {
                    news.read_ms = value_ms.map(second);
                }
                news.forgotten_ms =
                    row.covered_until.map(|covered| (covered - cursor.widest_ms()).min(read.server_ms - remember_ms));
            }
        }
        news
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
        match time_ms {
            Some(time) => {
                self.from_ms.is_none_or(|from| time >= from)
                    && self.until_ms.is_none_or(|until| time < until)
                    && self.read_ms.is_none_or(|read| second(time) != read)
                    && self.forgotten_ms.is_none_or(|forgotten| time >= forgotten)
            }
            None if self.mode.is_first() => false,
            None if self.is_ordered => match (&self.baseline, position) {
                (Some(baseline), Some(position)) => position > baseline,
                _ => true,
            },
            None => true,
        }
    }
}

/// Whether a page is the last that its walk needs, although the service has more: none of its records is inside the
/// window. One old record alone says nothing, it may be pinned; `latest` is the newest of the page.
pub fn is_covered(
    cursor: &Cursor,
    start: &Start,
    mode: Mode,
    window: (Option<&Position>, Option<i64>),
    latest: Option<&Position>,
) -> bool {
    let (since, lower_ms) = window;
    if cursor.order != Order::Desc {
        return false;
    }
    let Some(latest) = latest else { return false };
    match (cursor.time_ms(latest), lower_ms) {
        (Some(time), Some(lower)) => time < lower,
        (Some(_), None) => false,
        // Values that are no times: the first page of the first reading shows the newest, which is enough.
        (None, _) if mode.is_first() => mode == Mode::Anew || matches!(start, Start::Word(StartWord::Now)),
        (None, _) => since.is_some_and(|since| latest < since),
    }
}

const SECOND_MS: i64 = 1_000;

fn second(time_ms: i64) -> i64 {
    time_ms.div_euclid(SECOND_MS) * SECOND_MS
}

fn parse_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond())
}
