//! `/health`: whether the host works, in one look.

use serde::Serialize;

use super::{Error, Result, Time, View};

/// How a host is.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// `working`, or `attention` where a flow, a connection or a file wants a person.
    pub status: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// When the host started.
    pub since: Time,
    /// Runs that are not over.
    pub backlog: u64,
    /// Flows by state.
    pub flows: std::collections::BTreeMap<String, u64>,
    /// What wants a person, in words.
    pub attention: Vec<String>,
}

/// How the host is that has worked since `since`.
pub async fn health(view: &View, since: Time) -> Result<Health> {
    let _ = (view, since);
    Err(Error::problem("unfinished", "unfinished"))
}
