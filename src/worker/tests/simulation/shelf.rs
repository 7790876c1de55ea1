//! What the service lists: items that show up late, are dated ahead, become ready or change places, page by page
//! with tokens that expire and lists that move while they are read.

use serde_json::{Value, json};

use super::provider::{Books, Provider};
use super::random::Random;
use crate::clock::rfc3339;

/// How long the list keeps an item.
pub const KEPT_MS: i64 = 7 * 86_400_000;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// One item of the list.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: i64,
    /// By the service's clock, as are all times here.
    pub created_ms: i64,
    pub visible_ms: i64,
    pub ready_ms: i64,
}

impl Provider {
    /// An item that was there before the flow was.
    pub fn add_history(&self, age_ms: i64) {
        let created_ms = self.now_ms() - age_ms;
        self.books(|books| books.put(created_ms, created_ms, created_ms));
    }

    /// An item that is made now, or a while ago; it may show up later.
    pub fn add(&self, random: &mut Random, age_ms: i64) {
        self.books(|books| self.make(books, random, age_ms));
    }

    fn make(&self, books: &mut Books, random: &mut Random, age_ms: i64) {
        let made_ms = self.now_ms() - age_ms;
        if self.plan.trigger != "dated" {
            return books.put(made_ms, made_ms, made_ms);
        }
        // Some are dated ahead of the service's own clock.
        let created_ms = match random.chance(30) {
            true => made_ms + 3 * HOUR,
            false => made_ms - random.between(0, 5 * MINUTE),
        };
        // Some share the time of the one before. Drawn beside the others, so that those are what they were.
        let shared_ms = books.items.last().map(|last| last.created_ms);
        let shared_ms = shared_ms.filter(|last| (0..=5 * MINUTE).contains(&(made_ms - last)));
        let created_ms = shared_ms.filter(|_| random.clone().chance(300)).unwrap_or(created_ms);
        let late_ms = match random.below(10) {
            0 if self.plan.is_deep => random.between(10 * MINUTE, 5 * HOUR),
            1 if self.plan.is_deep => random.between(HOUR, 20 * HOUR),
            0..=4 => random.between(0, 9 * MINUTE),
            _ => 0,
        };
        // What shows up late is old enough to be taken as it is.
        let is_arriving = late_ms == 0 && random.chance(200);
        let ready_after_ms = if is_arriving { random.between(0, 8) * MINUTE } else { 0 };
        let visible_ms = made_ms.max(created_ms.min(made_ms) + late_ms);
        books.put(created_ms, visible_ms, visible_ms + ready_after_ms);
    }

    /// A page of the list, or why there is none.
    pub fn list(&self, books: &mut Books, asked: &dyn Fn(&str) -> Option<String>) -> (u16, Value) {
        // No more than can be read before the clock jumps, and takes the page's token along.
        if books.has_faults && books.random.chance(self.plan.arrivals) && books.items.len() < 150 {
            let mut random = books.random.clone();
            self.make(books, &mut random, 0);
            books.random = random;
        }
        let now_ms = self.now_ms();
        let since_ms = asked("since").map(|since| since.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        if since_ms.is_some_and(|since| since < now_ms - KEPT_MS) {
            return (400, json!({"message": "since is too old"}));
        }
        let offset = match asked("token") {
            None => 0,
            Some(token) => {
                // Each token is another one, although two pages may begin at the same place.
                let (offset, issued) = token.split_once('@').unwrap();
                let issued_ms: i64 = issued.split('@').next().unwrap().parse().unwrap();
                if now_ms - issued_ms > self.plan.token_ms || books.has_faults && books.random.chance(20) {
                    return (400, json!({"message": "the token expired"}));
                }
                offset.parse().unwrap()
            }
        };
        let from = asked("from").map_or(i64::MIN, |from| from.parse().unwrap());
        let mut items: Vec<&Item> = books
            .items
            .iter()
            .filter(|item| item.visible_ms <= now_ms && item.created_ms > now_ms - KEPT_MS && item.id >= from)
            // Services date by the second.
            .filter(|item| since_ms.is_none_or(|since| item.created_ms / 1_000 >= since / 1_000))
            .collect();
        match (self.plan.trigger, self.plan.order) {
            // Of the same second, in any order.
            ("dated", "asc") => items.sort_by_key(|item| (item.created_ms / 1_000, scrambled(item))),
            ("dated", _) => items.sort_by_key(|item| (std::cmp::Reverse(item.created_ms / 1_000), scrambled(item))),
            ("any", _) => items.sort_by_key(|item| scrambled(item)),
            (_, "asc") => items.sort_by_key(|item| (item.created_ms, item.id)),
            _ => items.sort_by_key(|item| std::cmp::Reverse((item.created_ms, item.id))),
        }
        // A page may be short or empty although more follows.
        let short = if books.has_faults && books.random.chance(100) { books.random.below(3) } else { u64::MAX };
        let size = self.plan.page.min(usize::try_from(short).unwrap_or(usize::MAX));
        let page: Vec<Value> = items
            .iter()
            .skip(offset)
            .take(size)
            .map(|item| {
                json!({
                    "id": item.id,
                    "parity": if item.id % 2 == 0 { "even" } else { "odd" },
                    "created_at": rfc3339(item.created_ms),
                    "status": if item.ready_ms > now_ms { "arriving" } else { "arrived" },
                })
            })
            .collect();
        let next = offset + page.len();
        let token = (next < items.len()).then(|| format!("{next}@{now_ms}@{}", books.trace.len()));
        // Now and then it names the page again that it was asked for.
        let is_slip =
            token.is_some() && asked("token").is_some() && books.has_faults && books.random.chance(self.plan.slips);
        books.slips += usize::from(is_slip);
        let token = if is_slip { asked("token") } else { token };
        (200, json!({"items": page, "next": token}))
    }
}

impl Books {
    fn put(&mut self, created_ms: i64, visible_ms: i64, ready_ms: i64) {
        let id = self.items.last().map_or(1, |item| item.id + 1);
        self.items.push(Item { id, created_ms, visible_ms, ready_ms });
    }
}

fn scrambled(item: &Item) -> i64 {
    item.id.wrapping_mul(7_919) % 101
}
