//! The two kinds of failure: a template that cannot be read (at load, with its place) and one that cannot be
//! evaluated (in a run). Neither ever holds a value, only names and types: values may be secret.

use std::fmt;

use serde_json::Value;

/// Why a template could not be read. `template_*` codes are stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// `template_syntax`, `template_unknown_helper`, `template_arity`, …
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// Where it begins: characters into the source, from 0.
    pub offset: usize,
    /// How many characters it covers; at least 1.
    pub length: usize,
    /// What to write instead, where that is known.
    pub help: Option<String>,
    /// What is wrong with further expressions of the same source.
    pub others: Vec<CompileError>,
}

impl CompileError {
    /// The first of several, which holds the others.
    pub(super) fn first(errors: Vec<CompileError>) -> Option<CompileError> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.others.extend(errors);
        Some(first)
    }

    /// The same at places that `shift` moves; `width` is how many characters there are.
    pub(super) fn moved(mut self, shift: &impl Fn(usize) -> usize, width: usize) -> CompileError {
        self.offset = shift(self.offset);
        self.length = self.length.min(width.saturating_sub(self.offset)).max(1);
        self.others = self.others.into_iter().map(|other| other.moved(shift, width)).collect();
        self
    }
}

/// Why a template could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// `template_missing_path`, `template_type`, `template_too_large`, `template_helper`, `template_clock`.
    pub code: &'static str,
    /// What is wrong, for people; names and types, never values.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl Error {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), help: None }
    }

    pub(super) fn of_type(message: impl Into<String>) -> Self {
        Error::new("template_type", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Error::new("template_too_large", message)
    }

    #[must_use]
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_help(formatter, &self.message, self.help.as_deref())
    }
}

impl std::error::Error for Error {}

impl fmt::Display for CompileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_help(formatter, &self.message, self.help.as_deref())
    }
}

impl std::error::Error for CompileError {}

/// The candidate that a misspelt word most likely meant: closer than a third of the word's length.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (word.chars().count() / 3).max(1);
    let lowered = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (strsim::damerau_levenshtein(&lowered, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The name of a value's type, as JSON Schema spells it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A type with its article: `an array`, `a string`, `null`.
pub(super) fn a_type(value: &Value) -> String {
    match type_name(value) {
        "null" => "null".to_owned(),
        name if name.starts_with(['a', 'i', 'o']) => format!("an {name}"),
        name => format!("a {name}"),
    }
}

fn write_with_help(formatter: &mut fmt::Formatter<'_>, message: &str, help: Option<&str>) -> fmt::Result {
    formatter.write_str(message)?;
    match help {
        Some(help) => write!(formatter, "; {help}"),
        None => Ok(()),
    }
}
