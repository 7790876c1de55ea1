//! Which action a recorded exchange of Twilio is for, and its inputs as far as they were recorded.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::reference::answer::Given;
use crate::reference::fixture::{Answer, Recorded, Request, text};

/// How an exchange is replayed.
pub struct Replay {
    pub action: &'static str,
    pub inputs: Map<String, Value>,
    pub given: Vec<Given>,
    /// Whether it is one of our operations, so that method and path must be the same.
    pub is_ours: bool,
    pub account_sid: String,
}

/// The parameters of `send_sms` whose values go out as they are given.
const SENT: [(&str, &str); 12] = [
    ("to", "To"),
    ("from", "From"),
    ("body", "Body"),
    ("messaging_service", "MessagingServiceSid"),
    ("status_callback", "StatusCallback"),
    ("content_sid", "ContentSid"),
    ("application_sid", "ApplicationSid"),
    ("content_retention", "ContentRetention"),
    ("address_retention", "AddressRetention"),
    ("risk_check", "RiskCheck"),
    ("fallback_from", "FallbackFrom"),
    ("content_variables", "ContentVariables"),
];

/// Which action an exchange is for, and its inputs; none for what none of them would read.
pub fn replay_of(recorded: &Recorded) -> Option<Replay> {
    let Recorded { request, answer } = recorded;
    let path = percent_decode_str(request.url.path()).decode_utf8().ok()?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut replay = Replay {
        action: "",
        inputs: Map::new(),
        given: Vec::new(),
        is_ours: true,
        account_sid: format!("AC{:032}", 0),
    };
    let is_known = match segments.as_slice() {
        ["2010-04-01", rest @ ..] => replay.classic(request, answer, rest),
        rest => replay.product(request, request.url.host_str().unwrap_or_default(), rest),
    };
    match (is_known, request.method.as_str()) {
        (true, _) => {}
        (false, "GET") if answer.status >= 400 => (replay.action, replay.is_ours) = ("list_messages", false),
        (false, "POST") if answer.status >= 400 => (replay.action, replay.is_ours) = ("send_sms", false),
        (false, _) => return None,
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
    /// Of version 2010-04-01. Whether it is an operation of ours.
    fn classic(&mut self, request: &Request, answer: &Answer, segments: &[&str]) -> bool {
        let bare = |segment: &str| segment.strip_suffix(".json").unwrap_or(segment).to_owned();
        let [first, sid, rest @ ..] = segments else {
            self.action = "list_subaccounts";
            return request.method == "GET" && segments == ["Accounts.json"];
        };
        if *first != "Accounts" {
            return false;
        }
        self.account_sid = bare(sid);
        let is_bare = |last: &str| !last.ends_with(".json");
        if segments.last().is_some_and(|last| is_bare(last)) {
            return false;
        }
        let mut named = |name: &str, sid: &str| self.inputs.insert(name.to_owned(), json!(bare(sid)));
        self.action = match (request.method.as_str(), rest) {
            ("GET", []) => "fetch_account",
            ("POST", ["Messages.json"]) => {
                self.take_message(request);
                "send_sms"
            }
            ("GET", ["Messages.json"]) => {
                self.take_filters(request, answer);
                "list_messages"
            }
            ("GET", ["IncomingPhoneNumbers.json"]) => "list_numbers",
            ("GET", ["Messages", sid]) => {
                named("sid", sid);
                "fetch_message"
            }
            ("DELETE", ["Messages", sid]) => {
                named("sid", sid);
                "delete_message"
            }
            ("POST", ["Messages", sid]) => {
                named("sid", sid);
                match (request.member("/Status"), request.member("/Body")) {
                    (Some(status), _) if status == "canceled" => "cancel_message",
                    (None, Some(body)) if body == "" => "redact_message",
                    _ => return false,
                }
            }
            ("POST", ["Messages", sid, "Feedback.json"]) => {
                named("sid", sid);
                self.take("outcome", "Outcome", request);
                "send_feedback"
            }
            ("GET", ["Messages", sid, "Media.json"]) => {
                named("sid", sid);
                "list_media"
            }
            ("DELETE", ["Messages", sid, "Media", medium]) => {
                named("sid", sid);
                named("media_sid", medium);
                "delete_media"
            }
            _ => return false,
        };
        true
    }

    /// Of the product APIs. Whether it is an operation of ours.
    fn product(&mut self, request: &Request, host: &str, segments: &[&str]) -> bool {
        let mut named = |name: &str, value: &str| self.inputs.insert(name.to_owned(), json!(value));
        self.action = match (request.method.as_str(), host.split('.').next().unwrap_or_default(), segments) {
            ("GET", "lookups", ["v2", "PhoneNumbers", number]) => {
                named("number", number);
                if let Some(fields) = request.query("Fields") {
                    self.inputs.insert("fields".to_owned(), fields.split(',').collect());
                    self.given.push(Given::Query("Fields", fields));
                }
                "lookup_number"
            }
            ("POST", "verify", ["v2", "Services", service, "Verifications"]) => {
                named("service", service);
                for (input, name) in [
                    ("to", "To"),
                    ("channel", "Channel"),
                    ("locale", "Locale"),
                    ("payee", "Payee"),
                    ("amount", "Amount"),
                ] {
                    self.take(input, name, request);
                }
                "start_verification"
            }
            ("POST", "verify", ["v2", "Services", service, "VerificationCheck"]) => {
                named("service", service);
                for (input, name) in [("to", "To"), ("verification", "VerificationSid"), ("code", "Code")] {
                    self.take(input, name, request);
                }
                "check_verification"
            }
            ("GET", "verify", ["v2", "Services", service, "Verifications", asked]) => {
                named("service", service);
                named("verification", asked);
                "fetch_verification"
            }
            ("GET", "messaging", ["v1", "Services"]) => "list_messaging_services",
            ("GET", "content", ["v1", "Content"]) => "list_content_templates",
            _ => return false,
        };
        true
    }

    /// A member of a form as an input.
    fn take(&mut self, input: &str, name: &'static str, request: &Request) {
        if let Some(value) = request.member(&format!("/{name}")) {
            self.given.push(Given::Form(name, vec![text(&value)]));
            self.inputs.insert(input.to_owned(), value);
        }
    }

    fn take_message(&mut self, request: &Request) {
        for (input, name) in SENT {
            // Receivers on other channels than phones have no place in `send_sms`.
            let is_elsewhere = |value: Value| name == "To" && !text(&value).contains('+');
            if request.member(&format!("/{name}")).is_some_and(is_elsewhere) {
                continue;
            }
            self.take(input, name, request);
        }
        // Its text is compared: the members keep their order.
        if let Some(Value::String(variables)) = self.inputs.get("content_variables") {
            let read: Option<Value> = serde_json::from_str(variables).ok();
            self.given.retain(|given| !matches!(given, Given::Form("ContentVariables", _)));
            self.inputs.extend(read.map(|read| ("content_variables".to_owned(), read)));
        }
        for (input, name) in [("media_urls", "MediaUrl"), ("persistent_actions", "PersistentAction")] {
            let Some(value) = request.member(&format!("/{name}")) else {
                continue;
            };
            let values = match &value {
                Value::Array(values) => values.iter().map(text).collect(),
                single => vec![text(single)],
            };
            self.inputs.insert(input.to_owned(), json!(values));
            self.given.push(Given::Form(name, values));
        }
        for (input, name) in [("validity_seconds", "ValidityPeriod"), ("attempt", "Attempt")] {
            let number = request.member(&format!("/{name}")).and_then(|value| text(&value).parse::<u32>().ok());
            if let Some(number) = number.filter(|number| *number > 0) {
                self.inputs.insert(input.to_owned(), json!(number));
                self.given.push(Given::Form(name, vec![number.to_string()]));
            }
        }
        for (input, name) in [
            ("shorten_urls", "ShortenUrls"),
            ("smart_encoded", "SmartEncoded"),
            ("send_as_mms", "SendAsMms"),
            ("provide_feedback", "ProvideFeedback"),
        ] {
            // Samples write `True`; ours is lower-case.
            let word = request.member(&format!("/{name}")).map(|value| text(&value).to_lowercase());
            if let Some(is_so) = word.and_then(|word| word.parse::<bool>().ok()) {
                self.inputs.insert(input.to_owned(), json!(is_so));
                self.given.push(Given::Form(name, vec![is_so.to_string()]));
            }
        }
    }

    fn take_filters(&mut self, request: &Request, answer: &Answer) {
        let lists_nothing = answer.body["messages"].as_array().is_none_or(Vec::is_empty);
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
            let mut asked = value.clone();
            match value.parse::<jiff::civil::Date>() {
                // `list_messages` asks for whole days, and cuts what an example lists from other ones.
                Err(_) if input.starts_with("sent_") => continue,
                Ok(_) if !lists_nothing => continue,
                // It asks for a day more.
                Ok(day) if input == "sent_before" => asked = day.yesterday().unwrap().to_string(),
                _ => {}
            }
            let given = match value.parse::<u64>() {
                Ok(size) if input == "page_size" => json!(size),
                _ => json!(asked),
            };
            // Addresses on other channels are filtered on our side.
            if value.contains(':') {
                continue;
            }
            self.inputs.insert(input.to_owned(), given);
            self.given.push(Given::Query(name, value));
        }
    }
}

/// Where the records of an action's answer are; none for the answer itself.
pub fn records_of(action: &str) -> Option<&'static str> {
    Some(match action {
        "list_messages" => "messages",
        "list_subaccounts" => "accounts",
        "list_numbers" => "incoming_phone_numbers",
        "list_media" => "media_list",
        "list_messaging_services" => "services",
        "list_content_templates" => "contents",
        _ => return None,
    })
}

/// Inputs with something in place of what was not recorded.
pub fn completed(action: &str, mut inputs: Value) -> Value {
    let members = inputs.as_object_mut().unwrap();
    let has_content = ["body", "media_urls", "content_sid"].iter().any(|name| members.contains_key(*name));
    let has_sender = ["from", "messaging_service"].iter().any(|name| members.contains_key(*name));
    let stand_ins: &[(&str, &str, bool)] = match action {
        "send_sms" => {
            &[("to", "+15005550006", true), ("body", "anything", !has_content), ("from", "+15005550006", !has_sender)]
        }
        "fetch_message" => &[("sid", "SM00000000000000000000000000000000", true)],
        _ => &[],
    };
    for (input, value, is_needed) in stand_ins {
        if *is_needed {
            members.entry(*input).or_insert_with(|| json!(value));
        }
    }
    inputs
}
