//! One limit's state: its rate, what is under way, and what the service said is left. Pure arithmetic over
//! the time that it is given.

use std::sync::Arc;

use tokio::sync::Notify;

use super::log::Log;
use super::rate::{Cell, Rate};
use super::reset;
use crate::connector::message::HttpResponse;
use crate::manifest::connector::errors::LimitHeaders;

/// However far off a service says its reset is, it is asked again after a day.
const LONGEST_BLOCK_MS: i64 = 86_400_000;

/// What a bucket counts, fixed at load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Requests per time.
    pub rate: Option<Rate>,
    /// Whether all of them may come at once; else a tenth, and the rest is spread.
    pub at_once: bool,
    /// Requests under way at once.
    pub concurrent: Option<u32>,
    /// Where the service says how much is left; names in lower case.
    pub headers: Option<LimitHeaders>,
}

/// One limit's state.
#[derive(Debug)]
pub struct Bucket {
    /// Unique and stable over restarts.
    pub name: String,
    /// None where the connections of one app share it.
    pub connection: Option<String>,
    /// The connector.
    pub connector: String,
    /// What it counts.
    pub shape: Shape,
    /// UTC epoch milliseconds; past ones mean nothing.
    pub blocked_until_ms: i64,
    /// Told when something under way ends.
    pub freed: Arc<Notify>,
    cell: Cell,
    log: Log,
    under_way: u32,
    window: Option<Window>,
}

/// What the service said about its present window.
#[derive(Clone, Copy, Debug)]
struct Window {
    left: u64,
    reset_ms: i64,
}

/// Why a request has to wait.
pub enum Wait {
    /// Until this moment.
    Until(i64),
    /// Until something under way ends.
    Freed,
}

impl Bucket {
    /// Nothing counted yet.
    pub fn new(name: String, connector: String, connection: Option<String>, shape: Shape) -> Self {
        Bucket {
            name,
            connection,
            connector,
            shape,
            blocked_until_ms: 0,
            freed: Arc::default(),
            cell: Cell::default(),
            log: Log::default(),
            under_way: 0,
            window: None,
        }
    }

    /// Whether a request has to wait; `shares` is among how many hosts the limit is shared.
    pub fn wait(&self, shares: u32, now_ms: i64) -> Option<Wait> {
        if self.blocked_until_ms > now_ms {
            return Some(Wait::Until(self.blocked_until_ms));
        }
        match self.window.filter(|window| window.reset_ms > now_ms) {
            Some(window) if window.left == 0 => return Some(Wait::Until(window.reset_ms)),
            // The service's own count is better than ours.
            Some(_) => {}
            None => {
                let rate = self.shape.rate.map(|rate| rate.share(shares));
                let until = rate.and_then(|rate| match self.shape.at_once {
                    true => self.log.blocked_until_ms(rate, now_ms),
                    false => self.cell.blocked_until_ms(rate, now_ms),
                });
                if let Some(until_ms) = until {
                    return Some(Wait::Until(until_ms));
                }
            }
        }
        match self.shape.concurrent {
            Some(most) if self.under_way >= (most / shares.max(1)).max(1) => Some(Wait::Freed),
            _ => None,
        }
    }

    /// Counts a request that goes now.
    pub fn take(&mut self, shares: u32, now_ms: i64) {
        if self.shape.concurrent.is_some() {
            self.under_way = self.under_way.saturating_add(1);
        }
        if let Some(window) = &mut self.window {
            window.left = window.left.saturating_sub(1);
        }
        if let Some(rate) = self.shape.rate {
            match self.shape.at_once {
                true => self.log.count(rate.share(shares), now_ms),
                false => self.cell.count(rate.share(shares), now_ms),
            }
        }
    }

    /// A request has ended.
    pub fn give_back(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.freed.notify_waiters();
    }

    /// Reads what the answer says is left. Answers come out of order while several are under way: within
    /// one window the smallest number counts.
    pub fn learn(&mut self, response: &HttpResponse, shares: u32, now_ms: i64) {
        let Some(headers) = &self.shape.headers else {
            return;
        };
        let left: Option<u64> = response.header(&headers.remaining).and_then(|text| text.trim().parse().ok());
        let reset_ms = response
            .header(&headers.reset)
            .and_then(|text| reset::moment_ms(text, response.date_ms, now_ms))
            .map(|reset_ms| reset_ms.min(now_ms.saturating_add(LONGEST_BLOCK_MS)));
        let (Some(left), Some(reset_ms)) = (left, reset_ms) else {
            return;
        };
        // What is left is left for all hosts.
        let left = left.div_ceil(u64::from(shares.max(1)));
        // Dates and waits are given in whole seconds, so one window's reset is not always told alike.
        let same = self.window.filter(|window| window.reset_ms > now_ms && (window.reset_ms - reset_ms).abs() <= 2_000);
        self.window = Some(match same {
            Some(window) => Window { left: window.left.min(left), reset_ms: window.reset_ms.max(reset_ms) },
            None => Window { left, reset_ms },
        });
    }

    /// Until when nothing goes, if that is in the future: told by the service, or because nothing is left.
    pub fn blocked(&self, now_ms: i64) -> Option<i64> {
        let emptied_ms = self.window.filter(|window| window.left == 0).map_or(0, |window| window.reset_ms);
        Some(self.blocked_until_ms.max(emptied_ms)).filter(|until_ms| *until_ms > now_ms)
    }
}
