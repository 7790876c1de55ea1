//! A limit whose whole count may come at once: the times of the requests of the last period, so that no window
//! of it holds more than the count. Kept where a limit says `burst: all`; others are kept by a `Cell`.

use std::collections::VecDeque;

use super::rate::Rate;

/// The times of past requests, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    /// UTC epoch milliseconds.
    taken_ms: VecDeque<i64>,
}

impl Log {
    /// None if a request may go now, or when the next one may, in UTC epoch milliseconds.
    pub fn blocked_until_ms(&self, rate: Rate, now_ms: i64) -> Option<i64> {
        let count = usize::try_from(rate.count).unwrap_or(usize::MAX);
        // The one that must be a period old: with it and those after it the count is reached.
        let oldest = self.taken_ms.len().checked_sub(count).and_then(|position| self.taken_ms.get(position))?;
        // A clock that was set back makes nobody wait for longer than the period.
        let until_ms = (*oldest).min(now_ms).saturating_add(rate.period_ms);
        (until_ms > now_ms).then_some(until_ms)
    }

    /// Counts a request.
    pub fn count(&mut self, rate: Rate, now_ms: i64) {
        let over_ms = now_ms.saturating_sub(rate.period_ms);
        while self.taken_ms.front().is_some_and(|taken_ms| *taken_ms <= over_ms) {
            self.taken_ms.pop_front();
        }
        for taken_ms in &mut self.taken_ms {
            *taken_ms = (*taken_ms).min(now_ms);
        }
        self.taken_ms.push_back(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_count_goes_at_once_and_again_when_the_period_is_over() {
        let rate = Rate { count: 12, period_ms: 3_600_000 };
        let mut log = Log::default();
        for hour in 0..3 {
            let now_ms = hour * 3_600_000;
            for _ in 0..12 {
                assert_eq!(log.blocked_until_ms(rate, now_ms), None);
                log.count(rate, now_ms);
            }
            assert_eq!(log.blocked_until_ms(rate, now_ms + 60_000), Some(now_ms + 3_600_000));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_for_no_longer_than_the_period() {
        let rate = Rate { count: 1, period_ms: 1_000 };
        let mut log = Log::default();
        log.count(rate, 10_000);
        assert_eq!(log.blocked_until_ms(rate, 5_000), Some(6_000));
    }

    proptest! {
        /// Whatever the arrivals, no window of the period holds more than the count, and waiting as told is enough.
        #[test]
        fn no_window_holds_more_than_the_count(
            count in 1_u32..50,
            period_ms in 1_i64..10_000,
            gaps in prop::collection::vec(0_i64..400, 1..300),
        ) {
            let rate = Rate { count, period_ms };
            let mut log = Log::default();
            let mut now_ms = 1_000_000;
            let mut taken: Vec<i64> = Vec::new();
            for gap in gaps {
                now_ms += gap;
                if let Some(until_ms) = log.blocked_until_ms(rate, now_ms) {
                    prop_assert!(until_ms > now_ms && until_ms - now_ms <= period_ms);
                    now_ms = until_ms;
                }
                prop_assert!(log.blocked_until_ms(rate, now_ms).is_none());
                log.count(rate, now_ms);
                taken.push(now_ms);
            }
            for (first, start) in taken.iter().enumerate() {
                let inside = taken[first..].iter().take_while(|at| **at < start + period_ms).count();
                prop_assert!(inside <= count as usize, "{inside} of {count} from {start}");
            }
        }
    }
}
