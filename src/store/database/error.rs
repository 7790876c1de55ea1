//! What can go wrong with a store: a stable code, what happened and where, and what to do about it. Never
//! holds a parameter of a statement, so no secret and no item can reach a log through it.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::ffi;

pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the store, shown as `message. help`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}. {help}")]
pub struct Error {
    /// One of the constants of [`code`].
    pub code: &'static str,
    /// What happened, where and why; without a full stop at its end.
    pub message: String,
    /// What to do about it: a sentence.
    pub help: Cow<'static, str>,
    /// The same work may succeed later although nothing is changed in it.
    pub retryable: bool,
}

/// The stable codes of [`Error::code`].
pub mod code {
    pub const ADDRESS: &str = "store_address";
    pub const BUSY: &str = "store_busy";
    pub const CANCELLED: &str = "store_cancelled";
    pub const CLOSED: &str = "store_closed";
    pub const COLUMN: &str = "store_column";
    pub const CONFLICT: &str = "store_conflict";
    pub const CONSTRAINT: &str = "store_constraint";
    pub const DAMAGED: &str = "store_damaged";
    pub const DIFFERS: &str = "store_differs";
    pub const FULL: &str = "store_full";
    pub const IN_USE: &str = "store_in_use";
    pub const INTERRUPTED: &str = "store_interrupted";
    pub const IO: &str = "store_io";
    pub const LOCKED: &str = "store_locked";
    pub const LOGIN: &str = "store_login";
    pub const MIGRATION_CHANGED: &str = "store_migration_changed";
    pub const MISSING: &str = "store_missing";
    pub const MOVED: &str = "store_moved";
    pub const NEWER: &str = "store_newer";
    pub const NOT_EMPTY: &str = "store_not_empty";
    pub const NOT_OURS: &str = "store_not_ours";
    pub const PANICKED: &str = "store_panicked";
    pub const POSTGRES_TOO_OLD: &str = "store_postgres_too_old";
    pub const READ_ONLY: &str = "store_read_only";
    pub const SQLITE_TOO_OLD: &str = "store_sqlite_too_old";
    pub const STATEMENT: &str = "store_statement";
    pub const TABLES: &str = "store_tables";
    pub const TEXT: &str = "store_text";
    pub const UNFINISHED: &str = "store_unfinished";
    pub const UNREACHABLE: &str = "store_unreachable";
}

const REPORT: &str = "This is a mistake in Tidegate: please report it";
const RESTORE: &str = "The file is left as it is. Restore a backup, or move it away to begin with an empty store";

impl Error {
    /// An error that the same work will meet again.
    pub fn new(code: &'static str, message: impl Into<String>, help: impl Into<Cow<'static, str>>) -> Self {
        Error { code, message: message.into(), help: help.into(), retryable: false }
    }

    /// Says that the same work may succeed later.
    pub fn retryable(self) -> Self {
        Error { retryable: true, ..self }
    }

    /// Whether a host that is at work waits until somebody did what the help says, and then goes on by itself.
    pub fn is_waited_out(&self) -> bool {
        self.retryable && matches!(self.code, code::FULL | code::IO | code::READ_ONLY)
    }

    pub(super) fn damaged(path: &Path, why: impl std::fmt::Display) -> Self {
        Error::new(code::DAMAGED, format!("the store {} is damaged: {why}", path.display()), RESTORE)
    }

    /// What was opened is not at its path any more.
    pub(super) fn moved(path: &Path) -> Self {
        Error::new(
            code::MOVED,
            format!("the store {} was moved away, deleted or replaced while a host worked on it", path.display()),
            "Nothing is acknowledged any more. Put the file back and start the host again; move it, or restore a backup, \
             only while no host works",
        )
    }

    /// Whether no waiting mends it: the host ends.
    pub fn is_final(&self) -> bool {
        matches!(self.code, code::DAMAGED | code::MOVED)
    }

    /// What is shown as `place` was begun as a copy, and is not whole.
    pub(super) fn unfinished(place: &str) -> Self {
        Error::new(
            code::UNFINISHED,
            format!("the store {place} is a copy that was not finished"),
            "Copy to it again with `tidegate store copy`, which begins anew, or delete it",
        )
    }

    /// There is no store to copy at `place`.
    pub(super) fn missing(place: &str) -> Self {
        Error::new(code::MISSING, format!("there is no store at {place}"), "Name the store that is to be copied")
    }

    pub(super) fn closed() -> Self {
        Error::new(
            code::CLOSED,
            "the store is closed",
            "Work that was not acknowledged was not done; it resumes at the next start",
        )
    }

    pub(super) fn panicked() -> Self {
        Error::new(code::PANICKED, "a transaction panicked and was rolled back", REPORT)
    }

    pub(super) fn mistake(message: impl Into<String>) -> Self {
        Error::new(code::STATEMENT, message, REPORT)
    }

    /// A failure of a file operation: `doing` says what was tried, as in `opening`.
    pub(super) fn file(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let message = format!("{doing} {} failed: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::new(
                code::READ_ONLY,
                message,
                "Tidegate has to write the store and files beside it: give its user write access to the file and its directory, or name another with --store",
            ),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => full(message),
            _ => Error::new(code::IO, message, "Check the path and the disk").retryable(),
        }
    }

    /// What SQLite reports about the store at `path`, while running `statement`.
    pub(super) fn sqlite(path: &Path, statement: &str, error: &rusqlite::Error) -> Self {
        let Some(failure) = error.sqlite_error() else {
            return Error::mistake(format!(
                "the store refused the statement `{}`: {}",
                first_line(statement),
                wording(error)
            ));
        };
        let file = path.display();
        let why = wording(error);
        match (failure.extended_code, failure.extended_code & 0xff) {
            (ffi::SQLITE_READONLY_DBMOVED, _) => Error::new(
                code::IO,
                format!("the store {file} was moved or deleted while it was in use"),
                "Stop Tidegate, put the file back with the -wal file beside it, and start again",
            ),
            (_, ffi::SQLITE_FULL) => full(format!("no space left for the store {file}: {why}")),
            (_, ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => Error::damaged(path, why),
            (_, ffi::SQLITE_READONLY | ffi::SQLITE_PERM) => Error::new(
                code::READ_ONLY,
                format!("the store {file} cannot be written: {why}"),
                "Give Tidegate's user write access to the file and its directory",
            )
            .retryable(),
            (_, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => Error::new(
                code::BUSY,
                format!("the store {file} is in use by another process: {why}"),
                "Try again when that process is done",
            )
            .retryable(),
            (_, ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN | ffi::SQLITE_PROTOCOL) => Error::new(
                code::IO,
                format!("reading or writing the store {file} failed: {why} (SQLite code {})", failure.extended_code),
                "Check the disk: nothing that was acknowledged is lost",
            )
            .retryable(),
            (_, ffi::SQLITE_CONSTRAINT) => Error::new(
                code::CONSTRAINT,
                format!("the store refused a row: {why}"),
                "The whole transaction was rolled back",
            ),
            (_, ffi::SQLITE_INTERRUPT) => {
                Error::new(code::CANCELLED, "work on the store was interrupted", "Try again").retryable()
            }
            _ => Error::mistake(format!("the store refused the statement `{}`: {why}", first_line(statement))),
        }
    }
}

fn full(message: String) -> Error {
    Error::new(code::FULL, message, "Free some space").retryable()
}

/// SQLite's words alone: the display form of some errors repeats the statement.
fn wording(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

pub(super) fn first_line(statement: &str) -> &str {
    statement.trim().lines().next().unwrap_or_default()
}
