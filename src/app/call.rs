//! `tidegate call`: one action of a connector, through the same executor as any step.

use serde::Serialize;
use serde_json::Value;

use super::{Error, Place, Result};

/// What an action is given: values as a person writes them, or JSON.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `name=value`, typed by the action's schema; the same name again makes a list.
    pub pairs: Vec<String>,
    /// All inputs as one JSON object; pairs win.
    pub json: Option<Value>,
}

/// What came of a call.
#[derive(Clone, Debug, Serialize)]
pub struct Called {
    /// `x.search_tweets`
    pub action: String,
    /// The account.
    pub connection: Option<String>,
    /// `succeeded`, `partially_successful` or `failed`.
    pub status: String,
    /// What a step would see.
    pub output: Value,
    /// What the service told beside it.
    pub problems: Vec<String>,
    /// Every request with its answer, secrets masked.
    pub exchanges: Vec<Value>,
    /// The output for people.
    #[serde(skip)]
    pub table: Table,
}

/// Records as rows of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Paths of members: `id`, `author.username`.
    pub columns: Vec<String>,
    /// A text per column.
    pub rows: Vec<Vec<String>>,
}

/// Calls an action once, every page and element of it.
///
/// # Errors
/// `action_unknown`, `input_...`, `connection_...` before anything is sent; the service's refusal after.
pub async fn call(place: &Place, action: &str, inputs: Inputs, connection: Option<&str>) -> Result<Called> {
    let _ = (place, action, inputs, connection);
    Err(Error::problem("unfinished", "unfinished"))
}
