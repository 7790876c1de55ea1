//! The path of a request below its host. Every `{{value}}` is percent-encoded exactly once; a value that
//! would be an empty segment, `.` or `..` is refused, because it would name another resource.
//!
//! A path that is one lone `{{expression}}` takes a whole path with its query instead: its segments and its
//! `%41` stay as they are, and `.` and `..` segments are refused all the same.

use std::fmt::Write as _;

use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use url::Url;

use super::super::selector::scalar_text;
use super::super::template_failure;
use super::{RESERVED, encode_query};
use crate::engine::Failure;
use crate::manifest::problem::Problem;
use crate::template::{CompileError, Scope, Template};

/// A compiled path.
#[derive(Clone, Debug)]
pub(super) enum Path {
    /// Literals and values.
    Pieces(Vec<Piece>),
    /// One value that is a path.
    Whole(Template),
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Literal(String),
    Value(Template),
}

impl Path {
    /// Reads a path.
    pub fn compile(source: &str, pointer: &str, problems: &mut Vec<Problem>) -> Path {
        let mut pieces = Vec::new();
        let mut rest = source;
        let mut read = 0;
        while let Some(start) = rest.find("{{") {
            let (literal, tail) = rest.split_at(start);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            read += literal.chars().count();
            let (expression, after) = tail.split_at(end_of_expression(tail));
            match Template::compile(expression) {
                Ok(template) => pieces.push(Piece::Value(template)),
                Err(error) => {
                    let error = CompileError { offset: error.offset + read, ..error };
                    problems.push(Problem::from_template(pointer, error));
                }
            }
            read += expression.chars().count();
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        match pieces.as_slice() {
            [Piece::Value(template)] => Path::Whole(template.clone()),
            _ => {
                if let Some(Piece::Literal(first)) = pieces.first()
                    && !first.starts_with('/')
                {
                    let problem = Problem::new(pointer, "path_invalid", "a path begins with `/`");
                    problems.push(problem.with_help(format!("write `/{source}`")));
                }
                Path::Pieces(pieces)
            }
        }
    }

    /// The URL below `base`, with the query's pairs.
    pub fn below(&self, base: &Url, scope: &Scope, query: &[(String, String)]) -> Result<Url, Failure> {
        let mut text = String::with_capacity(128);
        text.push_str(base.as_str().trim_end_matches('/'));
        let before = text.len();
        match self {
            Path::Pieces(pieces) => {
                for piece in pieces {
                    piece.write(&mut text, scope)?;
                }
            }
            Path::Whole(template) => write_whole(template, &mut text, scope)?,
        }
        let written = text.get(before..).unwrap_or_default();
        let path = written.split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(is_dots) {
            return Err(refused("holds a `.` or `..` segment, which would name another resource"));
        }
        let has_query = written.contains('?');
        if !query.is_empty() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{}{}", if has_query { '&' } else { '?' }, encode_query(query));
        }
        Url::parse(&text).map_err(|error| refused(&format!("makes no URL: {error}")))
    }

    /// Whether it reads a root of the scope.
    pub fn reads(&self, root: &str) -> bool {
        let reads = |template: &Template| template.reads().iter().any(|read| read.root() == root);
        match self {
            Path::Whole(template) => reads(template),
            Path::Pieces(pieces) => pieces.iter().any(|piece| match piece {
                Piece::Literal(_) => false,
                Piece::Value(template) => reads(template),
            }),
        }
    }
}

impl Piece {
    fn write(&self, text: &mut String, scope: &Scope) -> Result<(), Failure> {
        let template = match self {
            Piece::Literal(literal) => {
                text.push_str(literal);
                return Ok(());
            }
            Piece::Value(template) => template,
        };
        let value = template.evaluate(scope).map_err(|error| template_failure(&error))?;
        match scalar_text(&value) {
            Some(value) if !value.is_empty() => {
                text.extend(utf8_percent_encode(&value, RESERVED));
                Ok(())
            }
            _ => Err(refused(&format!("needs a text for `{}`, which is empty or none", template.source()))),
        }
    }
}

fn write_whole(template: &Template, text: &mut String, scope: &Scope) -> Result<(), Failure> {
    let value = template.evaluate(scope).map_err(|error| template_failure(&error))?;
    let path = match &value {
        Value::String(path) => path.as_str(),
        Value::Null => return Err(refused("is missing: what it is made of is not given")),
        _ => return Err(refused("must be text")),
    };
    // A parser of URLs takes `\\` for `/`, and leaves out tabs and line breaks: `.` and `..` could hide in them.
    if path.contains(|letter: char| letter == '\\' || letter.is_control()) {
        return Err(refused("holds a backslash or a control character"));
    }
    if path.contains("://") || path.starts_with("//") {
        return Err(refused("holds another host; the host is the connection's"));
    }
    if !path.is_empty() && !path.starts_with(['/', '?']) {
        text.push('/');
    }
    text.push_str(path.split('#').next().unwrap_or_default());
    Ok(())
}

/// `.`, `..` and their percent-encoded forms, which a URL parser treats alike.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// Where `{{...}}` ends, quotes respected; the end of the text if it never does.
fn end_of_expression(text: &str) -> usize {
    let mut quote = None;
    let bytes = text.as_bytes();
    for (place, pair) in bytes.windows(2).enumerate() {
        match (quote, pair) {
            (None, [b'}', b'}']) => return place + 2,
            (None, [mark @ (b'"' | b'\''), _]) => quote = Some(*mark),
            (Some(open), [mark, _]) if *mark == open => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn refused(why: &str) -> Failure {
    Failure::not_sent("path_refused", format!("the request's path {why}"))
}
