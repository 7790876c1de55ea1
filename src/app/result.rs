//! What came of an action, in the words that a call, a run's record and the API share: a status, the output, what
//! the service sent, the output as tables, and the failure. Made from what the executor or the journal has; it
//! decides nothing.

use serde::Serialize;
use serde_json::Value;

use crate::connector::Action;
pub use crate::connector::Table;
use crate::engine::{Failure, Outcome};

/// What came of an action.
#[derive(Clone, Debug, Serialize)]
pub struct ActionResult {
    /// How it ended.
    pub status: Status,
    /// The normalised data: what a later step sees. Of an action with `foreach` that failed, what came of each.
    pub output: Value,
    /// The raw data: what the service sent, an element per answer in their order; secrets masked.
    pub raw: Vec<Value>,
    /// The output for people: the tables that the action names.
    pub tables: Vec<Table>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Told>,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All of it was done.
    Successful,
    /// Some elements of its list were done.
    PartiallySuccessful,
    /// It was not done, or nobody knows.
    Failed,
}

/// A failure as an action's result tells it.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// `List SMS Messages failed.`
    pub message: String,
    /// Why, in words.
    pub detail: String,
    /// Stable, `snake_case`: `http_400`, `input_invalid`.
    pub code: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The service's own code for it.
    pub service_code: Option<String>,
    /// Whether the service may have done it all the same.
    pub outcome: Outcome,
    /// What to do about it.
    pub help: Option<String>,
}

impl Status {
    /// As people read it.
    pub fn title(self) -> &'static str {
        match self {
            Status::Successful => "Successful",
            Status::PartiallySuccessful => "Partially Successful",
            Status::Failed => "Failed",
        }
    }

    /// Of an output: what `{status, results}` says, or whether some could not be asked; otherwise that it was done.
    fn of(output: &Value) -> Status {
        if output.get("unreached").and_then(Value::as_array).is_some_and(|unreached| !unreached.is_empty()) {
            return Status::PartiallySuccessful;
        }
        let told = output.get("status").filter(|_| output.get("results").is_some_and(Value::is_array));
        match told.and_then(Value::as_str) {
            Some("partially_successful") => Status::PartiallySuccessful,
            Some("failed") => Status::Failed,
            _ => Status::Successful,
        }
    }
}

impl ActionResult {
    /// Of an action that was done; `action` is `None` for what is no action of a connector.
    pub fn done(action: Option<&Action>, output: Value, raw: Vec<Value>) -> ActionResult {
        let tables = action.map(|action| action.tables(&output)).unwrap_or_default();
        ActionResult { status: Status::of(&output), output, raw, tables, error: None }
    }

    /// Of an action that failed; `output` is what it gave all the same.
    pub fn failed(action: Option<&Action>, failure: Failure, output: Value, raw: Vec<Value>) -> ActionResult {
        let tables = action.filter(|_| !output.is_null()).map(|action| action.tables(&output)).unwrap_or_default();
        let error = Some(Told::of(action, failure));
        ActionResult { status: Status::Failed, output, raw, tables, error }
    }
}

impl Told {
    fn of(action: Option<&Action>, failure: Failure) -> Told {
        let title = match action {
            None => "The request".to_owned(),
            Some(action) => action.title.clone().unwrap_or_else(|| action.to_string()),
        };
        let Failure { code, message, help, outcome, status, service_code, verdict: _ } = failure;
        Told { message: format!("{title} failed."), detail: message, code, status, service_code, outcome, help }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read_from_results_alone() {
        let of = |output: Value| ActionResult::done(None, output, Vec::new()).status.title();
        assert_eq!(of(json!({"status": "partially_successful", "results": []})), "Partially Successful");
        assert_eq!(of(json!({"status": "failed", "results": [1]})), "Failed");
        assert_eq!(of(json!({"choice": "go", "unreached": [{"approver": "+15550100"}]})), "Partially Successful");
        assert_eq!(of(json!({"choice": "go", "unreached": []})), "Successful");
        // A message that could not be delivered was fetched all the same.
        assert_eq!(of(json!({"status": "failed", "sid": "SM1"})), "Successful");
        assert_eq!(of(json!(null)), "Successful");
    }

    #[test]
    fn a_failure_says_which_action_and_why() {
        let failure = Failure {
            status: Some(400),
            service_code: Some("21211".to_owned()),
            ..Failure::not_sent("http_400", "no such number")
        };
        let told = serde_json::to_value(ActionResult::failed(None, failure, Value::Null, vec![json!({"code": 21211})]));
        assert_eq!(
            told.unwrap(),
            json!({
                "status": "failed", "output": null, "raw": [{"code": 21211}], "tables": [],
                "error": {
                    "message": "The request failed.", "detail": "no such number", "code": "http_400", "status": 400,
                    "service_code": "21211", "outcome": "not_sent", "help": null,
                },
            })
        );
    }
}
