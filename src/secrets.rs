//! The values of a connection's fields: from the environment, from a file, or as written. A value never gets
//! into a message; errors name the variable or the path. Called when connections are bound.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::settings::Source;

/// The largest secret file that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// A value that no log and no message shows.
#[derive(Clone, PartialEq)]
pub struct Secret(Value);

/// Where values are looked up.
#[derive(Clone)]
pub struct Secrets {
    environment: Environment,
    /// What relative paths are relative to.
    directory: PathBuf,
}

#[derive(Clone)]
enum Environment {
    Process,
    Given(BTreeMap<String, String>),
}

/// Why a value is not to be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Missing {
    /// `secret_not_set`, `secret_empty`, `secret_unreadable` or `secret_not_text`.
    pub code: &'static str,
    /// What is wrong with which variable or file.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Secret {
    /// Wraps a value.
    pub fn new(value: Value) -> Self {
        Secret(value)
    }

    /// The value itself. Whoever asks takes care of where it goes.
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// The value as it is written into a header: text as it is, anything else as JSON.
    pub fn expose_text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

impl Secrets {
    /// The process's environment, and files relative to the project's folder.
    pub fn new(directory: &Path) -> Self {
        Secrets {
            environment: Environment::Process,
            directory: directory.to_owned(),
        }
    }

    /// The same with these variables instead of the process's.
    pub fn with_environment(mut self, variables: BTreeMap<String, String>) -> Self {
        self.environment = Environment::Given(variables);
        self
    }

    /// The value of a field.
    ///
    /// # Errors
    /// [`Missing`] when the variable is not set, the file can not be read, or either is empty or no text.
    pub fn resolve(&self, source: &Source) -> Result<Secret, Missing> {
        match source {
            Source::Value(value) => Ok(Secret::new(value.clone())),
            Source::Env { env } => self.variable(env),
            Source::File { file } => self.file(file),
        }
    }

    fn variable(&self, name: &str) -> Result<Secret, Missing> {
        let value = match &self.environment {
            Environment::Given(variables) => variables.get(name).cloned(),
            Environment::Process => std::env::var_os(name)
                .map(std::ffi::OsString::into_string)
                .transpose()
                .map_err(|_| {
                    let message = format!("the environment variable {name} is not UTF-8");
                    missing("secret_not_text", message, "set it to text".to_owned())
                })?,
        };
        match value {
            None => Err(missing(
                "secret_not_set",
                format!("the environment variable {name} is not set"),
                format!("set it before starting: export {name}=..."),
            )),
            Some(value) if value.is_empty() => Err(missing(
                "secret_empty",
                format!("the environment variable {name} is empty"),
                format!("give it a value: export {name}=..."),
            )),
            Some(value) => Ok(Secret::new(value.into())),
        }
    }

    fn file(&self, path: &str) -> Result<Secret, Missing> {
        let unreadable = |error: std::io::Error| {
            missing(
                "secret_unreadable",
                format!("the secret file {path} can not be read: {error}"),
                "check that it is there and that this user may read it; relative paths begin at the project's folder".to_owned(),
            )
        };
        let mut bytes = Vec::new();
        std::fs::File::open(self.directory.join(path))
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            let message = format!("the secret file {path} is larger than 64 KiB");
            let help = "name the file that holds nothing but the secret".to_owned();
            return Err(missing("secret_unreadable", message, help));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            let message = format!("the secret file {path} is not UTF-8");
            missing(
                "secret_not_text",
                message,
                "write the secret into it as text".to_owned(),
            )
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            let message = format!("the secret file {path} is empty");
            return Err(missing(
                "secret_empty",
                message,
                "write the secret into it".to_owned(),
            ));
        }
        Ok(Secret::new(text.into()))
    }
}

fn missing(code: &'static str, message: String, help: String) -> Missing {
    Missing {
        code,
        message,
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolve(field: Value) -> Result<Secret, Missing> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\r\n").unwrap();
        std::fs::write(folder.path().join("blank"), "\n").unwrap();
        std::fs::write(folder.path().join("bytes"), [0xFF, 0xFE]).unwrap();
        std::fs::write(folder.path().join("large"), vec![b'a'; 70_000]).unwrap();
        let variables = [("TOKEN", "t0ken"), ("BLANK", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Secrets::new(folder.path())
            .with_environment(variables.into())
            .resolve(&serde_json::from_value(field).unwrap())
    }

    #[test]
    fn values_come_from_where_they_are_said_to_be() {
        for (field, value) in [
            (json!({"env": "TOKEN"}), json!("t0ken")),
            (json!({"file": "token"}), json!("s3cret")),
            (json!("as written"), json!("as written")),
            (json!(5), json!(5)),
        ] {
            assert_eq!(resolve(field).unwrap().expose(), &value);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (field, code, name) in [
            (json!({"env": "NOPE"}), "secret_not_set", "NOPE"),
            (json!({"env": "BLANK"}), "secret_empty", "BLANK"),
            (json!({"file": "nope"}), "secret_unreadable", "nope"),
            (json!({"file": "blank"}), "secret_empty", "blank"),
            (json!({"file": "bytes"}), "secret_not_text", "bytes"),
            (json!({"file": "large"}), "secret_unreadable", "large"),
        ] {
            let missing = resolve(field).unwrap_err();
            assert_eq!(missing.code, code);
            assert!(missing.message.contains(name), "{missing}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = resolve(json!({"file": "token"})).unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
    }
}
