//! Twilio's answer shapes: messages, lists, the account, errors; JSON, or XML where the path has no `.json`.

use axum::http::header::{HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::store::{Message, mix};
use crate::sandbox::exchange::{Answer, Call, to_json};
use crate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_NUMBER};

pub(super) const VERSION: &str = "2010-04-01";

/// A refusal in Twilio's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub status: StatusCode,
    pub code: u32,
    pub message: String,
    /// Only some 401 have one.
    pub detail: Option<&'static str>,
}

/// `api.v2010.account.message` of Twilio's OpenAPI document.
#[derive(Serialize)]
pub(super) struct MessageView<'a> {
    account_sid: &'a str,
    api_version: &'a str,
    body: &'a str,
    date_created: String,
    date_sent: Option<String>,
    date_updated: String,
    direction: &'a str,
    error_code: Option<u32>,
    error_message: Option<&'a str>,
    from: Option<&'a str>,
    messaging_service_sid: Option<&'a str>,
    num_media: String,
    num_segments: String,
    price: Option<&'a str>,
    price_unit: &'a str,
    sid: &'a str,
    status: &'a str,
    subresource_uris: Subresources,
    to: &'a str,
    uri: String,
}

#[derive(Serialize)]
struct Subresources {
    media: String,
}

impl Failure {
    pub fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Failure { status, code, message: message.into(), detail: None }
    }

    pub fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn not_found(path: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, 20404, format!("The requested resource {path} was not found"))
    }

    /// In the form that the path asks for.
    pub fn answer(&self, call: &Call<'_>) -> Answer {
        let mut body = json!({"code": self.code});
        if let Some(detail) = self.detail {
            body["detail"] = detail.into();
        }
        body["message"] = self.message.as_str().into();
        body["more_info"] = format!("https://www.twilio.com/docs/errors/{}", self.code).into();
        body["status"] = self.status.as_u16().into();
        let answer = if wants_json(call.path) {
            finish(Answer::new(self.status, "application/json", to_json(&body)), call)
        } else {
            finish(Answer::new(self.status, "application/xml", xml("RestException", &body)), call)
        };
        match self.status {
            StatusCode::UNAUTHORIZED => {
                answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Twilio API\""))
            }
            _ => answer,
        }
    }
}

/// An answer in the form that the path asks for. `element` is its XML name.
pub(super) fn answer(status: StatusCode, element: &str, value: &impl Serialize, call: &Call<'_>) -> Answer {
    if wants_json(call.path) {
        return finish(Answer::new(status, "application/json", to_json(value)), call);
    }
    let value = serde_json::to_value(value).unwrap_or_default();
    finish(Answer::new(status, "application/xml", xml(element, &value)), call)
}

/// Adds the headers that every answer of Twilio has.
pub(super) fn finish(answer: Answer, call: &Call<'_>) -> Answer {
    const REQUEST_ID: HeaderName = HeaderName::from_static("twilio-request-id");
    const CONCURRENT: HeaderName = HeaderName::from_static("twilio-concurrent-requests");
    const DURATION: HeaderName = HeaderName::from_static("twilio-request-duration");
    static REQUESTS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = REQUESTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    answer
        .with_text(REQUEST_ID, &format!("RQ{:016x}{:016x}", mix(number), mix(!number)))
        .with(CONCURRENT, HeaderValue::from(call.in_flight))
        .with(DURATION, HeaderValue::from_static("0.001"))
}

/// Version 2010-04-01 answers with XML unless the path ends in `.json`; the product APIs know only JSON.
pub(super) fn wants_json(path: &str) -> bool {
    path.ends_with(".json") || !path.starts_with("/2010-04-01/")
}

pub(super) fn view(message: &Message, now_ms: i64, delivery_ms: i64) -> MessageView<'_> {
    let (status, sent_ms) = status(message, now_ms, delivery_ms);
    let failure = message.failure.filter(|_| status == "undelivered");
    let uri = format!("/{VERSION}/Accounts/{}/Messages/{}.json", message.account, message.sid);
    let media = format!("/{VERSION}/Accounts/{}/Messages/{}/Media.json", message.account, message.sid);
    // A service picks its sender when it sends; until then there is neither a sender nor a segment.
    let is_picked = message.from.is_some() || sent_ms.is_some();
    MessageView {
        account_sid: message.account,
        api_version: VERSION,
        body: &message.body,
        date_created: rfc2822(message.created_ms),
        date_sent: sent_ms.map(rfc2822),
        date_updated: rfc2822(failure.map(|(at_ms, _)| at_ms).or(sent_ms).unwrap_or(message.created_ms)),
        direction: if message.is_inbound { "inbound" } else { "outbound-api" },
        error_code: failure.map(|(_, code)| code),
        error_message: None,
        from: message.from.as_deref().or(is_picked.then_some(TWILIO_NUMBER)),
        messaging_service_sid: message.service.as_deref(),
        num_media: message.media.len().to_string(),
        num_segments: if is_picked { segments(&message.body).to_string() } else { "0".into() },
        price: matches!(status, "delivered" | "received").then_some("-0.00750"),
        price_unit: "USD",
        sid: &message.sid,
        status,
        subresource_uris: Subresources { media },
        to: &message.to,
        uri,
    }
}

/// The status at that time, and when the message was sent if it was.
pub(super) fn status(message: &Message, now_ms: i64, delivery_ms: i64) -> (&'static str, Option<i64>) {
    let sent_ms = message.place.0;
    if message.is_inbound {
        let status = if now_ms < message.received_ms { "receiving" } else { "received" };
        return (status, Some(sent_ms));
    }
    match () {
        () if message.is_canceled => ("canceled", None),
        () if message.failure.is_some_and(|(at_ms, _)| at_ms <= now_ms) => ("undelivered", Some(sent_ms)),
        () if now_ms < sent_ms && message.is_scheduled => ("scheduled", None),
        () if now_ms < sent_ms && message.service.is_some() => ("accepted", None),
        () if now_ms < sent_ms => ("queued", None),
        () if now_ms < sent_ms + delivery_ms => ("sent", Some(sent_ms)),
        () => ("delivered", Some(sent_ms)),
    }
}

/// `api.v2010.account`, with the auth token in clear, as Twilio answers it.
pub(super) fn account(sid: &str) -> Value {
    let base = format!("/{VERSION}/Accounts/{sid}");
    json!({
        "auth_token": TWILIO_AUTH_TOKEN,
        "date_created": "Wed, 01 Jan 2020 00:00:00 +0000",
        "date_updated": "Wed, 01 Jan 2020 00:00:00 +0000",
        "friendly_name": if sid == TWILIO_ACCOUNT_SID { "Tidegate sandbox" } else { "Tidegate sandbox, subaccount" },
        "owner_account_sid": TWILIO_ACCOUNT_SID,
        "sid": sid,
        "status": "active",
        "subresource_uris": {
            "incoming_phone_numbers": format!("{base}/IncomingPhoneNumbers.json"),
            "messages": format!("{base}/Messages.json"),
        },
        "type": "Full",
        "uri": format!("{base}.json"),
    })
}

/// `Fri, 24 May 2019 17:44:50 +0000`
pub(super) fn rfc2822(epoch_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(epoch_ms) {
        Ok(time) => time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
        Err(_) => String::new(),
    }
}

/// Into how many SMS a body is cut: 160, then 153 each in GSM-7; 70, then 67 in UCS-2.
pub(super) fn segments(body: &str) -> usize {
    const EXTENDED: &str = "^{}\\[~]|€";
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    let mut septets = 0;
    let is_gsm = body.chars().all(|character| {
        septets += if EXTENDED.contains(character) { 2 } else { 1 };
        character.is_ascii_alphanumeric() || BASIC.contains(character) || EXTENDED.contains(character)
    });
    let (length, whole, part) = if is_gsm { (septets, 160, 153) } else { (body.encode_utf16().count(), 70, 67) };
    if length <= whole { 1 } else { length.div_ceil(part) }
}

fn xml(element: &str, value: &Value) -> String {
    let mut text = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse>");
    write_xml(&mut text, element, value);
    text.push_str("</TwilioResponse>");
    text
}

fn write_xml(text: &mut String, element: &str, value: &Value) {
    match value {
        Value::Null => {
            text.push_str(&format!("<{element}/>"));
            return;
        }
        Value::Array(elements) => {
            for value in elements {
                write_xml(text, element.strip_suffix('s').unwrap_or(element), value);
            }
            return;
        }
        _ => {}
    }
    text.push_str(&format!("<{element}>"));
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| write_xml(text, &pascal_case(name), value)),
        Value::String(string) => {
            text.push_str(&string.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
        other => text.push_str(&other.to_string()),
    }
    text.push_str(&format!("</{element}>"));
}

fn pascal_case(name: &str) -> String {
    let capital = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => String::new(),
    };
    name.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_cut_as_carriers_do() {
        for (body, expected) in [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("日".repeat(70), 1),
            ("日".repeat(71), 2),
            ("😀".repeat(36), 2),
            (String::new(), 1),
        ] {
            assert_eq!(segments(&body), expected, "{body}");
        }
    }

    #[test]
    fn values_become_elements() {
        let value = json!({"messages": [{"num_media": "0", "body": "a<b", "from": null}], "page_size": 1});
        let mut text = String::new();
        write_xml(&mut text, "Page", &value);
        assert_eq!(
            text,
            "<Page><Message><NumMedia>0</NumMedia><Body>a&lt;b</Body><From/></Message><PageSize>1</PageSize></Page>"
        );
    }
}
