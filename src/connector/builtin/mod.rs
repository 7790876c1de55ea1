//! The actions that cannot be YAML, behind the same prepare, permit and send: `log.write`, `file.append`.

mod file;
mod log;

pub use self::file::Files;

use serde_json::Value;

use crate::engine::Failure;
use crate::manifest::connector as written;
use crate::template::Scope;

/// A built-in action, ready to be done.
#[derive(Debug)]
pub enum Builtin {
    /// `log.write`
    Log(log::Line),
    /// `file.append`
    Append(file::Append),
}

impl Builtin {
    /// Reads its inputs from `scope`. `journal` is what an earlier attempt journaled.
    pub fn prepare(
        which: written::Builtin,
        scope: &Scope,
        journal: Option<Value>,
        files: &Files,
    ) -> Result<Builtin, Failure> {
        let inputs = scope.get("inputs").unwrap_or(&Value::Null);
        match which {
            written::Builtin::LogWrite => Ok(Builtin::Log(log::Line::new(inputs))),
            written::Builtin::FileAppend => files.prepare(inputs, journal).map(Builtin::Append),
        }
    }

    /// What has to be journaled before it is done.
    pub fn journal(&self) -> Option<Value> {
        match self {
            Builtin::Log(_) => None,
            Builtin::Append(append) => Some(append.journal()),
        }
    }

    /// What will be done, for `--dry-run`.
    pub fn preview(&self) -> Value {
        match self {
            Builtin::Log(line) => line.preview(),
            Builtin::Append(append) => append.preview(),
        }
    }

    /// Does it and gives its output.
    pub async fn run(self, files: &Files) -> Result<Value, Failure> {
        match self {
            Builtin::Log(line) => Ok(line.write()),
            Builtin::Append(append) => files.append(append).await,
        }
    }
}
