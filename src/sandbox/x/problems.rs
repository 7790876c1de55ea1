//! X's refusals: problem documents (RFC 9457) in the shapes and words that X uses.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::sandbox::exchange::{Answer, to_json};

const TYPES: &str = "https://api.twitter.com/2/problems/";

/// Content type of a problem, as the OpenAPI document declares it.
const PROBLEM: &str = "application/problem+json";

/// 400 for one parameter and its values.
pub(super) fn invalid(parameter: &str, values: &[&str], message: &str) -> Answer {
    invalid_all(&[(parameter, values)], message)
}

/// 400 for several parameters that do not go together.
pub(super) fn invalid_all(parameters: &[(&str, &[&str])], message: &str) -> Answer {
    let parameters: Map<String, Value> =
        parameters.iter().map(|(name, values)| ((*name).to_owned(), json!(values))).collect();
    let body = json!({
        "errors": [{"parameters": parameters, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": format!("{TYPES}invalid-request"),
    });
    Answer::new(StatusCode::BAD_REQUEST, PROBLEM, to_json(&body))
}

/// A problem that is told by its status alone.
pub(super) fn plain(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or("Unknown");
    let body = json!({"title": title, "detail": detail, "type": "about:blank", "status": status.as_u16()});
    Answer::new(status, PROBLEM, to_json(&body))
}

/// 403 for credentials of a kind that the endpoint does not take.
pub(super) fn unsupported_authentication(used: &str, supported: &[&str]) -> Answer {
    let supported = supported.join(", ");
    let body = json!({
        "title": "Unsupported Authentication",
        "detail": format!(
            "Authenticating with {used} is forbidden for this endpoint.  Supported authentication types are [{supported}]."
        ),
        "type": format!("{TYPES}unsupported-authentication"),
        "status": 403,
    });
    Answer::new(StatusCode::FORBIDDEN, PROBLEM, to_json(&body))
}

/// An entry of `errors` beside, or in place of, `data`.
pub(super) fn not_found(kind: &str, parameter: &str, value: &str) -> Value {
    json!({
        "value": value,
        "detail": format!("Could not find {kind} with {parameter}: [{value}]."),
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": format!("{TYPES}resource-not-found"),
    })
}
