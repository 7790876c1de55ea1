//! Inputs with `format: file`: what is given must be a file that may be read, of an accepted type and not too
//! large. Checked while a call is prepared, before anything is sent.

use serde_json::Value;

use super::{Folders, Found, kind};
use crate::connector::compile::tree;
use crate::connector::template_failure;
use crate::engine::Failure;
use crate::manifest::Input;
use crate::manifest::input::is_file;
use crate::manifest::problem::Problem;
use crate::template::{Scope, Tree};

/// An input that takes a file, or a list of them.
#[derive(Debug)]
pub struct FileInput {
    name: String,
    /// Media types; any where it is empty.
    accept: Vec<String>,
    max_bytes: Option<Tree>,
}

impl FileInput {
    /// None for an input that takes no file.
    pub fn compile(name: &str, input: &Input, pointer: &str, problems: &mut Vec<Problem>) -> Option<FileInput> {
        let max_bytes = input.max_bytes.as_ref();
        let max_bytes = max_bytes.and_then(|value| tree(value, &format!("{pointer}/max_bytes"), problems));
        is_file(&input.schema).then(|| FileInput {
            name: name.to_owned(),
            accept: input.accept.as_slice().to_vec(),
            max_bytes,
        })
    }

    /// Whether its limit reads a root.
    pub fn reads(&self, root: &str) -> bool {
        self.max_bytes.as_ref().is_some_and(|tree| tree.reads().any(|(_, read)| read.root() == root))
    }

    /// Looks at what was given. `whose` is the action's name, for the message.
    ///
    /// # Errors
    /// `file_refused`, `file_missing`, `file_unreadable`, `file_type_refused`, `file_too_large`.
    pub fn check(&self, scope: &Scope, folders: &Folders, whose: &dyn std::fmt::Display) -> Result<(), Failure> {
        let given = scope.get("inputs").and_then(|inputs| inputs.get(&self.name));
        let files: Vec<&str> = match given {
            Some(Value::String(path)) => vec![path],
            Some(Value::Array(paths)) => paths.iter().filter_map(Value::as_str).collect(),
            _ => return Ok(()),
        };
        let limit = match &self.max_bytes {
            Some(tree) => Bound::read(tree.evaluate(scope).map_err(|error| template_failure(&error))?)?,
            None => Bound::None,
        };
        for path in files {
            let found = folders.find(path).map_err(|failure| {
                let message = format!("the input `{}` of {whose}: {}", self.name, failure.message);
                Failure { message, ..failure }
            })?;
            let subject = format!("the file `{path}` of the input `{}` of {whose}", self.name);
            accepted(&found, &self.accept, &subject)?;
            limit.permits(&found, &subject)?;
        }
        Ok(())
    }
}

/// How large a file may be.
#[derive(Clone, Debug)]
pub enum Bound {
    /// As large as it wants.
    None,
    /// So many bytes.
    Bytes(u64),
    /// So many bytes, by family (`image`, `gif`, `video`, ...); families that are not named are not bounded.
    ByFamily(serde_json::Map<String, Value>),
}

impl Bound {
    /// From a value that was computed: a number of bytes, or one for each family.
    pub fn read(value: Value) -> Result<Bound, Failure> {
        match value {
            Value::Null => Ok(Bound::None),
            Value::Object(families) => Ok(Bound::ByFamily(families)),
            other => bytes(&other).map(Bound::Bytes),
        }
    }

    /// Fails with `file_too_large`.
    pub fn permits(&self, found: &Found, subject: &str) -> Result<(), Failure> {
        let most = match self {
            Bound::None => return Ok(()),
            Bound::Bytes(most) => *most,
            Bound::ByFamily(families) => match families.get(kind::family(&found.kind)) {
                Some(most) => bytes(most)?,
                None => return Ok(()),
            },
        };
        if found.bytes <= most {
            return Ok(());
        }
        let message = format!("{subject} has {}; at most {} are permitted", size(found.bytes), size(most));
        Err(Failure::not_sent("file_too_large", message)
            .with_help("make it smaller, or raise the limit if it is yours"))
    }
}

/// Whether a file is of one of the types; fails with `file_type_refused`.
pub fn accepted(found: &Found, accept: &[String], subject: &str) -> Result<(), Failure> {
    if accept.is_empty() || accept.iter().any(|pattern| kind::fits(&found.kind, pattern)) {
        return Ok(());
    }
    let what = if found.bytes == 0 { "is empty" } else { "is" };
    let kind = if found.bytes == 0 { String::new() } else { format!(" {}", found.kind) };
    let message = format!("{subject} {what}{kind}; accepted are {}", accept.join(", "));
    Err(Failure::not_sent("file_type_refused", message)
        .with_help("the type is told by the file's first bytes, not by its name"))
}

/// `5 MiB (5242880 bytes)`
fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match bytes {
        0..MIB => format!("{bytes} bytes"),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB ({bytes} bytes)", bytes / MIB),
        _ => format!("{}.{} MiB ({bytes} bytes)", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

fn bytes(value: &Value) -> Result<u64, Failure> {
    let number = match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            // A computed whole number may come as a fraction.
            let float = number.as_f64().filter(|float| *float >= 0.0 && *float <= 9e15)?;
            format!("{:.0}", float.floor()).parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        Failure::not_sent("limit_invalid", format!("the limit `max_bytes` is {value}, no number of bytes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn type_and_size_are_checked() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a.png"), [&b"\x89PNG\r\n\x1a\n"[..], &[0; 92]].concat()).unwrap();
        std::fs::write(place.path().join("a.txt"), "text").unwrap();
        std::fs::write(place.path().join("none"), "").unwrap();
        let folders = Folders::new(vec![place.path().to_owned()]);
        let input: Input = serde_json::from_value(json!({
            "type": "array", "items": {"type": "string", "format": "file"},
            "accept": ["image/*"], "max_bytes": "{{default inputs.most 1000}}"
        }))
        .unwrap();
        let input = FileInput::compile("media", &input, "", &mut Vec::new()).unwrap();
        let check = |inputs: Value| {
            let mut scope = Scope::new();
            scope.set("inputs", inputs);
            input.check(&scope, &folders, &"x.post").map_err(|failure| format!("{}: {failure}", failure.code))
        };
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({"media": ["a.png"], "most": 100})), Ok(()));
        for (inputs, told) in [
            (
                json!({"media": ["a.png"], "most": 99}),
                "file_too_large: the file `a.png` of the input `media` of x.post has 100 bytes; at most 99 bytes are permitted",
            ),
            (json!({"media": ["a.png"], "most": {"image": 2_097_152, "gif": 1}}), ""),
            (json!({"media": ["a.png"], "most": {"image": 10}}), "file_too_large"),
            (
                json!({"media": ["a.png", "a.txt"]}),
                "file_type_refused: the file `a.txt` of the input `media` of x.post is text/plain; accepted are image/*",
            ),
            (
                json!({"media": "none"}),
                "file_type_refused: the file `none` of the input `media` of x.post is empty; accepted are image/*",
            ),
            (json!({"media": "b.png"}), "file_missing: the input `media` of x.post: there is no file `b.png`"),
            (json!({"media": "a.png", "most": "much"}), "limit_invalid"),
        ] {
            let found = check(inputs).err().unwrap_or_default();
            assert!(found.starts_with(told), "{found}");
            assert_eq!(found.is_empty(), told.is_empty(), "{found}");
        }
    }
}
