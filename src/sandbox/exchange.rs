//! One request and its answer, as the sandbox's services see them: already read, not yet written. A service
//! is an [`Api`]: it routes, answers from memory, and never waits. `server.rs` does the waiting.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};

/// One of the three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    X,
    Twilio,
    Json,
}

/// What a service must be able to do for the server to run it.
pub(super) trait Api: Send + Sync + 'static {
    const SERVICE: Service;
    /// Every operation's name, as faults and the ledger spell it.
    const OPERATIONS: &'static [&'static str];
    type Operation: Copy + Send + Sync;

    /// The operation that a method and path mean, and the variable part of the path.
    fn route<'a>(&self, method: &Method, path: &'a str) -> Option<(Self::Operation, &'a str)>;
    fn name(operation: Self::Operation) -> &'static str;
    /// Does the work. `argument` is the variable part of the path.
    fn answer(&self, operation: Self::Operation, argument: &str, call: &Call<'_>) -> Answer;
    /// The answer to a path that the service does not have.
    fn unknown(&self, call: &Call<'_>) -> Answer;
    /// The answer of this service to a failure with this status that has no body of its own.
    fn failure(&self, status: StatusCode, call: &Call<'_>) -> Answer;
}

/// A request that was read whole.
pub(super) struct Call<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub now_ms: i64,
    /// Requests of this service that are being answered now, this one included.
    pub in_flight: usize,
    /// Injected: a list answers at most so many records, and says that there is more.
    pub page_limit: Option<usize>,
}

impl<'a> Call<'a> {
    /// A header as text; empty when it is absent or not text.
    pub fn header(&self, name: HeaderName) -> &'a str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn has_content_type(&self, wanted: &str) -> bool {
        let given = self.header(CONTENT_TYPE);
        given.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
    }

    /// Query and, when `form`, body parameters, decoded; a bare `+` is a space, as everywhere in forms.
    pub fn parameters(&self, form: bool) -> Parameters<'a> {
        let mut pairs: Vec<_> = url::form_urlencoded::parse(self.query.as_bytes()).collect();
        if form {
            pairs.extend(url::form_urlencoded::parse(self.body));
        }
        Parameters { pairs }
    }
}

/// Decoded parameters in the order they came.
pub(super) struct Parameters<'a> {
    pub pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Parameters<'_> {
    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of that name, unless it is empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }
}

/// What a write did, for the ledger.
pub(super) struct Written {
    /// What was written: text, recipient and body, or the JSON itself.
    pub fingerprint: String,
    /// The id that was given to it; `None` when it was refused.
    pub id: Option<String>,
}

/// A status, headers and a body; what was written when the call was a write.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
    pub written: Option<Written>,
}

impl Answer {
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let mut headers = Vec::with_capacity(10);
        headers.push((CONTENT_TYPE, HeaderValue::from_static(content_type)));
        Answer { status, headers, body: body.into(), written: None }
    }

    pub fn empty(status: StatusCode) -> Self {
        Answer { status, headers: Vec::new(), body: Vec::new(), written: None }
    }

    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a header whose value was made at run time; one that HTTP cannot carry is left out.
    pub fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    pub fn wrote(mut self, fingerprint: String, id: Option<String>) -> Self {
        self.written = Some(Written { fingerprint, id });
        self
    }
}

/// A picture of one pixel (PNG, RFC 2083).
pub(super) const PICTURE: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1f, 0x15, 0xc4, 0x89, 0x00, 0x00, 0x00, 0x0d, 0x49,
    0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x60, 0x60, 0x60, 0x60, 0x00, 0x00, 0x00, 0x05, 0x00, 0x01, 0xa5, 0xf6, 0x45,
    0x40, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// JSON text of a value that always can be written: string keys, finite numbers.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}").into_bytes())
}
