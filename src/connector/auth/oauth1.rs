//! OAuth 1.0a with HMAC-SHA1 (RFC 5849). Query and form parameters are signed, JSON and raw bodies are not.
//! The keys are encoded and hashed once per connection; a signature costs one base string and one SHA-1.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use url::Url;

use crate::engine::Failure;

/// All but the unreserved characters of RFC 3986, as RFC 5849 section 3.6 wants it.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What signs for one user of one application.
#[derive(Clone)]
pub struct Signer {
    consumer_key: String,
    token: String,
    /// What only the requests of a sign-in carry.
    more: Vec<(&'static str, String)>,
    /// The state of HMAC after its key; cloned per signature.
    keyed: Hmac<Sha1>,
}

impl Signer {
    /// The account's token, without its secret.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// From the four values of a connection; an empty token (nobody has signed in yet) is left out of requests.
    pub fn new(consumer_key: &str, consumer_secret: &str, token: &str, token_secret: &str) -> Self {
        Signer {
            consumer_key: consumer_key.to_owned(),
            token: token.to_owned(),
            more: Vec::new(),
            keyed: keyed(&signing_key(consumer_secret, token_secret)),
        }
    }

    /// The same with another protocol parameter: `oauth_callback` or `oauth_verifier`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    /// The value of the `Authorization` header. `form` holds the decoded pairs of a form body;
    /// `nonce` is unique per timestamp, `timestamp_s` is UTC epoch seconds.
    pub fn header(&self, method: &str, url: &Url, form: &[(String, String)], nonce: &str, timestamp_s: i64) -> String {
        let timestamp = timestamp_s.to_string();
        let mut protocol = vec![
            ("oauth_consumer_key", self.consumer_key.as_str()),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", timestamp.as_str()),
            ("oauth_version", "1.0"),
        ];
        if !self.token.is_empty() {
            protocol.push(("oauth_token", self.token.as_str()));
        }
        protocol.extend(self.more.iter().map(|(name, value)| (*name, value.as_str())));
        let query: Vec<_> = url.query_pairs().collect();
        let signed = protocol
            .iter()
            .copied()
            .chain(query.iter().map(|(name, value)| (&**name, &**value)))
            .chain(form.iter().map(|(name, value)| (&**name, &**value)));
        let base = base_string(method, url, signed);
        let mut header = String::with_capacity(400);
        header.push_str("OAuth ");
        for (name, value) in protocol {
            push_member(&mut header, name, value);
            header.push_str(", ");
        }
        push_member(&mut header, "oauth_signature", &sign(self.keyed.clone(), &base));
        header
    }
}

/// RFC 3986 percent-encoding of all but unreserved characters: upper-case hex, a space is `%20`.
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}

/// Parameters encoded, then sorted, then joined (RFC 5849 section 3.4.1.3.2).
pub fn parameter_string<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut encoded: Vec<_> =
        parameters.into_iter().map(|(name, value)| (percent_encode(name), percent_encode(value))).collect();
    encoded.sort_unstable();
    let mut joined = String::with_capacity(256);
    for (position, (name, value)) in encoded.iter().enumerate() {
        if position > 0 {
            joined.push('&');
        }
        joined.push_str(name);
        joined.push('=');
        joined.push_str(value);
    }
    joined
}

/// What is signed (RFC 5849 section 3.4.1). `parameters` are all of them, decoded: the query, the form and
/// every `oauth_` one except the signature; the query of `url` itself is not looked at.
pub fn base_string<'a>(method: &str, url: &Url, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let parameters = parameter_string(parameters);
    let mut base = String::with_capacity(parameters.len() * 3 / 2 + 128);
    base.push_str(&method.to_ascii_uppercase());
    base.push('&');
    // `Url` has lower-cased scheme and host and dropped the scheme's own port already.
    base.push_str(&percent_encode(url.scheme()));
    base.push_str("%3A%2F%2F");
    base.push_str(&percent_encode(url.host_str().unwrap_or_default()));
    if let Some(port) = url.port() {
        base.push_str("%3A");
        base.push_str(&port.to_string());
    }
    base.push_str(&percent_encode(url.path()));
    base.push('&');
    base.extend(utf8_percent_encode(&parameters, RESERVED));
    base
}

/// Both secrets encoded and joined; the second is empty before there is a token (section 3.4.2).
pub fn signing_key(consumer_secret: &str, token_secret: &str) -> String {
    format!("{}&{}", percent_encode(consumer_secret), percent_encode(token_secret))
}

/// The signature of a base string, in base64.
pub fn signature(base: &str, consumer_secret: &str, token_secret: &str) -> String {
    sign(keyed(&signing_key(consumer_secret, token_secret)), base)
}

/// 128 random bits in hex. Fails with `no_randomness` when the system gives none.
pub fn nonce() -> Result<String, Failure> {
    let mut bits = [0_u8; 16];
    getrandom::fill(&mut bits).map_err(|error| {
        Failure::not_sent("no_randomness", format!("the system gives no random numbers to sign with: {error}"))
    })?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bits)))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &str) -> Hmac<Sha1> {
    Hmac::new_from_slice(key.as_bytes()).expect("a key of any length")
}

fn sign(mut keyed: Hmac<Sha1>, base: &str) -> String {
    keyed.update(base.as_bytes());
    STANDARD.encode(keyed.finalize().into_bytes())
}

fn push_member(header: &mut String, name: &str, value: &str) {
    header.push_str(name);
    header.push_str("=\"");
    header.extend(utf8_percent_encode(value, RESERVED));
    header.push('"');
}
