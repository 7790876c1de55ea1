//! How a request proves who sends it. Made once per connection from a scheme whose values are resolved;
//! applied by the requester on every hop that leads to one of the connection's own hosts, nowhere else.

pub mod oauth1;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::grants::Source;
use super::message::{Body, Method};
use super::multipart::{Content, Part};
use crate::engine::Failure;
use crate::manifest::connector::auth::{Auth, KeyPlace};

/// A resolved scheme. Its `Debug` names the scheme and nothing else.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nothing is added.
    #[default]
    None,
    /// `Authorization: Basic` (RFC 7617), encoded once.
    Basic(HeaderValue),
    /// `Authorization: Bearer` (RFC 6750), encoded once.
    Bearer(HeaderValue),
    /// A key in the place that the service wants.
    ApiKey(ApiKey),
    /// OAuth 1.0a with HMAC-SHA1 (RFC 5849); a signature per request.
    Oauth1(Box<oauth1::Signer>),
    /// A token that has to be had first; what signs is its [`super::grants::Live`].
    Had(Arc<Source>),
}

/// A key and its place.
#[derive(Clone)]
pub enum ApiKey {
    /// A request header.
    Header(HeaderName, HeaderValue),
    /// A query parameter: name and value.
    Query(String, String),
    /// A member of the JSON or form body: name and value.
    Body(String, String),
    /// `name=value`, beside cookies that the request has already.
    Cookie(HeaderValue),
    /// What stands for it in the path, and the encoded key.
    Path(String, String),
}

/// A request on its way to one hop: what credentials are added to.
pub struct Outgoing<'a> {
    /// The method of this hop.
    pub method: Method,
    /// Where this hop goes.
    pub url: Url,
    /// The headers of this hop.
    pub headers: HeaderMap,
    /// Borrowed until a scheme has to write into it.
    pub body: Cow<'a, Body>,
    /// Whether a redirect led here.
    pub redirected: bool,
}

impl Credentials {
    /// From a scheme whose templates were already replaced by their values.
    /// Fails with `credential_invalid` where a value can not stand in a header.
    pub fn new(auth: &Auth) -> Result<Self, Failure> {
        Ok(match auth {
            Auth::None {} => Credentials::None,
            Auth::Basic { username, password } => {
                Credentials::basic(&STANDARD.encode(format!("{username}:{password}")))?
            }
            Auth::Bearer { token } => Credentials::bearer(token)?,
            Auth::ApiKey { r#in: place, name, value } => Credentials::ApiKey(ApiKey::new(*place, name, value)?),
            Auth::Oauth1 { consumer_key, consumer_secret, token, token_secret, .. } => {
                Credentials::Oauth1(Box::new(oauth1::Signer::new(consumer_key, consumer_secret, token, token_secret)))
            }
            Auth::Oauth2(_) | Auth::Session(_) | Auth::Jwt(_) => return Err(not_had()),
        })
    }

    /// `Authorization: Basic`, from a user name and password that are joined and encoded already.
    pub(super) fn basic(pair: &str) -> Result<Self, Failure> {
        Ok(Credentials::Basic(secret_value(&format!("Basic {pair}"), "basic")?))
    }

    /// `Authorization: Bearer`.
    pub(super) fn bearer(token: &str) -> Result<Self, Failure> {
        Ok(Credentials::Bearer(secret_value(&format!("Bearer {token}"), "bearer")?))
    }

    /// What differs from account to account and is no password: tokens and keys, which services make, a user's name.
    pub(super) fn account(&self) -> String {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        match self {
            Credentials::None | Credentials::Had(_) => String::new(),
            Credentials::Basic(pair) => {
                let encoded = text(pair);
                let pair = STANDARD.decode(encoded.trim_start_matches("Basic ")).unwrap_or_default();
                let user = pair.split(|byte| *byte == b':').next().unwrap_or_default();
                String::from_utf8_lossy(user).into_owned()
            }
            Credentials::Bearer(token) => text(token),
            Credentials::ApiKey(ApiKey::Header(_, value) | ApiKey::Cookie(value)) => text(value),
            Credentials::ApiKey(ApiKey::Query(_, key) | ApiKey::Body(_, key) | ApiKey::Path(_, key)) => key.clone(),
            Credentials::Oauth1(signer) => signer.token().to_owned(),
        }
    }

    /// Adds them to a hop. `now_ms` is UTC epoch milliseconds; OAuth 1 takes its timestamp from it.
    pub fn apply(&self, outgoing: &mut Outgoing<'_>, now_ms: i64) -> Result<(), Failure> {
        match self {
            Credentials::None => {}
            Credentials::Had(_) => return Err(not_had()),
            Credentials::Basic(value) | Credentials::Bearer(value) => {
                outgoing.headers.insert(AUTHORIZATION, value.clone());
            }
            Credentials::ApiKey(key) => key.apply(outgoing)?,
            Credentials::Oauth1(signer) => {
                let form = match outgoing.body.as_ref() {
                    Body::Form(pairs) => pairs.as_slice(),
                    _ => &[],
                };
                let signed = signer.header(
                    outgoing.method.as_str(),
                    &outgoing.url,
                    form,
                    &oauth1::nonce()?,
                    now_ms.div_euclid(1_000),
                );
                outgoing.headers.insert(AUTHORIZATION, secret_value(&signed, "oauth1")?);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Credentials::None => "None",
            Credentials::Basic(_) => "Basic(..)",
            Credentials::Bearer(_) => "Bearer(..)",
            Credentials::ApiKey(_) => "ApiKey(..)",
            Credentials::Oauth1(_) => "Oauth1(..)",
            Credentials::Had(_) => "Had(..)",
        })
    }
}

impl ApiKey {
    fn new(place: KeyPlace, name: &str, value: &str) -> Result<Self, Failure> {
        let owned = || (name.to_owned(), value.to_owned());
        Ok(match place {
            KeyPlace::Header => {
                let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                    Failure::not_sent(
                        "credential_invalid",
                        format!("`{name}` is not a header name, but the api_key scheme puts its key there"),
                    )
                })?;
                ApiKey::Header(header, secret_value(value, "api_key")?)
            }
            KeyPlace::Query => {
                let (name, value) = owned();
                ApiKey::Query(name, value)
            }
            KeyPlace::Body => {
                let (name, value) = owned();
                ApiKey::Body(name, value)
            }
            KeyPlace::Cookie => ApiKey::Cookie(secret_value(&format!("{name}={value}"), "api_key")?),
            KeyPlace::Path => ApiKey::Path(name.to_owned(), oauth1::percent_encode(value).into()),
        })
    }

    fn apply(&self, outgoing: &mut Outgoing<'_>) -> Result<(), Failure> {
        match self {
            ApiKey::Header(name, value) => {
                outgoing.headers.insert(name.clone(), value.clone());
                Ok(())
            }
            ApiKey::Query(name, value) => {
                // A redirect may have carried it along already.
                if !outgoing.url.query_pairs().any(|(given, _)| given == *name) {
                    outgoing.url.query_pairs_mut().append_pair(name, value);
                }
                Ok(())
            }
            ApiKey::Body(name, value) => put_into_body(outgoing, name, value),
            ApiKey::Cookie(pair) => put_into_cookies(&mut outgoing.headers, pair),
            ApiKey::Path(name, encoded) => put_into_path(outgoing, name, encoded),
        }
    }
}

fn put_into_body(outgoing: &mut Outgoing<'_>, name: &str, value: &str) -> Result<(), Failure> {
    // A redirect that turned a POST into a GET left the body behind.
    if outgoing.redirected && matches!(outgoing.body.as_ref(), Body::Empty) {
        return Ok(());
    }
    let misplaced = |reason: &str| {
        Failure::not_sent(
            "credential_misplaced",
            format!("the api_key scheme puts its key into the member `{name}` of the body, but {reason}"),
        )
        .with_help("give the action a `json` object or a `form`, or put the key into a header")
    };
    match outgoing.body.to_mut() {
        Body::Form(pairs) => pairs.push((name.to_owned(), value.to_owned())),
        Body::Json(text) => {
            let mut members: Map<String, Value> =
                serde_json::from_slice(text).map_err(|_| misplaced("the request's JSON is not an object"))?;
            members.insert(name.to_owned(), Value::String(value.to_owned()));
            *text = Value::Object(members).to_string().into();
        }
        Body::Empty => return Err(misplaced("the request has no body")),
        Body::Multipart(body) => {
            body.parts.push(Part { name: name.to_owned(), content: Content::Text(value.to_owned()) })
        }
        Body::Raw(_) => return Err(misplaced("the request's body is raw")),
    }
    Ok(())
}

fn put_into_cookies(headers: &mut HeaderMap, pair: &HeaderValue) -> Result<(), Failure> {
    let joined = match headers.get(COOKIE) {
        None => pair.clone(),
        Some(given) => {
            let bytes = [given.as_bytes(), b"; ", pair.as_bytes()].concat();
            let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| not_a_header("api_key"))?;
            value.set_sensitive(true);
            value
        }
    };
    headers.insert(COOKIE, joined);
    Ok(())
}

fn put_into_path(outgoing: &mut Outgoing<'_>, name: &str, encoded: &str) -> Result<(), Failure> {
    // `Url` writes braces in a path percent-encoded.
    let path = outgoing.url.path();
    let place =
        [format!("%7B{name}%7D"), format!("{{{name}}}")].into_iter().find(|place| path.contains(place.as_str()));
    match place {
        Some(place) => {
            let path = path.replacen(&place, encoded, 1);
            outgoing.url.set_path(&path);
            Ok(())
        }
        // Where a redirect leads is the service's own word.
        None if outgoing.redirected => Ok(()),
        None => Err(Failure::not_sent(
            "credential_misplaced",
            format!("the api_key scheme puts its key in place of `{{{name}}}`, but the path lacks it"),
        )
        .with_help("write the name in braces into the action's `path` or the host's URL")),
    }
}

/// Nobody signs with a token that was not had yet.
fn not_had() -> Failure {
    Failure::not_sent("token_missing", "the token that signs this request has to be had first")
}

/// A header value that logs of the HTTP stack do not show.
fn secret_value(text: &str, scheme: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| not_a_header(scheme))?;
    value.set_sensitive(true);
    Ok(value)
}

fn not_a_header(scheme: &str) -> Failure {
    Failure::not_sent(
        "credential_invalid",
        format!("a value of the `{scheme}` scheme has characters that a header can not carry"),
    )
    .with_help("look for a line break or an invisible character in the connection's secret")
}

#[cfg(test)]
mod tests;
