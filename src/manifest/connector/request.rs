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
    /// A `multipart/form-data` body: name to a value (a list repeats the name), or to `{file: PATH}` with `offset`,
    /// `length`, `content_type` and `filename` where they are not the file's own. Files are sent from the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipart: Option<Map<String, Value>>,
    /// A body as it is; give its `Content-Type` in `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// The members of a part that is a file.
pub const FILE_PART: &[&str] = &["file", "offset", "length", "content_type", "filename"];

impl Request {
    /// The names of the bodies that it has; more than one is a mistake. A `json` that is one lone template and may
    /// come out as nothing is not counted beside a `form`, which goes then.
    pub fn bodies(&self) -> Vec<&'static str> {
        let may_be_nothing = matches!(&self.json, Some(Value::String(text)) if text.trim_start().starts_with("{{"));
        let all = [
            (self.json.is_some() && !(may_be_nothing && self.form.is_some()), "json"),
            (self.form.is_some(), "form"),
            (self.multipart.is_some(), "multipart"),
            (self.raw.is_some(), "raw"),
        ];
        all.into_iter().filter(|(is_there, _)| *is_there).map(|(_, name)| name).collect()
    }
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
    /// Whether a success without a record is a failure; of a list, one with nothing in its body at all. What became of a
    /// write is then not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// A member that tells records apart: of those that several pages repeat, the first is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<String>,
    /// A condition over `record` and `inputs`; other records are dropped.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// One of `shapes`: what each record becomes, before the words beside this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// A condition over `inputs`: whether each record keeps what the service sent, as its member `raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
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
    /// With `format: binary`: the path of the file, a template over `inputs`; unless given, a name made of the
    /// content's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_to: Option<String>,
    /// With `format: binary`: the most bytes, a number or a template over `inputs` and `connection`; 100 MiB unless
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Value>,
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
    /// JSON where it is JSON, else text.
    Any,
    /// Anything: streamed into a file; the record is `{path, bytes, type, sha256}`.
    Binary,
}

/// Another value put into the records: an element of a side list found by key, or a part of the record itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Expand {
    /// JMESPath on the body, to the side list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// JMESPath on an element of it, to its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// JMESPath on the record, to the key or keys that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// JMESPath on the record, to the value itself; taken where there is one, instead of the side list's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The member of the record that gets the value; a list where `by` or `from` gives a list.
    pub into: String,
    /// One of `shapes`: what the value, or each element of it, becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
}

/// What a record becomes: values put into it, members made and members taken out, in this order.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Values put into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expand: Vec<Expand>,
    /// Members made: templates over `record`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    /// Members taken out.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub remove: OneOrMany<String>,
}
