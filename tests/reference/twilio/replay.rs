//! Which action a recorded exchange of Twilio is for, and its inputs as far as they were recorded.

use serde_json::{Map, Value, json};

use crate::reference::answer::Given;
use crate::reference::fixture::{Recorded, Request, text};

/// How an exchange is replayed.
pub struct Replay {
    pub action: &'static str,
    pub inputs: Map<String, Value>,
    pub given: Vec<Given>,
    /// Whether it is one of our operations, so that method and path must be the same.
    pub is_ours: bool,
    pub account_sid: String,
}

/// Which action an exchange is for, and its inputs; none for what none of them would read.
pub fn replay_of(recorded: &Recorded) -> Option<Replay> {
    let Recorded { request, answer } = recorded;
    let segments: Vec<&str> = request.url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    let mut replay = Replay {
        action: "",
        inputs: Map::new(),
        given: Vec::new(),
        is_ours: true,
        account_sid: format!("AC{:032}", 0),
    };
    let account_sid = |sid: &str| sid.strip_suffix(".json").unwrap_or(sid).to_owned();
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["2010-04-01", "Accounts", sid, "Messages.json"]) => {
            (replay.action, replay.account_sid) = ("send_sms", account_sid(sid));
            replay.take_form(request);
        }
        ("GET", ["2010-04-01", "Accounts", sid, "Messages.json"]) => {
            (replay.action, replay.account_sid) = ("list_sms", account_sid(sid));
            replay.take_query(request);
        }
        ("GET", ["2010-04-01", "Accounts", sid, "Messages", message]) if message.ends_with(".json") => {
            (replay.action, replay.account_sid) = ("fetch_message", account_sid(sid));
            replay.inputs.insert("sid".to_owned(), json!(account_sid(message)));
        }
        ("GET", ["2010-04-01", "Accounts", sid]) if sid.ends_with(".json") => {
            (replay.action, replay.account_sid) = ("fetch_account", account_sid(sid));
        }
        ("GET", _) if answer.status >= 400 => (replay.action, replay.is_ours) = ("list_sms", false),
        ("POST", _) if answer.status >= 400 => (replay.action, replay.is_ours) = ("send_sms", false),
        _ => return None,
    }
    let is_sid = replay
        .account_sid
        .strip_prefix("AC")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !is_sid {
        // An account that no connection can have; only the answer is of use.
        (replay.account_sid, replay.is_ours) = (format!("AC{:032}", 0), false);
    }
    Some(replay)
}

impl Replay {
    fn take_form(&mut self, request: &Request) {
        for (input, name, pointer) in [
            ("to", "To", "/To"),
            ("from", "From", "/From"),
            ("body", "Body", "/Body"),
            ("messaging_service", "MessagingServiceSid", "/MessagingServiceSid"),
            ("media_urls", "MediaUrl", "/MediaUrl"),
            ("status_callback", "StatusCallback", "/StatusCallback"),
        ] {
            let Some(value) = request.member(pointer) else {
                continue;
            };
            // Receivers on other channels than phones have no place in `send_sms`.
            if input == "to" && !text(&value).contains('+') {
                continue;
            }
            let values = match &value {
                Value::Array(values) => values.iter().map(text).collect(),
                single => vec![text(single)],
            };
            let value = if input == "media_urls" { json!(values) } else { value };
            self.inputs.insert(input.to_owned(), value);
            self.given.push(Given::Form(name, values));
        }
    }

    fn take_query(&mut self, request: &Request) {
        for (input, name) in [
            ("receiver", "To"),
            ("sender", "From"),
            ("sent_after", "DateSent>"),
            ("sent_before", "DateSent<"),
            ("page_size", "PageSize"),
        ] {
            let Some(value) = request.query(name) else {
                continue;
            };
            // `list_sms` asks for whole days.
            if input.starts_with("sent_") && value.parse::<jiff::civil::Date>().is_err() {
                continue;
            }
            let given = match value.parse::<u64>() {
                Ok(size) if input == "page_size" => json!(size),
                _ => json!(value),
            };
            self.inputs.insert(input.to_owned(), given);
            self.given.push(Given::Query(name, value));
        }
    }
}

/// Inputs with something in place of what was not recorded.
pub fn completed(action: &str, mut inputs: Value) -> Value {
    let members = inputs.as_object_mut().unwrap();
    let stand_ins: &[(&str, &str)] = match action {
        "send_sms" => &[("to", "+15005550006"), ("body", "anything")],
        "fetch_message" => &[("sid", "SM00000000000000000000000000000000")],
        _ => &[],
    };
    for (input, value) in stand_ins {
        members.entry(*input).or_insert_with(|| json!(value));
    }
    inputs
}
