//! Content templates: the one that the sandbox has, listed, and filled in for a message.

use serde_json::{Map, Value, json};

use super::answers::Failure;
use crate::sandbox::exchange::Parameters;
use crate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_CONTENT_SID};

const BODY: &str = "Hello {{1}}, {{2}}";

/// The text of a message that names a template; `None` for a message that does not.
pub(super) fn written(parameters: &Parameters<'_>) -> Result<Option<String>, Failure> {
    let variables = parameters.filled("ContentVariables");
    let Some(sid) = parameters.filled("ContentSid") else {
        return match variables {
            Some(_) => Err(Failure::bad_request(21654, "ContentSid is required with ContentVariables.")),
            None => Ok(None),
        };
    };
    if sid != TWILIO_CONTENT_SID {
        return Err(Failure::bad_request(21655, format!("The ContentSid {sid} is invalid.")));
    }
    if variables.is_some() && parameters.filled("Body").is_some() {
        return Err(Failure::bad_request(35127, "ContentVariables and Body cannot be sent together."));
    }
    let invalid = || Failure::bad_request(21656, "The ContentVariables parameter is invalid.");
    let values: Map<String, Value> = match variables {
        Some(text) => serde_json::from_str(text).map_err(|_| invalid())?,
        None => Map::new(),
    };
    let mut text = BODY.to_owned();
    for (name, value) in &values {
        let value = value.as_str().filter(|value| !value.is_empty()).ok_or_else(invalid)?;
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    Ok(Some(text))
}

/// `content.v1.content`
pub(super) fn template(origin: &str) -> Value {
    let url = format!("{origin}/v1/Content/{TWILIO_CONTENT_SID}");
    json!({
        "account_sid": TWILIO_ACCOUNT_SID,
        "date_created": "2026-01-01T00:00:00Z",
        "date_updated": "2026-01-01T00:00:00Z",
        "friendly_name": "greeting",
        "language": "en",
        "links": {
            "approval_create": format!("{url}/ApprovalRequests/whatsapp"),
            "approval_fetch": format!("{url}/ApprovalRequests"),
        },
        "sid": TWILIO_CONTENT_SID,
        "types": {"twilio/text": {"body": BODY}},
        "url": url,
        "variables": {"1": "Ann", "2": "welcome"},
    })
}
