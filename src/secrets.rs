//! Where the values of connection fields come from: written down, the environment, a file, a vault, or sealed in the
//! store. Values are read when a connection is bound and never written anywhere.

pub mod key;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::sealing::Key;
use crate::settings::Source;

/// What was read from the vault, by `PATH#KEY`: the value, or in words why there is none.
pub type Vaulted = BTreeMap<String, Result<Value, String>>;

/// Reads the sources of one project.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    directory: PathBuf,
    environment: Environment,
    key: Option<Arc<Key>>,
    /// Why there is no key.
    keyless: Option<Arc<str>>,
    vaulted: Arc<Vaulted>,
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
        Secrets { directory: directory.into(), environment: Environment::Process, ..Secrets::default() }
    }

    /// The same with an environment of its own, for trying and for tests.
    #[must_use]
    pub fn with_environment(mut self, environment: BTreeMap<String, String>) -> Self {
        self.environment = Environment::Fixed(environment);
        self
    }

    /// The same with the key that sealed values open with.
    #[must_use]
    pub fn with_key(mut self, key: Option<Arc<Key>>) -> Self {
        self.key = key;
        self.keyless = None;
        self
    }

    /// The same with why sealed values cannot be opened.
    #[must_use]
    pub fn without_key(mut self, why: &str) -> Self {
        self.key = None;
        self.keyless = Some(why.into());
        self
    }

    /// The same with what was read from the vault: reading that is not done here.
    #[must_use]
    pub fn with_vaulted(mut self, vaulted: Vaulted) -> Self {
        self.vaulted = Arc::new(vaulted);
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
            Source::File { file } => self.file(file).map(|text| Value::from(text.trim_end_matches(['\r', '\n']))),
            Source::Vault { vault } => match self.vaulted.get(vault) {
                Some(read) => read.clone(),
                None => Err(format!("`{vault}` was not read from the vault")),
            },
            Source::Sealed(sealed) => {
                let Some(key) = &self.key else {
                    let why = self.keyless.as_deref().unwrap_or("the sealing key is not at hand");
                    return Err(format!("`{}` is sealed, and {why}", sealed.identity.field));
                };
                let text = key
                    .open(sealed)
                    .map_err(|error| format!("`{}` cannot be opened: {error}", sealed.identity.field))?;
                serde_json::from_str(&text).map_err(|_| "it holds no value: it was altered".to_owned())
            }
        }
    }

    /// The content of a file, its path relative to the project's directory.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub fn file(&self, path: &str) -> Result<String, String> {
        let path = self.directory.join(path);
        std::fs::read_to_string(&path).map_err(|error| format!("the file {} cannot be read: {error}", path.display()))
    }

    /// An environment variable.
    pub fn variable(&self, name: &str) -> Option<String> {
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
