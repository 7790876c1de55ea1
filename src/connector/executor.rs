//! The one path for action, poll and test: prepare (pure), permit (never waits), send (one request), and the
//! answer judged and read. Retries and repeats are the engine's to decide.

mod answer;
mod whole;

pub use self::answer::Page;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::builtin::Files;
use super::exchange::{Exchange, Veil};
use super::limits::{Blocked, Limits, Permit};
use super::message::{HostSet, HttpRequest, HttpResponse};
use super::prepare::{AdHoc, Call, Prepared, Work};
use super::requester::Requester;
use crate::clock::Clock;
use crate::engine::{Failure, Verdict};

/// Sends what connectors describe.
pub struct Executor {
    requester: Requester,
    limits: Limits,
    clock: Clock,
    files: Files,
    ad_hoc: Arc<Action>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Sent {
    /// The request and the answer as they may be looked at; none for built-in actions.
    pub exchange: Option<Exchange>,
    /// The page, or why there is none.
    pub result: Result<Page, Failure>,
}

impl Executor {
    /// `folders` are where `file.append` may write; relative paths are below the first.
    pub fn new(requester: Requester, limits: Limits, clock: Clock, folders: Vec<PathBuf>) -> Self {
        Executor { requester, limits, clock, files: Files::new(folders), ad_hoc: Arc::new(Action::ad_hoc()) }
    }

    /// The limits, to be shown, stored and given back.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Inputs completed and checked, the request rendered. Nothing is sent.
    pub fn prepare(&self, call: Call<'_>) -> Result<Prepared, Failure> {
        Prepared::new(call, &self.files, &self.limits)
    }

    /// The same for an `http` step.
    pub fn prepare_ad_hoc(&self, call: AdHoc<'_>) -> Result<Prepared, Failure> {
        Prepared::ad_hoc(call, &self.ad_hoc, &self.limits)
    }

    /// Leave to send now, or until when there is none. Never waits.
    pub fn permit(&self, prepared: &Prepared) -> Result<Permit, Blocked> {
        self.limits.acquire(&prepared.keys, self.clock.now_ms())
    }

    /// Sends one request: a page. The permit is given back when the answer has been read.
    pub async fn send(&self, prepared: Prepared, permit: Permit) -> Sent {
        let sent = match prepared.work {
            Work::Builtin(builtin) => {
                Sent { exchange: None, result: builtin.run(&self.files).await.map(Page::of_output) }
            }
            Work::Request(ref request) | Work::AdHoc(ref request) => {
                let answer = self.travel(&prepared, request).await;
                self.receive(prepared, answer)
            }
        };
        drop(permit);
        sent
    }

    async fn travel(&self, prepared: &Prepared, request: &HttpRequest) -> Travelled {
        let timeout = Duration::from_millis(prepared.timeout_ms.max(1).unsigned_abs());
        let nowhere = HostSet::default();
        let (allowed, proxy) = match &prepared.connection {
            Some(connection) => (&connection.allowed, connection.proxy.as_deref()),
            None => (&nowhere, None),
        };
        let started_ms = self.clock.now_ms();
        let answer = self.requester.send(request, &prepared.credentials, allowed, timeout, proxy).await;
        Travelled { answer, started_ms }
    }

    fn receive(&self, mut prepared: Prepared, travelled: Travelled) -> Sent {
        let now_ms = self.clock.now_ms();
        let mask = match &prepared.connection {
            Some(connection) => Arc::clone(&connection.mask),
            None => Arc::default(),
        };
        let (result, response) = match travelled.answer {
            Ok(response) => {
                self.limits.learn(&prepared.keys, &response, now_ms);
                (prepared.read(&response, &mask, now_ms), Some(response))
            }
            Err(failure) => (Err(Failure { message: mask.text(&failure.message), ..failure }), None),
        };
        if let Err(Failure { verdict: Verdict::RateLimited { until_ms }, .. }) = &result {
            self.limits.block(&prepared.keys, *until_ms);
        }
        let veil = Veil { mask, members: Arc::clone(&prepared.action.secret) };
        let exchange = match prepared.work {
            Work::Request(request) | Work::AdHoc(request) => {
                let elapsed_ms = now_ms.saturating_sub(travelled.started_ms);
                Some(Exchange::new(request, response, veil, travelled.started_ms, elapsed_ms))
            }
            Work::Builtin(_) => None,
        };
        Sent { exchange, result }
    }
}

/// What came back, and when it set out.
struct Travelled {
    answer: Result<HttpResponse, Failure>,
    /// UTC epoch milliseconds.
    started_ms: i64,
}
