//! The typed tree that a template is lowered to: what is evaluated, and what `check` types. Data only.

use std::fmt::Write;

use regex::Regex;
use serde_json::Value;

use super::helpers::Helper;

/// One expression and where it stands.
#[derive(Clone, Debug)]
pub struct ExpressionShape {
    pub form: Form,
    /// Characters into the source, from 0.
    pub offset: usize,
    /// Characters.
    pub length: usize,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum Form {
    Path(Path),
    Call(Box<Call>),
    Literal(Value),
}

/// A helper with its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    pub helper: &'static Helper,
    pub arguments: Vec<ExpressionShape>,
    /// `timezone='Europe/Zurich'`, in the order in which they are written.
    pub named: Vec<(String, ExpressionShape)>,
    /// The pattern argument, compiled once because it is a literal.
    pub(super) pattern: Option<Regex>,
}

/// A path to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub base: Base,
    pub segments: Vec<Segment>,
    /// As it is written.
    pub text: String,
    /// From the scope's root on, where the base is a block over a known list.
    pub(super) resolved: Option<Vec<Segment>>,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// At the scope's roots.
    Root,
    /// At the value of an enclosing `each` or `with`, 0 being the innermost.
    Block(usize),
    /// At what an enclosing `each` counts.
    Index(usize),
    Key(usize),
    First(usize),
    Last(usize),
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Key(String),
    /// A number: an array's element, or an object's member of that name.
    Index(usize),
    /// Any element: only in [`super::Read`], for what is read inside an `each`.
    Element,
}

/// One part of a text template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Insert(ExpressionShape),
    /// `negated` is `unless`.
    If {
        condition: ExpressionShape,
        negated: bool,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Each {
        list: ExpressionShape,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: ExpressionShape,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

impl Path {
    /// The path from the scope's root on; `None` for what a block computes.
    pub fn from_root(&self) -> Option<&[Segment]> {
        match self.base {
            Base::Root => Some(&self.segments),
            _ => self.resolved.as_deref(),
        }
    }
}

/// `item.author.username`, `items.0`, `tags.*` for any element; a name with other characters in brackets.
pub fn path_text(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        if !text.is_empty() {
            text.push('.');
        }
        // Writing to a String cannot fail.
        let _ = match segment {
            Segment::Key(key) if is_plain(key) => write!(text, "{key}"),
            Segment::Key(key) => write!(text, "[{key}]"),
            Segment::Index(index) => write!(text, "{index}"),
            Segment::Element => write!(text, "*"),
        };
    }
    text
}

pub(super) fn insertions<'a>(nodes: &'a [Node], found: &mut Vec<&'a ExpressionShape>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Insert(shape) => found.push(shape),
            Node::If { then: body, otherwise, .. }
            | Node::Each { body, otherwise, .. }
            | Node::With { body, otherwise, .. } => {
                insertions(body, found);
                insertions(otherwise, found);
            }
        }
    }
}

pub(super) fn block_arguments<'a>(nodes: &'a [Node], found: &mut Vec<(&'static str, &'a ExpressionShape)>) {
    for node in nodes {
        let (name, argument, body, otherwise) = match node {
            Node::Text(_) | Node::Insert(_) => continue,
            Node::If { condition, then, otherwise, .. } => ("if", condition, then, otherwise),
            Node::Each { list, body, otherwise } => ("each", list, body, otherwise),
            Node::With { value, body, otherwise } => ("with", value, body, otherwise),
        };
        found.push((name, argument));
        block_arguments(body, found);
        block_arguments(otherwise, found);
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':'))
}
