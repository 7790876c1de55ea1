//! `tidegate connectors`: what connectors there are and what they can do.

use serde::Serialize;
use serde_json::Value;

use super::{Error, Project, Result};

/// One connector in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its version.
    pub version: Option<String>,
    /// `embedded`, or its file.
    pub origin: String,
    /// The names of its actions.
    pub actions: Vec<String>,
    /// The names of its triggers.
    pub triggers: Vec<String>,
}

/// A connector as documentation.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: Row,
    /// What it is for.
    pub description: Option<String>,
    /// Its hosts, by name.
    pub hosts: std::collections::BTreeMap<String, String>,
    /// What an account needs.
    pub fields: Vec<Input>,
    /// What steps can call.
    pub operations: Vec<Operation>,
}

/// An action or a trigger.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    /// `action` or `trigger`.
    pub kind: &'static str,
    /// `x.search_tweets`
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// What makes a repeat safe: `read`, `natural`, `key`, `lookup`, `none`; of a trigger how often it polls.
    pub note: String,
    /// What it is given.
    pub inputs: Vec<Input>,
}

/// An input, or a field of a connection.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// `string`, `integer`, `string (phone)`, ...
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is masked.
    pub secret: bool,
    /// What is used where none is given.
    pub default: Option<Value>,
    /// What people call it, or what it is for.
    pub title: Option<String>,
}

/// Every connector, by name.
pub fn list(project: &Project) -> Vec<Row> {
    let _ = project;
    Vec::new()
}

/// One connector, as documentation.
///
/// # Errors
/// `connector_unknown`, with a did-you-mean.
pub fn show(project: &Project, name: &str) -> Result<Detail> {
    let _ = (project, name);
    Err(Error::problem("unfinished", "unfinished"))
}
