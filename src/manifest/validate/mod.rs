//! A tree read by a schema: the value that it is, or everything that is wrong with it at once. It walks the
//! schemas of `schema` itself rather than calling a validator, so that every finding marks the very key or
//! value and says in words what may stand there.

use serde_json::{Map, Value};

mod form;

use form::{bound, has_type, is_free, other_members, property, quoted, tag, wanted, words};

use super::{Diagnostic, Duration, Severity, Source, diagnostic::did_you_mean, duration, typed};
use crate::yaml::{self, Content, Entry, Node, Span, Style};

/// The value of a source's tree as its schema types it, with everything that is wrong. With an error among
/// the findings the value is incomplete.
pub fn read(source: &Source, schema: &Value) -> (Value, Vec<Diagnostic>) {
    let mut reader = Reader {
        source,
        schema,
        found: Vec::new(),
    };
    let value = match source.root() {
        Some(root) => {
            let place = Place {
                name: "the file",
                key: None,
            };
            reader.node(root, &reader.forms(schema), place)
        }
        None => Value::Null,
    };
    (value, reader.found)
}

/// A tree where no schema says what is in it: unquoted scalars are more than text only in canonical form.
pub fn free(node: &Node) -> Value {
    match &node.content {
        Content::Scalar(text, Style::Plain) => yaml::canonical(text),
        Content::Scalar(text, _) => Value::from(&**text),
        Content::Sequence(items) => items.iter().map(free).collect(),
        Content::Mapping(entries) => {
            let members = entries
                .iter()
                .map(|entry| (entry.key.to_string(), free(&entry.value)));
            Value::Object(members.collect())
        }
    }
}

/// What a value is called in messages, and the key that it stands at.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    key: Option<Span>,
}

struct Reader<'a> {
    source: &'a Source,
    schema: &'a Value,
    found: Vec<Diagnostic>,
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
                Some(form) => self.items(items, form, place),
                None => self.wrong_type(node, forms, place),
            },
            Content::Mapping(entries) => self.mapping(node, entries, forms, place),
        }
    }

    fn scalar(
        &mut self,
        node: &'a Node,
        text: &str,
        style: Style,
        forms: &[&'a Value],
        place: Place<'a>,
    ) -> Value {
        let listed: Vec<&str> = forms.iter().flat_map(|form| words(form)).collect();
        if listed.contains(&text) {
            return Value::from(text);
        }
        let is_asked = |name: &str| {
            forms
                .iter()
                .any(|form| has_type(form, name) && words(form).is_empty())
        };
        if style == Style::Plain && yaml::is_null(text) {
            let help = format!("give it {}, or remove the key", wanted(forms));
            return self.error(
                place.key.unwrap_or(node.span),
                "missing_value",
                format!("`{}` has no value", place.name),
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
                let message = format!("`{text}` is not something that `{}` can be", place.name);
                self.error(node.span, "unknown_value", message, Some(help))
            }
        }
    }

    fn text(
        &mut self,
        node: &'a Node,
        text: String,
        form: Option<&Value>,
        place: Place<'a>,
    ) -> Value {
        let pattern = form
            .and_then(|form| form.get("pattern"))
            .and_then(Value::as_str);
        if pattern == Some(duration::PATTERN) {
            if let Err(message) = text.parse::<Duration>() {
                return self.error(node.span, "invalid_duration", message, None);
            }
            return Value::from(text);
        }
        if let Some(pattern) = pattern
            && !regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&text))
        {
            let message = format!("`{text}` is not something that `{}` can be", place.name);
            let help = format!("it must match {pattern}");
            return self.error(node.span, "invalid_value", message, Some(help));
        }
        self.warn_of_hashtags(node);
        Value::from(text)
    }

    fn number(
        &mut self,
        node: &'a Node,
        number: serde_json::Number,
        forms: &[&'a Value],
        place: Place<'a>,
    ) -> Value {
        let bound = |keyword: &str| forms.iter().find_map(|form| bound(form, keyword));
        let (minimum, maximum) = (bound("minimum"), bound("maximum"));
        let value = number
            .as_i128()
            .or_else(|| number.as_f64().map(|float| float as i128));
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
        let message = format!("{number} is outside of what `{}` can be", place.name);
        self.error(node.span, "out_of_range", message, Some(help))
    }

    fn items(&mut self, items: &'a [Node], form: &'a Value, place: Place<'a>) -> Value {
        let Some(schema) = form.get("items") else {
            return items.iter().map(free).collect();
        };
        let forms = self.forms(schema);
        let place = Place { key: None, ..place };
        items
            .iter()
            .map(|item| self.node(item, &forms, place))
            .collect()
    }

    /// A mapping by the one form that is meant: by its tag, or else by the keys that it has.
    fn mapping(
        &mut self,
        node: &'a Node,
        entries: &'a [Entry],
        forms: &[&'a Value],
        place: Place<'a>,
    ) -> Value {
        let objects: Vec<&'a Value> = forms
            .iter()
            .copied()
            .filter(|form| has_type(form, "object"))
            .collect();
        match objects.as_slice() {
            [] => self.wrong_type(node, forms, place),
            [form] => self.members(node, entries, form, place),
            [first, ..] => match tag(first) {
                Some(tag) => self.tagged(node, entries, &objects, tag, place),
                None => {
                    let has = |form: &Value, entry: &Entry| property(form, &entry.key).is_some();
                    let known =
                        |form: &Value| entries.iter().filter(|entry| has(form, entry)).count();
                    let form = objects.iter().copied().rev().max_by_key(|form| known(form));
                    let form = form.unwrap_or(first);
                    if known(form) == 0 {
                        return self.wrong_type(node, forms, place);
                    }
                    self.members(node, entries, form, place)
                }
            },
        }
    }

    fn tagged(
        &mut self,
        node: &'a Node,
        entries: &'a [Entry],
        forms: &[&'a Value],
        tag: &str,
        place: Place<'a>,
    ) -> Value {
        let names: Vec<&str> = forms
            .iter()
            .flat_map(|form| property(form, tag).into_iter().flat_map(words))
            .collect();
        let Some(entry) = entries.iter().find(|entry| &*entry.key == tag) else {
            let message = format!("the key `{tag}` is missing in `{}`", place.name);
            let help = format!("it can be {}", quoted(&names));
            return self.error(opening(node, place), "missing_key", message, Some(help));
        };
        let form = forms
            .iter()
            .copied()
            .find(|form| match &entry.value.content {
                Content::Scalar(text, _) => {
                    property(form, tag).is_some_and(|schema| words(schema).contains(&&**text))
                }
                _ => false,
            });
        if let Some(form) = form {
            return self.members(node, entries, form, place);
        }
        let (message, close) = match &entry.value.content {
            Content::Scalar(text, _) => {
                let close = did_you_mean(text, names.iter().copied());
                (format!("there is no `{tag}` called `{text}`"), close)
            }
            _ => (format!("`{tag}` must be one word"), None),
        };
        let help = match close {
            Some(name) => format!("did you mean `{name}`? It can be {}", quoted(&names)),
            None => format!("it can be {}", quoted(&names)),
        };
        self.error(entry.value.span, "unknown_value", message, Some(help))
    }

    fn members(
        &mut self,
        node: &'a Node,
        entries: &'a [Entry],
        form: &'a Value,
        place: Place<'a>,
    ) -> Value {
        let mut members = Map::new();
        for entry in entries {
            let Some(schema) = property(form, &entry.key).or_else(|| other_members(form)) else {
                self.unknown_key(entry, entries, form, place);
                continue;
            };
            let forms = self.forms(schema);
            let place = Place {
                name: &entry.key,
                key: Some(entry.key_span),
            };
            members.insert(
                entry.key.to_string(),
                self.node(&entry.value, &forms, place),
            );
        }
        let required = form
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for key in required.filter_map(Value::as_str) {
            if !entries.iter().any(|entry| &*entry.key == key) {
                let help = property(form, key).and_then(|schema| {
                    let description = schema.get("description").and_then(Value::as_str);
                    description.map(|text| format!("`{key}`: {text}"))
                });
                let message = format!("the key `{key}` is missing in `{}`", place.name);
                self.error(opening(node, place), "missing_key", message, help);
            }
        }
        Value::Object(members)
    }

    fn unknown_key(&mut self, entry: &Entry, entries: &[Entry], form: &Value, place: Place<'_>) {
        let known: Vec<&str> = form
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|properties| properties.keys().map(String::as_str))
            .filter(|name| !entries.iter().any(|entry| &*entry.key == *name))
            .collect();
        let help = match did_you_mean(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => "remove it".to_owned(),
            None => format!("it can also have {}", quoted(&known)),
        };
        let message = format!("`{}` has no key `{}`", place.name, entry.key);
        self.error(entry.key_span, "unknown_key", message, Some(help));
    }

    fn wrong_type(&mut self, node: &Node, forms: &[&Value], place: Place<'_>) -> Value {
        let is_text = matches!(
            &node.content,
            Content::Scalar(_, Style::Quoted | Style::Block)
        );
        let written = match &node.content {
            Content::Scalar(text, _) if text.chars().count() <= 40 => format!("`{text}`"),
            Content::Scalar(..) => "text".to_owned(),
            Content::Sequence(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
        };
        let message = format!("`{}` must be {}, not {written}", place.name, wanted(forms));
        let takes_bare = forms.iter().any(|form| {
            ["integer", "number", "boolean"]
                .iter()
                .any(|name| has_type(form, name))
        });
        let help = (is_text && takes_bare).then(|| "leave the quotes away".to_owned());
        self.error(opening(node, place), "wrong_type", message, help)
    }

    /// `query: down #acme`: the text ends before the `#`.
    fn warn_of_hashtags(&mut self, node: &Node) {
        match &node.content {
            Content::Scalar(text, Style::Plain) if !text.is_empty() => {
                let Some(comment) =
                    yaml::hashtag_after(self.source.text(node.span.file), node.span)
                else {
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
                entries
                    .iter()
                    .for_each(|entry| self.warn_of_hashtags(&entry.value));
            }
        }
    }

    fn error(
        &mut self,
        span: Span,
        code: &'static str,
        message: String,
        help: Option<String>,
    ) -> Value {
        let error = self
            .source
            .at_span(span, Severity::Error, code, message, help);
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
        if let Some(target) = reference
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.schema.pointer(pointer))
        {
            return self.collect_forms(target, forms);
        }
        let parts = ["anyOf", "oneOf"]
            .iter()
            .find_map(|keyword| schema.get(*keyword));
        match parts.and_then(Value::as_array) {
            Some(parts) => parts
                .iter()
                .for_each(|part| self.collect_forms(part, forms)),
            None => forms.push(schema),
        }
    }
}

/// Where a finding about a whole list or mapping is marked: its key, or the first key in it.
fn opening(node: &Node, place: Place<'_>) -> Span {
    match (&node.content, place.key) {
        (Content::Scalar(..), _) => node.span,
        (_, Some(key)) => key,
        (Content::Mapping(entries), None) => {
            entries.first().map_or(node.span, |entry| entry.key_span)
        }
        (_, None) => node.span,
    }
}
