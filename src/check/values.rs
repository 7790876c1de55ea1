//! Holds a written value against the schema that it feeds: literals by the schema itself, templates by what
//! they give. What is written in part is checked part by part.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::expressions::{self, holds_template, is_template};
use super::findings::{Findings, below, suggestion};
use super::inputs::Validator;
use super::scope::Scope;
use super::types::{Found, Kinds, Type};
use crate::manifest::input::object_schema;
use crate::manifest::typed::typed;
use crate::manifest::{Inputs, Problem, Severity};

/// What a value is for.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Named in messages: `x.post_tweet`.
    pub name: &'a str,
    pub inputs: &'a Inputs,
    /// What `#/schemas/<name>` refers to.
    pub definitions: &'a BTreeMap<String, Value>,
    /// Inputs that need not be written here: the connection's defaults give them.
    pub given: &'a [&'a str],
    /// How bad a missing input is: it may be given by a connection that is not known yet.
    pub missing: Severity,
}

/// The members written at `pointer`, against the inputs that they are for.
pub fn feed(
    findings: &mut Findings<'_>,
    scope: &Scope,
    pointer: &str,
    written: &Map<String, Value>,
    target: Target<'_>,
) {
    let schema = object_schema(target.inputs);
    for (name, value) in written {
        let below = below(pointer, name);
        match target.inputs.get(name) {
            Some(input) => {
                let schema = Value::Object(input.schema.clone());
                Feed { findings, scope, definitions: target.definitions }.value(&below, value, &schema, input.required);
            }
            None => {
                expressions::tree(findings, scope, &below, value);
                let help = suggestion(name, schema_names(&schema));
                findings.key_error("input_unknown", &below, format!("`{}` has no input `{name}`", target.name), help);
            }
        }
    }
    for (name, input) in target.inputs {
        let given =
            written.contains_key(name) || input.default_value().is_some() || target.given.contains(&name.as_str());
        if input.required && !given {
            let message = format!("`{}` needs the input `{name}`", target.name);
            match target.missing {
                Severity::Error => findings.error("input_missing", pointer, message, purpose(input)),
                Severity::Warning | Severity::Note => {
                    findings.warning("input_missing", pointer, message, purpose(input))
                }
            }
        }
    }
}

fn purpose(input: &crate::manifest::Input) -> Option<String> {
    let words = input.schema.get("description").or_else(|| input.schema.get("title"));
    words.and_then(Value::as_str).map(|words| format!("it is: {words}"))
}

fn schema_names(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|names| names.keys().map(String::as_str))
}

/// One value at `pointer`, against one schema.
pub fn value(
    findings: &mut Findings<'_>,
    scope: &Scope,
    pointer: &str,
    value: &Value,
    schema: &Value,
    definitions: &BTreeMap<String, Value>,
) {
    Feed { findings, scope, definitions }.value(pointer, value, schema, false);
}

/// What messages call the value at a pointer: its key, with its place where it is an element.
fn name_of(pointer: &str) -> String {
    let (owner, last) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    match last.bytes().all(|byte| byte.is_ascii_digit()) && !owner.is_empty() {
        true => format!("{}[{last}]", name_of(owner)),
        false => last.replace("~1", "/").replace("~0", "~"),
    }
}

/// Reports what is wrong with a literal at its place.
pub fn report(findings: &mut Findings<'_>, pointer: &str, problem: Problem) {
    let place = format!("{pointer}{}", problem.pointer);
    match problem.code {
        "input_unknown" => findings.key_error("input_unknown", &place, problem.message, problem.help),
        code => findings.error(code, &place, problem.message, problem.help),
    }
}

struct Feed<'f, 'a> {
    findings: &'f mut Findings<'a>,
    scope: &'f Scope,
    definitions: &'f BTreeMap<String, Value>,
}

impl Feed<'_, '_> {
    fn value(&mut self, pointer: &str, value: &Value, schema: &Value, required: bool) {
        let schema = resolve(schema, self.definitions);
        match value {
            _ if !holds_template(value) => self.literal(pointer, value, schema),
            Value::String(text) if is_template(text) => self.template(pointer, text, schema, required),
            Value::Object(members) => self.members(pointer, members, schema),
            Value::Array(elements) => self.elements(pointer, elements, schema),
            _ => {}
        }
    }

    fn literal(&mut self, pointer: &str, value: &Value, schema: &Value) {
        let value = typed(value, schema, self.findings.source(), pointer, self.definitions);
        // A schema that cannot be used is reported where it stands.
        let Ok(validator) = Validator::of_schema(schema, self.definitions) else {
            return;
        };
        for problem in validator.problems_named(&name_of(pointer), &value) {
            report(self.findings, pointer, problem);
        }
    }

    fn template(&mut self, pointer: &str, text: &str, schema: &Value, required: bool) {
        let Some(written) = expressions::template(self.findings, self.scope, pointer, text) else {
            return;
        };
        if written.literal {
            return;
        }
        let expected = Type::of_schema(schema, self.definitions);
        if let Some(message) = mismatch(&written.of, &expected, 0) {
            let help = if written.of.kinds == Kinds::INTEGER && expected.kinds == Kinds::STRING {
                Some("write `{{string …}}` to make a text of it".to_owned())
            } else if written.of.kinds == Kinds::STRING && expected.can_be(Kinds::ARRAY) {
                Some("write it as a list: `[\"{{…}}\"]`".to_owned())
            } else {
                None
            };
            self.findings.error("template_wrong_type", pointer, message, help);
        } else if required && written.perhaps_absent {
            let message = "this input is required, but the template may give nothing";
            self.findings.warning("template_maybe_missing", pointer, message, "give it a `default`");
        }
    }

    fn members(&mut self, pointer: &str, members: &Map<String, Value>, schema: &Value) {
        let expected = Type::of_schema(schema, self.definitions);
        if !expected.can_be(Kinds::OBJECT) {
            let message = format!("this must be {}, not an object", expected.kinds);
            self.findings.error("input_wrong_type", pointer, message, None::<String>);
        }
        let anything = Value::Bool(true);
        for (name, value) in members {
            let below = below(pointer, name);
            let found = schema.get("properties").and_then(|properties| properties.get(name));
            if found.is_none() && matches!(expected.member(name), Found::Missing) && forbids_others(schema) {
                let help = suggestion(name, expected.members.keys().map(String::as_str));
                self.findings.key_error("input_unknown", &below, format!("there is no `{name}` here"), help);
            }
            self.value(&below, value, found.unwrap_or(&anything), false);
        }
        for (name, member) in expected.members.iter() {
            if member.required && expected.kinds == Kinds::OBJECT && !members.contains_key(name) {
                self.findings.error("input_missing", pointer, format!("`{name}` is missing here"), None::<String>);
            }
        }
    }

    fn elements(&mut self, pointer: &str, elements: &[Value], schema: &Value) {
        let expected = Type::of_schema(schema, self.definitions);
        if !expected.can_be(Kinds::ARRAY) {
            let message = format!("this must be {}, not a list", expected.kinds);
            self.findings.error("input_wrong_type", pointer, message, None::<String>);
        }
        let anything = Value::Bool(true);
        let schema = list_form(schema, self.definitions).and_then(|form| form.get("items")).unwrap_or(&anything);
        for (place, element) in elements.iter().enumerate() {
            self.value(&below(pointer, place), element, schema, false);
        }
    }
}

/// Of a schema with several forms, the one that is a list.
fn list_form<'s>(schema: &'s Value, definitions: &'s BTreeMap<String, Value>) -> Option<&'s Value> {
    if schema.get("items").is_some() {
        return Some(schema);
    }
    let forms =
        ["anyOf", "oneOf"].iter().filter_map(|keyword| schema.get(*keyword)).filter_map(Value::as_array).flatten();
    forms.map(|form| resolve(form, definitions)).find(|form| form.get("items").is_some())
}

/// The schema that a reference stands for.
fn resolve<'s>(mut schema: &'s Value, definitions: &'s BTreeMap<String, Value>) -> &'s Value {
    // A reference that leads back to itself is reported where it stands.
    for _ in 0..=definitions.len() {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/schemas/"));
        match name.and_then(|name| definitions.get(name)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

fn forbids_others(schema: &Value) -> bool {
    schema.get("additionalProperties") == Some(&Value::Bool(false))
}

/// Why what is given can never be what is expected.
fn mismatch(given: &Type, expected: &Type, depth: usize) -> Option<String> {
    // Null and absent values are left out of what is sent; that they are missing is another matter.
    let kinds = given.kinds.without(Kinds::NULL);
    if kinds == Kinds::NONE || depth > 8 {
        return None;
    }
    if !kinds.overlaps(expected.kinds) {
        return Some(format!("this must be {}, but the template gives {}", expected.kinds, given.kinds));
    }
    if kinds == Kinds::ARRAY
        && let (Some(given), Some(expected)) = (&given.element, &expected.element)
    {
        return mismatch(given, expected, depth + 1).map(|message| format!("in each element: {message}"));
    }
    if kinds == Kinds::OBJECT {
        for (name, member) in expected.members.iter() {
            match given.members.get(name) {
                Some(found) => {
                    if let Some(message) = mismatch(&found.of, &member.of, depth + 1) {
                        return Some(format!("in `{name}`: {message}"));
                    }
                }
                None if member.required && !given.open => {
                    return Some(format!("this must have `{name}`, which the template does not give"));
                }
                None => {}
            }
        }
    }
    None
}
