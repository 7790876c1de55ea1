//! What a helper takes and gives: for arity checks at load, types in `check`, and the documentation.

use std::fmt;

use serde_json::Value;

/// A helper's name, parameters, named options and result.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    /// `truncate text 90 ellipsis='...'`; never required.
    pub named: &'static [Parameter],
    pub result: Type,
    /// One line for people.
    pub summary: &'static str,
}

/// One parameter of a helper.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: Type,
    pub arity: Arity,
}

/// How often a parameter is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    One,
    Optional,
    /// At least once; always the last parameter.
    Many,
    /// Any number of times, also none; always the last parameter.
    Any,
}

/// What a helper takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Any,
    Boolean,
    /// A number, integers among them.
    Number,
    Integer,
    String,
    /// A string, number or boolean, read as text.
    Text,
    Array,
    Object,
    /// Epoch milliseconds, or RFC 3339 or RFC 2822 text. As a result: RFC 3339 text.
    Time,
    /// Text such as `90s`, `-1h 30m`, `7 days`.
    Duration,
    /// A regular expression; compiled at load where it is a literal.
    Pattern,
}

impl Signature {
    /// A helper without named options.
    pub(super) const fn new(
        name: &'static str,
        parameters: &'static [Parameter],
        result: Type,
        summary: &'static str,
    ) -> Self {
        Signature { name, parameters, named: &[], result, summary }
    }

    pub(super) const fn with_options(mut self, named: &'static [Parameter]) -> Self {
        self.named = named;
        self
    }

    /// The parameter for the argument at `position`, counted from 0; the last one may take several.
    pub fn parameter(&self, position: usize) -> Option<&Parameter> {
        self.parameters
            .get(position)
            .or_else(|| self.parameters.last().filter(|last| matches!(last.arity, Arity::Many | Arity::Any)))
    }

    /// The named option of a name. `*` among the options of a helper stands for any name.
    pub fn option(&self, name: &str) -> Option<&Parameter> {
        self.named.iter().find(|option| option.name == name || option.name == "*")
    }

    /// Whether it takes this many positional arguments; the error is a message.
    pub fn check_count(&self, count: usize) -> Result<(), String> {
        let least =
            self.parameters.iter().filter(|parameter| matches!(parameter.arity, Arity::One | Arity::Many)).count();
        let open = self.parameters.last().is_some_and(|last| matches!(last.arity, Arity::Many | Arity::Any));
        let most = if open { usize::MAX } else { self.parameters.len() };
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let wanted = match (least, most) {
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        let plural = if wanted == "1" || wanted == "at least 1" { "argument" } else { "arguments" };
        let are = if count == 1 { "1 is" } else { &format!("{count} are") };
        Err(format!("`{}` takes {wanted} {plural}, {are} given", self.name))
    }
}

/// `truncate text length [ellipsis='…']`.
impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        for Parameter { name, arity, .. } in self.parameters {
            match arity {
                Arity::One => write!(formatter, " {name}")?,
                Arity::Optional => write!(formatter, " [{name}]")?,
                Arity::Many => write!(formatter, " {name} …")?,
                Arity::Any => write!(formatter, " [{name} …]")?,
            }
        }
        for Parameter { name, .. } in self.named {
            let name = if *name == "*" { "name" } else { name };
            write!(formatter, " [{name}=…]")?;
        }
        Ok(())
    }
}

impl Type {
    /// Whether a value may stand for it.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Type::Any => true,
            Type::Boolean => value.is_boolean(),
            Type::Number => value.is_number(),
            Type::Integer => value.is_i64() || value.is_u64(),
            Type::String | Type::Duration | Type::Pattern => value.is_string(),
            Type::Text => matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)),
            Type::Array => value.is_array(),
            Type::Object => value.is_object(),
            Type::Time => value.is_string() || value.is_i64(),
        }
    }

    /// The JSON types that it accepts as an argument, as JSON Schema spells them; none for any.
    pub fn accepted(self) -> &'static [&'static str] {
        match self {
            Type::Any => &[],
            Type::Boolean => &["boolean"],
            Type::Number => &["number", "integer"],
            Type::Integer => &["integer"],
            Type::String | Type::Duration | Type::Pattern => &["string"],
            Type::Text => &["string", "number", "integer", "boolean"],
            Type::Array => &["array"],
            Type::Object => &["object"],
            Type::Time => &["string", "integer"],
        }
    }

    /// The JSON type that it has as a result, as JSON Schema spells it; `None` for any.
    pub fn produced(self) -> Option<&'static str> {
        match self {
            Type::Any => None,
            Type::Boolean => Some("boolean"),
            Type::Number => Some("number"),
            Type::Integer => Some("integer"),
            Type::Array => Some("array"),
            Type::Object => Some("object"),
            Type::String | Type::Text | Type::Time | Type::Duration | Type::Pattern => Some("string"),
        }
    }

    /// The type with its article, for messages.
    pub fn described(self) -> &'static str {
        match self {
            Type::Any => "any value",
            Type::Boolean => "true or false",
            Type::Number => "a number",
            Type::Integer => "an integer",
            Type::String => "a string",
            Type::Text => "a string or a number",
            Type::Array => "an array",
            Type::Object => "an object",
            Type::Time => "a time",
            Type::Duration => "a duration such as `90s`",
            Type::Pattern => "a regular expression",
        }
    }
}

pub(super) const fn one(name: &'static str, kind: Type) -> Parameter {
    Parameter { name, kind, arity: Arity::One }
}

pub(super) const fn optional(name: &'static str, kind: Type) -> Parameter {
    Parameter { name, kind, arity: Arity::Optional }
}

pub(super) const fn many(name: &'static str, kind: Type) -> Parameter {
    Parameter { name, kind, arity: Arity::Many }
}

pub(super) const fn any_number(name: &'static str, kind: Type) -> Parameter {
    Parameter { name, kind, arity: Arity::Any }
}
