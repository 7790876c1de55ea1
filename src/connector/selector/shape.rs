//! What a record becomes: values put into it (elements of side lists, parts of itself), each in a shape of its
//! own, then members made, then members taken out. Shapes refer to shapes: a tweet holds the tweet that it
//! quotes; how deep that goes is bounded.

use std::collections::HashMap;

use serde_json::Value;

use super::{JmesPath, scalar_text};
use crate::connector::template_failure;
use crate::engine::Failure;
use crate::template::{Scope, Tree};

/// How deep shapes lie within shapes; below, values stay as they are.
const MAX_DEPTH: usize = 4;

/// The named shapes of a connector, compiled once.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    pub names: Vec<String>,
    pub all: Vec<Shape>,
    /// The side lists that they join.
    pub sides: Vec<Side>,
}

/// What a record becomes.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub expand: Vec<Expand>,
    pub set: Option<Tree>,
    pub remove: Vec<Vec<String>>,
}

/// A value put into a record.
#[derive(Clone, Debug)]
pub struct Expand {
    pub from: Option<JmesPath>,
    pub join: Option<Join>,
    pub into: String,
    pub shape: Option<usize>,
}

/// An element of a side list, by the key that the record has.
#[derive(Clone, Debug)]
pub struct Join {
    /// Its place among the side lists.
    pub side: usize,
    pub by: JmesPath,
}

/// A list of the body, by key.
#[derive(Clone, Debug)]
pub struct Side {
    pub list: JmesPath,
    pub key: JmesPath,
}

/// The side lists of one body.
pub struct Sides(Vec<HashMap<String, Value>>);

impl Shapes {
    /// Gives a record a shape.
    pub fn apply(
        &self,
        shape: usize,
        mut record: Value,
        sides: &Sides,
        scope: &mut Scope,
        depth: usize,
    ) -> Result<Value, Failure> {
        let Some(shape) = self.all.get(shape).filter(|_| depth < MAX_DEPTH && record.is_object()) else {
            return Ok(record);
        };
        for expand in &shape.expand {
            expand.put(&mut record, sides, self, sides, scope, depth)?;
        }
        let record = shape.set(record, scope)?;
        Ok(shape.without_removed(record))
    }
}

impl Shape {
    /// Adds the members that it makes.
    pub fn set(&self, record: Value, scope: &mut Scope) -> Result<Value, Failure> {
        let Some(set) = &self.set else { return Ok(record) };
        scope.set("record", record);
        let added = set.evaluate_pruned(scope).map_err(|error| template_failure(&error))?;
        let mut record = scope.take("record").unwrap_or(Value::Null);
        if let (Value::Object(record), Value::Object(added)) = (&mut record, added) {
            record.extend(added);
        }
        Ok(record)
    }

    /// Takes out what it does not keep.
    pub fn without_removed(&self, mut record: Value) -> Value {
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
    /// Puts what the record holds or refers to into it. `sides` are those that its own `join` counts; `shared`
    /// those of the shapes. What a side list lacks (deleted, protected) is left out.
    pub fn put(
        &self,
        record: &mut Value,
        sides: &Sides,
        shapes: &Shapes,
        shared: &Sides,
        scope: &mut Scope,
        depth: usize,
    ) -> Result<(), Failure> {
        let Some(found) = self.find(record, sides)? else { return Ok(()) };
        let found = match self.shape {
            None => found,
            Some(shape) => {
                let mut shaped = |value| shapes.apply(shape, value, shared, scope, depth + 1);
                match found {
                    Value::Array(elements) => Value::Array(elements.into_iter().map(shaped).collect::<Result<_, _>>()?),
                    one => shaped(one)?,
                }
            }
        };
        if let Value::Object(members) = record {
            members.insert(self.into.clone(), found);
        }
        Ok(())
    }

    fn find(&self, record: &Value, sides: &Sides) -> Result<Option<Value>, Failure> {
        if let Some(from) = &self.from {
            let found = from.search(record)?.into_owned();
            if !found.is_null() {
                return Ok(Some(found));
            }
        }
        let Some(join) = &self.join else { return Ok(None) };
        let Some(side) = sides.0.get(join.side).filter(|side| !side.is_empty()) else { return Ok(None) };
        let reference = join.by.search(record)?;
        Ok(match reference.as_ref() {
            Value::Array(keys) => {
                let elements: Vec<Value> =
                    keys.iter().filter_map(|key| side.get(&scalar_text(key)?).cloned()).collect();
                (!elements.is_empty()).then_some(Value::Array(elements))
            }
            key => scalar_text(key).and_then(|key| side.get(&key).cloned()),
        })
    }
}

impl Sides {
    /// Reads the side lists of a body.
    pub fn gather(sides: &[Side], body: &Value) -> Result<Sides, Failure> {
        sides.iter().map(|side| side.read(body)).collect::<Result<_, _>>().map(Sides)
    }
}

impl Side {
    fn read(&self, body: &Value) -> Result<HashMap<String, Value>, Failure> {
        let list = self.list.search(body)?;
        let elements: &[Value] = match list.as_ref() {
            Value::Array(elements) => elements,
            _ => &[],
        };
        let mut read = HashMap::with_capacity(elements.len());
        for element in elements {
            if let Some(key) = scalar_text(self.key.search(element)?.as_ref()) {
                read.insert(key, element.clone());
            }
        }
        Ok(read)
    }
}
