//! The JSON Schemas that connectors and flows hold: keywords, references, formats, and defaults that fit.
//! A schema that could not be used at run time is found here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::findings::{Findings, below, suggestion};
use super::inputs::Validator;
use super::types::Kinds;
use super::values;
use crate::formats;
use crate::manifest::Inputs;
use crate::manifest::input::SCHEMA_KEYWORDS;
use crate::manifest::typed::typed;
use crate::template::helpers;

/// Keywords that hold one schema.
const OF_SCHEMA: &[&str] = &["items", "additionalProperties", "propertyNames", "not", "if", "then", "else"];
/// Keywords that hold a list of schemas.
const OF_SCHEMAS: &[&str] = &["oneOf", "anyOf", "allOf"];
/// The formats that JSON Schema itself defines.
const STANDARD_FORMATS: &[&str] = &[
    "date",
    "date-time",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "uri-template",
    "iri",
    "iri-reference",
    "uuid",
    "regex",
    "json-pointer",
    "relative-json-pointer",
];

/// Inputs of an action, a trigger or a flow, or the fields of a connection, at `pointer`.
pub fn inputs(findings: &mut Findings<'_>, pointer: &str, inputs: &Inputs, definitions: &BTreeMap<String, Value>) {
    for (name, input) in inputs {
        let place = below(pointer, name);
        if !is_identifier(name) {
            let message = format!("`{name}` cannot be read in a template");
            findings.key_error(
                "bad_identifier",
                &place,
                message,
                "use letters, digits and `_`, and begin with a letter",
            );
        }
        let before = findings.count();
        words(findings, &place, &input.schema, definitions);
        if findings.count() == before {
            usable(findings, &place, &Value::Object(input.schema.clone()), definitions);
        }
        if let Some(other) = input.yields_to.as_deref().filter(|other| !inputs.contains_key(*other)) {
            let message = format!("there is no input `{other}` beside `{name}`");
            let help = suggestion(other, inputs.keys().map(String::as_str));
            findings.error("input_unknown", &below(&place, "yields_to"), message, help);
        }
        if let Some(default) = input.default_value() {
            fitting_default(findings, &below(&place, "default"), default, &input.schema, definitions);
        }
    }
}

/// One schema at `pointer`.
pub fn schema(findings: &mut Findings<'_>, pointer: &str, schema: &Value, definitions: &BTreeMap<String, Value>) {
    let before = findings.count();
    any(findings, pointer, schema, definitions);
    if findings.count() == before {
        usable(findings, pointer, schema, definitions);
    }
}

/// The named schemas of a connector: each, and references that lead in a circle.
pub fn definitions(findings: &mut Findings<'_>, definitions: &BTreeMap<String, Value>) {
    for (name, schema) in definitions {
        let place = below("/schemas", name);
        any(findings, &place, schema, definitions);
        let mut seen = vec![name.as_str()];
        let mut next = reference(schema);
        while let Some(target) = next {
            if seen.contains(&target) {
                // Told once for each circle, of the first of its names.
                if target == name && seen.iter().min() == Some(&target) {
                    let round = seen.iter().chain([&target]).copied().collect::<Vec<_>>().join(" -> ");
                    findings.error(
                        "schema_cycle",
                        &below(&place, "$ref"),
                        format!("this reference leads back to itself: {round}"),
                        "give one of them a schema of its own",
                    );
                }
                break;
            }
            seen.push(target);
            next = definitions.get(target).and_then(reference);
        }
    }
}

/// Whether a template can read a member of this name without brackets.
pub fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || matches!(other, '_' | '-'))
}

/// Whether a name means something else in a template: alone in braces, a helper's name is a call.
pub fn is_helper(name: &str) -> bool {
    helpers::find(name).is_some()
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/schemas/")
}

fn any(findings: &mut Findings<'_>, pointer: &str, schema: &Value, definitions: &BTreeMap<String, Value>) {
    match schema {
        Value::Object(schema) => words(findings, pointer, schema, definitions),
        Value::Bool(_) => {}
        _ => findings.error(
            "schema_invalid",
            pointer,
            "a schema is a mapping, or true or false",
            "write for example `{type: string}`",
        ),
    }
}

fn words(
    findings: &mut Findings<'_>,
    pointer: &str,
    schema: &Map<String, Value>,
    definitions: &BTreeMap<String, Value>,
) {
    for (keyword, value) in schema {
        let place = below(pointer, keyword);
        match keyword.as_str() {
            "type" => types(findings, &place, value),
            "format" => format(findings, &place, value),
            "$ref" => resolvable(findings, &place, value, definitions),
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    any(findings, &below(&place, name), schema, definitions);
                }
            }
            keyword if OF_SCHEMA.contains(&keyword) => any(findings, &place, value, definitions),
            keyword if OF_SCHEMAS.contains(&keyword) => {
                for (position, schema) in value.as_array().into_iter().flatten().enumerate() {
                    any(findings, &below(&place, position), schema, definitions);
                }
            }
            keyword if SCHEMA_KEYWORDS.contains(&keyword) => {}
            keyword => {
                let help = suggestion(keyword, SCHEMA_KEYWORDS.iter().copied());
                findings.key_error(
                    "schema_unknown_keyword",
                    &place,
                    format!("`{keyword}` is no keyword of a schema"),
                    help,
                );
            }
        }
    }
}

fn types(findings: &mut Findings<'_>, pointer: &str, value: &Value) {
    let names = match value {
        Value::Array(names) => names.as_slice(),
        one => std::slice::from_ref(one),
    };
    for name in names {
        let name = name.as_str().unwrap_or_default();
        if Kinds::named(name).is_none() {
            let known = ["string", "integer", "number", "boolean", "array", "object", "null"];
            findings.error(
                "schema_unknown_type",
                pointer,
                format!("`{name}` is no type of a schema"),
                suggestion(name, known),
            );
        }
    }
}

fn format(findings: &mut Findings<'_>, pointer: &str, value: &Value) {
    let Some(name) = value.as_str() else { return };
    if !STANDARD_FORMATS.contains(&name) && !formats::names().contains(&name) {
        let known = STANDARD_FORMATS.iter().chain(formats::names()).copied();
        findings.error(
            "schema_unknown_format",
            pointer,
            format!("there is no format `{name}`"),
            suggestion(name, known),
        );
    }
}

fn resolvable(findings: &mut Findings<'_>, pointer: &str, value: &Value, definitions: &BTreeMap<String, Value>) {
    let text = value.as_str().unwrap_or_default();
    let Some(name) = text.strip_prefix("#/schemas/") else {
        findings.error(
            "schema_unresolved",
            pointer,
            format!("`{text}` cannot be followed"),
            "write `#/schemas/<name>`, and the schema below `schemas`",
        );
        return;
    };
    // A reference into a schema (`#/schemas/tweet/properties/author`) is followed by the validator, not here.
    let head = name.split('/').next().unwrap_or(name);
    if !definitions.contains_key(head) {
        let help = suggestion(head, definitions.keys().map(String::as_str));
        findings.error("schema_unresolved", pointer, format!("there is no schema `{head}`"), help);
    }
}

fn usable(findings: &mut Findings<'_>, pointer: &str, schema: &Value, definitions: &BTreeMap<String, Value>) {
    if let Err(problem) = Validator::of_schema(schema, definitions) {
        values::report(findings, pointer, *problem);
    }
}

fn fitting_default(
    findings: &mut Findings<'_>,
    pointer: &str,
    default: &Value,
    schema: &Map<String, Value>,
    definitions: &BTreeMap<String, Value>,
) {
    let schema = Value::Object(schema.clone());
    let default = typed(default, &schema, findings.source(), pointer, definitions);
    let Ok(validator) = Validator::of_schema(&schema, definitions) else {
        return;
    };
    for problem in validator.problems_named("default", &default) {
        values::report(findings, pointer, problem);
    }
}
