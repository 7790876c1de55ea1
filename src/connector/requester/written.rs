//! One hop as the HTTP client takes it: its headers, its body in bytes or streamed.

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::connector::auth::{Outgoing, oauth1};
use crate::connector::delivery::Journey;
use crate::connector::message::{Body, HttpRequest, Method};
use crate::engine::Failure;

/// The request's headers; beyond its own hosts only those that say nothing about who asks.
pub(super) fn headers(request: &HttpRequest, body: &Body, at_home: bool) -> Result<HeaderMap, Failure> {
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
        Body::Json(_) => Some(HeaderValue::from_static("application/json")),
        Body::Form(_) => Some(HeaderValue::from_static("application/x-www-form-urlencoded")),
        // Whatever was given: the boundary is the body's own.
        Body::Multipart(parts) => {
            headers.remove(CONTENT_TYPE);
            HeaderValue::from_str(&parts.content_type()).ok()
        }
        Body::Empty | Body::Raw(_) => None,
    };
    if let Some(kind) = kind.filter(|_| !headers.contains_key(CONTENT_TYPE)) {
        headers.insert(CONTENT_TYPE, kind);
    }
    Ok(headers)
}

/// The hop as the HTTP client takes it.
pub(super) async fn write(journey: &mut Journey, outgoing: &mut Outgoing<'_>) -> Result<reqwest::Request, Failure> {
    let mut headers = std::mem::take(&mut outgoing.headers);
    let mut sent = reqwest::Request::new(outgoing.method.clone(), outgoing.url.clone());
    let bytes = match outgoing.body.as_ref() {
        Body::Empty => Bytes::new(),
        Body::Json(bytes) | Body::Raw(bytes) => bytes.clone(),
        Body::Form(pairs) => form(pairs).into(),
        Body::Multipart(parts) => {
            let pieces = parts.open().await.map_err(|failure| journey.prepared_badly(failure))?;
            headers.insert(CONTENT_LENGTH, HeaderValue::from(parts.length()));
            *sent.headers_mut() = headers;
            *sent.body_mut() = Some(reqwest::Body::wrap_stream(journey.set_out(pieces)));
            return Ok(sent);
        }
    };
    let wants_length = matches!(outgoing.method, Method::POST | Method::PUT | Method::PATCH);
    if !bytes.is_empty() || wants_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    *sent.headers_mut() = headers;
    if bytes.is_empty() {
        journey.set_out_bare();
    } else {
        let whole = futures_util::stream::iter([Ok(bytes)]);
        *sent.body_mut() = Some(reqwest::Body::wrap_stream(journey.set_out(whole)));
    }
    Ok(sent)
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
