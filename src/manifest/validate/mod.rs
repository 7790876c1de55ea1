//! A tree read by a schema: the value that it is, or everything that is wrong with it at once. It walks the
//! schemas of `schema` itself rather than calling a validator, so that every finding marks the very key or
//! value and says in words what may stand there.

use std::fmt;

use serde_json::Value;

mod form;
mod mapping;

use form::{bound, has_type, is_free, property, types, wanted, words};

use super::{Diagnostic, Duration, Severity, Source, diagnostic::did_you_mean, duration, typed};
use crate::yaml::{self, Content, Node, Span, Style};

/// Beyond this many findings in one file, the rest is not looked for.
const MAX_FINDINGS: usize = 1_000;

/// A tree as its schema types it.
pub struct Read {
    /// The value. With an error among the findings, what is wrong is not in it, something that fits stands in for what
    /// has to be there, and a key that is nearly one of the schema's is taken for that.
    pub value: Value,
    /// Everything that is wrong.
    pub found: Vec<Diagnostic>,
    /// What stands in, or is not read: the place of what it is in, and its key or index there.
    pub stood_in: Vec<(Span, String)>,
    /// The keys that were taken for others, by their place.
    pub renamed: Vec<(Span, String)>,
}

/// The value of a source's tree, with everything that is wrong.
pub fn read(source: &Source, schema: &Value) -> Read {
    let mut reader = Reader { source, schema, found: Vec::new(), errors: 0, stood_in: Vec::new(), renamed: Vec::new() };
    let value = match source.root() {
        Some(root) => {
            let place = Place { name: Name::File, key: None };
            reader.node(root, &reader.forms(schema), place)
        }
        None => Value::Null,
    };
    let Reader { found, stood_in, renamed, .. } = reader;
    Read { value, found, stood_in, renamed }
}

/// A tree where no schema says what is in it: unquoted scalars are more than text only in canonical form.
pub fn free(node: &Node) -> Value {
    match &node.content {
        Content::Scalar(text, Style::Plain) => yaml::canonical(text),
        Content::Scalar(text, _) => Value::from(&**text),
        Content::Sequence(items) => items.iter().map(free).collect(),
        Content::Mapping(entries) => {
            let members = entries.iter().map(|entry| (entry.key.to_string(), free(&entry.value)));
            Value::Object(members.collect())
        }
    }
}

/// What a value is called in messages, and the key that it stands at.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: Name<'a>,
    key: Option<Span>,
}

#[derive(Clone, Copy)]
enum Name<'a> {
    File,
    Key(&'a str),
    ItemOf(&'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Name::File => formatter.write_str("the file"),
            Name::Key(key) => write!(formatter, "`{key}`"),
            Name::ItemOf(key) => write!(formatter, "an item of `{key}`"),
        }
    }
}

struct Reader<'a> {
    source: &'a Source,
    schema: &'a Value,
    found: Vec<Diagnostic>,
    errors: usize,
    stood_in: Vec<(Span, String)>,
    renamed: Vec<(Span, String)>,
}

impl<'a> Reader<'a> {
    fn node(&mut self, node: &'a Node, forms: &[&'a Value], place: Place<'a>) -> Value {
        if forms.iter().any(|form| is_free(form)) {
            self.warn_of_hashtags(node);
            return free(node);
        }
        match &node.content {
            Content::Scalar(text, style) => self.scalar(node, text, *style, forms, place),
            Content::Sequence(items) => match forms.iter().find(|form| has_type(form, "array")) {
                Some(form) => self.items(node, items, form, place),
                None => self.wrong_type(node, forms, place),
            },
            Content::Mapping(entries) => self.mapping(node, entries, forms, place),
        }
    }

    fn scalar(&mut self, node: &'a Node, text: &str, style: Style, forms: &[&'a Value], place: Place<'a>) -> Value {
        let listed: Vec<&str> = forms.iter().flat_map(|form| words(form)).collect();
        if listed.contains(&text) {
            return Value::from(text);
        }
        let is_asked = |name: &str| forms.iter().any(|form| has_type(form, name) && words(form).is_empty());
        if style == Style::Plain && yaml::is_null(text) {
            let help = format!("give it {}, or remove it", wanted(forms));
            return self.error(
                place.key.unwrap_or(node.span),
                "missing_value",
                format!("{place} has no value"),
                Some(help),
            );
        }
        let value = match style {
            Style::Plain => typed::by_types(text, yaml::canonical(text), is_asked),
            _ => is_asked("string").then(|| Value::from(text)),
        };
        match value {
            Some(Value::String(text)) => {
                let form = forms.iter().find(|form| has_type(form, "string"));
                self.text(node, text, form.copied(), place)
            }
            Some(Value::Number(number)) => self.number(node, number, forms, place),
            Some(value) => value,
            None if listed.is_empty() => self.wrong_type(node, forms, place),
            None => {
                let help = match did_you_mean(text, listed.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("it can be {}", wanted(forms)),
                };
                let message = format!("`{text}` is not something that {place} can be");
                self.error(node.span, "unknown_value", message, Some(help))
            }
        }
    }

    fn text(&mut self, node: &'a Node, text: String, form: Option<&Value>, place: Place<'a>) -> Value {
        let pattern = form.and_then(|form| form.get("pattern")).and_then(Value::as_str);
        if pattern == Some(duration::PATTERN) {
            if let Err(message) = text.parse::<Duration>() {
                return self.error(node.span, "invalid_duration", message, None);
            }
            return Value::from(text);
        }
        if let Some(pattern) = pattern
            && !regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&text))
        {
            let message = format!("`{text}` is not something that {place} can be");
            let help = format!("it must match {pattern}");
            return self.error(node.span, "invalid_value", message, Some(help));
        }
        self.warn_of_hashtags(node);
        Value::from(text)
    }

    fn number(&mut self, node: &'a Node, number: serde_json::Number, forms: &[&'a Value], place: Place<'a>) -> Value {
        let bound = |keyword: &str| forms.iter().find_map(|form| bound(form, keyword));
        let (minimum, maximum) = (bound("minimum"), bound("maximum"));
        let value = number.as_i128().or_else(|| number.as_f64().map(|float| float as i128));
        let is_within = value.is_none_or(|value| {
            minimum.is_none_or(|bound| value >= bound) && maximum.is_none_or(|bound| value <= bound)
        });
        if is_within {
            return Value::Number(number);
        }
        let help = match (minimum, maximum) {
            (Some(minimum), Some(maximum)) => format!("it can be {minimum} to {maximum}"),
            (Some(minimum), None) => format!("it must be {minimum} or more"),
            (None, Some(maximum)) => format!("it must be {maximum} or less"),
            (None, None) => String::new(),
        };
        let message = format!("{number} is outside of what {place} can be");
        self.error(node.span, "out_of_range", message, Some(help))
    }

    fn items(&mut self, node: &'a Node, items: &'a [Node], form: &'a Value, place: Place<'a>) -> Value {
        let Some(schema) = form.get("items") else {
            return items.iter().map(free).collect();
        };
        let forms = self.forms(schema);
        let name = match place.name {
            Name::Key(key) | Name::ItemOf(key) => Name::ItemOf(key),
            Name::File => Name::File,
        };
        let place = Place { name, key: None };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let before = self.errors;
            let value = self.node(item, &forms, place);
            values.push(match self.errors > before && value.is_null() {
                true => self.stand_in(node, &index.to_string(), schema),
                false => value,
            });
        }
        Value::Array(values)
    }

    /// What stands in for the member or item of `node` that is wrong or missing.
    fn stand_in(&mut self, node: &Node, key: &str, schema: &'a Value) -> Value {
        self.stood_in.push((node.span, key.to_owned()));
        self.fitting(schema)
    }

    /// The least that fits a schema: of alternatives the first.
    fn fitting(&self, schema: &'a Value) -> Value {
        let forms = self.forms(schema);
        let Some(form) = forms.first().filter(|form| !is_free(form)) else { return Value::Null };
        if let Some(word) = words(form).first() {
            return Value::from(*word);
        }
        match types(form).first() {
            Some(&"string") if form.get("pattern").is_some_and(|text| text == duration::PATTERN) => Value::from("1h"),
            Some(&"string") => Value::from(""),
            Some(&("integer" | "number")) => {
                Value::from(bound(form, "minimum").and_then(|least| i64::try_from(least).ok()).unwrap_or_default())
            }
            Some(&"boolean") => Value::from(false),
            Some(&"array") => Value::Array(Vec::new()),
            Some(&"object") => {
                let required = form.get("required").and_then(Value::as_array).into_iter().flatten();
                let members = required.filter_map(Value::as_str).filter_map(|key| Some((key, property(form, key)?)));
                Value::Object(members.map(|(key, schema)| (key.to_owned(), self.fitting(schema))).collect())
            }
            _ => Value::Null,
        }
    }

    fn wrong_type(&mut self, node: &Node, forms: &[&Value], place: Place<'_>) -> Value {
        let is_text = matches!(&node.content, Content::Scalar(_, Style::Quoted | Style::Block));
        let written = match &node.content {
            Content::Scalar(text, _) if text.chars().count() <= 40 => format!("`{text}`"),
            Content::Scalar(..) => "text".to_owned(),
            Content::Sequence(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
        };
        let message = format!("{place} must be {}, not {written}", wanted(forms));
        let takes_bare =
            forms.iter().any(|form| ["integer", "number", "boolean"].iter().any(|name| has_type(form, name)));
        let help = (is_text && takes_bare).then(|| "leave the quotes away".to_owned());
        self.error(opening(node, place), "wrong_type", message, help)
    }

    /// `query: down #acme`: the text ends before the `#`.
    fn warn_of_hashtags(&mut self, node: &Node) {
        match &node.content {
            Content::Scalar(text, Style::Plain) if !text.is_empty() => {
                let Some(comment) = yaml::hashtag_after(self.source.text(node.span.file), node.span) else {
                    return;
                };
                let message = "to YAML this is a comment, and no part of the text before it";
                let help = "quote the whole value, or put a space after `#` if a comment is meant";
                self.found.push(self.source.at_span(
                    comment,
                    Severity::Warning,
                    "yaml_comment_value",
                    message,
                    Some(help.to_owned()),
                ));
            }
            Content::Scalar(..) => {}
            Content::Sequence(items) => items.iter().for_each(|item| self.warn_of_hashtags(item)),
            Content::Mapping(entries) => {
                entries.iter().for_each(|entry| self.warn_of_hashtags(&entry.value));
            }
        }
    }

    fn error(&mut self, span: Span, code: &'static str, message: String, help: Option<String>) -> Value {
        self.errors += 1;
        let error = self.source.at_span(span, Severity::Error, code, message, help);
        self.found.push(error);
        Value::Null
    }

    /// The alternatives that a schema stands for, references followed.
    fn forms(&self, schema: &'a Value) -> Vec<&'a Value> {
        let mut forms = Vec::new();
        self.collect_forms(schema, &mut forms);
        forms
    }

    fn collect_forms(&self, schema: &'a Value, forms: &mut Vec<&'a Value>) {
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(target) =
            reference.and_then(|reference| reference.strip_prefix('#')).and_then(|pointer| self.schema.pointer(pointer))
        {
            return self.collect_forms(target, forms);
        }
        let parts = ["anyOf", "oneOf"].iter().find_map(|keyword| schema.get(*keyword));
        match parts.and_then(Value::as_array) {
            Some(parts) => parts.iter().for_each(|part| self.collect_forms(part, forms)),
            None => forms.push(schema),
        }
    }
}

/// Where a finding about a whole list or mapping is marked: its key, or the first key in it.
fn opening(node: &Node, place: Place<'_>) -> Span {
    match (&node.content, place.key) {
        (Content::Scalar(..), _) => node.span,
        (_, Some(key)) => key,
        (Content::Mapping(entries), None) => entries.first().map_or(node.span, |entry| entry.key_span),
        (_, None) => node.span,
    }
}
