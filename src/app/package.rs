//! Packages: connectors, connections and flows in one file, with prompts for what differs from place to place.
//! Reading, asking, checking and adding are apart, so that nothing is added before all of it is known to fit.

mod cerb;
mod export;
mod import;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::export::{Choice, Exported, export};
pub use self::import::{Added, Import, Imported, read};
use super::{Error, Result};
use crate::manifest::validate;
use crate::settings::Connection;
use crate::yaml;

/// A package as written.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub package: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What whoever imports it is asked for; `{{prompts.<name>}}` stands for the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, Prompt>,
    /// Connectors, by name, as their files would have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connectors: BTreeMap<String, Value>,
    /// Connections, by name, as the settings would have them; their secrets are prompts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, Connection>,
    /// Flows, by name, as their files would have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flows: BTreeMap<String, Value>,
    /// Cerb's, from which all of this is made once more when its prompts are answered.
    #[serde(skip)]
    cerb: Option<Value>,
}

/// What whoever imports a package is asked for.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// What is asked for; a text unless given.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is used where nothing is given; without it something must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What there is to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Anything.
    #[default]
    Text,
    /// What must not be shown, and goes into connections alone.
    Secret,
    /// One of `choices`.
    Choice,
}

impl Package {
    /// Reads a package, ours or Cerb's.
    ///
    /// # Errors
    /// `package_unreadable`, `package_invalid`, `prompt_unknown`, `prompt_misplaced`.
    pub fn read(path: &Path) -> Result<Package> {
        let place = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::problem("package_unreadable", format!("{place} cannot be read: {error}")))?;
        let parsed = yaml::parse(&text, 0);
        let root = match (parsed.root, parsed.problems.first()) {
            (Some(root), None) => root,
            (_, problem) => {
                let why = problem.map_or("it is empty", |problem| &problem.message);
                return Err(invalid(&format!("{place} cannot be read: {why}")));
            }
        };
        let value = validate::free(&root);
        let package = match value.get("package") {
            Some(Value::Object(_)) => Package { cerb: Some(value.clone()), ..cerb::convert(&value, None)? },
            _ => serde_json::from_value(value).map_err(|error| invalid(&format!("{place}: {error}")))?,
        };
        package.check()?;
        Ok(package)
    }

    // With what was answered, where names and addresses hang on it.
    fn settle(&mut self, answers: &BTreeMap<String, String>) -> Result<()> {
        if let Some(written) = &self.cerb {
            let package = cerb::convert(written, Some(answers))?;
            package.check()?;
            *self = package;
        }
        Ok(())
    }

    // That every placeholder has a prompt, and secrets go into connections alone.
    fn check(&self) -> Result<()> {
        if !crate::check::is_identifier(&self.package) {
            return Err(invalid(&format!("`{}` cannot be a package's name", self.package)));
        }
        for (name, prompt) in &self.prompts {
            if (prompt.kind == Kind::Choice) == prompt.choices.is_empty() {
                return Err(invalid(&format!("the prompt `{name}`: `type: choice` and `choices` belong together")));
            }
        }
        let value = |of: &BTreeMap<String, Value>| Value::Object(of.clone().into_iter().collect::<Map<_, _>>());
        let connections = serde_json::to_value(&self.connections).unwrap_or_default();
        for (part, may_be_secret) in
            [(value(&self.connectors), false), (value(&self.flows), false), (connections, true)]
        {
            for name in placeholders(&part.to_string()) {
                match self.prompts.get(&name) {
                    None => {
                        let message = format!("`{{{{prompts.{name}}}}}` stands for a prompt that there is not");
                        return Err(Error::problem("prompt_unknown", message).with_help("describe it under `prompts`"));
                    }
                    Some(prompt) if prompt.kind == Kind::Secret && !may_be_secret => {
                        let message = format!("the secret prompt `{name}` stands outside of `connections`");
                        return Err(Error::problem("prompt_misplaced", message)
                            .with_help("files are not sealed: give it to a connection's field"));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// The value with every placeholder replaced by its answer.
fn filled(value: &Value, answers: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(filled_text(text, answers)),
        Value::Array(items) => items.iter().map(|item| filled(item, answers)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), filled(member, answers))).collect())
        }
        other => other.clone(),
    }
}

fn filled_text(text: &str, answers: &BTreeMap<String, String>) -> String {
    let Some(pattern) = placeholder() else { return text.to_owned() };
    let answer = |found: &regex::Captures<'_>| found.get(1).and_then(|name| answers.get(name.as_str()).cloned());
    pattern.replace_all(text, |found: &regex::Captures<'_>| answer(found).unwrap_or_default()).into_owned()
}

fn placeholders(text: &str) -> BTreeSet<String> {
    let Some(pattern) = placeholder() else { return BTreeSet::new() };
    pattern.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str().to_owned())).collect()
}

fn placeholder() -> Option<&'static Regex> {
    static PATTERN: std::sync::OnceLock<Option<Regex>> = std::sync::OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(r"\{\{\s*prompts\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}").ok()).as_ref()
}

fn invalid(message: &str) -> Error {
    Error::problem("package_invalid", message.to_owned())
}
