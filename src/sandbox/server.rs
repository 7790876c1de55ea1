//! The HTTP side of every service: reads a request whole, lets a fault hit it, asks the service, writes the
//! receipt, and answers with the clock's `Date`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{DATE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Options;
use super::connection::{Connection, Door};
use super::exchange::{Answer, Api, Call};
use super::faults::{Fault, Faults};
use super::ledger::{Ledger, Receipt};
use crate::clock::Clock;

/// The largest request body that is read.
const BODY_LIMIT: usize = 8 << 20;

/// What the servers have in common.
pub(super) struct Shared {
    pub clock: Clock,
    pub ledger: Ledger,
    pub faults: Faults,
    /// The last `Date` that was written, by its unix second.
    date: Mutex<(i64, HeaderValue)>,
}

/// One service at its listener.
struct Desk<A> {
    shared: Arc<Shared>,
    api: Arc<A>,
    in_flight: AtomicUsize,
}

impl Shared {
    pub fn new(options: &Options) -> io::Result<Shared> {
        Ok(Shared {
            clock: options.clock.clone(),
            ledger: Ledger::open(options.ledger_file.as_deref())?,
            faults: Faults::new(),
            date: Mutex::new((i64::MIN, HeaderValue::from_static(""))),
        })
    }

    fn date(&self, now_ms: i64) -> HeaderValue {
        let second = now_ms.div_euclid(1000);
        let mut date = self.date.lock();
        if date.0 != second {
            let value = HeaderValue::from_str(&http_date(now_ms)).unwrap_or(HeaderValue::from_static(""));
            *date = (second, value);
        }
        date.1.clone()
    }
}

/// Everything that comes in goes to `api`.
pub(super) fn router<A: Api>(shared: Arc<Shared>, api: Arc<A>) -> Router {
    let desk = Desk { shared, api, in_flight: AtomicUsize::new(0) };
    Router::new().fallback(handle::<A>).with_state(Arc::new(desk))
}

/// Serves until `stopped` becomes true.
pub(super) async fn run(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Connection>();
    axum::serve(Door(listener), service)
        .with_graceful_shutdown(async move {
            // An error means that the sandbox was dropped, which stops it as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
        .await
}

async fn handle<A: Api>(
    State(desk): State<Arc<Desk<A>>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let busy = Busy::enter(&desk.in_flight);
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return desk.write(Answer::empty(StatusCode::PAYLOAD_TOO_LARGE), desk.shared.clock.now_ms());
    };
    let mut call = Call {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
        now_ms: desk.shared.clock.now_ms(),
        in_flight: busy.at_start,
        page_limit: None,
    };
    let Some((operation, argument)) = desk.api.route(call.method, call.path) else {
        return desk.write(desk.api.unknown(&call), call.now_ms);
    };
    let name = A::name(operation);
    desk.shared.ledger.count_request(A::SERVICE, name);

    let Some(fault) = desk.shared.faults.take(A::SERVICE, name) else {
        let answer = desk.api.answer(operation, argument, &call);
        desk.record(name, &call, &answer, false);
        return desk.write(answer, call.now_ms);
    };

    pause(fault.delay_ms).await;
    if fault.drop_before {
        return connection.tear();
    }
    call.now_ms = desk.shared.clock.now_ms();
    call.page_limit = fault.page_limit;
    let mut answer = if fault.answers() {
        let work = fault.after_work.then(|| desk.api.answer(operation, argument, &call));
        let mut answer = desk.fault_answer(&fault, &call);
        answer.written = work.and_then(|work| work.written);
        answer
    } else {
        desk.api.answer(operation, argument, &call)
    };
    add_wait_headers(&mut answer, &fault, call.now_ms);
    desk.record(name, &call, &answer, fault.tear);
    pause(fault.delay_answer_ms).await;
    if fault.tear { connection.tear() } else { desk.write(answer, desk.shared.clock.now_ms()) }
}

impl<A: Api> Desk<A> {
    fn record(&self, operation: &'static str, call: &Call<'_>, answer: &Answer, torn: bool) {
        if !matches!(*call.method, Method::POST | Method::DELETE) {
            return;
        }
        let (fingerprint, id) = match &answer.written {
            Some(written) => (written.fingerprint.clone(), written.id.clone()),
            None => (String::new(), None),
        };
        self.shared.ledger.record(Receipt {
            number: 0,
            service: A::SERVICE,
            operation,
            fingerprint,
            at_ms: call.now_ms,
            id,
            status: answer.status.as_u16(),
            idempotency_key: idempotency_key(call.headers),
            torn,
        });
    }

    fn fault_answer(&self, fault: &Fault, call: &Call<'_>) -> Answer {
        let given = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = given.unwrap_or(StatusCode::OK);
        if fault.garbage {
            return Answer::new(status, "application/json", r#"{"data":[{"id":"19"#);
        }
        if fault.html {
            let page = format!(
                "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
            );
            return Answer::new(status, "text/html; charset=utf-8", page);
        }
        match &fault.body {
            Some(body) => Answer::new(status, "application/json", body.clone()),
            None => self.api.failure(status, call),
        }
    }

    fn write(&self, answer: Answer, now_ms: i64) -> Response {
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        headers.reserve(answer.headers.len() + 2);
        for (name, value) in answer.headers {
            headers.insert(name, value);
        }
        headers.insert(DATE, self.shared.date(now_ms));
        response
    }
}

/// `Fri, 20 Nov 2026 13:19:00 GMT` (RFC 9110, section 5.6.7).
pub(super) fn http_date(epoch_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(epoch_ms) {
        Ok(time) => time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        Err(_) => String::new(),
    }
}

fn add_wait_headers(answer: &mut Answer, fault: &Fault, now_ms: i64) {
    if let Some(seconds) = fault.retry_after_s {
        let date = fault.retry_after_as_date.then(|| http_date(now_ms + seconds * 1000));
        let value = date.and_then(|date| HeaderValue::from_str(&date).ok());
        answer.headers.push((RETRY_AFTER, value.unwrap_or(HeaderValue::from(seconds))));
    }
    if let Some(seconds) = fault.reset_in_s {
        let reset_s = now_ms.div_euclid(1000) + seconds;
        answer.headers.push((HeaderName::from_static("x-rate-limit-remaining"), HeaderValue::from(0)));
        answer.headers.push((HeaderName::from_static("x-rate-limit-reset"), HeaderValue::from(reset_s)));
    }
}

fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("idempotency-key").or_else(|| headers.get("i-twilio-idempotency-token"))?;
    value.to_str().ok().map(Into::into)
}

async fn pause(delay_ms: u64) {
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
}

/// Counts a request while it is being answered.
struct Busy<'a> {
    in_flight: &'a AtomicUsize,
    at_start: usize,
}

impl<'a> Busy<'a> {
    fn enter(in_flight: &'a AtomicUsize) -> Self {
        let at_start = in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        Busy { in_flight, at_start }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
