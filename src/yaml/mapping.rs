//! Mappings: unique keys that are text, without merge keys, and the brackets of a template that lacks quotes.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, StructureStyle};

use super::compose::{Composer, Halt, quoted};
use super::{Content, Entry, MAX_PROBLEMS, Node, Span, explain};

impl Composer<'_> {
    pub(super) fn mapping(&mut self, span: Span, style: StructureStyle) -> Result<Node, Halt> {
        self.enter(span, style)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<Box<str>, Span> = HashMap::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut end = span.end;
        while let Some((event, range)) = self.next()? {
            if event == Event::MappingEnd {
                end = end.max(self.closing(range));
                break;
            }
            let key = self.node(event, range)?;
            let Some((event, range)) = self.next()? else {
                break;
            };
            let value = self.node(event, range)?;
            let value = self.commented(value, key.span.end);
            end = end.max(key.span.end).max(value.span.end);
            let key_span = key.span;
            if is_merge_key(&key) {
                self.merge_key(key_span);
                // What it would bring is missed nowhere, so that it is the one thing told.
                if let Content::Mapping(members) = value.content {
                    merged.extend(members);
                }
                continue;
            }
            let Some(key) = self.key(key, Span { end, ..span }) else {
                continue;
            };
            if let Some(first) = places.get(&key) {
                if self.problems.len() >= MAX_PROBLEMS {
                    continue;
                }
                let line = self.line(*first);
                self.problem(
                    "duplicate_key",
                    key_span,
                    format!("the key `{key}` is here twice"),
                    &format!("the first is in line {line}; keep one of them"),
                );
                continue;
            }
            places.insert(key.clone(), key_span);
            entries.push(Entry { key, key_span, value });
        }
        self.open.pop();
        let span = Span { end, ..span };
        if style == StructureStyle::Flow && self.slice(span).starts_with("{{") {
            let template = self.slice(span).to_owned();
            self.problems.push(explain::unquoted_template(span, &template));
            return Ok(quoted(&template, span));
        }
        merged.retain(|entry| !places.contains_key(&entry.key));
        entries.extend(merged);
        Ok(Node { span, content: Content::Mapping(entries.into()) })
    }

    fn merge_key(&mut self, span: Span) {
        self.problem(
            "yaml_merge_key",
            span,
            "merge keys (`<<`) are not read".to_owned(),
            "write the keys out; what several actions share goes into `parts`",
        );
    }

    /// The text of a key; a key that is no text is told and left out.
    fn key(&mut self, key: Node, around: Span) -> Option<Box<str>> {
        match key.content {
            Content::Scalar(text, _) => Some(text),
            // An unquoted template: its whole is told as one by the mapping around it.
            Content::Mapping(_) if self.slice(around).starts_with("{{") => None,
            _ => {
                self.problem(
                    "yaml_complex_key",
                    key.span,
                    "a key must be text, not a list or a mapping".to_owned(),
                    "quote it if it is text that begins with `[` or `{`",
                );
                None
            }
        }
    }
}

fn is_merge_key(key: &Node) -> bool {
    key.plain_text() == Some("<<")
}
