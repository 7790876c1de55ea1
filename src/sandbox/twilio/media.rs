//! The media of messages: their list, and the bytes, which are at another place than the API. The API sends
//! there with a redirect, and credentials must not follow it.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::answers::{VERSION, rfc2822};
use super::store::Message;
use crate::sandbox::exchange::{Answer, PICTURE};

/// Where the bytes are. Whoever brings credentials here gave them to a stranger, and is told so.
pub fn router() -> Router {
    Router::new().route("/{account}/{sid}", get(bytes))
}

async fn bytes(Path((_, sid)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if headers.contains_key(AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "credentials were sent to a host that is not Twilio's").into_response();
    }
    match sid.starts_with("ME") {
        true => ([(CONTENT_TYPE, "image/png")], PICTURE).into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Sends to where the bytes are.
pub(super) fn redirect(media_url: &str, account: &str, sid: &str) -> Answer {
    let answer = Answer::empty(StatusCode::TEMPORARY_REDIRECT);
    match HeaderValue::from_str(&format!("{media_url}/{account}/{sid}")) {
        Ok(place) => answer.with(LOCATION, place),
        Err(_) => answer,
    }
}

/// `api.v2010.account.message.media`
pub(super) fn view(message: &Message, sid: &str) -> Value {
    json!({
        "account_sid": message.account,
        "content_type": "image/png",
        "date_created": rfc2822(message.created_ms),
        "date_updated": rfc2822(message.created_ms),
        "parent_sid": message.sid,
        "sid": sid,
        "uri": format!("/{VERSION}/Accounts/{}/Messages/{}/Media/{sid}.json", message.account, message.sid),
    })
}
