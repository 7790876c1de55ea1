//! One request and its answer as they can be looked at afterwards. Secrets are masked and bodies cut while it
//! is written out, so that making one costs next to nothing and no unmasked copy is ever kept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::auth::oauth1::percent_encode;
use super::mask::{MASKED, Mask, is_secret_header};
use super::message::{Body, HttpRequest, HttpResponse};

/// The most bytes of a body that are kept.
pub const KEPT_BYTES: usize = 64 * 1024;

/// A request as it was rendered (credentials are added later and never here), and its answer if there was one.
/// Written as `{request: {method, url, headers, body}, response: {status, url, headers, body}, started_ms,
/// elapsed_ms, hops}`: headers are pairs; a body that was cut has `body_bytes`, its whole size, beside it.
#[derive(Clone)]
pub struct Exchange {
    request: HttpRequest,
    response: Option<HttpResponse>,
    veil: Veil,
    started_ms: i64,
    elapsed_ms: i64,
}

/// What must not be seen.
#[derive(Clone, Default)]
pub struct Veil {
    /// The connection's secrets.
    pub mask: Arc<Mask>,
    /// Members of answers, at any depth, that are secrets (`response.secret`).
    pub members: Arc<[String]>,
}

impl Exchange {
    /// After the answer, or the failure. `started_ms` is UTC epoch milliseconds.
    pub fn new(
        request: HttpRequest,
        response: Option<HttpResponse>,
        veil: Veil,
        started_ms: i64,
        elapsed_ms: i64,
    ) -> Self {
        Exchange { request, response, veil, started_ms, elapsed_ms }
    }

    /// What the service sent, whole: JSON where it is JSON, else text; null where nothing came or it became a
    /// file. Secrets are masked.
    pub fn raw(&self) -> Value {
        let Some(response) = self.response.as_ref().filter(|response| response.saved.is_none()) else {
            return Value::Null;
        };
        let Ok(text) = std::str::from_utf8(&response.body) else {
            return Value::Null;
        };
        if text.trim().is_empty() {
            return Value::Null;
        }
        match serde_json::from_str::<Value>(&self.veil.mask.cover(text)) {
            Ok(mut value) => {
                hide(&mut value, &self.veil.members);
                value
            }
            // Where secret members are can not be told, so nothing is shown.
            Err(_) if !self.veil.members.is_empty() => Value::Null,
            Err(_) => Value::from(self.veil.mask.cover(text)),
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.status)
    }
}

impl Serialize for Exchange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let veil = &self.veil;
        let mut written = serializer.serialize_struct("Exchange", 5)?;
        written.serialize_field(
            "request",
            &Shown {
                first: ("method", First::Method(self.request.method.as_str())),
                url: &self.request.url,
                headers: &self.request.headers,
                body: request_body(&self.request.body, veil),
                veil,
            },
        )?;
        let response = self.response.as_ref().map(|response| Shown {
            first: ("status", First::Status(response.status)),
            url: &response.url,
            headers: &response.headers,
            body: match &response.saved {
                Some(saved) => described(&saved.output(), veil),
                None => response_body(&response.body, veil),
            },
            veil,
        });
        written.serialize_field("response", &response)?;
        written.serialize_field("started_ms", &self.started_ms)?;
        written.serialize_field("elapsed_ms", &self.elapsed_ms)?;
        let hops = self.response.as_ref().map_or(0, |response| response.hops);
        written.serialize_field("hops", &hops)?;
        written.end()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

struct Shown<'a> {
    first: (&'static str, First<'a>),
    url: &'a url::Url,
    headers: &'a [(String, String)],
    body: Kept<'a>,
    veil: &'a Veil,
}

#[derive(Serialize)]
#[serde(untagged)]
enum First<'a> {
    Method(&'a str),
    Status(u16),
}

/// What is kept of a body: its text if it is one, and its size if that is not all.
struct Kept<'a> {
    text: Option<Cow<'a, str>>,
    cut_from_bytes: Option<usize>,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("Message", 5)?;
        written.serialize_field(self.first.0, &self.first.1)?;
        written.serialize_field("url", &self.veil.mask.cover(self.url.as_str()))?;
        written.serialize_field("headers", &Headers(self.headers, self.veil))?;
        written.serialize_field("body", &self.body.text)?;
        if let Some(bytes) = self.body.cut_from_bytes {
            written.serialize_field("body_bytes", &bytes)?;
        }
        written.end()
    }
}

struct Headers<'a>(&'a [(String, String)], &'a Veil);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.0 {
            let value = if is_secret_header(name) { Cow::Borrowed(MASKED) } else { self.1.mask.cover(value) };
            pairs.serialize_element(&(name, value))?;
        }
        pairs.end()
    }
}

fn request_body<'a>(body: &'a Body, veil: &Veil) -> Kept<'a> {
    match body {
        Body::Empty => Kept { text: None, cut_from_bytes: None },
        Body::Json(bytes) | Body::Raw(bytes) => kept(bytes, &veil.mask),
        Body::Multipart(body) => described(&body.shown(), veil),
        Body::Form(pairs) => {
            let text: Vec<_> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
                .collect();
            let text = text.join("&");
            let covered = veil.mask.cover_start(&text, KEPT_BYTES).into_owned();
            Kept { text: Some(Cow::Owned(covered)), cut_from_bytes: (text.len() > KEPT_BYTES).then_some(text.len()) }
        }
    }
}

/// A body that is told about instead of kept.
fn described(shown: &Value, veil: &Veil) -> Kept<'static> {
    let text = shown.to_string();
    let covered = veil.mask.cover_start(&text, KEPT_BYTES).into_owned();
    Kept { text: Some(Cow::Owned(covered)), cut_from_bytes: (text.len() > KEPT_BYTES).then_some(text.len()) }
}

fn response_body<'a>(body: &'a Bytes, veil: &Veil) -> Kept<'a> {
    if veil.members.is_empty() || body.is_empty() {
        return kept(body, &veil.mask);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            hide(&mut value, &veil.members);
            let text = value.to_string();
            let covered = veil.mask.cover_start(&text, KEPT_BYTES).into_owned();
            Kept { text: Some(Cow::Owned(covered)), cut_from_bytes: (text.len() > KEPT_BYTES).then_some(body.len()) }
        }
        // Where the members are can not be told, so nothing is kept.
        Err(_) => Kept { text: None, cut_from_bytes: Some(body.len()) },
    }
}

fn kept<'a>(body: &'a [u8], mask: &Mask) -> Kept<'a> {
    if body.is_empty() {
        return Kept { text: None, cut_from_bytes: None };
    }
    let cut_from_bytes = (body.len() > KEPT_BYTES).then_some(body.len());
    match std::str::from_utf8(body) {
        Ok(text) => Kept { text: Some(mask.cover_start(text, KEPT_BYTES)), cut_from_bytes },
        // Not text: only its size is told.
        Err(_) => Kept { text: None, cut_from_bytes: Some(body.len()) },
    }
}

fn hide(value: &mut Value, members: &[String]) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if members.contains(name) {
                    *value = Value::from(MASKED);
                } else {
                    hide(value, members);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| hide(value, members)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::message::Method;

    fn exchange(request: Body, response: &[u8], members: &[&str]) -> (Value, Value) {
        let url: url::Url = "https://a.test/x?key=hunter22".parse().unwrap();
        let exchange = Exchange::new(
            HttpRequest {
                method: Method::POST,
                url: url.clone(),
                headers: vec![("X-Api-Key".into(), "shown nowhere".into()), ("X-Note".into(), "it is hunter22".into())],
                body: request,
            },
            Some(HttpResponse {
                status: 201,
                headers: vec![("set-cookie".into(), "sid=1".into())],
                body: Bytes::copy_from_slice(response),
                saved: None,
                date_ms: None,
                url,
                elapsed_ms: 7,
                hops: 2,
                accepted: false,
            }),
            Veil {
                mask: Arc::new(Mask::new(["hunter22"])),
                members: members.iter().map(|&member| member.to_owned()).collect(),
            },
            1_000,
            7,
        );
        let written = serde_json::to_string(&exchange).unwrap();
        assert!(!written.contains("hunter22"), "{written}");
        assert!(!format!("{exchange:?}").contains("hunter22"));
        (serde_json::from_str(&written).unwrap(), exchange.raw())
    }

    #[test]
    fn it_is_written_whole_and_masked() {
        let (shown, raw) = exchange(
            Body::Form(vec![("text".into(), "a b&hunter22".into())]),
            br#"{"auth_token":"abc","list":[{"auth_token":{"a":1},"note":"hunter22"}]}"#,
            &["auth_token"],
        );
        assert_eq!(
            raw,
            serde_json::json!({"auth_token": "•••", "list": [{"auth_token": "•••", "note": "•••"}]}),
            "what came is parsed, and as secret"
        );
        assert_eq!(
            shown,
            serde_json::json!({
                "request": {
                    "method": "POST",
                    "url": "https://a.test/x?key=•••",
                    "headers": [["X-Api-Key", "•••"], ["X-Note", "it is •••"]],
                    "body": "text=a%20b%26•••",
                },
                "response": {
                    "status": 201,
                    "url": "https://a.test/x?key=•••",
                    "headers": [["set-cookie", "•••"]],
                    "body": "{\"auth_token\":\"•••\",\"list\":[{\"auth_token\":\"•••\",\"note\":\"•••\"}]}",
                },
                "started_ms": 1_000,
                "elapsed_ms": 7,
                "hops": 2,
            })
        );
    }

    #[test]
    fn large_and_binary_bodies_tell_their_size() {
        let mut large = vec![b'a'; KEPT_BYTES - 3];
        large.extend_from_slice(b"hunter22 and more");
        let (shown, raw) = exchange(Body::Raw(large.clone().into()), &[0xff, 0xfe], &[]);
        let body = shown["request"]["body"].as_str().unwrap();
        assert!(body.ends_with("a•••"));
        assert_eq!(shown["request"]["body_bytes"], large.len());
        assert_eq!(shown["response"]["body"], Value::Null);
        assert_eq!(shown["response"]["body_bytes"], 2);
        assert_eq!(raw, Value::Null);
    }

    #[test]
    fn an_answer_that_is_not_json_is_not_kept_where_members_are_secret() {
        let (shown, raw) = exchange(Body::Empty, b"{\"auth_token\":\"abc", &["auth_token"]);
        assert_eq!(raw, Value::Null);
        assert_eq!(shown["response"]["body"], Value::Null);
        assert_eq!(shown["response"]["body_bytes"], 18);
    }
}
