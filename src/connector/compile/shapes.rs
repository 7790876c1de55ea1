//! Compiles `shapes` and `expand`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::selector::{Expand, Join, Shape, Shapes, Side};
use super::{path, tree, unknown};
use crate::manifest::connector::{self as written};
use crate::manifest::problem::Problem;

/// Reads the named shapes of a connector.
pub fn shapes(written: &BTreeMap<String, written::Shape>, problems: &mut Vec<Problem>) -> Shapes {
    let mut shapes =
        Shapes { names: written.keys().cloned().collect(), all: Vec::with_capacity(written.len()), sides: Vec::new() };
    for (name, shape) in written {
        let pointer = format!("/shapes/{name}");
        let compiled = Shape {
            expand: expands(&shape.expand, &shapes.names, &mut shapes.sides, &pointer, problems),
            set: set(&shape.set, &pointer, problems),
            remove: shape.remove.as_slice().iter().map(|path| steps(path)).collect(),
        };
        shapes.all.push(compiled);
    }
    shapes
}

/// Reads `expand`; the side lists that it joins are added to `sides`, each once.
pub fn expands(
    written: &[written::Expand],
    names: &[String],
    sides: &mut Vec<Side>,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Expand> {
    let mut all = Vec::with_capacity(written.len());
    for (place, expand) in written.iter().enumerate() {
        let pointer = format!("{pointer}/expand/{place}");
        let mut at = |source: &String, name: &str| path(source, &format!("{pointer}/{name}"), problems);
        let from = expand.from.as_ref().map(|from| at(from, "from"));
        let join = match (&expand.list, &expand.key, &expand.by) {
            (Some(list), Some(key), Some(by)) => {
                let (list, key, by) = (at(list, "list"), at(key, "key"), at(by, "by"));
                let known = sides
                    .iter()
                    .position(|side| side.list.source() == list.source() && side.key.source() == key.source());
                let side = known.unwrap_or_else(|| {
                    sides.push(Side { list, key });
                    sides.len() - 1
                });
                Some(Join { side, by })
            }
            (None, None, None) if from.is_some() => None,
            _ => {
                let message = "a value comes `from` the record, or from a side `list` by `key` and `by`";
                problems.push(Problem::new(&pointer, "expand_incomplete", message));
                None
            }
        };
        let shape = expand.shape.as_ref().and_then(|name| named(name, names, &format!("{pointer}/shape"), problems));
        all.push(Expand { from, join, into: expand.into.clone(), shape });
    }
    all
}

/// The place of a shape among the connector's.
pub fn named(name: &String, names: &[String], pointer: &str, problems: &mut Vec<Problem>) -> Option<usize> {
    let found = names.iter().position(|known| known == name);
    if found.is_none() {
        problems.push(unknown("shape", name, pointer, names.iter()));
    }
    found
}

/// The members that it makes.
pub fn set(
    written: &serde_json::Map<String, Value>,
    pointer: &str,
    problems: &mut Vec<Problem>,
) -> Option<crate::template::Tree> {
    (!written.is_empty()).then(|| tree(&Value::Object(written.clone()), &format!("{pointer}/set"), problems)).flatten()
}

/// The steps of a dotted path.
pub fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}
