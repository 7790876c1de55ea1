//! The evaluated arguments of one call, read by type. An argument of another type is an error that names the
//! parameter and what was given, never its value.

use std::borrow::Cow;

use regex::Regex;
use serde_json::{Map, Value};

use super::super::Scope;
use super::super::error::{Error, a_type};
use super::super::evaluate::{Found, described};
use super::super::render::scalar_text;
use super::super::shape::{Call, ExpressionShape};
use super::{Parameter, Type};

static NULL: Value = Value::Null;

/// The evaluated arguments of one call.
pub(in crate::template) struct Arguments<'a> {
    pub(in crate::template) call: &'a Call,
    /// In the order of the call's arguments.
    pub(in crate::template) values: Vec<Found<'a>>,
    /// In the order of the call's named arguments.
    pub(in crate::template) named: Vec<Found<'a>>,
    pub(in crate::template) scope: &'a Scope,
}

impl Arguments<'_> {
    /// Any value; what is absent is null.
    pub(super) fn value(&self, position: usize) -> &Value {
        self.values.get(position).and_then(Option::as_deref).unwrap_or(&NULL)
    }

    /// How many positional arguments the call has.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// A string, or a number or boolean as text.
    pub(super) fn text(&self, position: usize) -> Result<Cow<'_, str>, Error> {
        let value = self.of_type(position, Type::Text)?;
        scalar_text(value).ok_or_else(|| self.mistyped(position, Type::Text))
    }

    /// A string.
    pub(super) fn string(&self, position: usize) -> Result<&str, Error> {
        self.of_type(position, Type::String)?.as_str().ok_or_else(|| self.mistyped(position, Type::String))
    }

    /// An array's elements.
    pub(super) fn array(&self, position: usize) -> Result<&[Value], Error> {
        match self.value(position) {
            Value::Array(elements) => Ok(elements),
            _ => Err(self.mistyped(position, Type::Array)),
        }
    }

    /// An object's members.
    pub(super) fn object(&self, position: usize) -> Result<&Map<String, Value>, Error> {
        self.value(position).as_object().ok_or_else(|| self.mistyped(position, Type::Object))
    }

    /// A number that fits 64 bits with a sign.
    pub(super) fn integer(&self, position: usize) -> Result<i64, Error> {
        self.value(position).as_i64().ok_or_else(|| self.mistyped(position, Type::Integer))
    }

    /// A count or a size: an integer that is not negative.
    pub(super) fn size(&self, position: usize) -> Result<usize, Error> {
        let value = self.integer(position)?;
        usize::try_from(value).map_err(|_| self.fail(format!("`{}` cannot be negative", self.parameter_name(position))))
    }

    /// An integer, where it was given.
    pub(super) fn integer_if_given(&self, position: usize) -> Result<Option<i64>, Error> {
        if self.value(position).is_null() { Ok(None) } else { self.integer(position).map(Some) }
    }

    /// The pattern at `position`: the one compiled at load, or compiled now.
    pub(super) fn pattern(&self, position: usize) -> Result<Cow<'_, Regex>, Error> {
        if let Some(pattern) = &self.call.pattern {
            return Ok(Cow::Borrowed(pattern));
        }
        super::pattern(self.string(position)?).map(Cow::Owned).map_err(|message| self.fail(message))
    }

    /// A named option, where it was given and is not null.
    pub(super) fn option(&self, name: &str) -> Option<&Value> {
        let position = self.call.named.iter().position(|(key, _)| key == name)?;
        self.named.get(position)?.as_deref().filter(|value| !value.is_null())
    }

    /// A named option that has to be a string.
    pub(super) fn text_option(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.option(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.mistyped_option(name, Type::String, other)),
        }
    }

    /// A named option that has to be an integer.
    pub(super) fn integer_option(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.option(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.mistyped_option(name, Type::Integer, value)),
        }
    }

    /// A named option that has to be one of a few words; the first is what is meant without it.
    pub(super) fn choice<'c>(&self, name: &str, choices: &[&'c str]) -> Result<&'c str, Error> {
        let wanted = self.text_option(name)?.or_else(|| choices.first().copied()).unwrap_or_default();
        choices
            .iter()
            .find(|choice| **choice == wanted)
            .copied()
            .ok_or_else(|| self.fail(format!("`{name}` has to be one of `{}`", choices.join("`, `"))))
    }

    /// Every named argument that is not absent.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.call
            .named
            .iter()
            .zip(&self.named)
            .filter_map(|((name, _), found)| Some((name.as_str(), found.as_deref()?)))
    }

    /// Every positional argument that is not absent.
    pub(super) fn present(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().filter_map(Option::as_deref)
    }

    /// A failure of this helper.
    pub(super) fn fail(&self, message: impl AsRef<str>) -> Error {
        Error::new("template_helper", format!("`{}`: {}", self.name(), message.as_ref()))
    }

    /// A failure because the result would be too large.
    pub(super) fn too_large(&self) -> Error {
        Error::too_large(format!("`{}` would give more than {} bytes", self.name(), super::super::MAX_OUTPUT_BYTES))
    }

    /// An argument that is not of the type that its parameter has.
    pub(super) fn mistyped(&self, position: usize, wanted: Type) -> Error {
        let given = a_type(self.value(position));
        let argument = self.call.arguments.get(position).map_or_else(|| "an argument".to_owned(), described);
        let name = self.parameter_name(position);
        let message = format!("`{}` needs {} as `{name}`, {argument} is {given}", self.name(), wanted.described());
        let error = Error::of_type(message);
        match (wanted, self.value(position)) {
            (_, Value::Null) => error.with_help("write `default x …` for what may be missing"),
            (Type::Number | Type::Integer, Value::String(_)) => {
                error.with_help("write `number x` to read text as a number")
            }
            _ => error,
        }
    }

    /// The expression that was given at a position.
    pub(super) fn expression(&self, position: usize) -> String {
        self.call
            .arguments
            .get(position)
            .map_or_else(|| "an argument".to_owned(), |shape: &ExpressionShape| described(shape))
    }

    fn mistyped_option(&self, name: &str, wanted: Type, given: &Value) -> Error {
        let message = format!("`{}` needs {} as `{name}`, given is {}", self.name(), wanted.described(), a_type(given));
        Error::of_type(message)
    }

    fn of_type(&self, position: usize, wanted: Type) -> Result<&Value, Error> {
        let value = self.value(position);
        if wanted.accepts(value) { Ok(value) } else { Err(self.mistyped(position, wanted)) }
    }

    fn name(&self) -> &'static str {
        self.call.helper.signature.name
    }

    fn parameter_name(&self, position: usize) -> &'static str {
        self.call.helper.signature.parameter(position).map_or("argument", |parameter: &Parameter| parameter.name)
    }
}
