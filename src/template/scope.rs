//! What templates read from: a JSON object of roots (`item`, `inputs`, `steps`, …) and the run's clock. Owned
//! by whoever renders; a root is moved in and out, so that no item is cloned to be read.

use serde_json::{Map, Value};

/// The roots that a template can read, and the time that its `now` gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    roots: Map<String, Value>,
    now_ms: Option<i64>,
}

impl Scope {
    /// A scope without roots and without a clock.
    pub fn new() -> Self {
        Scope::default()
    }

    /// Puts a root in place and gives back the one that it replaces.
    pub fn set(&mut self, root: &str, value: Value) -> Option<Value> {
        match self.roots.get_mut(root) {
            Some(place) => Some(std::mem::replace(place, value)),
            None => self.roots.insert(root.to_owned(), value),
        }
    }

    /// Takes a root out.
    pub fn take(&mut self, root: &str) -> Option<Value> {
        self.roots.shift_remove(root)
    }

    /// A root, to look at.
    pub fn get(&self, root: &str) -> Option<&Value> {
        self.roots.get(root)
    }

    /// A root, to change in place.
    pub fn get_mut(&mut self, root: &str) -> Option<&mut Value> {
        self.roots.get_mut(root)
    }

    /// Sets what `now` gives: UTC epoch milliseconds of the run's clock.
    pub fn set_now(&mut self, now_ms: i64) {
        self.now_ms = Some(now_ms);
    }

    /// UTC epoch milliseconds of the run's clock, if it has been set.
    pub fn now_ms(&self) -> Option<i64> {
        self.now_ms
    }

    /// The names of the roots.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.roots.keys().map(String::as_str)
    }
}

impl From<Map<String, Value>> for Scope {
    fn from(roots: Map<String, Value>) -> Self {
        Scope { roots, now_ms: None }
    }
}
