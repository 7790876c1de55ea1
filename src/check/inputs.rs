//! Holds given values against the inputs that they are for: one message for each problem, in words that name
//! the input. Used for the literals of flows, for `tidegate.yaml`, for `--set`, and by the executor before it
//! renders a request. Messages never hold a value: values may be secret.

use std::collections::BTreeMap;

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use serde_json::{Map, Value};

use super::findings::{below, suggestion};
use super::types::Kinds;
use crate::formats;
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::input::object_schema;
use crate::manifest::{Inputs, Problem};

/// A schema made ready, to hold many values against.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    names: Vec<String>,
}

/// What is wrong with `values` for these inputs: `input_missing` (about the object that lacks it), `input_unknown`
/// (about the key), `input_wrong_type`, `input_invalid`. Pointers begin below `values`. `definitions` are what `#/schemas/<name>` refers to. A schema
/// that cannot be used is reported about the connector or flow that has it, not here.
pub fn inputs(values: &Map<String, Value>, inputs: &Inputs, definitions: &BTreeMap<String, Value>) -> Vec<Problem> {
    match Validator::of_inputs(inputs, definitions) {
        Ok(validator) => validator.problems(&Value::Object(values.clone())),
        Err(_) => Vec::new(),
    }
}

impl Validator {
    /// For an object of these inputs. The error is about a place in the schema.
    pub fn of_inputs(inputs: &Inputs, definitions: &BTreeMap<String, Value>) -> Result<Validator, Box<Problem>> {
        Validator::of_schema(&object_schema(inputs), definitions)
    }

    /// For a JSON Schema (2020-12). The error is about a place in it.
    pub fn of_schema(schema: &Value, definitions: &BTreeMap<String, Value>) -> Result<Validator, Box<Problem>> {
        let mut options = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false);
        for name in formats::names() {
            if let Some(check) = formats::checker(name) {
                options = options.with_format(*name, check);
            }
        }
        let mut document = schema.clone();
        let needed = reachable(schema, definitions);
        if let (Some(document), false) = (document.as_object_mut(), needed.is_empty()) {
            document.insert("schemas".to_owned(), Value::Object(needed));
        }
        let names = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().cloned().collect())
            .unwrap_or_default();
        match options.build(&document) {
            Ok(compiled) => Ok(Validator { compiled, names }),
            Err(error) => Err(Box::new(unusable(&error))),
        }
    }

    /// What is wrong with a value, sorted by place.
    pub fn problems(&self, value: &Value) -> Vec<Problem> {
        self.problems_named("", value)
    }

    /// The same, where messages call the value by a name.
    pub fn problems_named(&self, name: &str, value: &Value) -> Vec<Problem> {
        let errors = self.compiled.iter_errors(value);
        let mut problems: Vec<Problem> = errors.flat_map(|error| self.describe(name, &error)).collect();
        problems.sort_by(|left, right| left.pointer.cmp(&right.pointer));
        problems
    }

    fn describe(&self, name: &str, error: &ValidationError<'_>) -> Vec<Problem> {
        let pointer = error.instance_path().as_str().to_owned();
        let whole = path(name, &pointer);
        let subject = if whole.is_empty() { "the value".to_owned() } else { format!("`{whole}`") };
        let inside = if whole.is_empty() { String::new() } else { format!(" in `{whole}`") };
        let problem = |code, message, help| Problem { pointer: pointer.clone(), code, message, help, within: None };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let member = property.as_str().unwrap_or_default();
                vec![problem("input_missing", format!("`{member}` is missing{inside}"), None)]
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .map(|member| {
                    let known = if pointer.is_empty() {
                        suggestion(member, self.names.iter().map(String::as_str))
                    } else {
                        None
                    };
                    let message = format!("there is no `{member}`{inside}");
                    Problem { pointer: below(&pointer, member), ..problem("input_unknown", message, known) }
                })
                .collect(),
            // Of several choices, the one that the value comes closest to explains the most.
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                let closest = context.iter().filter(|branch| !branch.is_empty()).max_by_key(|branch| {
                    let depth = branch.iter().map(|error| error.instance_path().as_str().len()).max();
                    let kind_fits =
                        !branch.iter().any(|error| matches!(error.kind(), ValidationErrorKind::Type { .. }));
                    (depth, kind_fits, std::cmp::Reverse(branch.len()))
                });
                match closest {
                    Some(branch) => branch.iter().flat_map(|error| self.describe(name, error)).collect(),
                    None => vec![problem("input_invalid", format!("{subject} fits none of its forms"), None)],
                }
            }
            ValidationErrorKind::Type { kind } => {
                let expected = expected(kind);
                let given = Kinds::of(error.instance());
                let is_scalar = matches!(error.instance().as_ref(), Value::Number(_) | Value::Bool(_));
                let help = (expected == "text" && is_scalar)
                    .then(|| "a lone `{{…}}` keeps its type: write `{{json …}}`, or more text beside it".to_owned());
                vec![problem("input_wrong_type", format!("{subject} must be {expected}, not {given}"), help)]
            }
            ValidationErrorKind::Enum { options } => {
                let words = options.as_array().into_iter().flatten().filter_map(Value::as_str);
                let meant = error.instance().as_str().and_then(|text| did_you_mean(text, words));
                let help = meant.map(|meant| format!("did you mean `{meant}`?"));
                vec![problem("input_invalid", format!("{subject} {}", requirement(error.kind())), help)]
            }
            ValidationErrorKind::Format { format } => {
                let reason = error
                    .instance()
                    .as_str()
                    .filter(|_| formats::names().contains(&format.as_str()))
                    .and_then(|text| formats::validate(format, text).err());
                // As where a connector writes one itself.
                if let ("jmespath", Some(reason)) = (format.as_str(), &reason) {
                    let help = Some(formats::jmespath::EXAMPLES.to_owned());
                    return vec![problem("input_invalid", format!("{subject} is no JMESPath: {reason}"), help)];
                }
                vec![problem("input_invalid", format!("{subject} is not a valid {format}"), reason)]
            }
            kind => vec![problem("input_invalid", format!("{subject} {}", requirement(kind)), None)],
        }
    }
}

/// The definitions that a schema refers to, and those that these refer to: of a large connector's hundreds, the
/// few that matter to one input.
fn reachable(schema: &Value, definitions: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut needed = Map::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let reference = members.get("$ref").and_then(Value::as_str);
                let name =
                    reference.and_then(|text| text.strip_prefix("#/schemas/")).and_then(|rest| rest.split('/').next());
                if let Some((name, target)) = name.and_then(|name| definitions.get_key_value(name))
                    && !needed.contains_key(name)
                {
                    needed.insert(name.clone(), target.clone());
                    open.push(target);
                }
                open.extend(members.values());
            }
            Value::Array(elements) => open.extend(elements),
            _ => {}
        }
    }
    needed
}

/// Why a schema cannot be used, at its place in it.
fn unusable(error: &ValidationError<'_>) -> Problem {
    let pointer = error.instance_path().as_str();
    match pointer.rsplit('/').next() {
        Some("pattern") => Problem::new(pointer, "schema_invalid", "this is no regular expression")
            .with_help("look at its brackets; a character that means itself is written with a backslash before it"),
        _ => Problem::new(pointer, "schema_invalid", format!("this schema cannot be used: {}", error.masked())),
    }
}

/// What a value must be, for the rules that are about one value.
fn requirement(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
            format!("must be one of {}", options.join(", "))
        }
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::MinLength { limit } => format!("must have at least {}", counted(*limit, "character")),
        Kind::MaxLength { limit } => format!("must have at most {}", counted(*limit, "character")),
        Kind::MinItems { limit } => format!("must have at least {}", counted(*limit, "element")),
        Kind::MaxItems { limit } => format!("must have at most {}", counted(*limit, "element")),
        Kind::MinProperties { limit } => {
            format!("must have at least {}", counted(*limit, "member"))
        }
        Kind::MaxProperties { limit } => format!("must have at most {}", counted(*limit, "member")),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::Pattern { pattern } => format!("does not have the form `{pattern}`"),
        Kind::UniqueItems => "has the same element twice".to_owned(),
        Kind::OneOfMultipleValid { .. } => "fits more than one of its forms".to_owned(),
        Kind::Not { .. } => "is of a form that is excluded".to_owned(),
        Kind::PropertyNames { .. } => "has a member whose name is not permitted".to_owned(),
        other => format!("breaks the rule `{}` of its schema", other.keyword()),
    }
}

fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn expected(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => Kinds::named(&one.to_string()).unwrap_or(Kinds::ANY).to_string(),
        TypeKind::Multiple(several) => several
            .iter()
            .filter_map(|one| Kinds::named(&one.to_string()))
            .fold(Kinds::NONE, |all, one| all | one)
            .to_string(),
    }
}

/// `/0` of what is named `to` is `to[0]`.
fn path(name: &str, pointer: &str) -> String {
    let mut path = name.to_owned();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{segment}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&segment);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems_of(schema: Value, values: Value) -> Vec<String> {
        let inputs: Inputs = serde_json::from_value(schema).unwrap();
        let Value::Object(values) = values else { panic!("values must be an object") };
        super::inputs(&values, &inputs, &BTreeMap::new())
            .into_iter()
            .map(|problem| format!("{} {}: {}", problem.code, problem.pointer, problem.message))
            .collect()
    }

    #[test]
    fn each_problem_is_told_in_words() {
        let schema = json!({
            "to": {"type": "array", "items": {"type": "string", "maxLength": 3}, "required": true},
            "text": {"type": "string", "required": true},
            "size": {"type": "integer", "minimum": 1},
            "when": {"type": "string", "format": "date-time"},
            "mode": {"enum": ["a", "b"]}
        });
        assert_eq!(
            problems_of(
                schema.clone(),
                json!({"to": ["abc", "abcd"], "sise": 1, "size": 0, "when": "soon", "mode": "c"})
            ),
            [
                "input_missing : `text` is missing",
                "input_invalid /mode: `mode` must be one of \"a\", \"b\"",
                "input_unknown /sise: there is no `sise`",
                "input_invalid /size: `size` must be at least 1",
                "input_invalid /to/1: `to[1]` must have at most 3 characters",
                "input_invalid /when: `when` is not a valid date-time",
            ]
        );
        assert_eq!(
            problems_of(schema.clone(), json!({"to": "abc", "text": 1})),
            [
                "input_wrong_type /text: `text` must be a text, not a whole number",
                "input_wrong_type /to: `to` must be a list, not a text",
            ]
        );
        assert!(problems_of(schema, json!({"to": [], "text": ""})).is_empty());
    }

    #[test]
    fn of_two_forms_the_closer_one_explains() {
        let schema = json!({"to": {"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}}
        ]}});
        assert_eq!(
            problems_of(schema, json!({"to": ["a", 1]})),
            ["input_wrong_type /to/1: `to[1]` must be a text, not a whole number"]
        );
    }

    #[test]
    fn no_value_is_ever_shown() {
        let schema = json!({"token": {"type": "string", "secret": true, "pattern": "^a+$", "maxLength": 3}});
        let told = problems_of(schema, json!({"token": "hunter2"})).join("\n");
        assert!(!told.is_empty() && !told.contains("hunter2"), "{told}");
    }
}
