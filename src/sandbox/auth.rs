//! Verifies credentials: OAuth 1.0a signatures (RFC 5849, HMAC-SHA1), bearer tokens and HTTP Basic. Written
//! apart from the connector's signer on purpose, so that one's mistake cannot hide the other's.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::header::{AUTHORIZATION, HOST};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;

use super::exchange::Call;

/// How far a signature's timestamp may be from the clock.
const SKEW_S: i64 = 300;

/// Everything but RFC 3986's unreserved characters is encoded (RFC 5849, section 3.6).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The token of a `Bearer` header.
pub(super) fn bearer<'a>(call: &Call<'a>) -> Option<&'a str> {
    scheme(call.header(AUTHORIZATION), "Bearer").map(str::trim)
}

/// User name and password of a `Basic` header.
pub(super) fn basic(call: &Call<'_>) -> Option<(String, String)> {
    let encoded = scheme(call.header(AUTHORIZATION), "Basic")?;
    let decoded = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.into(), password.into()))
}

/// The parameters of an `OAuth` header.
pub(super) fn oauth1<'a>(call: &Call<'a>) -> Option<&'a str> {
    scheme(call.header(AUTHORIZATION), "OAuth")
}

/// Verifies the signatures of one consumer and one token.
pub(super) struct Oauth1 {
    consumer_key: String,
    token: String,
    /// Keyed with both secrets; cloned per request.
    mac: Hmac<Sha1>,
    nonces: Mutex<Nonces>,
}

/// The nonces of this and of the last skew window, hashed together with their timestamp.
#[derive(Default)]
struct Nonces {
    window: i64,
    current: HashSet<u64>,
    last: HashSet<u64>,
}

impl Oauth1 {
    pub fn new(consumer_key: &str, consumer_secret: &str, token: &str, token_secret: &str) -> Self {
        let key = format!("{}&{}", encode(consumer_secret), encode(token_secret));
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::new_from_slice(key.as_bytes()).expect("any key length");
        Oauth1 {
            consumer_key: consumer_key.into(),
            token: token.into(),
            mac,
            nonces: Mutex::default(),
        }
    }

    /// Whether `header` (what follows `OAuth `) signs this call, freshly and for the first time.
    pub fn verify(&self, call: &Call<'_>, header: &str) -> bool {
        let Some(oauth) = parse_header(header) else {
            return false;
        };
        let value = |name: &str| {
            oauth
                .iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_ref())
        };
        let Ok(timestamp_s) = value("oauth_timestamp").parse::<i64>() else {
            return false;
        };
        let nonce = value("oauth_nonce");
        let fresh = (timestamp_s - call.now_ms.div_euclid(1000)).abs() <= SKEW_S;
        let named = value("oauth_consumer_key") == self.consumer_key
            && value("oauth_token") == self.token
            && value("oauth_signature_method") == "HMAC-SHA1"
            && matches!(value("oauth_version"), "" | "1.0")
            && !nonce.is_empty()
            && nonce.is_ascii();
        if !fresh || !named {
            return false;
        }
        let Ok(signature) = BASE64.decode(value("oauth_signature")) else {
            return false;
        };

        let form = call.has_content_type("application/x-www-form-urlencoded");
        let mut parameters = call.parameters(form).pairs;
        let signed = oauth
            .iter()
            .filter(|(key, _)| key != "oauth_signature" && key != "realm");
        parameters.extend(
            signed.map(|(key, value)| (Cow::from(key.as_ref()), Cow::from(value.as_ref()))),
        );
        let mut mac = self.mac.clone();
        mac.update(
            base_string(
                call.method.as_str(),
                "http",
                call.header(HOST),
                call.path,
                &parameters,
            )
            .as_bytes(),
        );
        mac.verify_slice(&signature).is_ok()
            && self.nonces.lock().add(nonce, timestamp_s, call.now_ms)
    }
}

impl Nonces {
    /// False when the nonce was seen before with this timestamp.
    fn add(&mut self, nonce: &str, timestamp_s: i64, now_ms: i64) -> bool {
        // A timestamp is valid for two skews; two generations of that length hold all that could come again.
        let window = now_ms.div_euclid(2 * SKEW_S * 1000);
        if window != self.window {
            self.last = std::mem::take(&mut self.current);
            self.window = window;
        }
        let mut hasher = DefaultHasher::new();
        (nonce, timestamp_s).hash(&mut hasher);
        let seen = hasher.finish();
        !self.last.contains(&seen) && self.current.insert(seen)
    }
}

/// What is signed: RFC 5849, section 3.4.1. `host` is the `Host` header, with its port unless it is 80 or 443.
fn base_string(
    method: &str,
    scheme: &str,
    host: &str,
    path: &str,
    parameters: &[(Cow<'_, str>, Cow<'_, str>)],
) -> String {
    let mut encoded: Vec<(String, String)> = parameters
        .iter()
        .map(|(key, value)| (encode(key), encode(value)))
        .collect();
    encoded.sort_unstable();
    let joined = encoded
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let host = host.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    format!(
        "{method}&{}&{}",
        encode(&format!("{scheme}://{host}{path}")),
        encode(&joined)
    )
}

fn parse_header(header: &str) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let pairs = header.split(',').map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((
            percent_decode_str(key).decode_utf8().ok()?,
            percent_decode_str(value).decode_utf8().ok()?,
        ))
    });
    pairs.collect()
}

fn scheme<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then_some(rest)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// An `Authorization` header of the sandbox's user for a call to this URL, as a client would make it.
#[cfg(test)]
pub(super) fn authorization(method: &str, url: &str, nonce: &str, now_ms: i64) -> String {
    let url = url::Url::parse(url).unwrap();
    let timestamp = now_ms.div_euclid(1000).to_string();
    let mut oauth = vec![
        ("oauth_consumer_key", super::X_CONSUMER_KEY),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", &timestamp),
        ("oauth_token", super::X_ACCESS_TOKEN),
        ("oauth_version", "1.0"),
    ];
    let mut parameters: Vec<_> = url.query_pairs().collect();
    parameters.extend(oauth.iter().map(|&(key, value)| (key.into(), value.into())));
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let signer = Oauth1::new(
        "",
        super::X_CONSUMER_SECRET,
        "",
        super::X_ACCESS_TOKEN_SECRET,
    );
    let mut mac = signer.mac;
    mac.update(base_string(method, "http", &host, url.path(), &parameters).as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    oauth.push(("oauth_signature", &signature));
    let pairs: Vec<String> = oauth
        .iter()
        .map(|(key, value)| format!("{key}=\"{}\"", encode(value)))
        .collect();
    format!("OAuth {}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Method};

    use super::*;

    /// 2011-10-14T22:09:18Z, the time of the example in X's documentation "Creating a signature".
    const EXAMPLE_MS: i64 = 1_318_622_958_000;

    fn pairs<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        pairs
            .iter()
            .map(|&(key, value)| (key.into(), value.into()))
            .collect()
    }

    #[test]
    fn signs_the_example_of_the_documentation() {
        let verifier = Oauth1::new(
            "",
            "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        );
        let parameters = pairs(&[
            (
                "status",
                "Hello Ladies + Gentlemen, a signed OAuth request!",
            ),
            ("include_entities", "true"),
            ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
            ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            (
                "oauth_token",
                "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            ),
            ("oauth_version", "1.0"),
        ]);
        for (host, expected) in [
            ("api.x.com", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="),
            ("API.twitter.com:443", "hCtSmYh+iHYCEqBWrE7C7hYmtUk="),
        ] {
            let mut mac = verifier.mac.clone();
            mac.update(
                base_string(
                    "POST",
                    "https",
                    host,
                    "/1.1/statuses/update.json",
                    &parameters,
                )
                .as_bytes(),
            );
            assert_eq!(
                BASE64.encode(mac.finalize().into_bytes()),
                expected,
                "{host}"
            );
        }
    }

    struct Request {
        query: &'static str,
        body: &'static str,
        content_type: &'static str,
        nonce: &'static str,
        now_ms: i64,
    }

    /// Whether a call is accepted that was signed over `signed` (besides what the header itself holds).
    fn accepted(verifier: &Oauth1, request: &Request, signed: &[(&str, &str)]) -> bool {
        let mut oauth = vec![
            ("oauth_consumer_key", "key"),
            ("oauth_nonce", request.nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            ("oauth_token", "token"),
            ("oauth_version", "1.0"),
        ];
        let mut parameters = pairs(signed);
        parameters.extend(pairs(&oauth));
        let mut mac = verifier.mac.clone();
        mac.update(
            base_string("POST", "http", "127.0.0.1:8080", "/2/tweets", &parameters).as_bytes(),
        );
        let signature = BASE64.encode(mac.finalize().into_bytes());
        oauth.push(("oauth_signature", &signature));
        let header: Vec<String> = oauth
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", encode(value)))
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("127.0.0.1:8080"));
        headers.insert(
            "content-type",
            HeaderValue::from_static(request.content_type),
        );
        let call = Call {
            method: &Method::POST,
            path: "/2/tweets",
            query: request.query,
            headers: &headers,
            body: request.body.as_bytes(),
            now_ms: request.now_ms,
            in_flight: 1,
            page_limit: None,
        };
        verifier.verify(&call, &header.join(", "))
    }

    #[test]
    fn accepts_what_is_signed_and_nothing_else() {
        let json = Request {
            query: "a=x%20y",
            body: "{\"b\":1}",
            content_type: "application/json",
            nonce: "n1",
            now_ms: EXAMPLE_MS,
        };
        let form = Request {
            body: "c=1%2B1",
            content_type: "application/x-www-form-urlencoded",
            ..json
        };
        let verifier = || Oauth1::new("key", "consumer secret", "token", "token secret");
        assert!(
            accepted(&verifier(), &json, &[("a", "x y")]),
            "a JSON body is not signed"
        );
        assert!(!accepted(&verifier(), &json, &[]), "the query is signed");
        assert!(
            accepted(&verifier(), &form, &[("c", "1+1"), ("a", "x y")]),
            "a form is signed"
        );
        assert!(
            !accepted(&verifier(), &form, &[("a", "x y")]),
            "a form is signed"
        );
        assert!(!accepted(
            &Oauth1::new("other", "consumer secret", "token", "token secret"),
            &json,
            &[("a", "x y")]
        ));
    }

    #[test]
    fn refuses_old_timestamps_and_used_nonces() {
        let verifier = Oauth1::new("key", "s", "token", "t");
        let at = |nonce, now_ms| Request {
            query: "",
            body: "",
            content_type: "application/json",
            nonce,
            now_ms,
        };
        assert!(accepted(&verifier, &at("n1", EXAMPLE_MS), &[]));
        assert!(
            !accepted(&verifier, &at("n1", EXAMPLE_MS + 299_000), &[]),
            "the nonce was used"
        );
        assert!(accepted(&verifier, &at("n2", EXAMPLE_MS + 300_000), &[]));
        assert!(
            !accepted(&verifier, &at("n3", EXAMPLE_MS + 301_000), &[]),
            "the timestamp is old"
        );
        assert!(
            !accepted(&verifier, &at("n3", EXAMPLE_MS - 301_000), &[]),
            "the timestamp is in the future"
        );
    }
}
