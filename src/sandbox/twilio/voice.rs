//! Calls and recordings: what was made is what the clock says of it, as with messages.

use serde_json::{Value, json};

use super::answers::{Failure, VERSION, rfc2822};
use super::list::read_date;
use super::store::mix;
use crate::sandbox::exchange::Parameters;
use crate::sandbox::{NewCall, TWILIO_TEST_ACCOUNT_SID};

/// How long a call rings, in ms.
const RINGING_MS: i64 = 2_000;

/// The longest TwiML that a call may bring, in characters.
const TWIML_LIMIT: usize = 4_000;

#[derive(Clone, Debug)]
pub(super) struct PhoneCall {
    pub sid: String,
    account: &'static str,
    from: String,
    to: String,
    is_inbound: bool,
    started_ms: i64,
    visible_ms: i64,
    duration_ms: i64,
    /// The sid of its recording, and how long that is processed.
    recording: Option<(String, i64)>,
}

/// The calls of an account, oldest first.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<PhoneCall>,
    last: u64,
}

impl Calls {
    /// Makes calls appear; gives their sids.
    pub fn add(&mut self, new: &NewCall, account: &'static str, now_ms: i64) -> Vec<String> {
        let started_ms = new.started_ms.unwrap_or(now_ms);
        let call = |number: u64| PhoneCall {
            sid: sid("CA", number),
            account,
            from: new.from.clone(),
            to: new.to.clone(),
            is_inbound: !new.outbound,
            started_ms,
            visible_ms: new.visible_ms.unwrap_or(started_ms),
            duration_ms: new.duration_ms,
            recording: new.is_recorded.then(|| (sid("RE", number), new.processing_ms)),
        };
        (0..new.count).map(|_| self.keep(call)).collect()
    }

    /// Checks what `POST Calls.json` brings, and calls.
    pub fn start(
        &mut self,
        account: &'static str,
        parameters: &Parameters<'_>,
        now_ms: i64,
    ) -> Result<PhoneCall, Failure> {
        let to = parameters.filled("To");
        let to = to.ok_or_else(|| Failure::bad_request(21201, "No 'To' number is specified"))?;
        let from = parameters.filled("From");
        let from = from.ok_or_else(|| Failure::bad_request(21213, "The 'From' number is required"))?;
        let twiml = parameters.filled("Twiml");
        if parameters.filled("Url").is_none() && twiml.is_none() && parameters.filled("ApplicationSid").is_none() {
            return Err(Failure::bad_request(21205, "Url parameter is required."));
        }
        if let Some(twiml) = twiml.filter(|twiml| !is_twiml(twiml)) {
            let message = format!("The Twiml has {} characters, or is no <Response>", twiml.chars().count());
            return Err(Failure::bad_request(21218, message));
        }
        check(account, to, from)?;
        let call = |number: u64| PhoneCall {
            sid: sid("CA", number),
            account,
            from: from.to_owned(),
            to: to.to_owned(),
            is_inbound: false,
            started_ms: now_ms,
            visible_ms: now_ms,
            duration_ms: 30_000,
            recording: (parameters.get("Record") == Some("true")).then(|| (sid("RE", number), 0)),
        };
        let made = self.keep(call);
        self.calls.iter().rfind(|call| call.sid == made).cloned().ok_or_else(|| Failure::not_found("/Calls"))
    }

    fn keep(&mut self, call: impl Fn(u64) -> PhoneCall) -> String {
        self.last += 1;
        let call = call(self.last);
        let sid = call.sid.clone();
        let place = self.calls.partition_point(|known| known.started_ms <= call.started_ms);
        self.calls.insert(place, call);
        sid
    }

    /// The calls that fit, newest first.
    pub fn listed(&self, parameters: &Parameters<'_>, now_ms: i64) -> Result<Vec<Value>, Failure> {
        let (after_ms, before_ms) = bounds(parameters, "StartTime")?;
        let wanted = |call: &&PhoneCall| {
            call.visible_ms <= now_ms
                && parameters.filled("To").is_none_or(|to| to == call.to)
                && parameters.filled("From").is_none_or(|from| from == call.from)
                && parameters.filled("Status").is_none_or(|status| status == call.status(now_ms))
                && after_ms.is_none_or(|after_ms| call.started_ms >= after_ms)
                && before_ms.is_none_or(|before_ms| call.started_ms <= before_ms)
        };
        Ok(self.calls.iter().rev().filter(wanted).map(|call| call.view(now_ms)).collect())
    }

    /// The recordings that fit, newest first.
    pub fn recordings(&self, parameters: &Parameters<'_>, now_ms: i64) -> Result<Vec<Value>, Failure> {
        let (after_ms, before_ms) = bounds(parameters, "DateCreated")?;
        let wanted = |call: &&PhoneCall| {
            call.visible_ms <= now_ms
                && call.answered_ms() <= now_ms
                && parameters.filled("CallSid").is_none_or(|sid| sid == call.sid)
                && after_ms.is_none_or(|after_ms| call.answered_ms() >= after_ms)
                && before_ms.is_none_or(|before_ms| call.answered_ms() <= before_ms)
        };
        Ok(self.calls.iter().rev().filter(wanted).filter_map(|call| call.recording(now_ms)).collect())
    }
}

impl PhoneCall {
    fn answered_ms(&self) -> i64 {
        self.started_ms + RINGING_MS
    }

    fn ended_ms(&self) -> i64 {
        self.answered_ms() + self.duration_ms
    }

    fn status(&self, now_ms: i64) -> &'static str {
        match () {
            () if now_ms < self.started_ms + 1_000 && !self.is_inbound => "queued",
            () if now_ms < self.answered_ms() => "ringing",
            () if now_ms < self.ended_ms() => "in-progress",
            () => "completed",
        }
    }

    /// `api.v2010.account.call`
    pub fn view(&self, now_ms: i64) -> Value {
        let status = self.status(now_ms);
        let is_over = status == "completed";
        let has_begun = status != "queued";
        let uri = format!("/{VERSION}/Accounts/{}/Calls/{}", self.account, self.sid);
        json!({
            "account_sid": self.account,
            "answered_by": null,
            "api_version": VERSION,
            "caller_name": "",
            "date_created": rfc2822(self.started_ms),
            "date_updated": rfc2822(if is_over { self.ended_ms() } else { self.started_ms }),
            "direction": if self.is_inbound { "inbound" } else { "outbound-api" },
            "duration": is_over.then(|| (self.duration_ms / 1_000).to_string()),
            "end_time": is_over.then(|| rfc2822(self.ended_ms())),
            "from": self.from,
            "parent_call_sid": null,
            "price": is_over.then_some("-0.01300"),
            "price_unit": "USD",
            "sid": self.sid,
            "start_time": has_begun.then(|| rfc2822(self.started_ms)),
            "status": status,
            "subresource_uris": {"recordings": format!("{uri}/Recordings.json")},
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }

    /// `api.v2010.account.recording`
    fn recording(&self, now_ms: i64) -> Option<Value> {
        let (sid, processing_ms) = self.recording.as_ref()?;
        let status = match () {
            () if now_ms < self.ended_ms() => "in-progress",
            () if now_ms < self.ended_ms() + processing_ms => "processing",
            () => "completed",
        };
        let uri = format!("/{VERSION}/Accounts/{}/Recordings/{sid}", self.account);
        Some(json!({
            "account_sid": self.account,
            "api_version": VERSION,
            "call_sid": self.sid,
            "channels": 1,
            "conference_sid": null,
            "date_created": rfc2822(self.answered_ms()),
            "date_updated": rfc2822(self.answered_ms()),
            "duration": if status == "completed" { (self.duration_ms / 1_000).to_string() } else { "-1".to_owned() },
            "error_code": null,
            "price": null,
            "price_unit": "USD",
            "sid": sid,
            "source": "OutboundAPI",
            "start_time": rfc2822(self.answered_ms()),
            "status": status,
            "uri": format!("{uri}.json"),
        }))
    }
}

/// The magic numbers of calls, and those of test credentials (Twilio's page on test credentials).
fn check(account: &str, to: &str, from: &str) -> Result<(), Failure> {
    let refused = |code, message: String| Err(Failure::bad_request(code, message));
    match (from, to) {
        ("+15005550001", _) => refused(21212, format!("The source phone number provided, {from}, is not valid.")),
        (_, "+15005550001") => refused(21217, format!("The phone number {to} is not valid.")),
        (_, "+15005550002") => refused(21214, format!("The phone number {to} cannot be routed.")),
        (_, "+15005550003") => refused(21215, format!("Account not authorized to call {to}.")),
        (_, "+15005550004") => refused(21216, format!("The phone number {to} is blocked.")),
        (from, _) if account == TWILIO_TEST_ACCOUNT_SID && from != "+15005550006" => {
            refused(21210, format!("The source phone number provided, {from}, is not yet verified for your account."))
        }
        _ => Ok(()),
    }
}

/// A `<Response>` of which every `&` and `<` means something.
fn is_twiml(text: &str) -> bool {
    const ENTITIES: [&str; 5] = ["amp;", "lt;", "gt;", "quot;", "apos;"];
    text.chars().count() <= TWIML_LIMIT
        && text.starts_with("<Response>")
        && text.ends_with("</Response>")
        && text.split('&').skip(1).all(|rest| ENTITIES.iter().any(|entity| rest.starts_with(entity)))
        && text
            .split('<')
            .skip(1)
            .all(|rest| rest.trim_start_matches('/').starts_with(|c: char| c.is_ascii_uppercase()))
}

/// The inclusive bounds of a filter by date, each of them a whole day.
fn bounds(parameters: &Parameters<'_>, name: &str) -> Result<(Option<i64>, Option<i64>), Failure> {
    const DAY_MS: i64 = 86_400_000;
    let day = |sign: &str| -> Result<Option<i64>, Failure> {
        let Some(text) = parameters.filled(&format!("{name}{sign}")) else {
            return Ok(None);
        };
        read_date(text).map(|(ms, _)| Some(ms.div_euclid(DAY_MS) * DAY_MS))
    };
    Ok((day(">")?, day("<")?.map(|first_ms| first_ms + DAY_MS - 1)))
}

fn sid(prefix: &str, number: u64) -> String {
    format!("{prefix}{:016x}{:016x}", mix(number), mix(!number))
}
