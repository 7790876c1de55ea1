//! `log.write`: one line in the host's log.

use serde_json::{Value, json};

/// A line to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    is_warning: bool,
    message: String,
    fields: Value,
}

impl Line {
    /// From checked inputs.
    pub fn new(inputs: &Value) -> Line {
        let text = |name: &str| inputs.get(name).and_then(Value::as_str);
        Line {
            is_warning: text("level") == Some("warn"),
            message: text("message").unwrap_or_default().to_owned(),
            fields: inputs.get("fields").cloned().unwrap_or(Value::Null),
        }
    }

    /// What will be written.
    pub fn preview(&self) -> Value {
        let level = if self.is_warning { "warn" } else { "info" };
        json!({"level": level, "message": self.message, "fields": self.fields})
    }

    /// Writes it under the target `flow`.
    pub fn write(self) -> Value {
        let fields = match &self.fields {
            Value::Null => None,
            fields => Some(tracing::field::display(fields)),
        };
        match self.is_warning {
            true => tracing::warn!(target: "flow", fields, "{}", self.message),
            false => tracing::info!(target: "flow", fields, "{}", self.message),
        }
        json!({"message": self.message})
    }
}
