//! From an answer's body to records: `records`, `shape`, `expand`, `set`, `where`, `remove`, in this order.
//! Records are moved out of the body, not copied, unless a `set` still reads it or `raw` keeps them.

mod jmespath;
mod shape;

pub use self::jmespath::{JmesPath, NotReadable, PathSource, scalar_text};
pub(super) use self::shape::{Expand, Join, Shape, Shapes, Side};

use std::sync::Arc;

use serde_json::Value;

use self::shape::Sides;
use super::template_failure;
use crate::engine::Failure;
use crate::template::{Expression, Scope, Tree};

/// A compiled `response`.
#[derive(Clone, Debug)]
pub struct Selector {
    pub(super) records: PathSource,
    /// Whether the output is a list.
    pub many: bool,
    /// Whether there must be a record; of a list, whether an answer without anything is none.
    pub(super) required: bool,
    /// What tells records apart that several pages repeat.
    pub(super) unique: Option<JmesPath>,
    /// The connector's shapes, one of which each record takes first.
    pub(super) shapes: Arc<Shapes>,
    pub(super) shape: Option<usize>,
    /// What the action says beside its shape.
    pub(super) own: Shape,
    /// The side lists of `own`.
    pub(super) sides: Vec<Side>,
    /// Whether `set` reads `body`.
    pub(super) keeps_body: bool,
    /// Whether a record keeps what the service sent.
    pub(super) raw: Option<Expression>,
    pub(super) condition: Option<Expression>,
}

impl Selector {
    /// The records of a body; none where those that there must be are missing. `scope` holds `inputs`; `record` and
    /// `body` are put in while it works.
    pub fn select(&self, body: Value, scope: &mut Scope) -> Result<Option<Vec<Value>>, Failure> {
        let own = Sides::gather(&self.sides, &body)?;
        let needs_shapes = self.shape.is_some() || self.own.expand.iter().any(|expand| expand.shape.is_some());
        let shared = Sides::gather(if needs_shapes { &self.shapes.sides } else { &[] }, &body)?;
        let keeps_raw = match &self.raw {
            Some(raw) => raw.is_true(scope).map_err(|error| template_failure(&error))?,
            None => false,
        };
        let Some(records) = self.list(body, scope)? else { return Ok(None) };
        let mut kept = Vec::with_capacity(records.len());
        for mut record in records {
            let raw = keeps_raw.then(|| record.clone());
            if let Some(shape) = self.shape {
                record = self.shapes.apply(shape, record, &shared, scope, 0)?;
            }
            for expand in &self.own.expand {
                expand.put(&mut record, &own, &self.shapes, &shared, scope, 0)?;
            }
            let Some(mut record) = self.finish(record, scope)? else { continue };
            if let (Some(raw), Value::Object(members)) = (raw, &mut record) {
                members.insert("raw".to_owned(), raw);
            }
            kept.push(record);
        }
        scope.take("body");
        Ok(Some(kept))
    }

    /// What tells a record apart, where repeats are left out.
    pub(super) fn identity(&self, record: &Value) -> Result<Option<Value>, Failure> {
        let Some(unique) = &self.unique else { return Ok(None) };
        Ok(Some(unique.search(record)?.into_owned()).filter(|identity| !identity.is_null()))
    }

    /// Whether `set` or `where` reads a root.
    pub fn reads(&self, root: &str) -> bool {
        self.own.set.iter().flat_map(Tree::reads).any(|(_, read)| read.root() == root)
            || self.condition.iter().flat_map(Expression::reads).any(|read| read.root() == root)
    }

    /// Whether the records are a part of the body, so that something else may stand beside them.
    pub fn is_part(&self, scope: &Scope) -> bool {
        self.records.resolve(scope).is_ok_and(|path| path.source() != "@")
    }

    fn list(&self, body: Value, scope: &mut Scope) -> Result<Option<Vec<Value>>, Failure> {
        let path = self.records.resolve(scope)?.into_owned();
        let is_blank = body.is_null() || body.as_object().is_some_and(serde_json::Map::is_empty);
        let found = if self.keeps_body {
            let found = path.search(&body)?.into_owned();
            scope.set("body", body);
            found
        } else {
            path.take(body)?
        };
        Ok(match found {
            Value::Null if self.required && (is_blank || !self.many) => None,
            Value::Null => Some(Vec::new()),
            Value::Array(records) if self.many => Some(records),
            record => Some(vec![record]),
        })
    }

    fn finish(&self, record: Value, scope: &mut Scope) -> Result<Option<Value>, Failure> {
        if self.own.set.is_none() && self.condition.is_none() {
            return Ok(Some(self.own.without_removed(record)));
        }
        let record = self.own.set(record, scope)?;
        scope.set("record", record);
        let is_kept = match &self.condition {
            Some(condition) => condition.is_true(scope).map_err(|error| template_failure(&error))?,
            None => true,
        };
        let record = scope.take("record").unwrap_or(Value::Null);
        Ok(is_kept.then(|| self.own.without_removed(record)))
    }
}

#[cfg(test)]
mod tests;
