//! JSON as it is given on a command line: itself, `@FILE`, or `-` for standard input.

use std::io::Read;

use serde_json::Value;

use crate::app::{Error, Result};

/// Reads the JSON that an option gives.
///
/// # Errors
/// `json_unreadable`: the file, or standard input, can not be read; `json_invalid`: what it holds is no JSON.
pub fn json(option: &str, given: &str) -> Result<Value> {
    let (text, place) = match given.strip_prefix('@') {
        Some(path) => (std::fs::read_to_string(path), format!("the file {path}")),
        None if given == "-" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            (read.map(|_| text), "standard input".to_owned())
        }
        None => (Ok(given.to_owned()), format!("`{option}`")),
    };
    let text = text.map_err(|error| {
        Error::usage("json_unreadable", format!("{place} can not be read: {error}"))
            .with_help(format!("`{option}` takes JSON, `@FILE`, or `-` for standard input"))
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Error::usage("json_invalid", format!("{place} is no JSON: {error}"))
            .with_help(format!("write for example {option} '{{\"text\": \"Hello\"}}', or {option} @FILE"))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn json_is_given_as_itself_or_in_a_file() {
        assert_eq!(json("--item", r#"{"id": "1"}"#).unwrap(), serde_json::json!({"id": "1"}));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[1]").unwrap();
        let given = format!("@{}", file.path().display());
        assert_eq!(json("--item", &given).unwrap(), serde_json::json!([1]));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let error = json("--item", "{id: 1}").unwrap_err();
        assert_eq!(error.code, "json_invalid");
        assert!(error.message.contains("`--item`") && error.message.contains("line 1"), "{}", error.message);
        assert_eq!(json("--item", "@/nowhere/at/all").unwrap_err().code, "json_unreadable");
    }
}
