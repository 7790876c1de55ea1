//! From an answer's body to records: `records`, `expand`, `set`, `where`, `remove`, in this order. Records
//! are moved out of the body, not copied, unless a `set` still reads it.

mod jmespath;

pub use self::jmespath::{JmesPath, NotReadable, PathSource, scalar_text};

use std::collections::HashMap;

use serde_json::Value;

use super::template_failure;
use crate::engine::Failure;
use crate::template::{Expression, Scope, Tree};

/// A compiled `response`.
#[derive(Clone, Debug)]
pub struct Selector {
    pub(super) records: PathSource,
    /// Whether the output is a list.
    pub many: bool,
    pub(super) expand: Vec<Expand>,
    pub(super) set: Option<Tree>,
    /// Whether `set` reads `body`.
    pub(super) keeps_body: bool,
    pub(super) condition: Option<Expression>,
    pub(super) remove: Vec<Vec<String>>,
}

/// A side list joined into the records by key.
#[derive(Clone, Debug)]
pub(super) struct Expand {
    pub list: JmesPath,
    pub key: JmesPath,
    pub by: JmesPath,
    pub into: String,
}

type SideList = HashMap<String, Value>;

impl Selector {
    /// The records of a body. `scope` holds `inputs`; `record` and `body` are put in while it works.
    pub fn select(&self, body: Value, scope: &mut Scope) -> Result<Vec<Value>, Failure> {
        let sides =
            self.expand.iter().map(|expand| expand.side_list(&body)).collect::<Result<Vec<SideList>, Failure>>()?;
        let records = self.list(body, scope)?;
        let mut kept = Vec::with_capacity(records.len());
        for mut record in records {
            for (expand, side) in self.expand.iter().zip(&sides) {
                expand.join(&mut record, side)?;
            }
            if let Some(record) = self.shape(record, scope)? {
                kept.push(record);
            }
        }
        scope.take("body");
        Ok(kept)
    }

    /// Whether the records are a part of the body, so that something else may stand beside them.
    pub fn is_part(&self, scope: &Scope) -> bool {
        self.records.resolve(scope).is_ok_and(|path| path.source() != "@")
    }

    fn list(&self, body: Value, scope: &mut Scope) -> Result<Vec<Value>, Failure> {
        let path = self.records.resolve(scope)?.into_owned();
        let found = if self.keeps_body {
            let found = path.search(&body)?.into_owned();
            scope.set("body", body);
            found
        } else {
            path.take(body)?
        };
        Ok(match found {
            Value::Null => Vec::new(),
            Value::Array(records) if self.many => records,
            record => vec![record],
        })
    }

    fn shape(&self, record: Value, scope: &mut Scope) -> Result<Option<Value>, Failure> {
        if self.set.is_none() && self.condition.is_none() {
            return Ok(Some(self.without_removed(record)));
        }
        scope.set("record", record);
        if let Some(set) = &self.set {
            let added = set.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
            if let (Some(Value::Object(record)), Value::Object(added)) = (scope.get_mut("record"), added) {
                record.extend(added);
            }
        }
        let is_kept = match &self.condition {
            Some(condition) => condition.is_true(scope).map_err(|error| template_failure(&error))?,
            None => true,
        };
        let record = scope.take("record").unwrap_or(Value::Null);
        Ok(is_kept.then(|| self.without_removed(record)))
    }

    fn without_removed(&self, mut record: Value) -> Value {
        for path in &self.remove {
            if let Some((last, parents)) = path.split_last() {
                let parent = parents.iter().try_fold(&mut record, |place, name| place.get_mut(name));
                if let Some(Value::Object(members)) = parent {
                    members.shift_remove(last);
                }
            }
        }
        record
    }
}

impl Expand {
    fn side_list(&self, body: &Value) -> Result<SideList, Failure> {
        let list = self.list.search(body)?;
        let elements: &[Value] = match list.as_ref() {
            Value::Array(elements) => elements,
            _ => &[],
        };
        let mut side = HashMap::with_capacity(elements.len());
        for element in elements {
            if let Some(key) = scalar_text(self.key.search(element)?.as_ref()) {
                side.insert(key, element.clone());
            }
        }
        Ok(side)
    }

    /// Puts the element, or the list of elements, that the record refers to into it. What the side list
    /// lacks (deleted, protected) is left out.
    fn join(&self, record: &mut Value, side: &SideList) -> Result<(), Failure> {
        let reference = self.by.search(record)?;
        let found = match reference.as_ref() {
            Value::Array(keys) => {
                let elements: Vec<Value> =
                    keys.iter().filter_map(|key| side.get(&scalar_text(key)?).cloned()).collect();
                (!elements.is_empty()).then_some(Value::Array(elements))
            }
            key => scalar_text(key).and_then(|key| side.get(&key).cloned()),
        };
        if let (Some(found), Value::Object(members)) = (found, record) {
            members.insert(self.into.clone(), found);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
