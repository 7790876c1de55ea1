//! The text of one manifest and the place of every value in it. It turns JSON pointers into lines and
//! columns, for `validate`, `check` and whoever else has something to say about what was written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{Diagnostic, Severity};
use crate::yaml::{self, Content, Node, Span};

/// The file or files of one manifest. Held while it is looked at, dropped once it is deployed.
#[derive(Debug, Default)]
pub struct Source {
    files: Vec<File>,
    root: Option<Node>,
    /// The place of a mapping or list, and a key or index in it.
    stood_in: Vec<(Span, String)>,
}

/// One file's text.
#[derive(Debug)]
struct File {
    path: PathBuf,
    text: Arc<str>,
    /// The byte at which each line begins, once somebody asks.
    lines: OnceLock<Vec<u32>>,
}

/// A stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the project.
    pub file: PathBuf,
    /// 1-based; 0 where the whole file is meant.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// In characters, at least 1; what goes beyond the line is left out.
    pub length: u32,
}

/// What a pointer leads to: as far as it could be followed.
struct Found<'source> {
    node: Option<&'source Node>,
    key: Option<Span>,
    is_whole: bool,
}

impl Source {
    /// Several files of one manifest, or one. The tree comes with [`Source::set_root`].
    pub fn new(files: impl IntoIterator<Item = (PathBuf, Arc<str>)>) -> Self {
        let files = files.into_iter().map(|(path, text)| File { path, text, lines: OnceLock::new() }).collect();
        Source { files, root: None, stood_in: Vec::new() }
    }

    /// Sets the tree, whose spans are in this source's files.
    pub fn set_root(&mut self, root: Node) {
        self.root = Some(root);
    }

    /// Takes keys for others, by their places: what is found below them is found by the other name.
    pub fn rename(&mut self, renamed: &[(Span, String)]) {
        if let Some(root) = self.root.as_mut().filter(|_| !renamed.is_empty()) {
            rename(root, renamed);
        }
    }

    /// Takes what else stands in for, by the place of what it is in, and its key or index there: there is nothing more
    /// to say about it.
    pub fn stand_in(&mut self, stood_in: Vec<(Span, String)>) {
        self.stood_in = stood_in;
    }

    /// Whether the value at a pointer, or one that it is in, only stands in for what was told to be wrong or missing.
    pub fn is_stand_in(&self, pointer: &str) -> bool {
        let mut node = self.root.as_ref().filter(|_| !self.stood_in.is_empty());
        for segment in segments(pointer) {
            let Some(here) = node else { return false };
            if self.stood_in.iter().any(|(span, key)| *span == here.span && *key == segment) {
                return true;
            }
            node = child(here, &segment).map(|(node, _)| node);
        }
        false
    }

    /// Whether something in the mapping at a pointer, or in that around it, was told to be wrong or missing.
    pub fn is_wrong_at(&self, pointer: &str) -> bool {
        let is_mapping = |node: &Node| matches!(node.content, Content::Mapping(_));
        let mut node = self.root.as_ref();
        let mut mapping = node;
        for segment in segments(pointer) {
            node = node.and_then(|node| child(node, &segment)).map(|(node, _)| node);
            mapping = node.filter(|node| is_mapping(node)).or(mapping);
        }
        mapping.is_some_and(|mapping| self.stood_in.iter().any(|(span, _)| is_within(*span, mapping.span)))
    }

    /// The tree; none where the text could not be followed.
    pub fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// The same without its texts and tree: whatever is said of a value is said of the whole file then.
    pub fn without_texts(&self) -> Source {
        Source::new(self.files.iter().map(|file| (file.path.clone(), Arc::from(""))))
    }

    /// The first file, relative to the project.
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), |file| &file.path)
    }

    /// The text of one file of it.
    pub fn text(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", |file| &file.text)
    }

    /// How the scalar at a pointer was written, if it was written there and without quotes.
    pub fn plain_text(&self, pointer: &str) -> Option<&str> {
        let found = self.find(pointer);
        found.node.filter(|_| found.is_whole).and_then(Node::plain_text)
    }

    /// The place of the value at a pointer; of the nearest value around it where it was not written.
    pub fn place(&self, pointer: &str) -> Place {
        let found = self.find(pointer);
        match (found.node, found.key) {
            (Some(node), key) if node.span.start == node.span.end => self.place_of(key.unwrap_or(node.span)),
            (Some(_), Some(key)) if !found.is_whole => self.place_of(key),
            (Some(node), _) => self.place_of(node.span),
            (None, _) => self.whole_file(),
        }
    }

    /// The place of the key at a pointer; of the value itself in a list.
    pub fn key_place(&self, pointer: &str) -> Place {
        match self.find(pointer).key {
            Some(key) => self.place_of(key),
            None => self.place(pointer),
        }
    }

    /// A finding about the value at a pointer.
    pub fn diagnostic(
        &self,
        pointer: &str,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        at(self.place(pointer), severity, code, message, help)
    }

    /// A finding about the key at a pointer.
    pub fn at_key(
        &self,
        pointer: &str,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        at(self.key_place(pointer), severity, code, message, help)
    }

    /// A finding about a part of the text at a pointer: `offset` and `length` count characters of the value.
    #[expect(clippy::too_many_arguments, reason = "the place needs three of them")]
    pub fn within(
        &self,
        pointer: &str,
        offset: usize,
        length: usize,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let place = match self.find(pointer) {
            Found { node: Some(Node { span, content: Content::Scalar(value, _) }), is_whole: true, .. } => {
                self.place_of(self.part(*span, value, offset, length))
            }
            _ => self.place(pointer),
        };
        at(place, severity, code, message, help)
    }

    /// A finding about a stretch of the text.
    pub fn at_span(
        &self,
        span: Span,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        at(self.place_of(span), severity, code, message, help)
    }

    fn find(&self, pointer: &str) -> Found<'_> {
        let mut found = Found { node: self.root.as_ref(), key: None, is_whole: true };
        for segment in segments(pointer) {
            let next = found.node.and_then(|node| child(node, &segment));
            let Some((node, key)) = next else {
                found.is_whole = false;
                return found;
            };
            found.node = Some(node);
            found.key = key;
        }
        found
    }

    /// The place of a stretch of the text.
    pub fn place_of(&self, span: Span) -> Place {
        let Some(file) = self.files.get(usize::from(span.file)) else {
            return self.whole_file();
        };
        let (line, start) = file.line(span.start);
        let text = file.text.get(start..).unwrap_or_default();
        let text = text.lines().next().unwrap_or_default();
        let characters = |end: u32| {
            let length = (end as usize).saturating_sub(start);
            text.char_indices().take_while(|(at, _)| *at < length).count()
        };
        let before = characters(span.start);
        Place {
            file: file.path.clone(),
            line,
            column: count(before) + 1,
            length: count(characters(span.end).saturating_sub(before)).max(1),
        }
    }

    fn whole_file(&self) -> Place {
        Place { file: self.path().to_owned(), line: 0, column: 0, length: 1 }
    }

    /// Where characters of a scalar's value stand in the text. Folding and quoting change spaces and line
    /// breaks only, so the characters that are neither are counted, an escape as one.
    fn part(&self, span: Span, value: &str, offset: usize, length: usize) -> Span {
        let raw = self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or_default();
        let visible = |characters: usize| {
            let part = value.chars().take(characters);
            part.filter(|character| !character.is_whitespace()).count()
        };
        let places = yaml::visible_places(raw);
        let end_of = |index: usize| places.get(index).map(|(_, end)| *end);
        let first = visible(offset);
        let last = visible(offset + length.max(1)).saturating_sub(1).max(first);
        let Some((start, end)) = places.get(first).copied() else {
            return span;
        };
        Span { start: span.start + start, end: span.start + end_of(last).unwrap_or(end), ..span }
    }
}

impl File {
    /// The 1-based line that a byte is in, and where that line begins.
    fn line(&self, byte: u32) -> (u32, usize) {
        let lines = self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate();
            let breaks = breaks.filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| count(at + 1))).collect()
        });
        let line = lines.partition_point(|start| *start <= byte);
        let start = lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (count(line), start as usize)
    }
}

fn rename(node: &mut Node, renamed: &[(Span, String)]) {
    match &mut node.content {
        Content::Scalar(..) => {}
        Content::Sequence(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Content::Mapping(entries) => {
            for entry in entries {
                if let Some((_, name)) = renamed.iter().find(|(span, _)| *span == entry.key_span) {
                    entry.key = name.as_str().into();
                }
                rename(&mut entry.value, renamed);
            }
        }
    }
}

fn is_within(span: Span, other: Span) -> bool {
    span.file == other.file && other.start <= span.start && span.end <= other.end
}

/// The segments of a pointer, as they are in the tree (RFC 6901).
fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

/// The member or item of a node, with its key's place.
fn child<'source>(node: &'source Node, segment: &str) -> Option<(&'source Node, Option<Span>)> {
    match &node.content {
        Content::Mapping(entries) => {
            let entry = entries.iter().find(|entry| *entry.key == *segment)?;
            Some((&entry.value, Some(entry.key_span)))
        }
        Content::Sequence(items) => Some((items.get(segment.parse::<usize>().ok()?)?, None)),
        Content::Scalar(..) => None,
    }
}

fn at(
    place: Place,
    severity: Severity,
    code: &'static str,
    message: impl Into<String>,
    help: Option<String>,
) -> Diagnostic {
    Diagnostic {
        code,
        severity,
        file: place.file,
        line: place.line,
        column: place.column,
        length: place.length,
        message: message.into(),
        help,
    }
}

/// Files are bounded far below what this can hold.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let mut source = Source::new([(PathBuf::from("a.yaml"), text.into())]);
        source.set_root(yaml::parse(text, 0).root.unwrap());
        source
    }

    fn marked(text: &str, diagnostic: &Diagnostic) -> String {
        let line = text.lines().nth(diagnostic.line as usize - 1).unwrap();
        line.chars().skip(diagnostic.column as usize - 1).take(diagnostic.length as usize).collect()
    }

    #[test]
    fn pointers_lead_to_values_keys_and_the_nearest_parent() {
        let text = "ä: {b/c: [1, zwei], d: }\ne:\n  f: 1\n";
        let source = source(text);
        for (pointer, value, key) in [
            ("/ä/b~1c/1", "zwei", "zwei"),
            ("/ä/b~1c", "[1, zwei]", "b/c"),
            ("/ä/d", "d", "d"),
            ("/e/f", "1", "f"),
            ("/e/g/h", "e", "e"),
        ] {
            let error = Severity::Error;
            let found = source.diagnostic(pointer, error, "c", "m", None);
            assert_eq!(marked(text, &found), value, "{pointer}");
            let found = source.at_key(pointer, error, "c", "m", None);
            assert_eq!(marked(text, &found), key, "{pointer}");
        }
        assert_eq!(source.plain_text("/e/f"), Some("1"));
        assert_eq!(source.plain_text("/e/f/g"), None);
    }

    #[test]
    fn parts_of_a_text_are_found_however_it_is_written() {
        for text in [
            "a: Hällo {{wörld}} x",
            "a: 'it''s {{wörld}} x'",
            "a: \"\\u0048i\\n \\\"{{wörld}}\\\" x\"",
            "a: >-\n    folded\n    words {{wörld}}\n    x\n",
            "a: |\n  line\n    deeper {{wörld}} x\n",
            "a: plain\n  over lines\n  {{wörld}} x\n",
        ] {
            let source = source(text);
            let Content::Scalar(value, _) = &source.root().unwrap().get("a").unwrap().value.content else {
                panic!("a scalar")
            };
            let offset = value.chars().position(|c| c == 'w').unwrap();
            let offset =
                value.char_indices().take_while(|(at, _)| !value[*at..].starts_with("wörld")).count().max(offset);
            let found = source.within("/a", offset, 5, Severity::Error, "c", "m", None);
            assert_eq!(marked(text, &found), "wörld", "{text}");
        }
    }
}
