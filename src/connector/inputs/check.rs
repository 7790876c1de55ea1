//! One input against its schema: directly where the schema is simple, by a validator otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use jsonschema::{Draft, Validator};
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::formats;
use crate::manifest::Input;
use crate::manifest::problem::Problem;

/// How a value is checked.
#[derive(Debug)]
pub enum Check {
    /// Types and bounds.
    Simple(Simple),
    /// Anything that JSON Schema can say; built when first needed.
    Full { schema: Value, validator: OnceLock<Result<Validator, String>> },
}

/// A schema of scalars, or a list of them.
#[derive(Debug, Default)]
pub struct Simple {
    /// Empty where any type will do.
    kinds: Vec<Kind>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    pattern: Option<Regex>,
    format: Option<String>,
    options: Vec<Value>,
    /// Of a list: its elements, and how many.
    items: Option<Box<Simple>>,
    min_items: Option<u64>,
    max_items: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    List,
}

/// Words of a schema that check nothing.
const SILENT: [&str; 6] = ["title", "description", "default", "examples", "deprecated", "readOnly"];

impl Check {
    /// Reads a schema. A simple one is compiled here; any other is tried once by `check`, not at every start.
    pub fn compile(
        input: &Input,
        schemas: &BTreeMap<String, Value>,
        pointer: &str,
        problems: &mut Vec<Problem>,
    ) -> Check {
        match Simple::compile(&input.schema) {
            Ok(Some(simple)) => return Check::Simple(simple),
            Ok(None) => {}
            Err((word, message)) => {
                problems.push(Problem::new(format!("{pointer}/{word}"), "schema_invalid", message));
            }
        }
        let mut schema = input.schema.clone();
        schema.insert("schemas".to_owned(), json!(schemas));
        Check::Full { schema: Value::Object(schema), validator: OnceLock::new() }
    }

    /// What is wrong with a value, as the end of a sentence that begins with the input's name.
    pub fn wrong_with(&self, value: &Value) -> Option<String> {
        match self {
            Check::Simple(simple) => simple.wrong_with(value),
            Check::Full { schema, validator } => match validator.get_or_init(|| build(schema)) {
                Ok(validator) => first_error(validator, value),
                Err(message) => Some(format!("has a schema that cannot be used: {message}")),
            },
        }
    }
}

impl Simple {
    /// `None` where the schema says more than types and their bounds.
    fn compile(schema: &Map<String, Value>) -> Result<Option<Simple>, (&'static str, String)> {
        let mut simple = Simple::default();
        for (word, value) in schema {
            let is_known = match word.as_str() {
                "type" => match kinds(value) {
                    Some(kinds) => {
                        simple.kinds = kinds;
                        true
                    }
                    None => false,
                },
                "items" => match value.as_object().map(Simple::compile).transpose()?.flatten() {
                    Some(items) => set(&mut simple.items, Some(Box::new(items))),
                    None => false,
                },
                "minItems" => set(&mut simple.min_items, value.as_u64()),
                "maxItems" => set(&mut simple.max_items, value.as_u64()),
                "minLength" => set(&mut simple.min_length, value.as_u64()),
                "maxLength" => set(&mut simple.max_length, value.as_u64()),
                "minimum" => set(&mut simple.minimum, value.as_f64()),
                "maximum" => set(&mut simple.maximum, value.as_f64()),
                "format" => match value.as_str() {
                    Some(name) if formats::names().contains(&name) => set(&mut simple.format, Some(name.to_owned())),
                    _ => false,
                },
                "pattern" => match value.as_str() {
                    Some(pattern) => {
                        let pattern = Regex::new(pattern)
                            .map_err(|error| ("pattern", format!("this is no regular expression: {error}")))?;
                        set(&mut simple.pattern, Some(pattern))
                    }
                    None => false,
                },
                "enum" => match value.as_array() {
                    Some(options) => {
                        simple.options.clone_from(options);
                        true
                    }
                    None => false,
                },
                silent => SILENT.contains(&silent),
            };
            if !is_known {
                return Ok(None);
            }
        }
        Ok((!simple.kinds.is_empty()).then_some(simple))
    }

    fn wrong_with(&self, value: &Value) -> Option<String> {
        let permits = |kind: Kind| self.kinds.contains(&kind);
        match value {
            Value::String(text) if permits(Kind::Text) => self.wrong_text(text),
            Value::Number(number) if permits(Kind::Number) => self.wrong_number(number.as_f64().unwrap_or_default()),
            Value::Number(number) if permits(Kind::Integer) => match number.as_f64() {
                Some(float) if float.fract() == 0.0 => self.wrong_number(float),
                _ => Some("must be an integer".to_owned()),
            },
            Value::Bool(_) if permits(Kind::Boolean) => None,
            Value::Array(elements) if permits(Kind::List) => self.wrong_list(elements),
            other => {
                let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
                Some(format!("must be {}, not {}", names.join(" or "), kind(other)))
            }
        }
        .or_else(|| self.wrong_option(value))
    }

    fn wrong_list(&self, elements: &[Value]) -> Option<String> {
        let count = elements.len() as u64;
        if let Some(least) = self.min_items.filter(|least| count < *least) {
            return Some(format!("has {count} elements; at least {least} must be given"));
        }
        if let Some(most) = self.max_items.filter(|most| count > *most) {
            return Some(format!("has {count} elements; at most {most} may be given"));
        }
        let items = self.items.as_ref()?;
        let (place, wrong) =
            elements.iter().enumerate().find_map(|(place, element)| Some((place, items.wrong_with(element)?)))?;
        Some(format!("has a wrong element at place {}: it {wrong}", place + 1))
    }

    fn wrong_text(&self, text: &str) -> Option<String> {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count() as u64;
            if let Some(least) = self.min_length.filter(|least| length < *least) {
                let verb = if least == 1 { "is" } else { "are" };
                return Some(format!("has {length} characters; at least {least} {verb} needed"));
            }
            if let Some(most) = self.max_length.filter(|most| length > *most) {
                let verb = if most == 1 { "is" } else { "are" };
                return Some(format!("has {length} characters; at most {most} {verb} permitted"));
            }
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            return Some(format!("does not match `{pattern}`"));
        }
        let format = self.format.as_deref()?;
        let why = formats::validate(format, text).err()?;
        Some(format!("is no `{format}`: {why}"))
    }

    fn wrong_number(&self, number: f64) -> Option<String> {
        if let Some(least) = self.minimum.filter(|least| number < *least) {
            return Some(format!("is below {least}"));
        }
        let most = self.maximum.filter(|most| number > *most)?;
        Some(format!("is above {most}"))
    }

    fn wrong_option(&self, value: &Value) -> Option<String> {
        if self.options.is_empty() || self.options.contains(value) {
            return None;
        }
        let mut names = String::new();
        for option in &self.options {
            let comma = if names.is_empty() { "" } else { ", " };
            // Writing to a `String` cannot fail.
            let _ = write!(names, "{comma}{option}");
        }
        Some(format!("must be one of {names}"))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Integer => "an integer",
            Kind::Number => "a number",
            Kind::Boolean => "true or false",
            Kind::List => "a list",
        }
    }
}

fn kinds(written: &Value) -> Option<Vec<Kind>> {
    let names = match written {
        Value::Array(names) => names.as_slice(),
        single => std::slice::from_ref(single),
    };
    names
        .iter()
        .map(|name| match name.as_str() {
            Some("string") => Some(Kind::Text),
            Some("integer") => Some(Kind::Integer),
            Some("number") => Some(Kind::Number),
            Some("boolean") => Some(Kind::Boolean),
            Some("array") => Some(Kind::List),
            _ => None,
        })
        .collect()
}

/// A value's type, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value in a message: its beginning.
pub fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn build(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false);
    for name in formats::names() {
        options = options.with_format(*name, |text: &str| formats::validate(name, text).is_ok());
    }
    options.build(schema).map_err(|error| error.to_string())
}

/// The first error, without the value: it may be long, and it may be secret.
fn first_error(validator: &Validator, value: &Value) -> Option<String> {
    let error = validator.iter_errors(value).next()?;
    let place = error.instance_path().to_string();
    let told = error.masked_with("the value");
    Some(match place.is_empty() {
        true => format!("is not permitted: {told}"),
        false => format!("is not permitted at `{place}`: {told}"),
    })
}
