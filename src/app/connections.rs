//! `tidegate connections`: the configured accounts, how they are, and whether they work.

use serde::Serialize;

use super::{Error, Place, Result, Time, View};

/// One account in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is an account of.
    pub connector: String,
    /// What it is for.
    pub description: Option<String>,
    /// `working`, `attention`, `suspended`, `inactive` (switched off) or `unknown` (never used).
    pub state: String,
    /// Why it does not work.
    pub reason: Option<String>,
    /// When that was found out.
    pub checked_at: Option<Time>,
    /// The service's limit is reached until then.
    pub blocked_until: Option<Time>,
    /// The flows that use it.
    pub flows: Vec<String>,
}

/// What a test found.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// The account.
    pub name: String,
    /// Whether it works.
    pub works: bool,
    /// The action that was asked, as `x.get_me`.
    pub action: Option<String>,
    /// What the service said, in words.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// How long it took.
    pub elapsed_ms: i64,
    /// Flows whose polls go on now.
    pub resumed: Vec<String>,
}

/// Every configured account, by name.
pub async fn list(view: &View) -> Result<Vec<Row>> {
    let _ = view;
    Err(Error::problem("unfinished", "unfinished"))
}

/// Asks the service whether accounts work (the named one, or all), and records what it says. Polls that were
/// stopped because of an account that works again go on.
///
/// # Errors
/// `connection_unknown`, `connector_untested` and the store's. That an account does not work is no error
/// here: see [`Tested::works`].
pub async fn test(place: &Place, name: Option<&str>) -> Result<Vec<Tested>> {
    let _ = (place, name);
    Err(Error::problem("unfinished", "unfinished"))
}
