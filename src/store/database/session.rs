//! One SQLite connection with its prepared statements, as a thread of the store uses it: `Sql` for the
//! closures, and the beginning, ending and undoing of transactions around them. It borrows the connection,
//! so that statements live as long as it does and are found by the address of their text.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::{Connection, PrepFlags};

use super::error::{Error, Result, code};
use super::look::APPLICATION_ID;
use super::row::SqliteRow;
use super::sql::{Dialect, Param, Row, Sql};
use super::task::Task;

pub(super) static SQLITE: Dialect = DIALECT;

pub(super) const DIALECT: Dialect = Dialect {
    name: "sqlite",
    without_rowid: " WITHOUT ROWID",
    bytes: "BLOB",
    counting_key: "INTEGER PRIMARY KEY",
    collate_bytes: "",
    for_update: "",
    for_update_skip_locked: "",
    greatest: "max",
    least: "min",
    is_shared: false,
    now_ms: "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
    started_ms: "0",
    json_texts: "SELECT value FROM json_each(?)",
    hosts_at_work: None,
    lives: "FALSE",
    // The transaction that writes is alone already.
    hold_still: |_| String::new(),
    columns: "SELECT t.name, c.name, c.type, c.pk FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
              WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.name",
    whole: || format!("PRAGMA application_id = {APPLICATION_ID}"),
    count_on: |_, _| None,
    holds_nul: true,
    data_version: "PRAGMA data_version",
    vacuum_some: |pages| Some(format!("PRAGMA incremental_vacuum({pages})")),
};

/// More texts than this are not a program's own: the statements are dropped and prepared anew.
const STATEMENTS_MAX: usize = 512;
const ADDRESSES_MAX: usize = 4096;
/// A statement keeps its last parameters; together they must not hold on to more than this.
const KEPT_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Session<'c> {
    connection: &'c Connection,
    path: Arc<Path>,
    statements: Vec<Prepared<'c>>,
    by_text: HashMap<Arc<str>, usize>,
    by_address: HashMap<(usize, usize), usize>,
    /// The first statement of the transaction that failed.
    failed: Option<Error>,
    changes_before: u64,
    damage: Damage,
    dialect: &'static Dialect,
}

/// That the file was found damaged, or somewhere else, by any thread of the store: from then on nothing of it is believed or changed.
pub(super) type Damage = Arc<OnceLock<Error>>;

struct Prepared<'c> {
    text: Arc<str>,
    statement: rusqlite::Statement<'c>,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection, path: Arc<Path>) -> Self {
        Session {
            connection,
            path,
            statements: Vec::new(),
            by_text: HashMap::new(),
            by_address: HashMap::new(),
            failed: None,
            changes_before: 0,
            damage: Damage::default(),
            dialect: &SQLITE,
        }
    }

    /// The same, with the words of a store that several hosts share.
    #[cfg(test)]
    pub(super) fn speaking(self, dialect: &'static Dialect) -> Self {
        Session { dialect, ..self }
    }

    /// The same, knowing what other sessions on the file find of damage.
    pub(super) fn sharing(self, damage: &Damage) -> Self {
        Session { damage: Arc::clone(damage), ..self }
    }

    /// Whether the file was found damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damage.get().is_some_and(|damage| damage.code == code::DAMAGED)
    }

    /// Opens a transaction; `statement` is `BEGIN` for reading or `BEGIN IMMEDIATE` for writing.
    pub(super) fn begin(&mut self, statement: &'static str) -> Result<()> {
        if let Some(damage) = self.damage.get() {
            return Err(damage.clone());
        }
        self.failed = None;
        self.changes_before = self.connection.total_changes();
        self.execute(statement, &[]).map(|_| ())
    }

    /// Ends the transaction; on an error it may still be open, for [`Session::rollback`].
    pub(super) fn commit(&mut self) -> Result<()> {
        self.execute("COMMIT", &[]).map(|_| ())
    }

    /// Undoes the transaction, if one is open: SQLite has closed it already after some errors.
    pub(super) fn rollback(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK", &[])
        {
            tracing::error!(%error, "a transaction of the store could not be rolled back");
        }
    }

    /// Rows that the open transaction, or the last one, has changed.
    pub(super) fn changed_rows(&self) -> u64 {
        self.connection.total_changes() - self.changes_before
    }

    /// Runs one closure inside the open transaction. A panic, a failed statement that the closure passed
    /// over, and a transaction that came to its end inside it are errors.
    pub(super) fn attempt(&mut self, task: &mut dyn Task) -> Result<()> {
        self.failed = None;
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| task.attempt(self))) else {
            return Err(Error::panicked());
        };
        outcome?;
        match self.failed.take() {
            Some(error) => Err(error),
            None if self.connection.is_autocommit() => {
                Err(Error::mistake("a closure ended the transaction that it runs in"))
            }
            None => Ok(()),
        }
    }

    /// One transaction for one closure, undone on any error.
    pub(super) fn run_alone(&mut self, begin: &'static str, task: &mut dyn Task) -> Result<()> {
        let outcome = self.begin(begin).and_then(|()| self.attempt(task)).and_then(|()| self.commit());
        if outcome.is_err() {
            self.rollback();
        }
        outcome
    }

    /// Empties the write-ahead log if nobody is using it; `busy_timeout` is what to go back to afterwards.
    pub(super) fn checkpoint(&mut self, busy_timeout: Duration) -> Result<()> {
        let path = Arc::clone(&self.path);
        let failed = |error: rusqlite::Error| Error::sqlite(&path, "PRAGMA busy_timeout", &error);
        self.connection.busy_timeout(Duration::ZERO).map_err(failed)?;
        let emptied = self.query("PRAGMA wal_checkpoint(TRUNCATE)", &[], &mut |_| Ok(()));
        self.connection.busy_timeout(busy_timeout).map_err(failed)?;
        match emptied {
            Err(error) if error.code == code::BUSY => Ok(()),
            other => other,
        }
    }

    fn find(&mut self, text: &str) -> Result<&mut Prepared<'c>> {
        let address = (text.as_ptr() as usize, text.len());
        // The address is a hint: memory of a text made at run time may be used again for another one.
        let known = match self.by_address.get(&address) {
            Some(&index) if self.statements.get(index).is_some_and(|found| *found.text == *text) => Some(index),
            _ => self.by_text.get(text).copied(),
        };
        let index = match known {
            Some(index) => index,
            None => self.prepare(text)?,
        };
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.clear();
        }
        self.by_address.insert(address, index);
        self.statements.get_mut(index).ok_or_else(|| Error::mistake("a prepared statement was lost"))
    }

    fn prepare(&mut self, text: &str) -> Result<usize> {
        let statement = self
            .connection
            .prepare_with_flags(&numbered(text), PrepFlags::SQLITE_PREPARE_PERSISTENT)
            .map_err(|error| Error::sqlite(&self.path, text, &error))?;
        if self.statements.len() >= STATEMENTS_MAX {
            self.by_address.clear();
            self.by_text.clear();
            self.statements.clear();
        }
        let text: Arc<str> = text.into();
        let index = self.statements.len();
        self.statements.push(Prepared { text: Arc::clone(&text), statement });
        self.by_text.insert(text, index);
        Ok(index)
    }

    /// Remembers a statement's failure for the closure that passes over it.
    fn note<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            if error.code == code::DAMAGED {
                self.damage.get_or_init(|| error.clone());
            }
            self.failed.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    fn try_execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        let path = Arc::clone(&self.path);
        let prepared = self.find(sql)?;
        let failed = |error: rusqlite::Error| Error::sqlite(&path, sql, &error);
        prepared.bind(params).map_err(failed)?;
        let changed = prepared.statement.raw_execute().map_err(failed)?;
        prepared.let_go(params);
        Ok(changed as u64)
    }
}

impl Prepared<'_> {
    fn bind(&mut self, params: &[Param<'_>]) -> rusqlite::Result<()> {
        let expected = self.statement.parameter_count();
        if expected != params.len() {
            return Err(rusqlite::Error::InvalidParameterCount(params.len(), expected));
        }
        for (index, param) in params.iter().enumerate() {
            self.statement.raw_bind_parameter(index + 1, param)?;
        }
        Ok(())
    }

    fn let_go(&mut self, params: &[Param<'_>]) {
        let kept: usize = params
            .iter()
            .map(|param| match param {
                Param::Text(text) => text.len(),
                Param::Bytes(bytes) => bytes.len(),
                Param::Null | Param::Int(_) => 0,
            })
            .sum();
        if kept > KEPT_BYTES_MAX {
            self.statement.clear_bindings();
        }
    }
}

impl Sql for Session<'_> {
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        let outcome = self.try_execute(sql, params);
        self.note(outcome)
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Param<'_>>]) -> Result<u64> {
        let mut changed = 0;
        for row in rows {
            changed += self.execute(sql, row)?;
        }
        Ok(changed)
    }

    fn query(&mut self, sql: &str, params: &[Param<'_>], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        let path = Arc::clone(&self.path);
        let failed = |error: rusqlite::Error| Error::sqlite(&path, sql, &error);
        let outcome = self.find(sql).and_then(|prepared| {
            prepared.bind(params).map_err(failed)?;
            let mut rows = prepared.statement.raw_query();
            while let Some(row) = rows.next().map_err(failed)? {
                each(&SqliteRow { row, text: sql })?;
            }
            drop(rows);
            prepared.let_go(params);
            Ok(())
        });
        self.note(outcome)
    }

    fn batch(&mut self, sql: &str) -> Result<()> {
        let outcome = self.connection.execute_batch(sql).map_err(|error| Error::sqlite(&self.path, sql, &error));
        self.note(outcome)
    }

    // There is one host.
    fn announce(&mut self) {}

    fn dialect(&self) -> &'static Dialect {
        self.dialect
    }
}

/// `$1` as SQLite wants it, `?1` (there `$1` would be a name, numbered by when it is first met). Quoted text,
/// such as the JSON path `'$.a'`, and comments stay as they are.
pub(super) fn numbered(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\'', '"', '-', '/']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = match from.as_bytes() {
            [b'$', b'0'..=b'9', ..] => {
                out.push('?');
                rest = from.get(1..).unwrap_or_default();
                continue;
            }
            [quote @ (b'\'' | b'"'), ..] => span(from, 1, char::from(*quote).encode_utf8(&mut [0; 4])),
            [b'-', b'-', ..] => span(from, 2, "\n"),
            [b'/', b'*', ..] => span(from, 2, "*/"),
            _ => 1,
        };
        let (kept, after) = from.split_at(length);
        out.push_str(kept);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The length of what begins `text` and ends after the next `end`, looked for `from` that many bytes on.
fn span(text: &str, from: usize, end: &str) -> usize {
    text.get(from..).and_then(|inner| inner.find(end)).map_or(text.len(), |at| from + at + end.len())
}
