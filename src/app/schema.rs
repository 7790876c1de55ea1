//! `tidegate schema`: the JSON Schemas of the three kinds of files, for editors.

use serde_json::Value;

use super::{Error, Result};
use crate::manifest::diagnostic::did_you_mean;
use crate::manifest::schema;

/// The kinds of files.
pub const KINDS: [&str; 3] = ["connector", "flow", "settings"];

/// The schema of a kind of files.
///
/// # Errors
/// `schema_unknown`.
pub fn schema(kind: &str) -> Result<Value> {
    let schemas = schema::Schemas::new();
    match kind {
        "connector" => Ok(schemas.connector),
        "flow" => Ok(schemas.flow),
        "settings" => Ok(schemas.settings),
        _ => {
            let help = match did_you_mean(kind, KINDS) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("there are: {}", KINDS.join(", ")),
            };
            Err(Error::usage("schema_unknown", format!("there is no schema `{kind}`")).with_help(help))
        }
    }
}
