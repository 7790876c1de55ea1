//! What makes two records the same item: a field, several, or a hash.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::selector::{PathSource, scalar_text};
use crate::engine::Failure;
use crate::template::Scope;

/// A compiled `key`.
#[derive(Clone, Debug)]
pub enum Key {
    /// One field, as its text; a field that is a list or an object counts by its hash.
    Field(PathSource),
    /// Several, as a JSON list of texts, which keeps `["a", "bc"]` and `["ab", "c"]` apart.
    Fields(Vec<PathSource>),
    /// The hash of the values, or of the whole record where there are none.
    Hash(Vec<PathSource>),
}

impl Key {
    /// The key of a record. `scope` holds the trigger's `inputs`. A record without it fails loudly: without
    /// a key it would be lost or repeated.
    pub fn of(&self, record: &Value, scope: &Scope) -> Result<String, Failure> {
        match self {
            Key::Field(path) => part(path, record, scope),
            Key::Fields(paths) => {
                let parts = paths.iter().map(|path| part(path, record, scope).map(Value::String)).collect::<Result<
                    Vec<Value>,
                    Failure,
                >>(
                )?;
                Ok(Value::Array(parts).to_string())
            }
            Key::Hash(paths) if paths.is_empty() => Ok(hash(record)),
            Key::Hash(paths) => {
                let parts = paths
                    .iter()
                    .map(|path| Ok(path.resolve(scope)?.search(record)?.into_owned()))
                    .collect::<Result<Vec<Value>, Failure>>()?;
                Ok(hash(&Value::Array(parts)))
            }
        }
    }
}

/// SHA-256 over the canonical JSON (members sorted by name), in hexadecimal.
pub fn hash(value: &Value) -> String {
    let mut canonical = String::new();
    write_canonical(value, &mut canonical);
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(canonical.as_bytes()) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn part(path: &PathSource, record: &Value, scope: &Scope) -> Result<String, Failure> {
    let path = path.resolve(scope)?;
    let value = path.search(record)?;
    match value.as_ref() {
        Value::Null => Err(Failure::not_sent(
            "key_missing",
            format!("a record has no `{}`, which its trigger's key reads", path.source()),
        )
        .with_help("name a field that every record has, or `{hash: record}`")),
        Value::Array(_) | Value::Object(_) => Ok(hash(value.as_ref())),
        scalar => Ok(scalar_text(scalar).unwrap_or_default()),
    }
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (position, (name, member)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_canonical(element, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
