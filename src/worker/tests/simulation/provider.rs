//! The service of a simulation, in place of the network: a list (`shelf`), and a place that is told of items.
//! Requests go wrong as a seed says: refused, lost, torn after they were done, limited; one by one or all of them.

use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::plan::Plan;
use super::random::Random;
use super::shelf::Item;
use crate::clock::{Clock, rfc3339};
use crate::connector::requester::{Body, HttpRequest, HttpResponse};
use crate::engine::{Failure, Outcome, Verdict};
use crate::store::Store;
use crate::store::runs::{Filter, State};

/// What was permitted before a limit was told may still be on its way for as long.
const ON_ITS_WAY_MS: i64 = 60_000;

/// One thing that was done.
#[derive(Clone, Debug)]
pub struct Done {
    pub item: i64,
    pub to: String,
    pub key: Option<String>,
    /// When a look-up shows it.
    pub shown_ms: i64,
}

/// The service.
pub struct Provider {
    pub plan: Plan,
    clock: Clock,
    /// How far its clock is ahead of the host's.
    ahead_ms: AtomicI64,
    state: Mutex<Books>,
}

/// Everything that it knows, and what a simulation asks it afterwards.
pub struct Books {
    pub random: Random,
    pub items: Vec<Item>,
    pub done: Vec<Done>,
    /// Whether requests go wrong.
    pub has_faults: bool,
    /// What befalls all requests.
    pub weather: Weather,
    /// Pages that it named again.
    pub slips: usize,
    /// Runs that a person cancelled, and was told so.
    pub cancelled: Vec<String>,
    /// Runs that a person meant to cancel; the process may have ended before anyone was told whether it was done.
    pub meant: Vec<String>,
    /// Every request, in words.
    pub trace: Vec<String>,
    /// Requests that came while the service had asked to wait.
    pub impatient: Vec<String>,
    pub store: Option<Store>,
    blocked: Vec<Block>,
}

/// What befalls all requests for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Each is one too many.
    Storm,
    /// Each finds the service broken, or nobody at all.
    Down,
}

/// A time during which the service has asked to be left alone.
struct Block {
    what: &'static str,
    since_ms: i64,
    until_ms: i64,
    // The process ended before it can have written down that it was told.
    is_forgotten: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Refused,
    LostBefore,
    LostAfter,
    Broken { is_done: bool },
    Limited { wait_s: i64 },
    // A limit that does not say for how long.
    Untold,
}

impl Provider {
    pub fn new(plan: Plan, clock: Clock, random: Random) -> Self {
        let state = Books {
            random,
            items: Vec::new(),
            done: Vec::new(),
            has_faults: false,
            weather: Weather::Fair,
            slips: 0,
            cancelled: Vec::new(),
            meant: Vec::new(),
            trace: Vec::new(),
            impatient: Vec::new(),
            store: None,
            blocked: Vec::new(),
        };
        let ahead_ms = AtomicI64::new(plan.skew_ms);
        Provider { plan, clock, ahead_ms, state: Mutex::new(state) }
    }

    /// The service's time.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Sets the host's clock forward or back; the service's goes on as it did.
    pub fn set_clock(&self, by_ms: i64) {
        self.clock.advance(by_ms);
        self.ahead_ms.fetch_sub(by_ms, Ordering::Relaxed);
    }

    /// The process ended: what it was told since then may be in no store.
    pub fn ended(&self, since_ms: i64) {
        self.books(|books| {
            let told = books.blocked.iter_mut().filter(|block| block.since_ms >= since_ms);
            told.for_each(|block| block.is_forgotten = true);
        });
    }

    /// A look into its books, or a change of them.
    pub fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.state.lock())
    }

    fn fate(&self, books: &mut Books, what: &'static str, is_next_page: bool) -> Fate {
        let now_ms = self.now_ms();
        books.blocked.retain(|block| block.until_ms > now_ms);
        if let Some(block) = books.blocked.iter_mut().find(|block| block.what == what) {
            if !block.is_forgotten && block.since_ms + ON_ITS_WAY_MS < now_ms {
                books.impatient.push(format!("{what} at {}", rfc3339(now_ms)));
            }
            if std::mem::take(&mut block.is_forgotten) {
                block.since_ms = now_ms;
            }
            return Fate::Limited { wait_s: (block.until_ms - now_ms) / 1_000 + 1 };
        }
        if !books.has_faults {
            return Fate::Answered;
        }
        match books.weather {
            Weather::Storm => return self.limit(books, what),
            Weather::Down => return [Fate::Refused, broken(books)][usize::from(books.random.chance(700))],
            Weather::Fair => {}
        }
        if is_next_page && !self.plan.is_calm && books.random.chance(self.plan.pauses) {
            return self.limit(books, what);
        }
        if !books.random.chance(self.plan.faults) {
            return Fate::Answered;
        }
        match books.random.below(6) {
            0 => Fate::Refused,
            1 => Fate::LostBefore,
            2 => Fate::LostAfter,
            3 => broken(books),
            _ => self.limit(books, what),
        }
    }

    fn limit(&self, books: &mut Books, what: &'static str) -> Fate {
        if books.random.chance(200) {
            return Fate::Untold;
        }
        let wait_s = books.random.between(30, 7_200);
        let since_ms = self.now_ms();
        books.blocked.push(Block { what, since_ms, until_ms: since_ms + wait_s * 1_000, is_forgotten: false });
        Fate::Limited { wait_s }
    }

    /// What becomes of a request, and is answered.
    pub fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        let mut books = self.state.lock();
        let is_write = request.method == "POST";
        let what = match (is_write, request.url.path()) {
            (true, _) => "tell",
            (false, "/items") => "list",
            (false, "/told") => "told",
            (false, _) => "look",
        };
        let is_next_page = request.url.query_pairs().any(|(name, _)| name == "token");
        let fate = self.fate(&mut books, what, is_next_page);
        books.trace.push(format!("{} {what} {} {fate:?}", self.clock.now_ms(), text(request)));
        let done = match fate {
            Fate::Refused
            | Fate::LostBefore
            | Fate::Limited { .. }
            | Fate::Untold
            | Fate::Broken { is_done: false } => None,
            _ => Some(self.perform(&mut books, what, request)),
        };
        match (fate, done) {
            (Fate::Answered, Some((status, body))) => Ok(self.response(request, status, &[], &body)),
            (Fate::Refused, _) => Err(lost("connect_failed", "nobody listens", Outcome::NotSent)),
            (Fate::LostBefore, _) => Err(lost("timeout", "no answer in time", Outcome::Unknown)),
            (Fate::LostAfter, _) => Err(lost("connection_lost", "torn", Outcome::Unknown)),
            (Fate::Limited { wait_s }, _) => {
                let headers = [("retry-after".to_owned(), wait_s.to_string())];
                Ok(self.response(request, 429, &headers, &json!({"message": "too many requests"})))
            }
            (Fate::Untold, _) => Ok(self.response(request, 429, &[], &json!({"message": "too many requests"}))),
            _ => Ok(self.response(request, 500, &[], &json!({"message": "something broke"}))),
        }
    }

    fn perform(&self, books: &mut Books, what: &str, request: &HttpRequest) -> (u16, Value) {
        let asked =
            |name: &str| request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        match what {
            "list" => self.list(books, &asked),
            "told" => {
                let id: i64 = asked("id").unwrap().parse().unwrap();
                let now_ms = self.now_ms();
                let told = books.done.iter().enumerate().filter(|(_, done)| done.item == id && done.shown_ms <= now_ms);
                let told: Vec<Value> = told
                    .map(|(at, done)| json!({"id": at.to_string(), "text": format!("item {}", done.item)}))
                    .collect();
                (200, json!({"told": told}))
            }
            "tell" => {
                let body: Value = match &request.body {
                    Body::Json(bytes) => serde_json::from_slice(bytes).unwrap(),
                    other => panic!("{other:?}"),
                };
                let key = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
                let key = key.map(|(_, key)| key.clone());
                let known =
                    key.as_ref().and_then(|key| books.done.iter().position(|done| done.key.as_ref() == Some(key)));
                let at = known.unwrap_or_else(|| {
                    // Where absence is no proof, it shows up after the look-ups have ended.
                    let late_ms = match self.plan.effect {
                        "lookup" if books.random.chance(300) => 3_600_000,
                        "proof" => books.random.between(0, 300_000),
                        _ => 0,
                    };
                    books.done.push(Done {
                        shown_ms: self.now_ms() + late_ms,
                        item: body["id"].as_i64().unwrap(),
                        to: body["to"].as_str().unwrap_or_default().to_owned(),
                        key,
                    });
                    books.done.len() - 1
                });
                (201, json!({"id": at.to_string()}))
            }
            _ => (200, json!({"ok": true})),
        }
    }

    fn response(&self, request: &HttpRequest, status: u16, headers: &[(String, String)], body: &Value) -> HttpResponse {
        HttpResponse {
            status,
            headers: headers.to_vec(),
            body: Bytes::from(body.to_string()),
            saved: None,
            // A `Date` header has whole seconds.
            date_ms: Some(self.now_ms().div_euclid(1_000) * 1_000),
            url: request.url.clone(),
            elapsed_ms: 0,
            hops: 0,
            accepted: false,
        }
    }

    /// Time that a request takes.
    pub fn take_time(&self) {
        self.clock.advance(self.books(|books| books.random.between(0, self.plan.latency_ms)));
    }

    /// A person cancels a run while one is sending.
    pub async fn meddle(&self) {
        let store = {
            let mut books = self.state.lock();
            let wants = books.has_faults && books.random.chance(self.plan.cancels);
            books.store.clone().filter(|_| wants)
        };
        let Some(store) = store else { return };
        let filter = Filter { state: Some(State::Running), limit: 1, ..Filter::default() };
        let Ok(running) = store.list_runs(filter).await else { return };
        let Some(run) = running.first() else { return };
        self.state.lock().meant.push(run.id.clone());
        if let Ok(true) = store.end_run(run.id.clone(), None, State::Cancelled, None, self.clock.now_ms()).await {
            self.state.lock().cancelled.push(run.id.clone());
        }
    }
}

fn broken(books: &mut Books) -> Fate {
    Fate::Broken { is_done: books.random.chance(500) }
}

fn lost(code: &str, what: &str, outcome: Outcome) -> Failure {
    Failure {
        code: code.to_owned(),
        message: what.to_owned(),
        help: None,
        outcome,
        verdict: Verdict::Retry { after_ms: None },
        status: None,
        service_code: None,
    }
}

fn text(request: &HttpRequest) -> String {
    let query = request.url.query().unwrap_or_default();
    match &request.body {
        Body::Json(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => format!("{}?{query}", request.url.path()),
    }
}
