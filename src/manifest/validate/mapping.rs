//! A mapping read by the one of its schema's forms that is meant.

use serde_json::{Map, Value};

use super::form::{has_type, other_members, property, property_names, quoted, tag, wanted, words};
use super::{MAX_FINDINGS, Name, Place, Reader, opening};
use crate::manifest::diagnostic::did_you_mean;
use crate::yaml::{Content, Entry, Node};

impl<'a> Reader<'a> {
    /// A mapping by the one form that is meant: by its tag, or else by the keys that it has.
    pub(super) fn mapping(
        &mut self,
        node: &'a Node,
        entries: &'a [Entry],
        forms: &[&'a Value],
        place: Place<'a>,
    ) -> Value {
        let objects: Vec<&'a Value> = forms.iter().copied().filter(|form| has_type(form, "object")).collect();
        match objects.as_slice() {
            [] => self.wrong_type(node, forms, place),
            [form] => self.members(node, entries, form, place),
            [first, ..] => match tag(first) {
                Some(tag) => self.tagged(node, entries, &objects, tag, place),
                None => {
                    let has = |form: &Value, entry: &Entry| property(form, &entry.key).is_some();
                    let known = |form: &Value| entries.iter().filter(|entry| has(form, entry)).count();
                    let form = objects.iter().copied().rev().max_by_key(|form| known(form));
                    let form = form.unwrap_or(first);
                    if known(form) == 0 {
                        return self.no_form(node, entries, &objects, forms, place);
                    }
                    self.members(node, entries, form, place)
                }
            },
        }
    }

    /// None of the alternatives has any of these keys.
    fn no_form(
        &mut self,
        node: &Node,
        entries: &[Entry],
        objects: &[&Value],
        forms: &[&Value],
        place: Place<'_>,
    ) -> Value {
        let Some(entry) = entries.first() else {
            return self.wrong_type(node, forms, place);
        };
        let names: Vec<&str> = objects.iter().flat_map(|form| property_names(form)).collect();
        let help = match did_you_mean(&entry.key, names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("it can be {}", wanted(forms)),
        };
        let message = format!("{place} has no key `{}`", entry.key);
        self.error(entry.key_span, "unknown_key", message, Some(help))
    }

    fn tagged(
        &mut self,
        node: &'a Node,
        entries: &'a [Entry],
        forms: &[&'a Value],
        tag: &str,
        place: Place<'a>,
    ) -> Value {
        let names: Vec<&str> = forms.iter().flat_map(|form| property(form, tag).into_iter().flat_map(words)).collect();
        let Some(entry) = entries.iter().find(|entry| &*entry.key == tag) else {
            let message = format!("the key `{tag}` is missing in {place}");
            let help = format!("it can be {}", quoted(&names));
            return self.error(opening(node, place), "missing_key", message, Some(help));
        };
        let form = forms.iter().copied().find(|form| match &entry.value.content {
            Content::Scalar(text, _) => property(form, tag).is_some_and(|schema| words(schema).contains(&&**text)),
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

    fn members(&mut self, node: &'a Node, entries: &'a [Entry], form: &'a Value, place: Place<'a>) -> Value {
        let mut members = Map::new();
        let mut unknown = Vec::new();
        for entry in entries {
            match property(form, &entry.key).or_else(|| other_members(form)) {
                Some(schema) => self.member((node, form), entry, &entry.key, schema, &mut members),
                None => unknown.push(entry),
            }
        }
        let mut meant = Vec::new();
        if !unknown.is_empty() {
            meant = self.unknown_keys(&unknown, entries, form, place);
            let is_read = |entry: &Entry| meant.iter().any(|(read, _)| std::ptr::eq(*read, entry));
            let unread = unknown.iter().filter(|entry| !is_read(entry));
            self.stood_in.extend(unread.map(|entry| (node.span, entry.key.to_string())));
        }
        for (entry, name) in &meant {
            if let Some(schema) = property(form, name) {
                self.renamed.push((entry.key_span, (*name).to_owned()));
                self.member((node, form), entry, name, schema, &mut members);
            }
        }
        let required = form.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str) {
            let is_written = entries.iter().any(|entry| &*entry.key == key);
            if !is_written && !meant.iter().any(|(_, name)| *name == key) {
                let help = property(form, key).and_then(|schema| {
                    let description = schema.get("description").and_then(Value::as_str);
                    description.map(|text| format!("`{key}`: {text}"))
                });
                let message = format!("the key `{key}` is missing in {place}");
                self.error(opening(node, place), "missing_key", message, help);
            }
            if let Some(schema) = property(form, key).filter(|_| !members.contains_key(key)) {
                members.insert(key.to_owned(), self.stand_in(node, key, schema));
            }
        }
        Value::Object(members)
    }

    /// What is wrong with a value is told, and then it is not there, or something else stands in for it.
    fn member(
        &mut self,
        (node, form): (&Node, &Value),
        entry: &'a Entry,
        name: &'a str,
        schema: &'a Value,
        members: &mut Map<String, Value>,
    ) {
        let is_named = property(form, name).is_none();
        let forms = self.forms(schema);
        let place = Place { name: Name::Key(name), key: Some(entry.key_span) };
        let before = self.errors;
        let value = self.node(&entry.value, &forms, place);
        let is_wrong = self.errors > before && value.is_null();
        // What is called by its name is there.
        let value = if is_wrong && is_named { self.stand_in(node, name, schema) } else { value };
        match is_wrong && !is_named {
            true => self.stood_in.push((node.span, name.to_owned())),
            false => {
                members.insert(name.to_owned(), value);
            }
        }
    }

    /// Tells of them, and which are meant for others that are not written.
    fn unknown_keys(
        &mut self,
        unknown: &[&'a Entry],
        entries: &[Entry],
        form: &'a Value,
        place: Place<'_>,
    ) -> Vec<(&'a Entry, &'a str)> {
        let mut left: Vec<&'a str> =
            property_names(form).filter(|name| !entries.iter().any(|entry| *entry.key == **name)).collect();
        let mut meant = Vec::new();
        for entry in unknown.iter().take(MAX_FINDINGS) {
            let help = match did_you_mean(&entry.key, left.iter().copied()) {
                Some(name) => {
                    left.retain(|other| *other != name);
                    meant.push((*entry, name));
                    format!("did you mean `{name}`?")
                }
                None if left.is_empty() => "remove it".to_owned(),
                None => format!("it can also have {}", quoted(&left)),
            };
            let message = format!("{place} has no key `{}`", entry.key);
            self.error(entry.key_span, "unknown_key", message, Some(help));
        }
        meant
    }
}
