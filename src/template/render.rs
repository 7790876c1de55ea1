//! Puts a text template together: its bound, its blocks, and how a value becomes text.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::MAX_OUTPUT_BYTES;
use super::error::{Error, a_type};
use super::evaluate::{Frame, Reader, Stop, described};
use super::shape::{ExpressionShape, Node};

/// How often the bodies of all `each` of one template may run: nested ones multiply.
const MAX_TURNS: usize = 100_000;

/// A text that grows up to [`MAX_OUTPUT_BYTES`].
#[derive(Default)]
pub(super) struct Text {
    out: String,
    turns: usize,
}

impl Text {
    pub(super) fn into_string(self) -> String {
        self.out
    }

    /// Appends what the nodes give.
    pub(super) fn push_nodes<'a>(&mut self, nodes: &'a [Node], reader: Reader<'a>) -> Result<(), Stop> {
        for node in nodes {
            match node {
                Node::Text(text) => self.push(text)?,
                Node::Insert(shape) => self.push_expression(shape, reader)?,
                Node::If { condition, negated, then, otherwise } => {
                    let place = if *negated { "unless" } else { "if" };
                    let chosen = if reader.truth(condition, place)? == *negated { otherwise } else { then };
                    self.push_nodes(chosen, reader)?;
                }
                Node::Each { list, body, otherwise } => self.push_each(list, body, otherwise, reader)?,
                Node::With { value, body, otherwise } => match reader.evaluate(value)? {
                    Some(found) if !found.is_null() => {
                        let frame =
                            Frame { value: &found, key: Value::Null, index: 0, is_last: true, parent: reader.frame() };
                        self.push_nodes(body, reader.inside(&frame))?;
                    }
                    _ => self.push_nodes(otherwise, reader)?,
                },
            }
        }
        Ok(())
    }

    /// Appends a value as text.
    pub(super) fn push_expression<'a>(&mut self, shape: &'a ExpressionShape, reader: Reader<'a>) -> Result<(), Stop> {
        let found = reader.evaluate(shape)?;
        let Some(value) = found.as_deref() else {
            return Ok(());
        };
        match scalar_text(value) {
            Some(text) => self.push(&text),
            None => {
                let message = format!("{} is {}, which has no text of its own", described(shape), a_type(value));
                Err(Error::of_type(message)
                    .with_help("write it as JSON with `json`, or put a list together with `join`")
                    .into())
            }
        }
    }

    fn push_each<'a>(
        &mut self,
        list: &'a ExpressionShape,
        body: &'a [Node],
        otherwise: &'a [Node],
        reader: Reader<'a>,
    ) -> Result<(), Stop> {
        let found = reader.evaluate(list)?;
        match found.as_deref() {
            Some(Value::Array(elements)) if !elements.is_empty() => {
                for (index, value) in elements.iter().enumerate() {
                    let is_last = index + 1 == elements.len();
                    let frame = Frame { value, key: Value::from(index), index, is_last, parent: reader.frame() };
                    self.push_turn(body, reader.inside(&frame))?;
                }
                Ok(())
            }
            Some(Value::Object(members)) if !members.is_empty() => {
                for (index, (key, value)) in members.iter().enumerate() {
                    let is_last = index + 1 == members.len();
                    let frame = Frame { value, key: Value::from(key.as_str()), index, is_last, parent: reader.frame() };
                    self.push_turn(body, reader.inside(&frame))?;
                }
                Ok(())
            }
            None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => self.push_nodes(otherwise, reader),
            Some(other) => {
                let message =
                    format!("`each` goes over an array or an object, {} is {}", described(list), a_type(other));
                Err(Error::of_type(message).into())
            }
        }
    }

    fn push_turn<'a>(&mut self, body: &'a [Node], reader: Reader<'a>) -> Result<(), Stop> {
        self.turns += 1;
        if self.turns > MAX_TURNS {
            return Err(
                Error::too_large(format!("the `each` of this template turn more than {MAX_TURNS} times")).into()
            );
        }
        self.push_nodes(body, reader)
    }

    fn push(&mut self, text: &str) -> Result<(), Stop> {
        if self.out.len() + text.len() > MAX_OUTPUT_BYTES {
            return Err(Error::too_large(format!("the text grows beyond {MAX_OUTPUT_BYTES} bytes")).into());
        }
        self.out.push_str(text);
        Ok(())
    }
}

/// A scalar as text: `null` is nothing; `None` for an object or an array.
pub(super) fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => Some(Cow::Borrowed("")),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => {
            let mut text = String::new();
            // Writing to a String cannot fail.
            let _ = write!(text, "{number}");
            Some(Cow::Owned(text))
        }
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}
