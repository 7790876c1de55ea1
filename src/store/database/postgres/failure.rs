//! What PostgreSQL reports, in the store's own words and codes. A value of a row never gets into a message:
//! of a refusal that may quote one, only the SQLSTATE is told.

use tokio_postgres::error::{DbError, SqlState};

use super::super::error::{Error, code, first_line};

/// `name` is the store as it is shown, `statement` what was running.
pub(super) fn told(name: &str, statement: &str, error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(refusal) => refused(name, statement, refusal),
        None if error.is_closed() || is_io(error) => unreachable(name, &reason(error)),
        None => {
            Error::mistake(format!("the statement `{}` could not be run: {}", first_line(statement), reason(error)))
        }
    }
}

/// The database cannot be reached now.
pub(super) fn unreachable(name: &str, why: &str) -> Error {
    Error::new(
        code::UNREACHABLE,
        format!("the database {name} cannot be reached: {why}"),
        "Check that it runs and that this machine may connect to it; work that was not acknowledged was not done",
    )
    .retryable()
}

fn refused(name: &str, statement: &str, refusal: &DbError) -> Error {
    let state = refusal.code();
    let why = refusal.message();
    match state.code().get(..2).unwrap_or_default() {
        _ if *state == SqlState::T_R_SERIALIZATION_FAILURE || *state == SqlState::T_R_DEADLOCK_DETECTED => Error::new(
            code::CONFLICT,
            format!("two transactions on the database {name} were in each other's way: {why}"),
            "Try again",
        )
        .retryable(),
        _ if *state == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => unreachable(name, why),
        "57" if *state == SqlState::QUERY_CANCELED => {
            Error::new(code::CANCELLED, format!("work on the database {name} was interrupted"), "Try again").retryable()
        }
        // Shut down, crashed, starting up, torn; too many sessions.
        "08" | "57" => unreachable(name, why),
        "53" if *state == SqlState::DISK_FULL => Error::new(
            code::FULL,
            format!("no space left for the database {name}"),
            "Free some space on its server",
        )
        .retryable(),
        "53" => unreachable(name, why),
        "55" => Error::new(
            code::BUSY,
            format!("a row of the database {name} is locked by another session: {why}"),
            "Try again when that one is done",
        )
        .retryable(),
        "23" => {
            Error::new(code::CONSTRAINT, format!("the store refused a row: {why}"), "The whole transaction was rolled back")
        }
        "25" if *state == SqlState::READ_ONLY_SQL_TRANSACTION => Error::new(
            code::READ_ONLY,
            format!("the database {name} cannot be written: {why}"),
            "Connect to the primary and not to a standby: `target_session_attrs=read-write` finds it among several hosts",
        )
        .retryable(),
        "28" => Error::new(
            code::LOGIN,
            format!("the database {name} refuses the login: {why}"),
            "Check the user and the password of the store's address, and the server's pg_hba.conf",
        ),
        "3D" => Error::new(
            code::LOGIN,
            format!("there is no such database: {name}"),
            "Make it first, as with `createdb`: Tidegate makes only its tables",
        ),
        "42" if *state == SqlState::INSUFFICIENT_PRIVILEGE => Error::new(
            code::READ_ONLY,
            format!("the database {name} does not permit what the store needs: {why}"),
            "Give Tidegate's user a database, or a schema, of its own",
        )
        .retryable(),
        "XX" if *state == SqlState::DATA_CORRUPTED || *state == SqlState::INDEX_CORRUPTED => Error::new(
            code::DAMAGED,
            format!("the database {name} finds itself damaged: {why} ({})", state.code()),
            "Mend it, or restore a backup, before a host works on it again",
        ),
        // What was sent is quoted in some of these.
        "22" => Error::mistake(format!("a value was refused by `{}` ({})", first_line(statement), state.code())),
        _ => Error::mistake(format!("the store refused the statement `{}`: {why} ({})", first_line(statement), state.code())),
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    // Connecting took too long, or every host of the address refused.
    let said = error.to_string();
    said.starts_with("error connecting") || said.starts_with("timeout") || said.starts_with("error performing TLS")
}

// The driver's own words are general: the cause says what happened.
fn reason(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
