//! What is sent and what came back, as plain data: requests before they are signed, answers read whole.
//! The executor makes requests and judges answers; the requester carries them.

use bytes::Bytes;
pub use reqwest::Method;
pub use url::Url;

use super::files::save::Saved;
use super::multipart::Multipart;

/// A request as rendered, without credentials: those are added per hop, only where they may go.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: Url,
    /// Names in any case. `Content-Type` comes from the body unless it is given here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// A request's body.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// JSON text, `application/json`.
    Json(Bytes),
    /// Pairs, decoded; sent as `application/x-www-form-urlencoded` and signed by OAuth 1.
    Form(Vec<(String, String)>),
    /// As it is; its `Content-Type` is in the headers.
    Raw(Bytes),
    /// Parts, `multipart/form-data`; files are read while they are sent, and nothing of it is signed by OAuth 1.
    Multipart(Multipart),
}

/// An answer, read whole and decoded.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, in the order of the answer; a name may come more than once.
    pub headers: Vec<(String, String)>,
    /// The body after gzip and brotli.
    pub body: Bytes,
    /// The file that took the body instead.
    pub saved: Option<Saved>,
    /// The `Date` header as UTC epoch milliseconds: the service's own clock.
    pub date_ms: Option<i64>,
    /// Where the answer came from, after redirects.
    pub url: Url,
    /// From the first byte sent to the last byte read, in milliseconds.
    pub elapsed_ms: i64,
    /// How many redirects were followed.
    pub hops: u8,
    /// Whether the service took the request before it gave this answer: by a redirect to a page about it, or by
    /// reading from what then took too long (408). Whatever the status says, what was asked may have been done.
    pub accepted: bool,
}

impl HttpResponse {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }
}

/// The origins (scheme, host, port) that a connection's credentials may go to.
#[derive(Clone, Debug, Default)]
pub struct HostSet {
    origins: Vec<Url>,
}

impl HostSet {
    /// From the connection's base URLs; their paths do not matter.
    pub fn new(hosts: impl IntoIterator<Item = Url>) -> Self {
        HostSet { origins: hosts.into_iter().collect() }
    }

    /// Whether the URL's origin is one of them.
    pub fn contains(&self, url: &Url) -> bool {
        self.origins.iter().any(|origin| same_origin(origin, url))
    }
}

/// Whether two URLs share scheme, host and port (RFC 6454), without the copies that `Url::origin` makes.
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let hosts = HostSet::new([Url::parse("https://api.example.org/v1").unwrap()]);
        for (url, inside) in [
            ("https://api.example.org/anything", true),
            ("https://API.example.org:443/", true),
            ("http://api.example.org/v1", false),
            ("https://api.example.org:8443/v1", false),
            ("https://api.example.org.evil.test/v1", false),
            ("https://example.org/v1", false),
        ] {
            assert_eq!(hosts.contains(&Url::parse(url).unwrap()), inside, "{url}");
        }
    }
}
