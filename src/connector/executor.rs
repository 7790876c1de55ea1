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
use super::exchange::Exchange;
use super::limits::{Blocked, Limits, Permit};
use super::mask::Mask;
use super::message::HostSet;
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
        Executor {
            requester,
            limits,
            clock,
            files: Files::new(folders),
            ad_hoc: Arc::new(Action::ad_hoc()),
        }
    }

    /// Inputs completed and checked, the request rendered. Nothing is sent.
    pub fn prepare(&self, call: Call<'_>) -> Result<Prepared, Failure> {
        Prepared::new(call, &self.files)
    }

    /// The same for an `http` step.
    pub fn prepare_ad_hoc(&self, call: AdHoc<'_>) -> Result<Prepared, Failure> {
        Prepared::ad_hoc(call, &self.ad_hoc)
    }

    /// Leave to send now, or until when there is none. Never waits.
    pub fn permit(&self, prepared: &Prepared) -> Result<Permit, Blocked> {
        self.limits
            .acquire(&prepared.limit_keys(), self.clock.now_ms())
    }

    /// Sends one request: a page. The permit is given back when the answer has been read.
    pub async fn send(&self, prepared: Prepared, permit: Permit) -> Sent {
        let sent = match prepared.work {
            Work::Builtin(builtin) => Sent {
                exchange: None,
                result: builtin.run(&self.files).await.map(Page::of_output),
            },
            Work::Request(_) | Work::AdHoc(_) => self.exchange(prepared).await,
        };
        drop(permit);
        sent
    }

    async fn exchange(&self, mut prepared: Prepared) -> Sent {
        let no_mask = Mask::default();
        let nowhere = HostSet::default();
        let connection = prepared.connection.clone();
        let (mask, allowed, proxy) = match &connection {
            Some(connection) => (
                &connection.mask,
                &connection.allowed,
                connection.proxy.as_deref(),
            ),
            None => (&no_mask, &nowhere, None),
        };
        let (Work::Request(request) | Work::AdHoc(request)) = &prepared.work else {
            return Sent {
                exchange: None,
                result: Ok(Page::default()),
            };
        };
        let started_ms = self.clock.now_ms();
        let timeout = Duration::from_millis(prepared.timeout_ms.max(1).unsigned_abs());
        let outcome = self
            .requester
            .send(request, &prepared.credentials, allowed, timeout, proxy)
            .await;
        let now_ms = self.clock.now_ms();
        let keys = prepared.limit_keys();
        let exchange = Exchange::new(
            request,
            outcome.as_ref().ok(),
            mask,
            &prepared.action.secret,
            started_ms,
            now_ms,
        );
        let result = match outcome {
            Ok(response) => {
                self.limits.learn(&keys, &response, now_ms);
                prepared.read(&response, mask, now_ms)
            }
            Err(failure) => Err(Failure {
                message: mask.text(&failure.message),
                ..failure
            }),
        };
        if let Err(Failure {
            verdict: Verdict::RateLimited { until_ms },
            ..
        }) = &result
        {
            self.limits.block(&keys, *until_ms);
        }
        Sent {
            exchange: Some(exchange),
            result,
        }
    }
}
