//! The one way out to a service: guarded addresses, own redirects, credentials only where they may go,
//! bounded answers. One per process. It never retries and never judges a status: the executor does.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use tokio::time;

use super::auth::{Credentials, Outgoing, oauth1};
use super::clients::Clients;
use super::delivery::Journey;
use super::egress::Egress;
use super::limits::reset;
use super::message::same_origin;
pub use super::message::{Body, HostSet, HttpRequest, HttpResponse, Method, Url};
use super::redirect::{self, MAX_HOPS, Next};
use crate::clock::Clock;
use crate::engine::Failure;

/// How large an answer may be unless the options say otherwise: 10 MiB after decompression.
pub const MAX_RESPONSE_BYTES: usize = 10 * 1024 * 1024;

/// What a requester needs.
#[derive(Clone, Debug)]
pub struct RequesterOptions {
    /// Which addresses may be reached.
    pub egress: Egress,
    /// The time of OAuth 1 timestamps and of `elapsed_ms`.
    pub clock: Clock,
    /// The most bytes of an answer, after decompression.
    pub max_response_bytes: usize,
    /// The `User-Agent` of every request.
    pub user_agent: String,
}

/// The guarded HTTP client.
pub struct Requester {
    clients: Clients,
    egress: Egress,
    clock: Clock,
    max_response_bytes: usize,
}

impl Requester {
    /// Opens nothing and reads no certificates yet: that waits for the first request.
    /// Fails with `user_agent_invalid`.
    pub fn new(options: RequesterOptions) -> Result<Self, Failure> {
        if HeaderValue::from_str(&options.user_agent).is_err() {
            return Err(Failure::not_sent(
                "user_agent_invalid",
                "the user agent has characters that a header can not carry",
            ));
        }
        Ok(Requester {
            clients: Clients::new(options.egress.clone(), options.user_agent),
            egress: options.egress,
            clock: options.clock,
            max_response_bytes: options.max_response_bytes,
        })
    }

    /// Sends a request, follows its redirects and reads the answer, all within `timeout`. Credentials go to
    /// origins in `allowed` only. Any status is an answer; a failure says by its outcome what the service
    /// may have done: `not_sent`, `not_done` (it began to answer with a 4xx, or with a redirect that is not
    /// followed) or `unknown`.
    pub async fn send(
        &self,
        request: &HttpRequest,
        credentials: &Credentials,
        allowed: &HostSet,
        timeout: Duration,
        proxy: Option<&str>,
    ) -> Result<HttpResponse, Failure> {
        let mut journey = Journey::new(&request.method, &request.url);
        let travel = self.travel(&mut journey, request, credentials, allowed, proxy);
        match time::timeout(timeout, travel).await {
            Ok(result) => result,
            Err(_) => Err(journey.timed_out(timeout)),
        }
    }

    async fn travel(
        &self,
        journey: &mut Journey,
        request: &HttpRequest,
        credentials: &Credentials,
        allowed: &HostSet,
        proxy: Option<&str>,
    ) -> Result<HttpResponse, Failure> {
        let started_ms = self.clock.now_ms();
        let mut url = Cow::Borrowed(&request.url);
        let mut method = request.method.clone();
        let mut body = Cow::Borrowed(&request.body);
        // Once a redirect left the known hosts, nothing that follows is trusted again: where a stranger
        // sends us with our credentials is not for it to choose.
        let mut trusted = allowed.contains(&url);
        let mut at_home = true;
        let mut seen: Vec<(Method, Url)> = Vec::new();
        loop {
            self.egress.check_literal(&url).map_err(|refused| journey.refused(&refused))?;
            let mut outgoing = Outgoing {
                headers: headers(request, &body, at_home).map_err(|failure| journey.prepared_badly(failure))?,
                method,
                url: url.into_owned(),
                body,
                redirected: !seen.is_empty(),
            };
            let plain_url = outgoing.url.clone();
            if trusted {
                credentials
                    .apply(&mut outgoing, self.clock.now_ms())
                    .map_err(|failure| journey.prepared_badly(failure))?;
            }
            let client =
                self.clients.client_for(&outgoing.url, proxy).map_err(|failure| journey.prepared_badly(failure))?;
            let sent = write(journey, &mut outgoing);
            let response = client.execute(sent).await.map_err(|error| journey.broken(&error))?;
            let status = response.status().as_u16();
            journey.answered(status);
            let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
            match redirect::next(status, location.as_deref(), &outgoing.method, &outgoing.url) {
                Next::Answer => {
                    let hops = u8::try_from(seen.len()).unwrap_or(MAX_HOPS);
                    return self.read(journey, response, plain_url, hops, started_ms).await;
                }
                Next::Refuse(reason) => {
                    return Err(journey.not_followed("redirect_refused", &reason));
                }
                Next::Follow(hop) => {
                    seen.push((outgoing.method, plain_url));
                    if seen.contains(&(hop.method.clone(), hop.url.clone())) {
                        return Err(journey.not_followed("redirect_loop", "it leads in a circle"));
                    }
                    if seen.len() > usize::from(MAX_HOPS) {
                        let reason = format!("it is the {}th in a row", seen.len());
                        return Err(journey.not_followed("redirect_loop", &reason));
                    }
                    journey.redirected(hop.keeps_body);
                    trusted = trusted && allowed.contains(&hop.url);
                    at_home = at_home && (trusted || same_origin(&hop.url, &request.url));
                    body = if hop.keeps_body { Cow::Borrowed(&request.body) } else { Cow::Owned(Body::Empty) };
                    method = hop.method;
                    url = Cow::Owned(hop.url);
                }
            }
        }
    }

    async fn read(
        &self,
        journey: &Journey,
        mut response: reqwest::Response,
        url: Url,
        hops: u8,
        started_ms: i64,
    ) -> Result<HttpResponse, Failure> {
        let too_large = || journey.too_large(self.max_response_bytes);
        let told = response.content_length().unwrap_or_default();
        if usize::try_from(told).is_ok_and(|told| told > self.max_response_bytes) {
            return Err(too_large());
        }
        let status = response.status().as_u16();
        let date_ms = response.headers().get(DATE).and_then(|value| value.to_str().ok()).and_then(reset::date_ms);
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let mut pieces = Pieces::default();
        // Bytes are counted as they come out of the decoder: a small answer can unfold to any size.
        while let Some(piece) = response.chunk().await.map_err(|error| journey.broken(&error))? {
            if pieces.len() + piece.len() > self.max_response_bytes {
                return Err(too_large());
            }
            pieces.push(piece);
        }
        Ok(HttpResponse {
            status,
            headers,
            body: pieces.join(),
            date_ms,
            url,
            elapsed_ms: self.clock.now_ms() - started_ms,
            hops,
        })
    }
}

/// An answer in parts; most come in one and are not copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    joined: BytesMut,
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&piece);
    }

    fn join(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

/// The request's headers; beyond its own hosts only those that say nothing about who asks.
fn headers(request: &HttpRequest, body: &Body, at_home: bool) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 8);
    let has_body = !matches!(body, Body::Empty);
    for (name, value) in &request.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        let (Some(name), Ok(value)) = (parsed, HeaderValue::from_str(value)) else {
            return Err(Failure::not_sent(
                "header_invalid",
                format!(
                    "the header `{name}` can not be sent: its name or value has characters that headers can not carry"
                ),
            )
            .with_help("line breaks can not be part of a header; take them out with a template helper"));
        };
        let harmless = name == ACCEPT || name == ACCEPT_LANGUAGE || name == CONTENT_TYPE;
        let of_body = name == CONTENT_TYPE || name == CONTENT_LENGTH;
        if (at_home || harmless) && (has_body || !of_body) {
            headers.append(name, value);
        }
    }
    let kind = match body {
        Body::Json(_) => Some("application/json"),
        Body::Form(_) => Some("application/x-www-form-urlencoded"),
        Body::Empty | Body::Raw(_) => None,
    };
    if let Some(kind) = kind.filter(|_| !headers.contains_key(CONTENT_TYPE)) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(headers)
}

/// The hop as the HTTP client takes it.
fn write(journey: &mut Journey, outgoing: &mut Outgoing<'_>) -> reqwest::Request {
    let bytes = match outgoing.body.as_ref() {
        Body::Empty => Bytes::new(),
        Body::Json(bytes) | Body::Raw(bytes) => bytes.clone(),
        Body::Form(pairs) => form(pairs).into(),
    };
    let mut headers = std::mem::take(&mut outgoing.headers);
    let wants_length = matches!(outgoing.method, Method::POST | Method::PUT | Method::PATCH);
    if !bytes.is_empty() || wants_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    let mut sent = reqwest::Request::new(outgoing.method.clone(), outgoing.url.clone());
    *sent.headers_mut() = headers;
    if bytes.is_empty() {
        journey.set_out_bare();
    } else {
        *sent.body_mut() = Some(reqwest::Body::wrap_stream(journey.set_out(bytes)));
    }
    sent
}

/// `application/x-www-form-urlencoded` with a space as `%20`, which every reader takes and OAuth 1 signs.
fn form(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&oauth1::percent_encode(name));
        text.push('=');
        text.push_str(&oauth1::percent_encode(value));
    }
    text
}

#[cfg(test)]
mod tests;
