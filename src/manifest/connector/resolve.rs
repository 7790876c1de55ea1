//! What is looked up before a request: the id behind a name, remembered for a while.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::manifest::Duration;

/// One value that is looked up before the request; its templates read it as `resolved.<name>`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// A `read` action of this connector that gives it.
    pub action: String,
    /// Its inputs; templates over `inputs`, `connection` and the element of a `foreach`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// JMESPath on what it gives.
    pub take: String,
    /// A condition over the same names; where it is false nothing is looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// How long it is remembered; a day unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<Duration>,
    /// What is said when there is nothing; a template over the same names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}
