//! Where the values of connection fields come from: written down, the environment, or a file. Values are
//! read when a connection is bound and never written anywhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::settings::Source;

/// Reads the sources of one project.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    directory: PathBuf,
    environment: Environment,
}

/// The environment that `{env: NAME}` reads.
#[derive(Clone, Debug, Default)]
enum Environment {
    #[default]
    Process,
    Fixed(BTreeMap<String, String>),
}

impl Secrets {
    /// The process's environment, and files relative to the project's directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Secrets { directory: directory.into(), environment: Environment::Process }
    }

    /// The same with an environment of its own, for trying and for tests.
    #[must_use]
    pub fn with_environment(mut self, environment: BTreeMap<String, String>) -> Self {
        self.environment = Environment::Fixed(environment);
        self
    }

    /// A field's value. The error says what is missing and where it was looked for, never a value.
    pub fn read(&self, source: &Source) -> Result<Value, String> {
        match source {
            Source::Value(value) => Ok(value.clone()),
            Source::Env { env } => self
                .variable(env)
                .filter(|value| !value.is_empty())
                .map(Value::String)
                .ok_or_else(|| format!("the environment variable `{env}` is not set")),
            Source::File { file } => {
                let path = self.directory.join(file);
                match std::fs::read_to_string(&path) {
                    Ok(text) => Ok(Value::from(text.trim_end_matches(['\r', '\n']))),
                    Err(error) => Err(format!("the file {} cannot be read: {error}", path.display())),
                }
            }
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        match &self.environment {
            Environment::Process => std::env::var(name).ok(),
            Environment::Fixed(values) => values.get(name).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_where_they_are_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "abc\n").unwrap();
        let environment = BTreeMap::from([("KEY".to_owned(), "k1".to_owned()), ("EMPTY".to_owned(), String::new())]);
        let secrets = Secrets::new(folder.path()).with_environment(environment);
        let env = |name: &str| Source::Env { env: name.to_owned() };
        let file = |name: &str| Source::File { file: name.to_owned() };
        assert_eq!(secrets.read(&env("KEY")).unwrap(), "k1");
        assert_eq!(secrets.read(&file("token")).unwrap(), "abc");
        assert_eq!(secrets.read(&Source::Value(Value::from(5))).unwrap(), 5);
        assert!(secrets.read(&env("EMPTY")).unwrap_err().contains("`EMPTY` is not set"));
        assert!(secrets.read(&env("NONE")).unwrap_err().contains("`NONE`"));
        assert!(secrets.read(&file("none")).unwrap_err().contains("none cannot be read"));
    }
}
