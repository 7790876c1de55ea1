//! What was written: connectors, flows and settings as plain data, with the place of every value kept
//! beside it. Nothing here decides whether it makes sense together (that is `check`) or runs it.

pub mod catalog;
pub mod composite;
pub mod connector;
pub mod diagnostic;
pub mod duration;
pub mod embedded;
mod file;
pub mod flow;
mod folder;
pub mod input;
mod loader;
mod merge;
pub mod problem;
pub mod schema;
pub mod source;
mod tree;
pub mod typed;
pub mod typing;
pub mod validate;

pub use catalog::{Catalog, Loaded, Origin};
pub use connector::Connector;
pub use diagnostic::{Diagnostic, Severity};
pub use duration::Duration;
pub use flow::Flow;
pub use input::{Input, Inputs};
pub use problem::Problem;
pub use source::Source;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that may be written alone or as a list.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// `use: tweets`
    One(T),
    /// `use: [tweets, users]`
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    /// The written values in their order, however many.
    pub fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::One(value) => std::slice::from_ref(value),
            OneOrMany::Many(values) => values,
        }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}
