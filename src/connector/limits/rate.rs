//! `300/15m`: so many requests in so much time, kept by the generic cell rate algorithm (ITU-T I.371): one
//! number per bucket, no list of past requests.

use std::str::FromStr;

use crate::manifest::Duration;

/// At most `count` requests in any window of `period`: a tenth of them (at least one) may come at once, the
/// rest is spaced so that burst and spacing together never exceed the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per period; at least 1.
    pub count: u32,
    /// The window's length in milliseconds; at least 1.
    pub period_ms: i64,
}

/// How far a bucket is ahead of its rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    /// The "theoretical arrival time" of the next request, in UTC epoch microseconds.
    due_us: i64,
}

impl Rate {
    /// How many requests may come at once.
    pub fn burst(self) -> u32 {
        (self.count / 10).max(1)
    }

    /// One of `shares` equal parts of it: together they never exceed it.
    pub fn share(self, shares: u32) -> Rate {
        let shares = shares.max(1);
        match self.count / shares {
            // Less than one each: one, in a time that is as many times as long.
            0 => {
                let periods = i64::from(shares.div_ceil(self.count));
                Rate { count: 1, period_ms: self.period_ms.saturating_mul(periods) }
            }
            count => Rate { count, period_ms: self.period_ms },
        }
    }

    /// The time between two requests in the long run, in microseconds.
    fn spacing_us(self) -> i64 {
        let spaced = i64::from(self.count - self.burst() + 1);
        // Rounded up: a rounded down spacing would let one too many through over a long window.
        (self.period_ms.saturating_mul(1_000) + spaced - 1) / spaced
    }

    /// How far ahead a bucket may be, in microseconds.
    fn tolerance_us(self) -> i64 {
        self.spacing_us().saturating_mul(i64::from(self.burst() - 1))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a rate; write for example 300/15m or 10/1s");
        let (count, period) = text.split_once('/').ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        let period = period.trim();
        let period: Duration = match period.starts_with(|first: char| first.is_ascii_alphabetic()) {
            true => format!("1{period}").parse(),
            false => period.parse(),
        }
        .map_err(|_: String| wrong())?;
        if count == 0 || period.ms == 0 {
            return Err(format!("`{text}` would never let a request through"));
        }
        Ok(Rate { count, period_ms: period.ms })
    }
}

impl Cell {
    /// None if a request may go now, or when the next one may, in UTC epoch milliseconds.
    pub fn blocked_until_ms(self, rate: Rate, now_ms: i64) -> Option<i64> {
        let now_us = now_ms.saturating_mul(1_000);
        let permitted_us = self.due_us(rate, now_us) - rate.tolerance_us();
        (permitted_us > now_us).then(|| permitted_us.saturating_add(999) / 1_000)
    }

    /// Counts a request.
    pub fn count(&mut self, rate: Rate, now_ms: i64) {
        let now_us = now_ms.saturating_mul(1_000);
        self.due_us = self.due_us(rate, now_us).saturating_add(rate.spacing_us());
    }

    fn due_us(self, rate: Rate, now_us: i64) -> i64 {
        // A bucket is never further ahead than this by its own doing: beyond, the clock was set back.
        let furthest = rate.tolerance_us().saturating_add(rate.spacing_us());
        self.due_us.clamp(now_us, now_us.saturating_add(furthest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_or_refused() {
        for (text, count, period_ms) in
            [("300/15m", 300, 900_000), ("1/1s", 1, 1_000), ("10/s", 10, 1_000), ("10000/1d", 10_000, 86_400_000)]
        {
            assert_eq!(text.parse(), Ok(Rate { count, period_ms }), "{text}");
        }
        for text in ["", "300", "0/1s", "5/0s", "x/1s", "-1/1s", "5/year"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_for_no_longer_than_the_period() {
        let rate = Rate { count: 2, period_ms: 1_000 };
        let mut cell = Cell::default();
        cell.count(rate, 10_000_000);
        let until = cell.blocked_until_ms(rate, 5_000_000);
        assert!(until.is_none_or(|until| until <= 5_001_000), "{until:?}");
    }

    #[test]
    fn shares_together_never_exceed_the_rate() {
        for (count, shares) in [(300, 1), (300, 3), (10, 3), (3, 3), (2, 3), (1, 3), (5, 7)] {
            let rate = Rate { count, period_ms: 1_000 };
            let share = rate.share(shares);
            let together = f64::from(share.count * shares) / share.period_ms as f64;
            assert!(together <= f64::from(count) / 1_000.0 + 1e-12, "{count} by {shares}: {share:?}");
            assert!(share.count > 0);
        }
    }

    proptest! {
        /// Whatever the arrivals, no window of the period holds more than the count.
        #[test]
        fn no_window_holds_more_than_the_count(
            count in 1_u32..200,
            period_ms in 1_i64..100_000,
            gaps in prop::collection::vec(0_i64..2_000, 1..400),
        ) {
            let rate = Rate { count, period_ms };
            let mut cell = Cell::default();
            let mut now_ms = 1_000_000;
            let mut taken: Vec<i64> = Vec::new();
            for gap in gaps {
                now_ms += gap;
                match cell.blocked_until_ms(rate, now_ms) {
                    None => { cell.count(rate, now_ms); taken.push(now_ms); }
                    Some(until) => prop_assert!(until > now_ms),
                }
            }
            for (first, start) in taken.iter().enumerate() {
                let inside = taken[first..].iter().take_while(|at| **at < start + period_ms).count();
                prop_assert!(inside <= count as usize, "{inside} of {count} from {start}");
            }
        }

        /// Who waits for as long as told gets through, and nobody waits longer than the period.
        #[test]
        fn waiting_as_told_is_enough(count in 1_u32..200, period_ms in 1_i64..100_000, tries in 1..300) {
            let rate = Rate { count, period_ms };
            let mut cell = Cell::default();
            let mut now_ms = 1_000_000;
            for _ in 0..tries {
                if let Some(until) = cell.blocked_until_ms(rate, now_ms) {
                    prop_assert!(until - now_ms <= period_ms.max(1));
                    now_ms = until;
                }
                prop_assert!(cell.blocked_until_ms(rate, now_ms).is_none());
                cell.count(rate, now_ms);
            }
        }
    }
}
