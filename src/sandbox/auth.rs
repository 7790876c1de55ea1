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
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

/// A parameter of an `OAuth` header.
pub(super) fn parameter(header: &str, name: &str) -> Option<String> {
    let found = parse_header(header)?.into_iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
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
        Oauth1 { consumer_key: consumer_key.into(), token: token.into(), mac, nonces: Mutex::default() }
    }

    /// Whether `header` (what follows `OAuth `) signs this call, freshly and for the first time.
    pub fn verify(&self, call: &Call<'_>, header: &str) -> bool {
        let Some(oauth) = parse_header(header) else {
            return false;
        };
        let value = |name: &str| oauth.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_ref());
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
        let signed = oauth.iter().filter(|(key, _)| key != "oauth_signature" && key != "realm");
        parameters.extend(signed.map(|(key, value)| (Cow::from(key.as_ref()), Cow::from(value.as_ref()))));
        let mut mac = self.mac.clone();
        mac.update(base_string(call.method.as_str(), "http", call.header(HOST), call.path, &parameters).as_bytes());
        mac.verify_slice(&signature).is_ok() && self.nonces.lock().add(nonce, timestamp_s, call.now_ms)
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
    let mut encoded: Vec<(String, String)> =
        parameters.iter().map(|(key, value)| (encode(key), encode(value))).collect();
    encoded.sort_unstable();
    let joined = encoded.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
    let host = host.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    format!("{method}&{}&{}", encode(&format!("{scheme}://{host}{path}")), encode(&joined))
}

fn parse_header(header: &str) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let pairs = header.split(',').map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((percent_decode_str(key).decode_utf8().ok()?, percent_decode_str(value).decode_utf8().ok()?))
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
    let signer = Oauth1::new("", super::X_CONSUMER_SECRET, "", super::X_ACCESS_TOKEN_SECRET);
    let mut mac = signer.mac;
    mac.update(base_string(method, "http", &host, url.path(), &parameters).as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    oauth.push(("oauth_signature", &signature));
    let pairs: Vec<String> = oauth.iter().map(|(key, value)| format!("{key}=\"{}\"", encode(value))).collect();
    format!("OAuth {}", pairs.join(", "))
}

#[cfg(test)]
#[path = "tests/auth.rs"]
mod tests;
