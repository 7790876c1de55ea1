//! Evaluates the typed tree over a scope. Values are borrowed from the scope as long as they are only passed
//! on. A missing path stops the evaluation with an error, except below a helper that forgives it.

use std::borrow::Cow;

use serde_json::Value;

use super::error::{Error, a_type};
use super::helpers::{Arguments, Kind, Special};
use super::missing;
use super::shape::{Base, Call, ExpressionShape, Form, Path, Segment};
use super::{MAX_OUTPUT_BYTES, Scope};

/// A value, or nothing because a `maybe` found nothing.
pub(super) type Found<'a> = Option<Cow<'a, Value>>;

/// Why an evaluation ends early.
pub(super) enum Stop {
    /// A path is missing below a helper that forgives it; no error is worded for it.
    Missing,
    Failed(Box<Error>),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(Box::new(error))
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(error) => *error,
            // Forgiving helpers catch it; this is what remains to say if one did not.
            Stop::Missing => Error::new("template_missing_path", "a path is missing"),
        }
    }
}

/// Where paths are read from: the scope, the blocks around, and whether a missing path is forgiven.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    scope: &'a Scope,
    frame: Option<&'a Frame<'a>>,
    forgiving: bool,
}

/// One turn of an `each`, or a `with`.
pub(super) struct Frame<'a> {
    pub value: &'a Value,
    pub key: Value,
    pub index: usize,
    pub is_last: bool,
    pub parent: Option<&'a Frame<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(scope: &'a Scope) -> Self {
        Reader { scope, frame: None, forgiving: false }
    }

    /// The same reader inside one more block.
    pub(super) fn inside<'b>(self, frame: &'b Frame<'b>) -> Reader<'b>
    where
        'a: 'b,
    {
        Reader { scope: self.scope, frame: Some(frame), forgiving: self.forgiving }
    }

    /// The blocks around.
    pub(super) fn frame(self) -> Option<&'a Frame<'a>> {
        self.frame
    }

    pub(super) fn evaluate(self, shape: &'a ExpressionShape) -> Result<Found<'a>, Stop> {
        match &shape.form {
            Form::Path(path) => self.path(path),
            Form::Literal(value) => Ok(Some(Cow::Borrowed(value))),
            Form::Call(call) => self.call(call),
        }
    }

    /// A condition of `place` (a helper, a block): booleans as they are, `null` and `absent` as false, nothing
    /// else.
    pub(super) fn truth(self, shape: &'a ExpressionShape, place: &str) -> Result<bool, Stop> {
        match self.evaluate(shape)?.as_deref() {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(other) => {
                let message = format!("{place} needs true or false, {} is {}", described(shape), a_type(other));
                let help = match other {
                    Value::Number(_) => "write for example `gt x 0`",
                    Value::Array(_) => "write for example `not_empty x` or `gt (len x) 0`",
                    _ => "write for example `not_empty x` or `eq x 'yes'`",
                };
                Err(Error::of_type(message).with_help(help).into())
            }
        }
    }

    fn path(self, path: &'a Path) -> Result<Found<'a>, Stop> {
        let base = match path.base {
            Base::Root => None,
            Base::Block(depth) => match self.frame_at(depth) {
                Some(frame) => Some(frame.value),
                None => return self.missing(path, 0),
            },
            Base::Index(depth) => {
                return Ok(self.frame_at(depth).map(|frame| Cow::Owned(Value::from(frame.index))));
            }
            Base::Key(depth) => {
                return Ok(self.frame_at(depth).map(|frame| Cow::Owned(frame.key.clone())));
            }
            Base::First(depth) => {
                return Ok(self.frame_at(depth).map(|frame| Cow::Owned(Value::Bool(frame.index == 0))));
            }
            Base::Last(depth) => {
                return Ok(self.frame_at(depth).map(|frame| Cow::Owned(Value::Bool(frame.is_last))));
            }
        };
        let mut value = base;
        for (position, segment) in path.segments.iter().enumerate() {
            let next = match value {
                Some(value) => member(value, segment),
                None => root(self.scope, segment),
            };
            match next {
                Some(next) => value = Some(next),
                None => return self.missing(path, position),
            }
        }
        Ok(value.map(Cow::Borrowed))
    }

    fn frame_at(self, depth: usize) -> Option<&'a Frame<'a>> {
        let mut frame = self.frame;
        for _ in 0..depth {
            frame = frame?.parent;
        }
        frame
    }

    fn missing(self, path: &Path, position: usize) -> Result<Found<'a>, Stop> {
        if self.forgiving {
            return Err(Stop::Missing);
        }
        let base = match path.base {
            Base::Block(depth) => self.frame_at(depth).map(|frame| frame.value),
            _ => None,
        };
        Err(missing::error(self.scope, base, path, position).into())
    }

    fn call(self, call: &'a Call) -> Result<Found<'a>, Stop> {
        match call.helper.kind {
            Kind::Special(special) => self.special(special, call),
            Kind::Function(function) => {
                let mut values = Vec::with_capacity(call.arguments.len());
                for argument in &call.arguments {
                    values.push(self.evaluate(argument)?);
                }
                let mut named = Vec::with_capacity(call.named.len());
                for (_, argument) in &call.named {
                    named.push(self.evaluate(argument)?);
                }
                let arguments = Arguments { call, values, named, scope: self.scope };
                match function(&arguments) {
                    Ok(value) => bounded(call, value).map(Some),
                    Err(error) if self.forgiving && error.code == "template_missing_path" => Err(Stop::Missing),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// The helpers that do not evaluate all of their arguments, or forgive what is missing in them.
    fn special(self, special: Special, call: &'a Call) -> Result<Found<'a>, Stop> {
        let name = call.helper.signature.name;
        match special {
            Special::Maybe | Special::Coalesce => {
                for argument in &call.arguments {
                    if let Some(found) = self.forgiven(argument)? {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
            Special::Default => {
                let [wanted, otherwise] = call.arguments.as_slice() else {
                    return Ok(None);
                };
                match self.forgiven(wanted)? {
                    Some(found) => Ok(Some(found)),
                    None => self.evaluate(otherwise),
                }
            }
            Special::And | Special::Or => {
                let decides = matches!(special, Special::Or);
                for argument in &call.arguments {
                    if self.truth(argument, name)? == decides {
                        return Ok(Some(Cow::Owned(Value::Bool(decides))));
                    }
                }
                Ok(Some(Cow::Owned(Value::Bool(!decides))))
            }
            Special::Not => {
                let mut truth = false;
                for argument in &call.arguments {
                    truth = self.truth(argument, name)?;
                }
                Ok(Some(Cow::Owned(Value::Bool(!truth))))
            }
            Special::If => {
                let [condition, then, otherwise @ ..] = call.arguments.as_slice() else {
                    return Ok(None);
                };
                if self.truth(condition, name)? {
                    return self.evaluate(then);
                }
                otherwise.first().map_or(Ok(None), |otherwise| self.evaluate(otherwise))
            }
        }
    }

    /// A value that is there and not null, missing paths forgiven.
    fn forgiven(self, shape: &'a ExpressionShape) -> Result<Found<'a>, Stop> {
        match (Reader { forgiving: true, ..self }).evaluate(shape) {
            Ok(found) => Ok(found.filter(|value| !value.is_null())),
            Err(Stop::Missing) => Ok(None),
            Err(failed) => Err(failed),
        }
    }
}

/// The member of a value that a segment names.
pub(super) fn member<'v>(value: &'v Value, segment: &Segment) -> Option<&'v Value> {
    match (value, segment) {
        (Value::Object(members), Segment::Key(key)) => members.get(key.as_str()),
        (Value::Object(members), Segment::Index(index)) => members.get(index.to_string().as_str()),
        (Value::Array(elements), Segment::Index(index)) => elements.get(*index),
        _ => None,
    }
}

/// An expression in an error: a path by its text, a helper by its name.
pub(super) fn described(shape: &ExpressionShape) -> String {
    match &shape.form {
        Form::Path(path) => format!("`{}`", path.text),
        Form::Call(call) => format!("what `{}` gives", call.helper.signature.name),
        Form::Literal(_) => "what is written".to_owned(),
    }
}

fn root<'s>(scope: &'s Scope, segment: &Segment) -> Option<&'s Value> {
    match segment {
        Segment::Key(name) => scope.get(name),
        Segment::Index(_) | Segment::Element => None,
    }
}

fn bounded<'a>(call: &Call, value: Value) -> Result<Cow<'a, Value>, Stop> {
    match &value {
        Value::String(text) if text.len() > MAX_OUTPUT_BYTES => {
            let message = format!("`{}` gives more than {MAX_OUTPUT_BYTES} bytes", call.helper.signature.name);
            Err(Error::too_large(message).into())
        }
        _ => Ok(Cow::Owned(value)),
    }
}
