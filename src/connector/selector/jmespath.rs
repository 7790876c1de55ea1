//! JMESPath on JSON: the one place that knows which library reads it. Plain field paths (`data`,
//! `meta.next_token`, `@`) never reach the interpreter and borrow what they find; everything else is
//! compiled once. An expression over `inputs` is compiled when its inputs are known, and remembered.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use serde_json::Value;

use crate::engine::Failure;
use crate::template::{Scope, Template};

/// How many expressions from inputs are remembered before they are all forgotten.
const REMEMBERED: usize = 512;

/// A compiled JMESPath.
#[derive(Clone, Debug)]
pub struct JmesPath {
    source: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// Field after field; none is the whole value.
    Fields(Vec<String>),
    Interpreted(Arc<jpx_core::Expression<'static>>),
}

/// A JMESPath as a manifest writes it: fixed, or a template over `inputs` that gives one.
#[derive(Clone, Debug)]
pub enum PathSource {
    /// The usual case.
    Fixed(JmesPath),
    /// `"{{inputs.records}}"`
    FromInputs(Template),
}

/// Why an expression could not be read: a message and the character at which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReadable {
    /// What is wrong, for people.
    pub message: String,
    /// Characters into the expression, from 0.
    pub offset: usize,
}

impl JmesPath {
    /// Reads an expression.
    pub fn compile(source: &str) -> Result<JmesPath, NotReadable> {
        let form = match plain_fields(source) {
            Some(fields) => Form::Fields(fields),
            None => Form::Interpreted(Arc::new(jpx_core::compile(source).map_err(|error| NotReadable {
                message: format!("`{source}` is not JMESPath: {}", error.reason),
                offset: error.offset,
            })?)),
        };
        Ok(JmesPath { source: source.to_owned(), form })
    }

    /// `@`: the value itself.
    pub fn whole() -> JmesPath {
        JmesPath { source: "@".to_owned(), form: Form::Fields(Vec::new()) }
    }

    /// What it finds; `null` where there is nothing. Fails where a function meets a type that it does not take.
    pub fn search<'value>(&self, value: &'value Value) -> Result<Cow<'value, Value>, Failure> {
        const NOTHING: &Value = &Value::Null;
        match &self.form {
            Form::Fields(fields) => {
                Ok(Cow::Borrowed(fields.iter().try_fold(value, |place, field| place.get(field)).unwrap_or(NOTHING)))
            }
            Form::Interpreted(expression) => expression.search(value).map(Cow::Owned).map_err(|error| {
                Failure::not_sent(
                    "selector_failed",
                    format!("the expression `{}` does not fit what it reads: {}", self.source, error.reason),
                )
            }),
        }
    }

    /// What it finds, moved out of a value that nobody needs any more.
    pub fn take(&self, mut value: Value) -> Result<Value, Failure> {
        match &self.form {
            Form::Fields(fields) => {
                let mut place = &mut value;
                for field in fields {
                    match place.get_mut(field) {
                        Some(found) => place = found,
                        None => return Ok(Value::Null),
                    }
                }
                Ok(place.take())
            }
            Form::Interpreted(_) => self.search(&value).map(Cow::into_owned),
        }
    }

    /// The text at its place: strings as they are, numbers and booleans as text; `None` for anything else.
    pub fn text(&self, value: &Value) -> Option<String> {
        scalar_text(self.search(value).ok()?.as_ref())
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl PathSource {
    /// Reads an expression, or the template that gives one.
    pub fn compile(source: &str) -> Result<PathSource, NotReadable> {
        if !source.contains("{{") {
            return JmesPath::compile(source).map(PathSource::Fixed);
        }
        Template::compile(source)
            .map(PathSource::FromInputs)
            .map_err(|error| NotReadable { message: error.message, offset: error.offset })
    }

    /// The expression, for these inputs.
    pub fn resolve(&self, scope: &Scope) -> Result<Cow<'_, JmesPath>, Failure> {
        match self {
            PathSource::Fixed(path) => Ok(Cow::Borrowed(path)),
            PathSource::FromInputs(template) => {
                let source = template.render(scope).map_err(|error| super::template_failure(&error))?;
                remembered(&source).map(Cow::Owned)
            }
        }
    }
}

/// A scalar as text; `None` for null, lists and objects.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is_true) => Some(is_true.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn remembered(source: &str) -> Result<JmesPath, Failure> {
    static KNOWN: LazyLock<Mutex<HashMap<String, JmesPath>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock();
    if let Some(path) = known.get(source) {
        return Ok(path.clone());
    }
    let path = JmesPath::compile(source).map_err(|error| {
        Failure::not_sent("input_invalid", error.message)
            .with_help("write where the records are, such as `items` or `data.list`, or `@` for all of it")
    })?;
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(source.to_owned(), path.clone());
    Ok(path)
}

fn plain_fields(source: &str) -> Option<Vec<String>> {
    if source == "@" {
        return Some(Vec::new());
    }
    source
        .split('.')
        .map(|field| {
            let mut letters = field.bytes();
            let starts = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            let goes_on = letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            (starts && goes_on).then(|| field.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_paths_find_what_the_interpreter_finds() {
        let body = json!({"data": {"id": "7", "list": [1]}, "meta": {"next_token": null}});
        for source in ["@", "data", "data.id", "data.list", "meta.next_token", "data.id.x", "none.x"] {
            let plain = JmesPath::compile(source).unwrap();
            assert!(matches!(plain.form, Form::Fields(_)), "{source}");
            let interpreted = jpx_core::compile(source).unwrap().search(&body).unwrap();
            assert_eq!(*plain.search(&body).unwrap(), interpreted, "{source}");
            assert_eq!(plain.take(body.clone()).unwrap(), interpreted, "{source}");
        }
    }

    #[test]
    fn other_expressions_are_interpreted() {
        let path = JmesPath::compile("detail || errors[0].message").unwrap();
        assert_eq!(path.text(&json!({"errors": [{"message": "no"}]})), Some("no".into()));
        assert_eq!(path.text(&json!({"detail": "yes", "errors": []})), Some("yes".into()));
        assert_eq!(path.text(&json!({})), None);
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let error = JmesPath::compile("data[").unwrap_err();
        assert!(error.message.contains("`data[` is not JMESPath"), "{}", error.message);
    }
}
