//! Which requests are answered at all. On loopback, a page of another site must not read the answers: its own
//! name may be made to lead here (DNS rebinding), so both `Host` and `Origin` have to name this machine.

use axum::http::{HeaderMap, header};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its `Host` is not this machine's loopback name.
    ForeignHost,
    /// It was sent by a page of another site.
    ForeignOrigin,
}

/// Judges a request to a loopback listener.
///
/// # Errors
/// What is foreign about it.
pub fn judge(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        return Err(Refusal::ForeignHost);
    }
    match text(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.split_once("://").is_some_and(|(_, place)| place == host) => Ok(()),
        Some(_) => Err(Refusal::ForeignOrigin),
    }
}

/// `localhost`, `127.0.0.1` or `[::1]`, with any port: a tunnel may bring another one along.
fn is_loopback(host: &str) -> bool {
    let is_port =
        |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host.strip_prefix(name).is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        headers
    }

    #[test]
    fn only_this_machine_is_answered() {
        let cases = [
            ("127.0.0.1:7400", None, Ok(())),
            ("localhost:7400", None, Ok(())),
            ("[::1]:7400", None, Ok(())),
            ("localhost", Some("http://localhost"), Ok(())),
            ("127.0.0.1:7400", Some("http://127.0.0.1:7400"), Ok(())),
            ("evil.example", None, Err(Refusal::ForeignHost)),
            ("localhost.evil.example:7400", None, Err(Refusal::ForeignHost)),
            ("127.0.0.1.evil.example", None, Err(Refusal::ForeignHost)),
            ("localhost:7400@evil.example", None, Err(Refusal::ForeignHost)),
            ("", None, Err(Refusal::ForeignHost)),
            ("127.0.0.1:7400", Some("http://evil.example"), Err(Refusal::ForeignOrigin)),
            ("127.0.0.1:7400", Some("http://127.0.0.1:8080"), Err(Refusal::ForeignOrigin)),
            ("127.0.0.1:7400", Some("null"), Err(Refusal::ForeignOrigin)),
        ];
        for (host, origin, judged) in cases {
            assert_eq!(judge(&headers(host, origin)), judged, "{host} {origin:?}");
        }
        assert_eq!(judge(&HeaderMap::new()), Err(Refusal::ForeignHost));
    }
}
