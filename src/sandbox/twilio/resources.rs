//! What the account has and nobody changes here: its numbers and its messaging service.

use serde_json::{Value, json};

use super::answers::{VERSION, rfc2822};
use crate::sandbox::exchange::Call;
use crate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_MESSAGING_SERVICE, TWILIO_NUMBER};

/// `api.v2010.account.incoming_phone_number`, the one that the account has, where the filters fit.
pub(super) fn numbers(call: &Call<'_>) -> Vec<Value> {
    let parameters = call.parameters(false);
    let name = "Sandbox";
    let fits = parameters.filled("PhoneNumber").is_none_or(|part| TWILIO_NUMBER.contains(part.trim_matches('*')))
        && parameters.filled("FriendlyName").is_none_or(|wanted| wanted == name);
    let sid = "PN5a9db0c5000000000000000000000001";
    let number = json!({
        "account_sid": TWILIO_ACCOUNT_SID,
        "address_requirements": "none",
        "address_sid": null,
        "api_version": VERSION,
        "beta": false,
        "bundle_sid": null,
        "capabilities": {"fax": false, "mms": true, "sms": true, "voice": true},
        "date_created": rfc2822(1_577_836_800_000),
        "date_updated": rfc2822(1_577_836_800_000),
        "emergency_address_sid": null,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": name,
        "identity_sid": null,
        "origin": "twilio",
        "phone_number": TWILIO_NUMBER,
        "sid": sid,
        "sms_application_sid": "",
        "sms_fallback_method": "POST",
        "sms_fallback_url": "",
        "sms_method": "POST",
        "sms_url": "",
        "status": "in-use",
        "status_callback": "",
        "status_callback_method": "POST",
        "trunk_sid": null,
        "type": "local",
        "uri": format!("/{VERSION}/Accounts/{TWILIO_ACCOUNT_SID}/IncomingPhoneNumbers/{sid}.json"),
        "voice_application_sid": "",
        "voice_caller_id_lookup": false,
        "voice_fallback_method": "POST",
        "voice_fallback_url": null,
        "voice_method": "POST",
        "voice_receive_mode": "voice",
        "voice_url": null,
    });
    if fits { vec![number] } else { Vec::new() }
}

/// `messaging.v1.service`
pub(super) fn messaging_service(origin: &str) -> Value {
    let url = format!("{origin}/v1/Services/{TWILIO_MESSAGING_SERVICE}");
    json!({
        "account_sid": TWILIO_ACCOUNT_SID,
        "date_created": "2026-01-01T00:00:00Z",
        "date_updated": "2026-01-01T00:00:00Z",
        "friendly_name": "Sandbox service",
        "links": {"phone_numbers": format!("{url}/PhoneNumbers")},
        "sid": TWILIO_MESSAGING_SERVICE,
        "url": url,
    })
}
