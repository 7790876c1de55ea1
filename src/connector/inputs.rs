//! An action's inputs: defaults filled in, then each checked against its schema. The first mistake is told in
//! one sentence that names the input, what is wrong and what is permitted; values of secret inputs are never
//! shown. Simple schemas are checked directly, all others by a JSON Schema validator that is built when it
//! is first needed: most actions of a large connector are never called.

mod check;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::check::Check;
use crate::engine::Failure;
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::problem::Problem;
use crate::manifest::{self, Input};

/// The compiled inputs of an action or a trigger, or the fields of a connection.
#[derive(Debug, Default)]
pub struct Inputs {
    fields: Vec<Field>,
    /// What the things are called in messages: `input`, `field`.
    noun: &'static str,
}

#[derive(Debug)]
struct Field {
    name: String,
    required: bool,
    secret: bool,
    accepts_null: bool,
    is_number: bool,
    default: Option<Value>,
    /// Where this one is given, no standing value is taken.
    yields_to: Option<String>,
    check: Check,
}

impl Inputs {
    /// Whether there is nothing to give.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Reads the inputs; `schemas` are the connector's, for `$ref`. `pointer` is where the inputs stand.
    pub fn compile(
        inputs: &manifest::Inputs,
        schemas: &BTreeMap<String, Value>,
        noun: &'static str,
        pointer: &str,
        problems: &mut Vec<Problem>,
    ) -> Inputs {
        let fields = inputs
            .iter()
            .map(|(name, input)| Field {
                name: name.clone(),
                required: input.required,
                secret: input.secret,
                accepts_null: accepts_null(input),
                is_number: input.schema.get("type").is_some_and(|kind| kind == "integer" || kind == "number"),
                default: input.default_value().cloned(),
                yields_to: input.yields_to.clone(),
                check: Check::compile(input, schemas, &format!("{pointer}/{name}"), problems),
            })
            .collect();
        Inputs { fields, noun }
    }

    /// Whether there is an input of this name.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Whether a value is just what the schema of an input gives when nothing is given.
    pub fn is_default(&self, name: &str, value: &str) -> bool {
        let field = self.fields.iter().find(|field| field.name == name);
        field.and_then(|field| field.default.as_ref()).is_some_and(|default| default == value)
    }

    /// Whether an input is a number and nothing else.
    pub fn is_number(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.is_number)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// What is given, completed by `standing` values (a connection's defaults) and the schemas' own, and
    /// checked. `whose` begins the message: `twilio.send_sms`.
    pub fn resolve(
        &self,
        given: Value,
        standing: &Map<String, Value>,
        whose: &dyn std::fmt::Display,
    ) -> Result<Map<String, Value>, Failure> {
        let mut given = match given {
            Value::Object(members) => members,
            Value::Null => Map::new(),
            other => {
                let kind = check::kind(&other);
                return Err(invalid(format!("the {}s of {whose} are {kind}, not an object", self.noun)));
            }
        };
        let yields = |other: &String| given.get(other).is_some_and(|other| !other.is_null());
        let yielding: Vec<&str> = self
            .fields
            .iter()
            .filter(|field| field.yields_to.as_ref().is_some_and(yields))
            .map(|field| field.name.as_str())
            .collect();
        let mut resolved = Map::with_capacity(self.fields.len());
        for field in &self.fields {
            let own = match given.is_empty() {
                true => None,
                false => given.swap_remove(&field.name),
            };
            let own = own.filter(|value| field.accepts_null || !value.is_null());
            let standing = standing.get(&field.name).filter(|_| !yielding.contains(&field.name.as_str()));
            let value = own.or_else(|| standing.cloned()).or_else(|| field.default.clone());
            match value {
                Some(value) => {
                    if field.default.as_ref() != Some(&value) {
                        self.examine(field, &value, whose)?;
                    }
                    resolved.insert(field.name.clone(), value);
                }
                None if field.required => {
                    return Err(invalid(format!("{whose} needs the {} `{}`", self.noun, field.name)));
                }
                None => {}
            }
        }
        match given.keys().next() {
            Some(unknown) => Err(self.unknown(unknown, whose)),
            None => Ok(resolved),
        }
    }

    fn examine(&self, field: &Field, value: &Value, whose: &dyn std::fmt::Display) -> Result<(), Failure> {
        let Some(wrong) = field.check.wrong_with(value) else {
            return Ok(());
        };
        let shown = match field.secret {
            true => String::new(),
            false => format!(" ({})", check::shown(value)),
        };
        Err(invalid(format!("the {} `{}` of {whose} {wrong}{shown}", self.noun, field.name)))
    }

    fn unknown(&self, name: &str, whose: &dyn std::fmt::Display) -> Failure {
        let failure = invalid(format!("{whose} has no {} `{name}`", self.noun));
        match did_you_mean(name, self.names()) {
            Some(close) => failure.with_help(format!("did you mean `{close}`?")),
            None if self.fields.is_empty() => failure.with_help(format!("it takes no {}s", self.noun)),
            None => {
                let names: Vec<&str> = self.names().collect();
                failure.with_help(format!("it takes {}", names.join(", ")))
            }
        }
    }
}

fn invalid(message: String) -> Failure {
    Failure::not_sent("input_invalid", message)
}

fn accepts_null(input: &Input) -> bool {
    match input.schema.get("type") {
        Some(Value::String(kind)) => kind == "null",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn inputs(fields: Value) -> Inputs {
        let fields: manifest::Inputs = serde_json::from_value(fields).unwrap();
        let schemas = BTreeMap::from([("small".to_owned(), json!({"type": "integer", "maximum": 9}))]);
        let mut problems = Vec::new();
        let inputs = Inputs::compile(&fields, &schemas, "input", "/inputs", &mut problems);
        assert_eq!(problems, Vec::new());
        inputs
    }

    fn resolve(inputs: &Inputs, given: Value) -> Result<Value, String> {
        let resolved = inputs.resolve(given, &Map::new(), &"x.post");
        resolved.map(Value::Object).map_err(|failure| match failure.help {
            Some(help) => format!("{}; {help}", failure.message),
            None => failure.message,
        })
    }

    #[rstest]
    #[case(json!({"type": "string"}), json!(5), "the input `a` of x.post must be text, not an integer (5)")]
    #[case(json!({"type": "string", "maxLength": 3}), json!("äöüß"), "the input `a` of x.post has 4 characters; at most 3 are permitted (`äöüß`)")]
    #[case(json!({"type": "string", "minLength": 1}), json!(""), "the input `a` of x.post has 0 characters; at least 1 is needed (``)")]
    #[case(json!({"type": "string", "pattern": "^[0-9]+$"}), json!("x1"), "the input `a` of x.post does not match `^[0-9]+$` (`x1`)")]
    #[case(json!({"type": "string", "pattern": "^[0-9]+$"}), json!("123"), "")]
    #[case(json!({"type": "integer", "maximum": 100}), json!(101), "the input `a` of x.post is above 100 (101)")]
    #[case(json!({"type": "integer", "minimum": 1}), json!(0), "the input `a` of x.post is below 1 (0)")]
    #[case(json!({"type": "integer"}), json!("5"), "the input `a` of x.post must be an integer, not text (`5`)")]
    #[case(json!({"type": "integer"}), json!(5.0), "")]
    #[case(json!({"type": "boolean"}), json!("yes"), "the input `a` of x.post must be true or false, not text (`yes`)")]
    #[case(json!({"type": "string", "enum": ["recency", "relevancy"]}), json!("recent"), "the input `a` of x.post must be one of \"recency\", \"relevancy\" (`recent`)")]
    #[case(json!({"type": ["string", "array"], "format": "phone", "items": {"type": "string", "format": "phone"}}), json!(["+41791234567", 5]), "the input `a` of x.post has a wrong element at place 2: it must be text, not an integer ([\"+41791234567\",5])")]
    #[case(json!({"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}), json!([]), "the input `a` of x.post has 0 elements; at least 1 must be given ([])")]
    #[case(json!({"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}), json!({}), "the input `a` of x.post must be text or a list, not an object ({})")]
    #[case(json!({"$ref": "#/schemas/small"}), json!(9), "")]
    #[case(json!({"type": "array", "items": {"type": "string"}, "minItems": 1}), json!(["a"]), "")]
    fn one_sentence_says_what_is_wrong(#[case] schema: Value, #[case] value: Value, #[case] expected: &str) {
        let told = resolve(&inputs(json!({"a": schema})), json!({"a": value})).err();
        assert_eq!(told.unwrap_or_default(), expected);
    }

    #[test]
    fn schemas_of_other_kinds_are_checked_too() {
        let inputs = inputs(json!({"a": {"type": "array", "items": {"$ref": "#/schemas/small"}, "maxItems": 2}}));
        for wrong in [json!([1, 10]), json!([1, 2, 3]), json!("x")] {
            let message = resolve(&inputs, json!({"a": wrong})).unwrap_err();
            assert!(message.starts_with("the input `a` of x.post "), "{message}");
        }
        assert!(resolve(&inputs, json!({"a": [1, 2]})).is_ok());
    }

    #[test]
    fn unknown_and_missing_inputs_are_named() {
        let inputs = inputs(json!({"text": {"type": "string", "required": true}, "reply_to": {"type": "string"}}));
        assert_eq!(resolve(&inputs, json!({"reply_to": "1"})).unwrap_err(), "x.post needs the input `text`");
        assert_eq!(resolve(&inputs, json!({"text": null})).unwrap_err(), "x.post needs the input `text`");
        assert_eq!(
            resolve(&inputs, json!({"text": "a", "replyto": "1"})).unwrap_err(),
            "x.post has no input `replyto`; did you mean `reply_to`?"
        );
        assert_eq!(
            resolve(&inputs, json!({"text": "a", "zzz": "1"})).unwrap_err(),
            "x.post has no input `zzz`; it takes reply_to, text"
        );
    }

    #[test]
    fn the_step_goes_before_the_connection_and_that_before_the_schema() {
        let inputs =
            inputs(json!({"from": {"type": "string", "default": "c"}, "max": {"type": "integer", "default": 5}}));
        let standing = json!({"from": "b"});
        let standing = standing.as_object().unwrap();
        let resolved = |given: Value| Value::Object(inputs.resolve(given, standing, &"x").unwrap());
        assert_eq!(resolved(json!({"from": "a"})), json!({"from": "a", "max": 5}));
        assert_eq!(resolved(json!({})), json!({"from": "b", "max": 5}));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let inputs = inputs(json!({"pin": {"type": "string", "secret": true, "maxLength": 2}}));
        let message = resolve(&inputs, json!({"pin": "hunter2"})).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
