//! `POST Messages.json`: what Twilio checks about a message before it takes it, its magic numbers included.

use std::sync::Arc;

use axum::http::StatusCode;

use super::answers::{self, Failure};
use super::content;
use super::store::{Message, Store};
use crate::sandbox::exchange::Parameters;
use crate::sandbox::{Options, TWILIO_NUMBER, TWILIO_TEST_ACCOUNT_SID};

/// Longest body in characters.
const BODY_LIMIT: usize = 1_600;

/// Most media of one message.
const MEDIA_LIMIT: usize = 10;

/// Checks the parameters and stores the message.
pub(super) fn send(
    store: &mut Store,
    options: &Options,
    account: &'static str,
    parameters: &Parameters<'_>,
    now_ms: i64,
) -> Result<Arc<Message>, Failure> {
    let to = parameters.filled("To");
    let from = parameters.filled("From");
    let service = parameters.filled("MessagingServiceSid");
    let content = parameters.filled("ContentSid");
    let body = parameters.get("Body").unwrap_or_default();
    let media: Vec<&str> = parameters.all("MediaUrl").filter(|url| !url.is_empty()).collect();

    let to = to.ok_or_else(|| Failure::bad_request(21604, "A 'To' phone number is required."))?;
    if from.is_none() && service.is_none() {
        return Err(Failure::bad_request(21603, "A 'From' phone number is required."));
    }
    if body.is_empty() && media.is_empty() && content.is_none() {
        return Err(Failure::bad_request(21602, "Message body is required."));
    }
    let written = content::written(parameters)?;
    let body = written.as_deref().unwrap_or(body);
    let scheduled_ms = scheduled(parameters, now_ms)?;
    if let Some(service) = service.filter(|sid| !is_sid(sid, "MG")) {
        let message = format!("The Messaging Service Sid {service} is invalid.");
        return Err(Failure::bad_request(21701, message));
    }
    check_sender(from)?;
    if account == TWILIO_TEST_ACCOUNT_SID
        && let Some(from) = from.filter(|from| *from != "+15005550006")
    {
        return Err(not_owned(from));
    }
    check_recipient(to, from.unwrap_or(TWILIO_NUMBER))?;
    if body.chars().count() > BODY_LIMIT {
        let message = format!("The concatenated message body exceeds the {BODY_LIMIT} character limit.");
        return Err(Failure::bad_request(21617, message));
    }
    if media.len() > MEDIA_LIMIT {
        return Err(Failure::bad_request(21623, "Number of media files exceeds allowed limit."));
    }
    if let Some(bad) = media.iter().find(|url| !is_web_url(url)) {
        return Err(Failure::bad_request(21620, format!("Invalid media URL(s): {bad}")));
    }
    if let Some(callback) = parameters.filled("StatusCallback").filter(|url| !is_callback(url)) {
        return Err(Failure::bad_request(21609, format!("The StatusCallback URL {callback} is not a valid URL.")));
    }
    let message = Message {
        sid: String::new(),
        account,
        place: (0, 0),
        is_inbound: false,
        from: from.map(Into::into),
        to: to.into(),
        body: body.into(),
        service: service.map(Into::into),
        media: media.iter().map(|url| (*url).to_owned()).collect(),
        created_ms: now_ms,
        visible_ms: now_ms,
        received_ms: now_ms,
        is_canceled: false,
        is_scheduled: scheduled_ms.is_some(),
        failure: None,
    };
    Ok(store.insert(message, scheduled_ms.unwrap_or(now_ms + options.delivery_ms)))
}

/// Cancels a message that was not sent, or empties the body of one that was.
pub(super) fn update(
    store: &mut Store,
    options: &Options,
    parameters: &Parameters<'_>,
    message: &Message,
    now_ms: i64,
) -> Result<Arc<Message>, Failure> {
    let cancels = match parameters.get("Status") {
        None => false,
        Some("canceled") => true,
        Some(other) => {
            return Err(Failure::bad_request(20001, format!("Invalid status: {other}")));
        }
    };
    if parameters.get("Body").is_some_and(|body| !body.is_empty()) {
        return Err(Failure::bad_request(20001, "Only an empty Body may be given: it redacts the message."));
    }
    let (status, sent_ms) = answers::status(message, now_ms, options.delivery_ms);
    if cancels && sent_ms.is_some() {
        let text = format!("Message with status {status} cannot be canceled.");
        return Err(Failure::new(StatusCode::CONFLICT, 30409, text));
    }
    let redacts = parameters.get("Body").is_some();
    let changed = store.update(&message.sid, |message| {
        message.is_canceled |= cancels;
        if redacts {
            message.body.clear();
        }
    });
    changed.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, 20404, "The message was not found."))
}

/// When the message is to be sent, if later: with a service, five minutes to 35 days ahead.
fn scheduled(parameters: &Parameters<'_>, now_ms: i64) -> Result<Option<i64>, Failure> {
    let send_at = parameters.filled("SendAt");
    if parameters.filled("ScheduleType").is_none() && send_at.is_none() {
        return Ok(None);
    }
    if parameters.filled("MessagingServiceSid").is_none() {
        return Err(Failure::bad_request(35118, "MessagingServiceSid is required to schedule a message."));
    }
    let send_at = send_at.ok_or_else(|| Failure::bad_request(35111, "SendAt is required to schedule a message."))?;
    let at_ms = send_at
        .parse::<jiff::Timestamp>()
        .map_err(|_| Failure::bad_request(35114, format!("SendAt is not an ISO 8601 time: {send_at}")))?
        .as_millisecond();
    match at_ms - now_ms {
        300_001..=3_024_000_000 => Ok(Some(at_ms)),
        _ => Err(Failure::bad_request(35115, "SendAt must be more than 5 minutes and at most 35 days ahead.")),
    }
}

/// A prefix and 32 hexadecimal digits.
pub(super) fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn check_sender(from: Option<&str>) -> Result<(), Failure> {
    let Some(from) = from else { return Ok(()) };
    match from {
        "+15005550001" => {}
        "+15005550007" => {
            return Err(not_owned(from));
        }
        "+15005550008" => {
            return Err(Failure::bad_request(21611, format!("This 'From' number {from} has exceeded its queue.")));
        }
        _ if is_number(from) || is_short_code(from) || is_sender_name(from) => return Ok(()),
        _ => {}
    }
    Err(Failure::bad_request(21212, format!("Invalid 'From' Phone Number: {from}")))
}

fn not_owned(from: &str) -> Failure {
    Failure::bad_request(21606, format!("The 'From' phone number {from} is not a valid, SMS-capable Twilio number."))
}

fn check_recipient(to: &str, from: &str) -> Result<(), Failure> {
    let refused = |code, message: String| Err(Failure::bad_request(code, message));
    match to {
        "+15005550002" => refused(
            21612,
            format!(
                "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: {from} via SMS."
            ),
        ),
        "+15005550003" => refused(
            21408,
            format!(
                "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}."
            ),
        ),
        "+15005550004" => refused(21610, "Attempt to send to unsubscribed recipient".into()),
        "+15005550009" => refused(21614, format!("'To' number is not a valid mobile number: {to}")),
        _ if to != "+15005550001" && is_number(to) => Ok(()),
        _ => refused(21211, format!("The 'To' number {to} is not a valid phone number.")),
    }
}

/// E.164, with a channel such as `whatsapp:` before it or not.
fn is_number(text: &str) -> bool {
    let number = text.split_once(':').map_or(text, |(_, number)| number);
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    })
}

fn is_short_code(text: &str) -> bool {
    (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An alphanumeric sender: up to 11 letters, digits and blanks, a letter among them.
fn is_sender_name(text: &str) -> bool {
    text.len() <= 11
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Twilio calls no host with an underscore in its name.
fn is_callback(text: &str) -> bool {
    is_web_url(text) && url::Url::parse(text).is_ok_and(|url| !url.host_str().unwrap_or_default().contains('_'))
}

fn is_web_url(text: &str) -> bool {
    text.len() <= 4_000 && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(pairs: &[(&'static str, &str)]) -> Option<u32> {
        let pairs = pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        let parameters = Parameters { pairs };
        send(&mut Store::new(1), &Options::default(), crate::sandbox::TWILIO_ACCOUNT_SID, &parameters, 0)
            .err()
            .map(|failure| failure.code)
    }

    #[test]
    fn messages_are_checked_as_twilio_does() {
        let (to, from, body) = (("To", "+41791234567"), ("From", "+15005550006"), ("Body", "hello"));
        assert_eq!(code(&[to, from, body]), None);
        assert_eq!(code(&[from, body]), Some(21604));
        assert_eq!(code(&[to, body]), Some(21603));
        assert_eq!(code(&[to, from]), Some(21602));
        assert_eq!(code(&[to, from, ("MediaUrl", "https://example.org/a.png")]), None);
        assert_eq!(code(&[to, from, ("MediaUrl", "a.png")]), Some(21620));
        assert_eq!(code(&[to, ("MessagingServiceSid", "MG5a9db0c5000000000000000000000001"), body]), None);
        assert_eq!(code(&[to, ("MessagingServiceSid", "MG1"), body]), Some(21701));
        assert_eq!(code(&[("To", " 41791234567"), from, body]), Some(21211), "a bare + arrives as a blank");
        assert_eq!(code(&[("To", "whatsapp:+41791234567"), ("From", "whatsapp:+14155550100"), body]), None);
        let service = ("MessagingServiceSid", "MG5a9db0c5000000000000000000000001");
        let later = ("SendAt", "1970-01-02T00:00:00Z");
        assert_eq!(code(&[to, service, body, ("ScheduleType", "fixed"), later]), None);
        assert_eq!(code(&[to, from, body, ("ScheduleType", "fixed"), later]), Some(35118));
        assert_eq!(code(&[to, service, body, ("ScheduleType", "fixed")]), Some(35111));
        assert_eq!(code(&[to, service, body, ("SendAt", "1970-01-01T00:04:00Z")]), Some(35115));
        assert_eq!(code(&[to, from, body, ("StatusCallback", "https://a_b.example.org/")]), Some(21609));
        assert_eq!(code(&[to, ("From", "Tidegate"), body]), None);
        assert_eq!(code(&[to, ("From", "a sender too long"), body]), Some(21212));
        assert_eq!(code(&[to, from, ("Body", &"é".repeat(1_600))]), None);
        assert_eq!(code(&[to, from, ("Body", &"é".repeat(1_601))]), Some(21617));
        for (number, expected) in [("1", 21211), ("2", 21612), ("3", 21408), ("4", 21610), ("9", 21614)] {
            let magic = format!("+1500555000{number}");
            assert_eq!(code(&[("To", &magic), from, body]), Some(expected), "{magic}");
        }
        for (number, expected) in [("1", 21212), ("7", 21606), ("8", 21611)] {
            let magic = format!("+1500555000{number}");
            assert_eq!(code(&[to, ("From", &magic), body]), Some(expected), "{magic}");
        }
    }
}
