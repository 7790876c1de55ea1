//! Templates: the one expression language of connectors and flows. Handlebars' grammar, read once at load by
//! the `handlebars` crate and lowered to a typed tree ([`ExpressionShape`]) that this module evaluates
//! without cloning what it reads. The crate's own renderer is not used: it forgives missing paths inside
//! helpers, knows only text, and has no bound on its output.
//!
//! Refused: partials, decorators, raw blocks, raw `{{{…}}}`, unknown helpers, missing paths (except below
//! `maybe`, `default`, `coalesce`). Data is never compiled: `{{…}}` inside an item stays text. A literal `{{`
//! is written `\{{`.

mod compile;
mod error;
mod evaluate;
mod grammar;
pub mod helpers;
mod lower;
mod missing;
mod path;
mod reads;
mod render;
mod scope;
mod shape;
mod tags;
mod tree;

use std::borrow::Cow;

use serde_json::Value;

pub use self::error::{CompileError, Error, closest};
pub use self::reads::Read;
pub use self::scope::Scope;
pub use self::shape::{Base, Call, ExpressionShape, Form, Path, Segment, path_text};
pub use self::tree::Tree;

use self::evaluate::Reader;
use self::render::Text;
use self::shape::Node;

/// The longest text that a template or a helper may produce, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// One compiled template string. A lone `{{expression}}` keeps its JSON type; anything else is text.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    body: Body,
    reads: Vec<Read>,
}

/// One compiled value expression or condition, whose braces may be left out: `eq item.lang 'en'`.
#[derive(Clone, Debug)]
pub struct Expression {
    source: String,
    shape: ExpressionShape,
    reads: Vec<Read>,
}

#[derive(Clone, Debug)]
enum Body {
    Literal(String),
    Lone(ExpressionShape),
    Text(Vec<Node>),
}

impl Template {
    /// Reads a template. Offsets of the error count characters of `source` from 0.
    pub fn compile(source: &str) -> Result<Template, CompileError> {
        let (body, reads) = compile::template(source)?;
        Ok(Template { source: source.to_owned(), body, reads })
    }

    /// The typed value; `null` where the expression yields `absent`.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, Error> {
        Ok(self.evaluate_optional(scope)?.unwrap_or(Value::Null))
    }

    /// The typed value; `None` where the expression yields `absent` (a `maybe` that found nothing).
    pub fn evaluate_optional(&self, scope: &Scope) -> Result<Option<Value>, Error> {
        match &self.body {
            Body::Literal(text) => Ok(Some(Value::String(text.clone()))),
            Body::Lone(shape) => Ok(Reader::new(scope).evaluate(shape)?.map(Cow::into_owned)),
            Body::Text(_) => Ok(Some(Value::String(self.render(scope)?))),
        }
    }

    /// The value as text: strings, numbers and booleans as they are, `null` and `absent` as nothing. An
    /// object or an array is an error: write `json`.
    pub fn render(&self, scope: &Scope) -> Result<String, Error> {
        let mut text = Text::default();
        match &self.body {
            Body::Literal(literal) => return Ok(literal.clone()),
            Body::Lone(shape) => text.push_expression(shape, Reader::new(scope))?,
            Body::Text(nodes) => text.push_nodes(nodes, Reader::new(scope))?,
        }
        Ok(text.into_string())
    }

    /// The paths that it reads from the scope's roots, in the order in which they are written.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it has no expressions: rendering costs one copy.
    pub fn is_literal(&self) -> bool {
        matches!(self.body, Body::Literal(_))
    }

    /// The text of a template without expressions, escapes resolved.
    pub fn literal(&self) -> Option<&str> {
        match &self.body {
            Body::Literal(text) => Some(text),
            _ => None,
        }
    }

    /// The expression of a template that is one lone `{{expression}}`, for type checks.
    pub fn expression(&self) -> Option<&ExpressionShape> {
        match &self.body {
            Body::Lone(shape) => Some(shape),
            _ => None,
        }
    }

    /// The expressions that are put into text, so that a check can refuse objects and arrays there. Those of
    /// a lone expression and the arguments of blocks are not among them.
    pub fn insertions(&self) -> Vec<&ExpressionShape> {
        let mut found = Vec::new();
        if let Body::Text(nodes) = &self.body {
            shape::insertions(nodes, &mut found);
        }
        found
    }

    /// The arguments of its blocks: `("if", condition)`, `("each", list)`, for type checks.
    pub fn block_arguments(&self) -> Vec<(&'static str, &ExpressionShape)> {
        let mut found = Vec::new();
        if let Body::Text(nodes) = &self.body {
            shape::block_arguments(nodes, &mut found);
        }
        found
    }
}

impl Expression {
    /// Reads an expression with or without its braces. Offsets of the error count characters of `source`.
    pub fn compile(source: &str) -> Result<Expression, CompileError> {
        let (shape, reads) = compile::expression(source)?;
        Ok(Expression { source: source.to_owned(), shape, reads })
    }

    /// The typed value; `null` where the expression yields `absent`.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, Error> {
        Ok(Reader::new(scope).evaluate(&self.shape)?.map_or(Value::Null, Cow::into_owned))
    }

    /// Decides a condition: a boolean as it is, `null` and `absent` as false. Anything else is an error that
    /// says what to write, because "is this text true?" has no answer that everyone expects.
    pub fn is_true(&self, scope: &Scope) -> Result<bool, Error> {
        Ok(Reader::new(scope).truth(&self.shape, "a condition")?)
    }

    /// The paths that it reads from the scope's roots, in the order in which they are written.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What is evaluated, for type checks.
    pub fn expression(&self) -> &ExpressionShape {
        &self.shape
    }
}

#[cfg(test)]
mod tests;
