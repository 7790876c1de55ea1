//! Whether a request left, and what went wrong on its way. A body is handed to HTTP/1.1 in the same turn that
//! first writes to the connection: a body that nobody asked for is a request that never left.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::egress::{NameNotFound, Refused};
use super::message::{Method, Url};
use crate::crash;
use crate::engine::{Failure, Outcome, Verdict};

/// Follows one request over its hops, so that whatever ends it can tell what the service may have done.
pub struct Journey {
    /// `POST api.example.org/path`: no query, because secrets may be in it.
    title: String,
    mark: Option<Arc<Mark>>,
    /// A hop took the body and redirected to a page about it.
    accepted: bool,
    status: Option<u16>,
}

/// A body that tells when it is taken, once and for all.
pub struct Watched<S> {
    mark: Arc<Mark>,
    is_taken: bool,
    pieces: S,
}

#[derive(Default)]
struct Mark(AtomicU8);

/// Request Timeout.
const TOO_SLOW: u16 = 408;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Mark {
    /// Whether it was the first to decide.
    fn decide(&self, as_what: u8) -> bool {
        match self.0.compare_exchange(0, as_what, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(decided) => decided == as_what,
        }
    }
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Stream for Watched<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.is_taken {
            self.is_taken = true;
            crash::point("request.taken");
            if !self.mark.decide(TAKEN) {
                return Poll::Ready(Some(Err(io::Error::other("the request was withdrawn"))));
            }
        }
        Pin::new(&mut self.pieces).poll_next(context)
    }
}

impl Journey {
    /// Before the first hop.
    pub fn new(method: &Method, url: &Url) -> Self {
        Journey { title: format!("{method} {}{}", place(url), url.path()), mark: None, accepted: false, status: None }
    }

    /// A hop begins; `body` comes back as what is sent.
    pub fn set_out<S>(&mut self, pieces: S) -> Watched<S> {
        let mark = Arc::new(Mark::default());
        self.mark = Some(mark.clone());
        self.status = None;
        Watched { mark, is_taken: false, pieces }
    }

    /// A hop without a body begins: nothing tells when it has left.
    pub fn set_out_bare(&mut self) {
        self.mark = None;
        self.status = None;
    }

    /// The head of an answer has come.
    pub fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// A redirect is followed; `kept` when the request goes along as it is, or asked for nothing to be done.
    pub fn redirected(&mut self, kept: bool) {
        self.accepted |= !kept;
        self.status = None;
    }

    /// What the service may have done, now that the request ended without an answer.
    /// From here on a body that was not taken never will be.
    fn outcome(&self) -> Outcome {
        let not_taken = || self.mark.as_ref().is_some_and(|mark| mark.decide(WITHDRAWN));
        match self.status {
            _ if self.accepted => Outcome::Unknown,
            Some(TOO_SLOW) | None if not_taken() => Outcome::NotSent,
            Some(TOO_SLOW) => Outcome::Unknown,
            Some(400..=499) => Outcome::NotDone,
            _ => Outcome::Unknown,
        }
    }

    /// Whether the service took the request before it gave the answer that has come. Gateways say 408 also of
    /// work that goes on behind them: only a body that was never taken proves that nothing was done.
    pub fn has_accepted(&self) -> bool {
        let is_taken = || !self.mark.as_ref().is_some_and(|mark| mark.decide(WITHDRAWN));
        self.accepted || (self.status == Some(TOO_SLOW) && is_taken())
    }

    /// Before this hop was sent: what happened on hops before decides.
    fn outcome_unsent(&self) -> Outcome {
        if self.accepted { Outcome::Unknown } else { Outcome::NotSent }
    }

    /// Something of our own went wrong before this hop was sent.
    pub fn prepared_badly(&self, failure: Failure) -> Failure {
        Failure { outcome: self.outcome_unsent(), ..failure }
    }

    fn failure(&self, code: &str, what: &str, outcome: Outcome, verdict: Verdict) -> Failure {
        Failure {
            code: code.to_owned(),
            message: format!("{}: {what}", self.title),
            help: None,
            outcome,
            verdict,
            status: self.status,
            service_code: None,
        }
    }

    /// The time for it is over.
    pub fn timed_out(&self, timeout: std::time::Duration) -> Failure {
        let outcome = self.outcome();
        let what = match outcome {
            Outcome::NotSent => "no connection",
            _ => "no complete answer",
        };
        let what = format!("{what} within {} ms", timeout.as_millis());
        self.failure("timeout", &what, outcome, RETRY).with_help("a slower service needs a longer `timeout`")
    }

    /// The egress guard said no.
    pub fn refused(&self, refused: &Refused) -> Failure {
        let (outcome, verdict) = (self.outcome_unsent(), Verdict::Fail);
        self.failure("egress_refused", &refused.to_string(), outcome, verdict).with_help(format!(
            "if it is meant to be reached, put \"{}\" under `egress.allow` in tidegate.yaml",
            refused.rule()
        ))
    }

    /// A redirect that is not followed.
    pub fn not_followed(&self, code: &str, reason: &str) -> Failure {
        let outcome = if self.accepted { Outcome::Unknown } else { Outcome::NotDone };
        let what = format!("the service answers with a redirect, and {reason}");
        self.failure(code, &what, outcome, Verdict::Fail)
            .with_help("if the service has moved, change the host or the path")
    }

    /// More bytes than are taken from a service.
    pub fn too_large(&self, limit_bytes: u64) -> Failure {
        let what = format!("the answer is larger than {limit_bytes} bytes");
        self.failure("response_too_large", &what, self.outcome(), Verdict::Fail)
            .with_help("ask for smaller pages or fewer fields")
    }

    /// Whatever else the HTTP client says.
    pub fn broken(&self, error: &reqwest::Error) -> Failure {
        if let Some(refused) = cause::<Refused>(error) {
            return self.refused(refused);
        }
        let unsent = self.outcome_unsent();
        if let Some(unknown) = cause::<NameNotFound>(error) {
            let what = format!("the name can not be resolved ({unknown})");
            return self
                .failure("name_not_found", &what, unsent, RETRY)
                .with_help("look for a typing error in the host, and whether this machine has DNS");
        }
        let last = causes(error).last().map_or_else(String::new, ToString::to_string);
        if error.is_connect() {
            if let Some(broken) = cause::<rustls::Error>(error) {
                let what = format!("no trusted TLS connection ({broken})");
                return self
                    .failure("tls_failed", &what, unsent, RETRY)
                    .with_help("the certificate must be valid, for this name, and from a public authority");
            }
            if error.is_timeout() {
                let what = "the host does not accept the connection in time";
                return self.failure("timeout", what, unsent, RETRY);
            }
            let what = format!("the connection can not be opened ({last})");
            return self
                .failure("connect_failed", &what, unsent, RETRY)
                .with_help("look whether the service runs, and for the host's address and port");
        }
        if error.is_builder() {
            let what = format!("the request can not be written ({last})");
            return self.failure("request_invalid", &what, unsent, Verdict::Fail);
        }
        let garbled = cause::<io::Error>(error)
            .is_some_and(|error| matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
        if garbled {
            let what = format!("the answer's compression can not be undone ({last})");
            return self.failure("response_unreadable", &what, self.outcome(), RETRY);
        }
        let what = format!("the connection broke before the whole answer came ({last})");
        self.failure("connection_lost", &what, self.outcome(), RETRY)
    }
}

const RETRY: Verdict = Verdict::Retry { after_ms: None };

fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The error and what caused it; `io::Error` passes over what it wraps, so that is looked into here.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| beneath(error))
}

fn beneath<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|error| error.downcast_ref())
}
