//! Parser events to a tree of nodes. What the text says in a way that has two readings is a problem here;
//! where a mistake has one plausible reading, the tree carries on with it so that the rest is looked at too.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as Range, StrInput, StructureStyle};

use super::{
    Content, MAX_ALIASED_VALUES, MAX_DEPTH, MAX_PROBLEMS, MAX_VALUES, Node, Parsed, Problem, Span, Style, explain,
    hashtag_after,
};

/// Reads one document. `file` is what the spans carry.
pub fn parse(text: &str, file: u16) -> Parsed {
    let options = serde_yaml::granit_parser::options! { emit_unresolved_aliases: true };
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(text, options),
        text,
        file,
        anchors: HashMap::new(),
        open: Vec::new(),
        values: 0,
        aliased: 0,
        problems: Vec::new(),
    };
    let root = match composer.document() {
        Ok(root) => root,
        Err(Halt::Told(problem)) => {
            composer.problems.push(problem);
            None
        }
        Err(Halt::Scan(error)) => {
            let problem = explain::scan_error(&error, text, file, composer.bracket());
            // The stumble over a template that was told already says more about it.
            composer.problems.retain(|known| known.code != problem.code || known.span.start != problem.span.start);
            composer.problems.push(problem);
            None
        }
    };
    Parsed { root, problems: composer.problems }
}

/// Why the text could not be followed to its end.
pub(super) enum Halt {
    Scan(ScanError),
    Told(Problem),
}

pub(super) struct Composer<'text> {
    parser: Parser<'text, StrInput<'text>>,
    pub(super) text: &'text str,
    file: u16,
    /// What each anchor names, with the number of values in it.
    anchors: HashMap<usize, (Node, usize)>,
    /// Where the lists and mappings that are open now began, and whether with a bracket.
    pub(super) open: Vec<(Span, StructureStyle)>,
    values: usize,
    aliased: usize,
    pub(super) problems: Vec<Problem>,
}

impl<'text> Composer<'text> {
    fn document(&mut self) -> Result<Option<Node>, Halt> {
        let mut root = None;
        while let Some((event, range)) = self.next()? {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document begins here; a file holds one";
                    return Err(self.told(
                        "yaml_multiple_documents",
                        self.span(range),
                        message,
                        "put each document into a file of its own, and remove the `---` line",
                    ));
                }
                Event::StreamStart | Event::StreamEnd => {}
                Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, range)?),
            }
        }
        Ok(root)
    }

    pub(super) fn next(&mut self) -> Result<Option<(Event<'text>, Range)>, Halt> {
        self.parser.next_event().transpose().map_err(Halt::Scan)
    }

    pub(super) fn node(&mut self, event: Event<'text>, range: Range) -> Result<Node, Halt> {
        let before = self.values;
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.told(
                "yaml_too_many_values",
                self.span(range),
                format!("more than {MAX_VALUES} values in one file"),
                "split it into several files",
            ));
        }
        let is_text = self.tagged_as_text(&event, range);
        let anchor = event.anchor_id();
        let span = self.span(range);
        let node = match event {
            Event::Scalar(value, ..) if is_text => quoted(&value, span),
            Event::Scalar(value, style, ..) => self.scalar(&value, style, span),
            Event::SequenceStart(style, ..) => self.sequence(span, style)?,
            Event::MappingStart(style, ..) => self.mapping(span, style)?,
            Event::Alias(id) => return self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                self.problem(
                    "yaml_unknown_alias",
                    span,
                    format!("nothing above is named `&{name}`"),
                    "quote the value if it is text that begins with `*`",
                );
                quoted(&format!("*{name}"), span)
            }
            _ => {
                return Err(self.told(
                    "yaml_syntax",
                    span,
                    "a value is missing here",
                    "give the key before it a value",
                ));
            }
        };
        if let Some(id) = anchor {
            self.anchors.insert(id, (node.clone(), self.values - before));
        }
        Ok(node)
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, span: Span) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        if style == Style::Plain && span.start == span.end {
            // The parser says `~` for a value that is not there.
            return Node { span, content: Content::Scalar("".into(), Style::Plain) };
        }
        let span = if style == Style::Block { self.trimmed(span) } else { span };
        Node { span, content: Content::Scalar(value.into(), style) }
    }

    fn sequence(&mut self, span: Span, style: StructureStyle) -> Result<Node, Halt> {
        self.enter(span, style)?;
        let mut items = Vec::new();
        let mut end = span.end;
        while let Some((event, range)) = self.next()? {
            if event == Event::SequenceEnd {
                end = end.max(self.closing(range));
                break;
            }
            let item = self.node(event, range)?;
            let item = self.commented(item, end);
            end = end.max(item.span.end);
            items.push(item);
        }
        self.open.pop();
        Ok(Node { span: Span { end, ..span }, content: Content::Sequence(items.into()) })
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Halt> {
        let Some((node, values)) = self.anchors.get(&id) else {
            return Err(self.told(
                "yaml_unknown_alias",
                span,
                "this alias lies within the value that it names",
                "a value can not contain itself; write it out",
            ));
        };
        self.values += values;
        self.aliased += values;
        if self.aliased > MAX_ALIASED_VALUES {
            return Err(self.told(
                "yaml_alias_bomb",
                span,
                format!("aliases add more than {MAX_ALIASED_VALUES} values to this file"),
                "write the values out, or share them with `parts`",
            ));
        }
        Ok(Node { span, content: node.content.clone() })
    }

    /// `query: #acme` and `- #acme`: no value to YAML, a hashtag to its author. `after` is where the key, the
    /// item before or the list itself ended.
    pub(super) fn commented(&mut self, node: Node, after: u32) -> Node {
        if node.span.start != node.span.end || node.plain_text().is_none() {
            return node;
        }
        let rest = self.text.get(after as usize..).unwrap_or_default();
        let marks = rest.trim_start_matches([':', ' ', '\t']);
        // An item's own line begins after the line break behind the item before it.
        let marks = match marks.trim_start().strip_prefix("- ") {
            Some(item) => item,
            None => marks,
        };
        let marker = Span { end: u32::try_from(self.text.len() - marks.len()).unwrap_or(after), ..node.span };
        match hashtag_after(self.text, marker) {
            Some(comment) => {
                let written = self.slice(comment);
                self.problems.push(explain::comment_value(comment, written));
                quoted(written, comment)
            }
            None => node,
        }
    }

    pub(super) fn enter(&mut self, span: Span, style: StructureStyle) -> Result<(), Halt> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.told(
                "yaml_too_deep",
                span,
                format!("lists and mappings are nested more than {MAX_DEPTH} deep"),
                "flatten the file",
            ));
        }
        self.open.push((span, style));
        Ok(())
    }

    /// The outermost bracket that is open.
    fn bracket(&self) -> Option<Span> {
        self.open.iter().find(|(_, style)| *style == StructureStyle::Flow).map(|(span, _)| *span)
    }

    /// Whether the tag is `!!str`. Any other asks for what is not done here: a schema says what a value is.
    fn tagged_as_text(&mut self, event: &Event<'_>, range: Range) -> bool {
        let Some(tag) = event.tag() else { return false };
        if tag.is_yaml_core_schema_tag("str") {
            return true;
        }
        let span = self.span(range.tag_span().unwrap_or(range));
        self.problem(
            "yaml_unknown_tag",
            span,
            format!("the tag `{}` is not read", tag.original()),
            "remove it, or quote the value if it is text that begins with `!`",
        );
        false
    }

    pub(super) fn problem(&mut self, code: &'static str, span: Span, message: String, help: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { code, span, message, help: Some(help.to_owned()) });
        }
    }

    fn told(&self, code: &'static str, span: Span, message: impl Into<String>, help: &str) -> Halt {
        Halt::Told(Problem { code, span, message: message.into(), help: Some(help.to_owned()) })
    }

    pub(super) fn span(&self, range: Range) -> Span {
        let bytes = range.byte_range().unwrap_or_default();
        Span {
            file: self.file,
            start: u32::try_from(bytes.start).unwrap_or(u32::MAX),
            end: u32::try_from(bytes.end).unwrap_or(u32::MAX),
        }
    }

    /// Where a list or mapping ends: after its bracket; block forms end with their last member.
    pub(super) fn closing(&self, range: Range) -> u32 {
        let span = self.span(range);
        if matches!(self.slice(span), "]" | "}") { span.end } else { 0 }
    }

    /// Without the line breaks and spaces after it.
    fn trimmed(&self, span: Span) -> Span {
        let length = u32::try_from(self.slice(span).trim_end().len()).unwrap_or(0);
        Span { end: span.start + length, ..span }
    }

    pub(super) fn slice(&self, span: Span) -> &'text str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    pub(super) fn line(&self, span: Span) -> usize {
        let before = self.text.get(..span.start as usize).unwrap_or_default();
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Text that is text, whatever a schema says.
pub(super) fn quoted(text: &str, span: Span) -> Node {
    Node { span, content: Content::Scalar(text.into(), Style::Quoted) }
}
