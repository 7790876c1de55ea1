//! Why a use case was not done: a stable code, what and why, what to do, and how the command exits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::{Failure, Outcome, Verdict};
use crate::manifest::Diagnostic;
use crate::store;
use crate::worker::KeyError;

/// What a use case gives.
pub type Result<T> = std::result::Result<T, Error>;

/// How a command exits that was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Files have errors, a run failed, a name is unknown: 1.
    Problem,
    /// The command line makes no sense: 2.
    Usage,
    /// The store or the host: locked, damaged, newer, full, a port in use: 3.
    Host,
    /// A connection is missing or its credentials do not work: 4.
    Connection,
    /// The service refused, or cannot be reached: 5.
    Service,
    /// It is begun and not over: a host goes on with it, or a person: 6.
    Unfinished,
}

/// Why a use case was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Stable, `snake_case`.
    pub code: String,
    /// What, where and why; never a secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// How the command exits.
    pub exit: Exit,
    /// Findings about the project's files, where those are the reason.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts of the files that the findings are about.
    pub files: Arc<BTreeMap<PathBuf, Arc<str>>>,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Problem => 1,
            Exit::Usage => 2,
            Exit::Host => 3,
            Exit::Connection => 4,
            Exit::Service => 5,
            Exit::Unfinished => 6,
        }
    }
}

impl Error {
    /// An error that exits as told.
    pub fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Error {
        Error {
            code: code.into(),
            message: message.into(),
            help: None,
            exit,
            diagnostics: Vec::new(),
            files: Arc::default(),
        }
    }

    /// Something is wrong with what was named.
    pub fn problem(code: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(Exit::Problem, code, message)
    }

    /// The command line makes no sense.
    pub fn usage(code: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(Exit::Usage, code, message)
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Error {
        self.help = Some(help.into());
        self
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error::new(Exit::Host, error.code, error.message).with_help(error.help)
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Error {
        Error::new(Exit::Host, error.code, error.message).with_help(error.help)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let exit = match (failure.verdict, failure.outcome) {
            (Verdict::Reauth | Verdict::Suspended, _) => Exit::Connection,
            _ if failure.code.starts_with("connection_") || failure.code == "auth_missing" => Exit::Connection,
            // What an action is given was typed by whoever calls it, however late it shows.
            _ if failure.code.starts_with("input_") => Exit::Usage,
            (_, Outcome::NotSent) if failure.verdict == Verdict::Fail => Exit::Problem,
            _ => Exit::Service,
        };
        Error { help: failure.help, ..Error::new(exit, failure.code, failure.message) }
    }
}
