//! What an action sends, and what is made of the answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::manifest::OneOrMany;

/// What an action sends. Values are templates; members that come out absent or null are left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `GET` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Below the host; every `{{value}}` in it is percent-encoded exactly once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query parameters; a list repeats the name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// Request headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Value>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// An `application/x-www-form-urlencoded` body; a list repeats the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Map<String, Value>>,
    /// A body as it is; give its `Content-Type` in `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// The HTTP methods.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Makes.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
    /// Reads the headers.
    Head,
}

/// What is made of the answer.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// How the body is read; `json` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// JMESPath on the body, to the records; the whole body unless given; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<String>,
    /// Whether the output is a list of records; unless given: whether the action has `paginate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub many: Option<bool>,
    /// A condition over `record` and `inputs`; other records are dropped.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Side lists joined into the records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expand: Vec<Expand>,
    /// Members added to each record: templates over `record`, `inputs` and `body`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    /// Members taken out of each record.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub remove: OneOrMany<String>,
    /// JSON Schema of one record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Members of the body, at any depth, that are masked before the answer is stored anywhere.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub secret: OneOrMany<String>,
}

/// How a body is read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// Text.
    Text,
}

/// A side list joined into the records by key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Expand {
    /// JMESPath on the body, to the side list.
    pub list: String,
    /// JMESPath on an element of it, to its key.
    pub key: String,
    /// JMESPath on the record, to the key or keys that it refers to.
    pub by: String,
    /// The member of the record that gets the element; a list where `by` gives a list.
    pub into: String,
}
