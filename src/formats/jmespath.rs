//! JMESPath: that an expression can be read, and that the functions at its top exist.

use jpx_core::{ErrorReason, Expression, RuntimeError};
use serde_json::Value;

/// What to write instead of what cannot be read.
pub const EXAMPLES: &str = "write for example `data.items`, `items[0].id` or `detail || message`";

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It cannot be read: why, and characters into it, from 0.
    Unreadable(String, usize),
    /// It asks for a function that there is not.
    Function(String),
}

/// Reads an expression.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str) -> Result<Expression<'static>, Wrong> {
    let compiled = jpx_core::compile(text).map_err(|error| Wrong::Unreadable(reason(&error.reason), error.offset))?;
    // Functions are looked up when they are called; nothing to select from is enough to find those at the top.
    if let Err(error) = compiled.search(&Value::Null)
        && let ErrorReason::Runtime(RuntimeError::UnknownFunction(name)) = &error.reason
    {
        return Err(Wrong::Function(name.clone()));
    }
    Ok(compiled)
}

/// Whether a text is an expression; the error says why not.
pub fn validate(text: &str) -> Result<(), String> {
    match read(text) {
        Ok(_) => Ok(()),
        Err(Wrong::Unreadable(reason, _)) => Err(reason),
        Err(Wrong::Function(name)) => Err(format!("there is no function `{name}`")),
    }
}

fn reason(reason: &ErrorReason) -> String {
    match reason {
        ErrorReason::Parse(message) if message.ends_with("found Eof") => "it ends too early".to_owned(),
        ErrorReason::Parse(message) => message.clone(),
        other => other.to_string(),
    }
}
