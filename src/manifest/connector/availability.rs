//! Who can use an action: what a service's plans and rules say about it. `check` tells it before anything
//! runs; a refusal is explained with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::manifest::OneOrMany;

/// One thing that not every account can do.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum Availability {
    /// `enterprise`, `v1`
    Plan(Plan),
    /// `{conditions: ...}`
    Conditions(Conditions),
}

/// Plans of a service.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Only with a contract; self-serve plans are refused.
    Enterprise,
    /// Only in the service's old version, which new accounts are refused.
    V1,
}

/// What must be so for the service to do it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// In words, as a whole sentence.
    pub conditions: String,
    /// The inputs that it is about: it is told only where one of them is given. Always, unless some are named.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub inputs: OneOrMany<String>,
}

impl Availability {
    /// A sentence for people.
    pub fn sentence(&self) -> String {
        match self {
            Availability::Plan(Plan::Enterprise) => "It is for enterprise accounts; other plans are refused.".into(),
            Availability::Plan(Plan::V1) => {
                "It exists in the service's old version alone, which most accounts are refused today.".into()
            }
            Availability::Conditions(given) => given.conditions.clone(),
        }
    }

    /// Whether it is about a use that gives these inputs. What is null or false is as good as not given.
    pub fn concerns(&self, given: &Map<String, Value>) -> bool {
        match self {
            Availability::Plan(_) => true,
            Availability::Conditions(Conditions { inputs, .. }) => {
                let is_given = |input: &String| {
                    given.get(input).is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
                };
                inputs.is_empty() || inputs.as_slice().iter().any(is_given)
            }
        }
    }

    /// Whether most accounts lack it, so that it is worth a warning before anything runs.
    pub fn is_rare(&self) -> bool {
        matches!(self, Availability::Plan(_))
    }
}
