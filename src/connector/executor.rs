//! The one path for action, poll and test: prepare (pure), permit (never waits), send (one request), and the
//! answer judged and read. Retries and repeats are the engine's to decide.

mod answer;
mod proof;
mod token;
mod whole;

pub use self::answer::Page;
pub use self::proof::Proof;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::token::Token;
use super::action::Action;
use super::builtin::{Files, Outside};
use super::exchange::{Exchange, Veil};
use super::grants::{Grants, NoGrants};
use super::limits::{Blocked, Limits, Permit};
use super::message::{HostSet, HttpResponse};
use super::prepare::{AdHoc, Call, Prepared, Work};
use super::requester::Requester;
use super::resolve::{Remembered, Remembering};
use crate::clock::Clock;
use crate::engine::{Failure, Outcome, Verdict};
use crate::planted::bug;

/// Sends what connectors describe.
pub struct Executor {
    requester: Requester,
    limits: Limits,
    clock: Clock,
    files: Files,
    ad_hoc: Arc<Action>,
    pub(super) remembered: Remembered,
    grants: Arc<dyn Grants>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Sent {
    /// The request and the answer as they may be looked at; none for built-in actions.
    pub exchange: Option<Exchange>,
    /// The page, or why there is none.
    pub result: Result<Page, Failure>,
    /// Where an action with `foreach` failed as a whole: what came of each element, as its output would tell it.
    pub elements: Option<Value>,
}

impl Sent {
    fn failed(exchange: Option<Exchange>, failure: Failure) -> Sent {
        Sent { exchange, result: Err(failure), elements: None }
    }
}

impl Executor {
    /// `folders` are where files may be read and written; what is written to a relative path is below the first.
    pub fn new(requester: Requester, limits: Limits, clock: Clock, folders: Vec<PathBuf>) -> Self {
        Executor {
            requester,
            limits,
            clock,
            files: Files::new(folders),
            ad_hoc: Arc::new(Action::ad_hoc()),
            remembered: Remembered::default(),
            grants: Arc::new(NoGrants),
        }
    }

    /// What was looked up is also remembered there.
    pub fn remember_with(&mut self, beyond: Arc<dyn Remembering>) {
        self.remembered.beyond(beyond);
    }

    /// UTC epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The same with a place where the grants of sign-ins are kept.
    #[must_use]
    pub fn with_grants(self, grants: Arc<dyn Grants>) -> Self {
        Executor { grants, ..self }
    }

    /// The limits, to be shown, stored and given back.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Inputs completed and checked, the request rendered. Nothing is sent; what the action wants looked up comes
    /// with the call, see [`Executor::resolve`].
    pub fn prepare(&self, call: Call<'_>) -> Result<Prepared, Failure> {
        Prepared::new(call, &self.files, &self.limits, self.clock.now_ms())
    }

    /// The same for an `http` step.
    pub fn prepare_ad_hoc(&self, call: AdHoc<'_>) -> Result<Prepared, Failure> {
        Prepared::ad_hoc(call, &self.ad_hoc, &self.limits)
    }

    /// Leave to send now, or until when there is none. Never waits.
    pub fn permit(&self, prepared: &Prepared) -> Result<Permit, Blocked> {
        self.limits.acquire(&prepared.keys, self.clock.now_ms())
    }

    /// Sends one request: a page. A token that the service refuses is had again, once, and the request
    /// repeated: what was refused so was not done. The permit is given back when the answer has been read.
    pub async fn send(&self, prepared: Prepared, permit: Permit) -> Sent {
        let sent = match prepared.work {
            Work::Builtin(builtin) => {
                let outside = Outside {
                    files: &self.files,
                    egress: self.requester.egress(),
                    now_ms: self.clock.now_ms(),
                    timeout_ms: prepared.timeout_ms,
                };
                let done = builtin.run(&outside).await.map(Page::of_output);
                // What a server says may repeat what it was sent.
                let mask = prepared.connection.as_ref().map(|connection| Arc::clone(&connection.mask));
                let told = |failure: Failure| match &mask {
                    Some(mask) => Failure { message: mask.text(&failure.message), ..failure },
                    None => failure,
                };
                Sent { exchange: None, result: done.map_err(told), elements: None }
            }
            Work::Request(_) | Work::Download(..) | Work::AdHoc(_) => self.exchange(prepared).await,
        };
        drop(permit);
        sent
    }

    async fn exchange(&self, mut prepared: Prepared) -> Sent {
        let mut token = match self.token(&prepared).await {
            Ok(token) => token,
            Err(failure) => {
                return Sent::failed(None, failure);
            }
        };
        let mut travelled = self.travel(&prepared, &token).await;
        let mut received = self.receive(&mut prepared, &token, travelled.answer);
        match self.another(&prepared, &token, &received.0).await {
            None => {}
            // The service refused the request before: it was not done.
            Some(Err(failure)) => received.0 = Err(Failure { outcome: Outcome::NotDone, ..failure }),
            Some(Ok(another)) => {
                token = another;
                travelled = self.travel(&prepared, &token).await;
                received = self.receive(&mut prepared, &token, travelled.answer);
            }
        }
        let (result, response) = received;
        let veil = Veil { mask: Arc::clone(token.mask()), members: Arc::clone(&prepared.action.secret) };
        let exchange = match prepared.work {
            Work::Request(request) | Work::Download(request, _) | Work::AdHoc(request) => {
                let elapsed_ms = self.clock.now_ms().saturating_sub(travelled.started_ms);
                Some(Exchange::new(request, response, veil, travelled.started_ms, elapsed_ms))
            }
            Work::Builtin(_) => None,
        };
        Sent { exchange, result, elements: None }
    }

    async fn travel(&self, prepared: &Prepared, token: &Token) -> Travelled {
        let started_ms = self.clock.now_ms();
        let (request, download) = match &prepared.work {
            Work::Request(request) | Work::AdHoc(request) => (request, None),
            Work::Download(request, download) => (request, Some(download)),
            Work::Builtin(_) => {
                return Travelled { answer: Err(Failure::not_sent("not_sent", "there is no request")), started_ms };
            }
        };
        let timeout = Duration::from_millis(prepared.timeout_ms.max(1).unsigned_abs());
        let nowhere = HostSet::default();
        let (allowed, proxy) = match &prepared.connection {
            Some(connection) => (&connection.allowed, connection.proxy.as_deref()),
            None => (&nowhere, None),
        };
        let answer = self.requester.fetch(request, download, token.credentials(), allowed, timeout, proxy).await;
        Travelled { answer, started_ms }
    }

    fn receive(
        &self,
        prepared: &mut Prepared,
        token: &Token,
        answer: Result<HttpResponse, Failure>,
    ) -> (Result<Page, Failure>, Option<HttpResponse>) {
        let now_ms = self.clock.now_ms();
        let mask = token.mask();
        let (result, response) = match answer {
            Ok(response) => {
                self.limits.learn(&prepared.keys, &response, now_ms);
                (prepared.read(&response, mask, now_ms), Some(response))
            }
            Err(failure) => {
                let is_planted = bug("timeout_is_not_sent");
                let outcome = if is_planted { Outcome::NotSent } else { failure.outcome };
                (Err(Failure { message: mask.text(&failure.message), outcome, ..failure }), None)
            }
        };
        if let Err(Failure { verdict: Verdict::RateLimited { until_ms }, .. }) = &result {
            self.limits.block(&prepared.keys, *until_ms);
        }
        (result, response)
    }
}

/// What came back, and when it set out.
struct Travelled {
    answer: Result<HttpResponse, Failure>,
    /// UTC epoch milliseconds.
    started_ms: i64,
}
