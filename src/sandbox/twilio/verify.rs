//! Verify and Lookup: codes that are sent and checked, numbers that are looked up.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answers::Failure;
use super::store::mix;
use crate::sandbox::exchange::Parameters;
use crate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_VERIFY_CODE, TWILIO_VERIFY_SERVICE};

/// How long a code is good, in ms.
const LIFE_MS: i64 = 600_000;

/// How often a code can be sent, and how often checked.
const MOST_SENDS: usize = 5;
const MOST_CHECKS: u32 = 5;

/// The calling codes of the countries that national numbers are known of.
const COUNTRIES: [(&str, &str); 4] = [("CH", "41"), ("DE", "49"), ("GB", "44"), ("US", "1")];

/// What may be looked up besides.
const LOOKED_UP: [&str; 10] = [
    "call_forwarding",
    "caller_name",
    "identity_match",
    "line_status",
    "line_type_intelligence",
    "phone_number_quality_score",
    "pre_fill",
    "reassigned_number",
    "sim_swap",
    "sms_pumping_risk",
];

struct Verification {
    sid: String,
    to: String,
    code: String,
    status: &'static str,
    created_ms: i64,
    updated_ms: i64,
    checks: u32,
    /// When and by which channel the code was sent.
    sent: Vec<(i64, String)>,
}

/// The verifications of the sandbox's one service, by sid.
#[derive(Default)]
pub(super) struct Verifications {
    by_sid: BTreeMap<String, Verification>,
    last: u64,
}

impl Verifications {
    /// Sends a code, or the pending one once more.
    pub fn start(
        &mut self,
        service: &str,
        parameters: &Parameters<'_>,
        origin: &str,
        now_ms: i64,
    ) -> Result<Value, Failure> {
        known(service)?;
        let missing = |name: &str| Failure::bad_request(60200, format!("Invalid parameter `{name}`"));
        let to = parameters.filled("To").ok_or_else(|| missing("To"))?;
        let channel = parameters.filled("Channel").ok_or_else(|| missing("Channel"))?;
        if (channel == "email") != to.contains('@') || !(to.contains('@') || to.starts_with('+')) {
            return Err(missing("To"));
        }
        let pending = self.by_sid.values().find(|known| known.to == to && known.is_pending(now_ms));
        let sid = match pending {
            Some(pending) => pending.sid.clone(),
            None => {
                self.last += 1;
                format!("VE{:016x}{:016x}", mix(self.last), mix(!self.last))
            }
        };
        let verification = self.by_sid.entry(sid.clone()).or_insert_with(|| Verification {
            sid,
            to: to.to_owned(),
            code: parameters.filled("CustomCode").unwrap_or(TWILIO_VERIFY_CODE).to_owned(),
            status: "pending",
            created_ms: now_ms,
            updated_ms: now_ms,
            checks: 0,
            sent: Vec::new(),
        });
        if verification.sent.len() >= MOST_SENDS {
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, 60203, "Max send attempts reached"));
        }
        verification.sent.push((now_ms, channel.to_owned()));
        verification.updated_ms = now_ms;
        Ok(verification.view(origin))
    }

    /// One by its sid, or the pending one of a receiver.
    pub fn fetch(&self, asked: &str, origin: &str, path: &str, now_ms: i64) -> Result<Value, Failure> {
        let found =
            self.find(asked, now_ms).or_else(|| self.by_sid.get(asked).filter(|known| known.status == "approved"));
        found.map(|found| found.view(origin)).ok_or_else(|| Failure::not_found(path))
    }

    /// Compares a code; the right one approves, and ends the verification.
    pub fn check(
        &mut self,
        service: &str,
        parameters: &Parameters<'_>,
        origin: &str,
        path: &str,
        now_ms: i64,
    ) -> Result<Value, Failure> {
        known(service)?;
        let asked = parameters.filled("VerificationSid").or_else(|| parameters.filled("To"));
        let asked = asked.ok_or_else(|| Failure::bad_request(60200, "Invalid parameter `To`"))?;
        let sid = self.find(asked, now_ms).map(|found| found.sid.clone()).ok_or_else(|| Failure::not_found(path))?;
        let Some(verification) = self.by_sid.get_mut(&sid) else {
            return Err(Failure::not_found(path));
        };
        if verification.checks >= MOST_CHECKS {
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, 60202, "Max check attempts reached"));
        }
        verification.checks += 1;
        verification.updated_ms = now_ms;
        if parameters.get("Code") == Some(verification.code.as_str()) {
            verification.status = "approved";
        }
        let mut view = verification.view(origin);
        if let Some(members) = view.as_object_mut() {
            // What the answer to a check has, and what it has not.
            for name in ["lookup", "send_code_attempts", "sna", "url"] {
                members.remove(name);
            }
            members.insert("sna_attempts_error_codes".into(), json!([]));
        }
        Ok(view)
    }

    fn find(&self, asked: &str, now_ms: i64) -> Option<&Verification> {
        let mut pending = self.by_sid.values().filter(|known| known.is_pending(now_ms));
        pending.find(|known| known.sid == asked || known.to == asked)
    }
}

impl Verification {
    fn is_pending(&self, now_ms: i64) -> bool {
        self.status == "pending" && now_ms - self.created_ms < LIFE_MS
    }

    /// `verify.v2.service.verification`
    fn view(&self, origin: &str) -> Value {
        let attempts = (0_u64..).zip(&self.sent).map(|(number, (at_ms, channel))| {
            let of = mix(number) ^ mix(self.created_ms.unsigned_abs());
            json!({"attempt_sid": format!("VL{of:016x}{:016x}", mix(of)), "channel": channel, "time": iso(*at_ms)})
        });
        json!({
            "account_sid": TWILIO_ACCOUNT_SID,
            "amount": null,
            "channel": self.sent.last().map(|(_, channel)| channel),
            "date_created": iso(self.created_ms),
            "date_updated": iso(self.updated_ms),
            "lookup": {},
            "payee": null,
            "send_code_attempts": attempts.collect::<Vec<_>>(),
            "service_sid": TWILIO_VERIFY_SERVICE,
            "sid": self.sid,
            "sna": null,
            "status": self.status,
            "to": self.to,
            "url": format!("{origin}/v2/Services/{TWILIO_VERIFY_SERVICE}/Verifications/{}", self.sid),
            "valid": self.status == "approved",
        })
    }
}

/// `lookups.v2.phone_number`: a number is valid when it has 8 to 15 digits, which is not all that there is to it.
pub(super) fn look_up(number: &str, parameters: &Parameters<'_>, origin: &str) -> Result<Value, Failure> {
    let number = percent_encoding::percent_decode_str(number).decode_utf8_lossy().into_owned();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let country = parameters.filled("CountryCode");
    let full = match (number.starts_with('+'), country) {
        (true, _) => digits,
        (false, country) => {
            let country = country.unwrap_or("US");
            let code = COUNTRIES.iter().find(|(known, _)| *known == country).map(|(_, code)| *code);
            let code = code.ok_or_else(|| Failure::bad_request(20001, format!("Invalid CountryCode: {country}")))?;
            format!("{code}{}", digits.trim_start_matches('0'))
        }
    };
    let known = COUNTRIES.iter().find(|(_, code)| full.starts_with(code));
    let errors: &[&str] = match full.len() {
        0..=7 => &["TOO_SHORT"],
        8..=15 => &[],
        _ => &["TOO_LONG"],
    };
    let mut view = json!({
        "calling_country_code": known.map(|(_, code)| *code),
        "country_code": known.map(|(country, _)| *country),
        "national_format": known.and_then(|(_, code)| full.strip_prefix(code)),
        "phone_number": format!("+{full}"),
        "url": format!("{origin}/v2/PhoneNumbers/+{full}"),
        "valid": errors.is_empty(),
        "validation_errors": errors,
    });
    let asked: Vec<&str> = parameters.filled("Fields").map(|fields| fields.split(',').collect()).unwrap_or_default();
    if let Some(unknown) = asked.iter().find(|field| **field != "validation" && !LOOKED_UP.contains(field)) {
        return Err(Failure::bad_request(60600, format!("Invalid field: {unknown}")));
    }
    for field in LOOKED_UP {
        view[field] = match (field, asked.contains(&field)) {
            (_, false) => Value::Null,
            ("line_type_intelligence", _) => json!({
                "carrier_name": "Sandbox Mobile", "error_code": null, "mobile_country_code": "228",
                "mobile_network_code": "01", "type": "mobile",
            }),
            ("caller_name", _) => json!({"caller_name": "A PERSON", "caller_type": "CONSUMER", "error_code": null}),
            _ => json!({"error_code": 60000}),
        };
    }
    Ok(view)
}

fn known(service: &str) -> Result<(), Failure> {
    match service == TWILIO_VERIFY_SERVICE {
        true => Ok(()),
        false => Err(Failure::not_found(&format!("/v2/Services/{service}"))),
    }
}

/// `2015-07-30T20:12:31Z`
fn iso(epoch_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(epoch_ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => String::new(),
    }
}
