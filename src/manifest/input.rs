//! An input or a connection field: a JSON Schema with a few words of ours beside it.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::OneOrMany;

/// Named inputs: of an action, a trigger, a flow; or the fields of a connection.
pub type Inputs = BTreeMap<String, Input>;

/// One input. Everything that is not one of our words is its JSON Schema (2020-12).
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub struct Input {
    /// Whether it must be given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether its value is masked wherever it would be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// How prominently a form shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Another input: where that one is given, a connection's default for this one is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yields_to: Option<String>,
    /// With `format: file`: the media types that are taken, such as `image/png` or `video/*`.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub accept: OneOrMany<String>,
    /// With `format: file`: the most bytes: a number, one for each of `image`, `gif`, `video`, ..., or a template
    /// over `inputs` and `connection` that gives such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Value>,
    /// `type`, `title`, `description`, `default`, `enum`, `pattern`, `format`, ...
    #[serde(flatten)]
    pub schema: Map<String, Value>,
}

/// How prominently a form shows an input.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Always shown.
    Important,
    /// Shown on request.
    Advanced,
    /// Never shown.
    Internal,
}

/// The keywords of JSON Schema that an input may use; `check` reports any other with a did-you-mean.
pub const SCHEMA_KEYWORDS: &[&str] = &[
    "type",
    "title",
    "description",
    "default",
    "examples",
    "enum",
    "const",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "deprecated",
    "readOnly",
    "$ref",
];

impl Input {
    /// The value to use when none is given.
    pub fn default_value(&self) -> Option<&Value> {
        self.schema.get("default")
    }
}

/// Whether a schema takes a file, or a list of files.
pub fn is_file(schema: &Map<String, Value>) -> bool {
    let has_format = |schema: &Map<String, Value>| schema.get("format").is_some_and(|format| format == "file");
    has_format(schema) || schema.get("items").and_then(Value::as_object).is_some_and(has_format)
}

/// The inputs as one object schema, for validating and for typing templates.
pub fn object_schema(inputs: &Inputs) -> Value {
    let properties: Map<String, Value> =
        inputs.iter().map(|(name, input)| (name.clone(), Value::Object(input.schema.clone()))).collect();
    let required: Vec<Value> =
        inputs.iter().filter(|(_, input)| input.required).map(|(name, _)| Value::from(name.as_str())).collect();
    serde_json::json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false
    })
}

/// What the value of a keyword must be; nested schemas are left to whoever compiles them.
fn keyword_schema(keyword: &str) -> Value {
    use serde_json::json;
    match keyword {
        "type" => json!({"anyOf": [
            {"enum": ["string", "integer", "number", "boolean", "array", "object", "null"]},
            {"type": "array", "items": {"enum": ["string", "integer", "number", "boolean", "array", "object", "null"]}}
        ]}),
        "title" | "description" | "format" | "pattern" | "$ref" => json!({"type": "string"}),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            json!({"type": "integer", "minimum": 0})
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            json!({"type": ["integer", "number"]})
        }
        "uniqueItems" | "deprecated" | "readOnly" => json!({"type": "boolean"}),
        "enum" | "examples" | "oneOf" | "anyOf" | "allOf" => json!({"type": "array"}),
        "properties" => json!({"type": "object", "additionalProperties": true}),
        _ => Value::Bool(true),
    }
}

impl JsonSchema for Input {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let visibility = generator.subschema_for::<Visibility>();
        let accept = generator.subschema_for::<OneOrMany<String>>();
        let mut properties = Map::new();
        for keyword in SCHEMA_KEYWORDS {
            properties.insert((*keyword).to_owned(), keyword_schema(keyword));
        }
        properties.insert("required".into(), serde_json::json!({"type": "boolean"}));
        properties.insert("secret".into(), serde_json::json!({"type": "boolean"}));
        properties.insert("visibility".into(), visibility.to_value());
        properties.insert("yields_to".into(), serde_json::json!({"type": "string"}));
        properties.insert("accept".into(), accept.to_value());
        properties.insert("max_bytes".into(), serde_json::json!({"type": ["integer", "string", "object"]}));
        json_schema!({
            "type": "object",
            "description": "A JSON Schema, with `required`, `secret`, `visibility`, `yields_to` and, for files, `accept` and `max_bytes` beside it",
            "properties": properties,
            "additionalProperties": false
        })
    }
}
