//! The actions that cannot be YAML, behind the same prepare, permit and send: `log.write`, `file.append`,
//! `file.describe`, `email.send`, `email.verify`, and answers that are made of what is known.

mod describe;
mod email;
mod file;
mod log;

pub use self::file::Files;

use serde_json::Value;

use super::auth::Credentials;
use super::connection::Connection;
use super::egress::Egress;
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
    /// `file.describe`
    Describe(Box<describe::Describe>),
    /// `email.send`, `email.verify`
    Email(Box<email::Email>),
    /// A value that was rendered.
    Answer(Value),
}

/// What a built-in action is done with.
pub struct Outside<'a> {
    /// The files that it may read and write.
    pub files: &'a Files,
    /// The addresses that it may reach.
    pub egress: &'a Egress,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
    /// How long it may take.
    pub timeout_ms: i64,
}

impl Builtin {
    /// Reads its inputs from `scope`. `rendered` is the JSON of its request; `journal` is what an earlier attempt
    /// journaled.
    pub fn prepare(
        which: written::Builtin,
        scope: &Scope,
        rendered: Value,
        journal: Option<Value>,
        files: &Files,
        (connection, credentials): (&Connection, &Credentials),
    ) -> Result<Builtin, Failure> {
        let inputs = scope.get("inputs").unwrap_or(&Value::Null);
        match which {
            written::Builtin::LogWrite => Ok(Builtin::Log(log::Line::new(inputs))),
            written::Builtin::Answer => Ok(Builtin::Answer(rendered)),
            written::Builtin::FileDescribe => {
                describe::Describe::prepare(inputs, files.folders()).map(Box::new).map(Builtin::Describe)
            }
            written::Builtin::EmailSend => {
                email::Email::send(inputs, &connection.public, credentials).map(Box::new).map(Builtin::Email)
            }
            written::Builtin::EmailVerify => {
                Ok(Builtin::Email(Box::new(email::Email::verify(&connection.public, credentials))))
            }
            written::Builtin::FileAppend => files.prepare(inputs, journal).map(Builtin::Append),
        }
    }

    /// What has to be journaled before it is done.
    pub fn journal(&self) -> Option<Value> {
        match self {
            Builtin::Log(_) | Builtin::Describe(_) | Builtin::Email(_) | Builtin::Answer(_) => None,
            Builtin::Append(append) => Some(append.journal()),
        }
    }

    /// What will be done, for `--dry-run`.
    pub fn preview(&self) -> Value {
        match self {
            Builtin::Log(line) => line.preview(),
            Builtin::Append(append) => append.preview(),
            Builtin::Describe(describe) => describe.preview(),
            Builtin::Email(email) => email.preview(),
            Builtin::Answer(value) => value.clone(),
        }
    }

    /// Does it and gives its output.
    pub async fn run(self, outside: &Outside<'_>) -> Result<Value, Failure> {
        match self {
            Builtin::Log(line) => Ok(line.write()),
            Builtin::Append(append) => outside.files.append(append).await,
            Builtin::Describe(describe) => describe.run().await,
            Builtin::Email(email) => email.run(outside).await,
            Builtin::Answer(value) => Ok(value),
        }
    }
}
