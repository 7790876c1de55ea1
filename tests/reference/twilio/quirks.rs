//! Where Twilio's document is known to differ from its service, all in one place, and the form of its refusals,
//! which it does not describe.

use serde_json::{Value, json};

use crate::reference::wire::Passed;

/// Sets right what the document says wrongly, as the reference's page about it tells. Nothing else of it is
/// passed over; that it describes no refusals is seen to in [`wrong_refusal`].
pub fn set_right(document: &mut Value) {
    // Filters by day are said to be times, and described as `YYYY-MM-DD`.
    let day = json!({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]});
    for item in members(&mut document["paths"]) {
        for operation in members(item) {
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                if parameter["name"].as_str().is_some_and(|name| name.starts_with("DateSent")) {
                    parameter["schema"] = day.clone();
                }
            }
            // Addresses in answers are relative, and said to be whole.
            strip_uri_formats(&mut operation["responses"]);
        }
    }
    strip_uri_formats(&mut document["components"]["schemas"]);
    members(&mut document["components"]["schemas"]).for_each(permit_nothing);
}

/// Members of answers that have no value are null, and SIDs empty, although the document forbids it: its own
/// examples show them so.
fn permit_nothing(member: &mut Value) {
    if let Some(pattern) = member["pattern"].as_str().map(str::to_owned) {
        member["pattern"] = json!(format!("^$|{pattern}"));
        for bound in ["minLength", "maxLength"] {
            member.as_object_mut().unwrap().remove(bound);
        }
    }
    if member.get("type").is_some() {
        member["nullable"] = json!(true);
    }
    if member["properties"].is_object() {
        members(&mut member["properties"]).for_each(permit_nothing);
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    let members = value.as_object_mut().into_iter().flat_map(|members| members.values_mut());
    members.filter(|member| member.is_object())
}

fn strip_uri_formats(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("format") == Some(&json!("uri")) {
                members.remove("format");
            }
            members.values_mut().for_each(strip_uri_formats);
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip_uri_formats),
        _ => {}
    }
}

/// The form of Twilio's refusals, which its document does not describe.
pub fn wrong_refusal(passed: &Passed) -> Vec<String> {
    let (status, body) = (passed.answer.status(), passed.answer.json());
    let code = body["code"].as_u64().unwrap_or_default();
    let mut wrong = Vec::new();
    if !(10_000..100_000).contains(&code) {
        wrong.push(format!("the code {} is none of Twilio's", body["code"]));
    }
    if body["message"].as_str().is_none_or(str::is_empty) {
        wrong.push("it has no message".to_owned());
    }
    if body["more_info"] != json!(format!("https://www.twilio.com/docs/errors/{code}")) {
        wrong.push(format!("it points to {}", body["more_info"]));
    }
    if body["status"] != json!(status) {
        wrong.push(format!("it says {} and is {status}", body["status"]));
    }
    if passed.answer.header("content-type").is_none_or(|media| !media.starts_with("application/json")) {
        wrong.push("it is not said to be JSON".to_owned());
    }
    wrong
}
