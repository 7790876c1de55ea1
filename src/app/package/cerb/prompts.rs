//! What a package of Cerb asks for, and what stands for it: in the fields of accounts as our placeholders, in names
//! and addresses as the answers themselves, since these say what a connection is and of what.

use std::collections::BTreeMap;

use regex::{Captures, Regex};
use serde_json::Value;

use super::{Kind, Prompt, invalid, text};
use crate::app::{Error, Result};

/// What stands for an address that is not known before the prompts are answered.
const UNKNOWN: &str = "https://prompts.invalid/unknown";

/// The prompts and, once there are any, what was answered.
pub(super) struct Answers<'a> {
    pub prompts: &'a BTreeMap<String, Prompt>,
    pub given: Option<&'a BTreeMap<String, String>>,
}

impl Answers<'_> {
    /// A name with its answers; with the names of the prompts while there are none.
    pub fn name(&self, written: &str) -> Result<String> {
        let Some(pattern) = pattern() else { return Ok(written.to_owned()) };
        for found in pattern.captures_iter(written) {
            self.known(found.get(1).map_or("", |key| key.as_str()))?;
        }
        let answer = |found: &Captures<'_>| {
            let key = found.get(1).map_or("", |key| key.as_str());
            self.given.and_then(|given| given.get(key)).map_or(key, String::as_str).to_owned()
        };
        Ok(pattern.replace_all(written, answer).into_owned())
    }

    /// An address with its answers; another one while there are none.
    pub fn address(&self, written: &str) -> Result<String> {
        let filled = self.name(written)?;
        Ok(if self.given.is_none() && filled != written { UNKNOWN.to_owned() } else { filled })
    }

    // Names and addresses are shown and stand in files, which are not sealed.
    fn known(&self, key: &str) -> Result<()> {
        match self.prompts.get(key) {
            None => {
                let message = format!("`{{{{{{{key}}}}}}}` stands for a prompt that there is not");
                Err(Error::problem("prompt_unknown", message).with_help("describe it under `prompts`"))
            }
            Some(prompt) if prompt.kind == Kind::Secret => {
                let message = format!("the secret prompt `{key}` stands in a name or an address");
                Err(Error::problem("prompt_misplaced", message).with_help("give it to an account's key or token"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// `{{{prompt_key}}}` as our placeholder.
pub(super) fn ours(text: &str) -> String {
    match pattern() {
        Some(pattern) => pattern.replace_all(text, "{{prompts.$1}}").into_owned(),
        None => text.to_owned(),
    }
}

/// A prompt as ours.
pub(super) fn asked(prompt: &Value, key: &str) -> Result<Prompt> {
    let written = text(prompt, "/type").unwrap_or("text");
    let is_secret = ["secret", "token", "password"].iter().any(|word| key.to_ascii_lowercase().contains(word));
    let default = text(prompt, "/params/default").filter(|default| !default.is_empty());
    let choices = options(prompt.pointer("/params/options").unwrap_or(&Value::Null));
    let kind = match (written, choices.is_empty(), is_secret) {
        // It lists records of Cerb itself, which there are none of here.
        ("chooser", true, _) => {
            let message = format!("the prompt `{key}` chooses among records of Cerb, which there are none of here");
            return Err(invalid(&message).with_help("make it a `text`, or a `picklist` with `options`"));
        }
        ("text" | "picklist" | "chooser", false, _) => Kind::Choice,
        ("text", true, true) => Kind::Secret,
        ("text", true, false) => Kind::Text,
        ("picklist", true, _) => {
            return Err(
                invalid(&format!("the prompt `{key}` has nothing to choose from")).with_help("give it `options`")
            );
        }
        (other, ..) => {
            let message = format!("the prompt `{key}` is of the type `{other}`, which is not understood");
            return Err(invalid(&message).with_help("`text`, `picklist` and `chooser` are"));
        }
    };
    Ok(Prompt {
        kind,
        title: text(prompt, "/label").map(str::to_owned),
        description: text(prompt, "/params/placeholder").filter(|text| !text.is_empty()).map(str::to_owned),
        default: default.map(str::to_owned),
        choices,
    })
}

// A list of texts, or an object whose names are chosen.
fn options(written: &Value) -> Vec<String> {
    match written {
        Value::Array(options) => options.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(options) => options.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn pattern() -> Option<&'static Regex> {
    static PATTERN: std::sync::OnceLock<Option<Regex>> = std::sync::OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(r"\{\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\}").ok()).as_ref()
}
