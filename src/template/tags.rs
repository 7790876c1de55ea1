//! Finds the tags of a template and the words in them, with their places, before the grammar reads it: for
//! the offsets of paths, which the `handlebars` crate does not keep; for bounds, because its parser recurses;
//! and to refuse what this language leaves out.

use super::error::CompileError;

/// How deep parentheses, brackets or blocks may nest. The crate's parser recurses and overflows the stack
/// (which aborts the process) at about a thousand.
const MAX_DEPTH: usize = 100;

/// One `{{…}}` that is not a comment.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub kind: Kind,
    /// Bytes of the source, with the braces.
    pub start: usize,
    pub end: usize,
    pub words: Vec<Word>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Expression,
    Open,
    Else,
    Close,
}

/// One token of a tag; `start..end` are bytes of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub kind: WordKind,
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    Open,
    Close,
    /// A path, a helper's name or a bare literal.
    Plain,
    /// The name of a named argument; its `=` is swallowed.
    Name,
    /// Text in quotes, or a list or an object.
    Quoted,
    /// `|`, around a block's names.
    Bar,
}

/// The tags of a source in their order, or why the language refuses one.
pub(super) fn scan(source: &str) -> Result<Vec<Tag>, CompileError> {
    let mut tags = Vec::new();
    let mut blocks = 0usize;
    let mut position = 0;
    while let Some(start) = next_tag(source, position) {
        if let Some(comment) = source[start..].strip_prefix("{{!") {
            let (opening, closing) = if comment.starts_with("--") { (5, "--}}") } else { (3, "}}") };
            let inside = source.get(start + opening..).unwrap_or_default();
            match inside.find(closing) {
                Some(length) => position = start + opening + length + closing.len(),
                None => {
                    return Err(failure(
                        source,
                        start,
                        start + 3,
                        "template_syntax",
                        "this comment is not closed",
                        None,
                    ));
                }
            }
            continue;
        }
        let tag = read_tag(source, start)?;
        match tag.kind {
            Kind::Open => blocks += 1,
            Kind::Close => blocks = blocks.saturating_sub(1),
            Kind::Expression | Kind::Else => {}
        }
        if blocks > MAX_DEPTH {
            return Err(too_deep(source, tag.start, tag.end));
        }
        position = tag.end;
        tags.push(tag);
    }
    Ok(tags)
}

/// An error at bytes of the source, its place counted in characters.
pub(super) fn failure(
    source: &str,
    start: usize,
    end: usize,
    code: &'static str,
    message: impl Into<String>,
    help: Option<&str>,
) -> CompileError {
    CompileError {
        code,
        message: message.into(),
        offset: characters(source, start),
        length: source.get(start..end).map_or(1, |text| text.chars().count()).max(1),
        help: help.map(str::to_owned),
        others: Vec::new(),
    }
}

/// How many characters stand before a byte of the source.
pub(super) fn characters(source: &str, byte: usize) -> usize {
    source.get(..byte).map_or_else(|| source.chars().count(), |text| text.chars().count())
}

/// The next `{{` that one backslash does not escape; two backslashes are an escaped backslash.
fn next_tag(source: &str, from: usize) -> Option<usize> {
    let mut position = from;
    loop {
        let start = position + source.get(position..)?.find("{{")?;
        let backslashes = source[from..start].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes != 1 {
            return Some(start);
        }
        position = start + 2;
        if source[position..].starts_with("{{") {
            position += 2;
        }
    }
}

fn read_tag(source: &str, start: usize) -> Result<Tag, CompileError> {
    let rest = &source[start..];
    if rest.starts_with("{{{{") {
        return Err(failure(
            source,
            start,
            start + 4,
            "template_raw_block",
            "raw blocks `{{{{…}}}}` are not part of this language",
            Some("write `\\{{` for braces that are text"),
        ));
    }
    let inside = rest[2..].strip_prefix('~').unwrap_or(&rest[2..]);
    let refused = match inside.as_bytes() {
        [b'{', ..] => Some((
            "template_raw",
            "nothing is HTML-escaped here, so `{{{…}}}` has no meaning of its own",
            "write `{{…}}`",
        )),
        [b'&', ..] => Some((
            "template_raw",
            "nothing is HTML-escaped here, so `{{&…}}` has no meaning of its own",
            "write `{{…}}`",
        )),
        [b'>', ..] | [b'#', b'>', ..] => Some((
            "template_partial",
            "partials are not part of this language",
            "write the text itself, or make it an input",
        )),
        [b'*', ..] | [b'#', b'*', ..] => Some((
            "template_decorator",
            "decorators are not part of this language",
            "write the text itself, or make it an input",
        )),
        _ => None,
    };
    if let Some((code, message, help)) = refused {
        return Err(failure(source, start, start + 3, code, message, Some(help)));
    }
    let (kind, skipped) = match inside.as_bytes() {
        [b'#', ..] => (Kind::Open, 1),
        [b'/', ..] => (Kind::Close, 1),
        [b'^', ..] => (Kind::Else, 1),
        _ => {
            let trimmed = inside.trim_start();
            let blank = inside.len() - trimmed.len();
            if is_else(trimmed) { (Kind::Else, blank + 4) } else { (Kind::Expression, 0) }
        }
    };
    let begin = source.len() - inside.len() + skipped;
    let begin = begin.min(source.len());
    let (words, end) = read_words(source, start, begin)?;
    Ok(Tag { kind, start, end, words })
}

fn is_else(text: &str) -> bool {
    text.strip_prefix("else")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_whitespace() || matches!(c, '}' | '~')))
}

/// The words from `position` to the closing braces, and the byte after these.
fn read_words(source: &str, start: usize, mut position: usize) -> Result<(Vec<Word>, usize), CompileError> {
    let bytes = source.as_bytes();
    let mut words: Vec<Word> = Vec::new();
    let mut depth = 0usize;
    loop {
        let Some(byte) = bytes.get(position) else {
            return Err(failure(
                source,
                start,
                start + 2,
                "template_syntax",
                "`{{` is not closed",
                Some("close it with `}}`, or write `\\{{` for braces that are text"),
            ));
        };
        let begin = position;
        let kind = match byte {
            b'}' if bytes.get(position + 1) == Some(&b'}') => return Ok((words, position + 2)),
            b'(' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(too_deep(source, position, position + 1));
                }
                position += 1;
                WordKind::Open
            }
            b')' => {
                depth = depth.saturating_sub(1);
                position += 1;
                WordKind::Close
            }
            b'|' => {
                position += 1;
                WordKind::Bar
            }
            b'"' | b'\'' => {
                position = end_of_quote(bytes, position);
                WordKind::Quoted
            }
            b'{' => {
                position = end_of_literal(source, position)?;
                WordKind::Quoted
            }
            b'[' if is_list(bytes, position) => {
                position = end_of_literal(source, position)?;
                WordKind::Quoted
            }
            b'=' => {
                // `name=value`: the word before it is a name.
                if let Some(last) = words.last_mut() {
                    last.kind = WordKind::Name;
                }
                position += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b'~' | b'}' => {
                position += 1;
                continue;
            }
            _ => {
                position = end_of_word(bytes, position);
                WordKind::Plain
            }
        };
        words.push(Word { kind, start: begin, end: position });
    }
}

fn end_of_word(bytes: &[u8], mut position: usize) -> usize {
    while let Some(byte) = bytes.get(position) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b'~' | b'(' | b')' | b'=' | b'|' | b'{' | b'}' | b'"' | b'\'' => break,
            b'[' => {
                position +=
                    bytes[position..].iter().position(|byte| *byte == b']').map_or(bytes.len() - position, |at| at + 1);
            }
            _ => position += 1,
        }
    }
    position
}

fn end_of_quote(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start);
    let mut position = start + 1;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'\\' => position += 2,
            _ if Some(byte) == quote => return position + 1,
            _ => position += 1,
        }
    }
    bytes.len()
}

/// Whether a bracket begins a list literal rather than a name such as `[a key]`.
fn is_list(bytes: &[u8], start: usize) -> bool {
    bytes[start + 1..]
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'[' | b'{' | b'-' | b'0'..=b'9' | b']'))
}

fn end_of_literal(source: &str, start: usize) -> Result<usize, CompileError> {
    let bytes = source.as_bytes();
    let mut depth = 0usize;
    let mut position = start;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' | b'\'' => {
                position = end_of_quote(bytes, position);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(too_deep(source, position, position + 1));
        }
        position += 1;
        if depth == 0 {
            break;
        }
    }
    Ok(position)
}

fn too_deep(source: &str, start: usize, end: usize) -> CompileError {
    let message = format!("this nests more than {MAX_DEPTH} deep");
    failure(source, start, end, "template_too_deep", message, Some("compute parts of it in steps with `set`"))
}
