//! The one way out to a service: guarded addresses, own redirects, credentials only where they may go,
//! bounded answers. One per process. It never retries and never judges a status: the executor does.

mod written;

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{DATE, HeaderValue, LOCATION};
use tokio::time;

use self::written::{headers, write};
use super::auth::{Credentials, Outgoing};
use super::clients::Clients;
use super::delivery::Journey;
use super::egress::Egress;
use super::files::save::Download;
use super::limits::reset;
use super::message::same_origin;
pub use super::message::{Body, HostSet, HttpRequest, HttpResponse, Method, Url};
use super::redirect::{self, MAX_HOPS, Next};
use super::tls;
use crate::clock::Clock;
use crate::crash;
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
    /// Certificates (PEM) that servers' own are to be signed by, instead of those that browsers trust.
    pub ca: Option<String>,
}

/// The guarded HTTP client.
pub struct Requester {
    clients: Clients,
    egress: Egress,
    clock: Clock,
    max_response_bytes: usize,
    #[cfg(test)]
    network: Option<std::sync::Arc<dyn Network>>,
}

/// What a simulation puts in place of the network.
#[cfg(test)]
pub(crate) trait Network: Send + Sync {
    /// Answers a request, or says how it was lost.
    fn carry<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'a>>;
}

impl Requester {
    /// Opens nothing and reads no certificates yet: that waits for the first request.
    /// Fails with `user_agent_invalid`, `ca_invalid`.
    pub fn new(options: RequesterOptions) -> Result<Self, Failure> {
        if HeaderValue::from_str(&options.user_agent).is_err() {
            return Err(Failure::not_sent(
                "user_agent_invalid",
                "the user agent has characters that a header can not carry",
            ));
        }
        let trust = options.ca.as_deref().map(tls::trusting).transpose()?;
        Ok(Requester {
            clients: Clients::new(options.egress.clone(), options.user_agent, trust),
            egress: options.egress,
            clock: options.clock,
            max_response_bytes: options.max_response_bytes,
            #[cfg(test)]
            network: None,
        })
    }

    /// Which addresses it may reach.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// One that reaches nothing but this network.
    #[cfg(test)]
    pub(crate) fn simulated(options: RequesterOptions, network: std::sync::Arc<dyn Network>) -> Result<Self, Failure> {
        Ok(Requester { network: Some(network), ..Requester::new(options)? })
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
        self.fetch(request, None, credentials, allowed, timeout, proxy).await
    }

    /// The same without following a redirect: for requests whose body is a secret.
    pub async fn send_here(
        &self,
        request: &HttpRequest,
        credentials: &Credentials,
        allowed: &HostSet,
        timeout: Duration,
        proxy: Option<&str>,
    ) -> Result<HttpResponse, Failure> {
        if !allowed.contains(&request.url) {
            let host = request.url.host_str().unwrap_or_default();
            return Err(Failure::not_sent("host_refused", format!("{host} is none of the connection's hosts")));
        }
        self.sent(request, credentials, allowed, timeout, Route { proxy, download: None, follow: false }).await
    }

    /// The same as [`Requester::send`], where the body of a success goes into a file: [`HttpResponse::saved`].
    pub async fn fetch(
        &self,
        request: &HttpRequest,
        download: Option<&Download>,
        credentials: &Credentials,
        allowed: &HostSet,
        timeout: Duration,
        proxy: Option<&str>,
    ) -> Result<HttpResponse, Failure> {
        self.sent(request, credentials, allowed, timeout, Route { proxy, download, follow: true }).await
    }

    async fn sent(
        &self,
        request: &HttpRequest,
        credentials: &Credentials,
        allowed: &HostSet,
        timeout: Duration,
        route: Route<'_>,
    ) -> Result<HttpResponse, Failure> {
        #[cfg(test)]
        if let Some(network) = &self.network {
            return network.carry(request).await;
        }
        let mut journey = Journey::new(&request.method, &request.url);
        let travel = self.travel(&mut journey, request, credentials, allowed, route);
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
        Route { proxy, download, follow }: Route<'_>,
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
            let sent = write(journey, &mut outgoing).await?;
            crash::point("request.before");
            let response = client.execute(sent).await.map_err(|error| journey.broken(&error))?;
            crash::point("answer.head");
            let status = response.status().as_u16();
            journey.answered(status);
            let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
            match redirect::next(status, location.as_deref(), &outgoing.method, &outgoing.url) {
                Next::Answer => {
                    let hops = u8::try_from(seen.len()).unwrap_or(MAX_HOPS);
                    let mut answer = self.read(journey, response, download).await?;
                    answer.elapsed_ms = self.clock.now_ms() - started_ms;
                    let accepted = journey.has_accepted();
                    return Ok(HttpResponse { url: plain_url, hops, accepted, ..answer });
                }
                Next::Follow(_) if !follow => {
                    return Err(journey.not_followed("redirect_refused", "a request for a token goes nowhere else"));
                }
                Next::Refuse(reason) => {
                    return Err(journey.not_followed("redirect_refused", &reason));
                }
                Next::Follow(hop) => {
                    let is_safe = outgoing.method.is_safe();
                    seen.push((outgoing.method, plain_url));
                    if seen.contains(&(hop.method.clone(), hop.url.clone())) {
                        return Err(journey.not_followed("redirect_loop", "it leads in a circle"));
                    }
                    if seen.len() > usize::from(MAX_HOPS) {
                        let reason = format!("it is the {}th in a row", seen.len());
                        return Err(journey.not_followed("redirect_loop", &reason));
                    }
                    journey.redirected(hop.keeps_body || is_safe);
                    trusted = trusted && allowed.contains(&hop.url);
                    at_home = at_home && (trusted || same_origin(&hop.url, &request.url));
                    body = if hop.keeps_body { Cow::Borrowed(&request.body) } else { Cow::Owned(Body::Empty) };
                    method = hop.method;
                    url = Cow::Owned(hop.url);
                }
            }
        }
    }

    /// Reads an answer: into memory, or the body of a success into the file that wants it.
    async fn read(
        &self,
        journey: &Journey,
        mut response: reqwest::Response,
        download: Option<&Download>,
    ) -> Result<HttpResponse, Failure> {
        let download = download.filter(|_| response.status().is_success());
        let limit_bytes = download.map_or(self.max_response_bytes as u64, |download| download.limit_bytes);
        if response.content_length().is_some_and(|told| told > limit_bytes) {
            return Err(journey.too_large(limit_bytes));
        }
        let mut answer = head(&response);
        let mut pieces = Pieces::default();
        let mut writing = download.map(Download::begin).transpose()?;
        // Bytes are counted as they come out of the decoder: a small answer can unfold to any size.
        while let Some(piece) = response.chunk().await.map_err(|error| journey.broken(&error))? {
            let known = writing.as_ref().map_or(pieces.len() as u64, |writing| writing.bytes());
            if known + piece.len() as u64 > limit_bytes {
                return Err(journey.too_large(limit_bytes));
            }
            match &mut writing {
                Some(writing) => writing.push(&piece).await?,
                None => pieces.push(piece),
            }
        }
        crash::point("answer.whole");
        answer.saved = match writing {
            Some(writing) => Some(writing.finish(answer.header("content-type")).await?),
            None => None,
        };
        answer.body = pieces.join();
        Ok(answer)
    }
}

/// An answer before its body.
fn head(response: &reqwest::Response) -> HttpResponse {
    let headers = response.headers();
    let pairs = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    HttpResponse {
        status: response.status().as_u16(),
        headers: pairs.collect(),
        body: Bytes::new(),
        saved: None,
        date_ms: headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(reset::date_ms),
        url: response.url().clone(),
        elapsed_ms: 0,
        hops: 0,
        accepted: false,
    }
}

/// How a request travels.
#[derive(Clone, Copy)]
struct Route<'a> {
    proxy: Option<&'a str>,
    /// Where the body of a success goes.
    download: Option<&'a Download>,
    /// Whether redirects are followed.
    follow: bool,
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

#[cfg(test)]
mod tests;
