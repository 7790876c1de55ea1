//! One PostgreSQL connection with its prepared statements, as a thread of the store uses it: `Sql` for the
//! closures, and the beginning, ending and undoing of transactions around them. What can share a round trip
//! does: BEGIN goes with the first statement, the rows of `execute_many` together, the mark with COMMIT.
//!
//! The mark is a row per transaction that writes, named by this session and its count. When a connection is
//! torn while it commits, the mark says whether it did: see [`Session::was_committed`].

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use futures_util::{TryStreamExt, pin_mut};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Statement};

use super::super::error::{Error, Result, code};
use super::super::sql::{Dialect, Param, Row, Sql};
use super::super::task::Task;
use super::dialect::POSTGRES;
use super::failure;
use super::link::Link;
use super::value::PostgresRow;
use crate::crash;

/// More texts than this are not a program's own: the statements are dropped and prepared anew.
const STATEMENTS_MAX: usize = 512;
/// So many rows of one statement are under way at once.
const PIPELINE: usize = 256;
/// Marks of transactions before the last so many are removed.
const MARKS_KEPT: i64 = 256;

const MARK: &str = "INSERT INTO commits (session, sequence, abandoned) VALUES ($1, $2, 0)";
const ABANDON: &str = "INSERT INTO commits (session, sequence, abandoned) VALUES ($1, $2, 1) \
                       ON CONFLICT (session, sequence) DO NOTHING";
const LOOK: &str = "SELECT abandoned FROM commits WHERE session = $1 AND sequence = $2";
const FORGET: &str = "DELETE FROM commits WHERE session = $1 AND sequence < $2";

pub(super) struct Session {
    link: Arc<Link>,
    runtime: Runtime,
    connected: Option<Connected>,
    transaction: Transaction,
    /// The first statement of the transaction that failed.
    failed: Option<Error>,
    changed_rows: u64,
    has_written: bool,
    is_announced: bool,
    name: String,
    sequence: i64,
}

struct Connected {
    client: Client,
    statements: HashMap<Arc<str>, Statement>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// It begins with its first statement.
    Begins(&'static str),
    Open,
}

impl Session {
    pub(super) fn new(link: Arc<Link>) -> Result<Session> {
        let runtime = link.runtime()?;
        Ok(Session {
            link,
            runtime,
            connected: None,
            transaction: Transaction::None,
            failed: None,
            changed_rows: 0,
            has_written: false,
            is_announced: false,
            name: uuid::Uuid::new_v4().to_string(),
            sequence: 0,
        })
    }

    /// Opens a transaction with the statement, after having waited for the database where it is away.
    pub(super) fn begin(&mut self, statement: &'static str) -> Result<()> {
        self.connect()?;
        self.failed = None;
        self.changed_rows = 0;
        self.has_written = false;
        self.is_announced = false;
        self.transaction = Transaction::Begins(statement);
        Ok(())
    }

    /// Ends the transaction. After `store_unreachable` it may stand or not: see [`Session::was_committed`].
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.transaction != Transaction::Open {
            self.transaction = Transaction::None;
            return Ok(());
        }
        let end = if self.is_announced { "NOTIFY tidegate; COMMIT" } else { "COMMIT" };
        let outcome = match self.has_written {
            true => {
                crash::point("commit.before");
                let outcome = self.commit_marked(end);
                crash::point("commit.after");
                outcome
            }
            false => self.send(end),
        };
        if outcome.is_ok() {
            self.transaction = Transaction::None;
        }
        outcome
    }

    fn commit_marked(&mut self, end: &str) -> Result<()> {
        self.sequence += 1;
        let name = self.name.clone();
        if self.sequence % MARKS_KEPT == 0 {
            self.try_execute(FORGET, &[Param::from(&name), Param::from(self.sequence - MARKS_KEPT)])?;
        }
        let mark = self.prepare(MARK)?;
        let params = [Param::from(&name), Param::from(self.sequence)];
        let client = &self.connected()?.client;
        let both = try_join(client.execute_raw(&mark, params.iter()), client.batch_execute(end));
        let outcome = self.runtime.block_on(both);
        self.told("COMMIT", outcome.map(|_| ()))
    }

    /// Whether the transaction stands whose commit ended in a torn connection. Where its mark is not there,
    /// one is put in its place that says so: the database lets only one of the two in, and lets this one
    /// wait while the other is under way. So the answer holds, whatever the torn session still does.
    pub(super) fn was_committed(&mut self) -> Result<bool> {
        if !self.has_written {
            return Ok(false);
        }
        loop {
            self.connect()?;
            match self.decide() {
                Err(error) if matches!(error.code, code::UNREACHABLE | code::BUSY) => {}
                decided => return decided,
            }
        }
    }

    fn decide(&mut self) -> Result<bool> {
        let name = self.name.clone();
        let params = [Param::from(&name), Param::from(self.sequence)];
        self.try_execute(ABANDON, &params)?;
        let mut stands = false;
        self.try_query(LOOK, &params, &mut |row| {
            stands = !row.flag(0)?;
            Ok(())
        })?;
        Ok(stands)
    }

    /// Undoes the transaction, if one is open.
    pub(super) fn rollback(&mut self) {
        let transaction = std::mem::replace(&mut self.transaction, Transaction::None);
        // Without a connection there is none any more.
        if transaction == Transaction::Open
            && self.connected.is_some()
            && let Err(error) = self.send("ROLLBACK")
        {
            self.connected = None;
            tracing::debug!(%error, "a transaction of the store was left to the database to undo");
        }
    }

    /// Rows that the open transaction has changed.
    pub(super) fn changed_rows(&self) -> u64 {
        self.changed_rows
    }

    /// Runs one closure inside the open transaction. A panic, and a failed statement that the closure passed
    /// over, are errors.
    pub(super) fn attempt(&mut self, task: &mut dyn Task) -> Result<()> {
        self.failed = None;
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| task.attempt(self))) else {
            return Err(Error::panicked());
        };
        // What a closure makes of a failed statement does not hide what became of it.
        match self.failed.take() {
            Some(error) => Err(error),
            None => outcome,
        }
    }

    /// Lets go of the connection and of what was noted under its name.
    pub(super) fn close(&mut self) {
        if self.connected.is_some() && self.sequence > 0 {
            let name = self.name.clone();
            if let Err(error) = self.try_execute(FORGET, &[Param::from(&name), Param::from(i64::MAX)]) {
                tracing::debug!(%error, "marks of finished transactions were left behind");
            }
        }
        self.connected = None;
    }

    fn connect(&mut self) -> Result<()> {
        if self.connected.as_ref().is_none_or(|connected| connected.client.is_closed()) {
            self.connected = None;
            let client = self.link.connect_waiting(&self.runtime)?;
            self.connected = Some(Connected { client, statements: HashMap::new() });
        }
        Ok(())
    }

    fn connected(&self) -> Result<&Connected> {
        self.connected.as_ref().ok_or_else(|| failure::unreachable(self.link.name(), "the connection was lost"))
    }

    fn send(&mut self, text: &str) -> Result<()> {
        let client = &self.connected()?.client;
        let outcome = self.runtime.block_on(client.batch_execute(text));
        self.told(text, outcome)
    }

    fn prepare(&mut self, text: &str) -> Result<Statement> {
        let connected = self.connected()?;
        if let Some(found) = connected.statements.get(text) {
            return Ok(found.clone());
        }
        let first = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT"].contains(&first.as_str()) {
            return Err(Error::mistake("a closure may not end the transaction that it runs in"));
        }
        let outcome = self.runtime.block_on(connected.client.prepare(text));
        let statement = self.told(text, outcome)?;
        if let Some(connected) = &mut self.connected {
            if connected.statements.len() >= STATEMENTS_MAX {
                connected.statements.clear();
            }
            connected.statements.insert(text.into(), statement.clone());
        }
        Ok(statement)
    }

    // BEGIN, where the transaction has not begun: it goes with what is sent next.
    fn opening(&mut self) -> Option<&'static str> {
        match self.transaction {
            Transaction::Begins(statement) => {
                self.transaction = Transaction::Open;
                Some(statement)
            }
            Transaction::None | Transaction::Open => None,
        }
    }

    fn try_execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        let statement = self.prepare(sql)?;
        let opening = self.opening();
        let client = &self.connected()?.client;
        let run = client.execute_raw(&statement, params.iter());
        let outcome = self.runtime.block_on(async {
            match opening {
                Some(begin) => try_join(client.batch_execute(begin), run).await.map(|(_, changed)| changed),
                None => run.await,
            }
        });
        let changed = self.told(sql, outcome)?;
        self.wrote(changed);
        Ok(changed)
    }

    fn try_execute_many(&mut self, sql: &str, rows: &[Vec<Param<'_>>]) -> Result<u64> {
        let statement = self.prepare(sql)?;
        let opening = self.opening();
        let client = &self.connected()?.client;
        let outcome = self.runtime.block_on(async {
            if let Some(begin) = opening {
                client.batch_execute(begin).await?;
            }
            let mut changed = 0;
            for some in rows.chunks(PIPELINE) {
                let runs = some.iter().map(|row| client.execute_raw(&statement, row.iter()));
                changed += try_join_all(runs).await?.into_iter().sum::<u64>();
            }
            Ok(changed)
        });
        let changed = self.told(sql, outcome)?;
        self.wrote(changed);
        Ok(changed)
    }

    fn try_query(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        let statement = self.prepare(sql)?;
        let opening = self.opening();
        let client = &self.connected()?.client;
        let outcome = self.runtime.block_on(async {
            let run = client.query_raw(&statement, params.iter());
            let rows = match opening {
                Some(begin) => try_join(client.batch_execute(begin), run).await?.1,
                None => run.await?,
            };
            pin_mut!(rows);
            let mut found = Vec::new();
            while let Some(row) = rows.try_next().await? {
                found.push(row);
            }
            Ok(found)
        });
        let found = self.told(sql, outcome)?;
        if sql.contains("RETURNING") {
            self.wrote(found.len() as u64);
        }
        found.iter().try_for_each(|row| each(&PostgresRow { row, text: sql }))
    }

    fn wrote(&mut self, rows: u64) {
        self.changed_rows += rows;
        self.has_written |= rows > 0;
    }

    // The store's error; a connection that was lost is let go of.
    fn told<T>(&mut self, statement: &str, outcome: std::result::Result<T, tokio_postgres::Error>) -> Result<T> {
        outcome.map_err(|error| {
            let error = failure::told(self.link.name(), statement, &error);
            if error.code == code::UNREACHABLE {
                self.connected = None;
                self.link.lost(&error);
            }
            error
        })
    }

    /// Remembers a statement's failure for the closure that passes over it.
    fn note<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && self.failed.is_none()
        {
            self.failed = Some(error.clone());
        }
        outcome
    }
}

impl Sql for Session {
    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        let outcome = self.try_execute(sql, params);
        self.note(outcome)
    }

    fn execute_many(&mut self, sql: &str, rows: &[Vec<Param<'_>>]) -> Result<u64> {
        let outcome = self.try_execute_many(sql, rows);
        self.note(outcome)
    }

    fn query(&mut self, sql: &str, params: &[Param<'_>], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        let outcome = self.try_query(sql, params, each);
        self.note(outcome)
    }

    fn batch(&mut self, sql: &str) -> Result<()> {
        let outcome = match self.opening() {
            Some(begin) => self.send(begin).and_then(|()| self.send(sql)),
            None => self.send(sql),
        };
        self.wrote(1);
        self.note(outcome)
    }

    fn announce(&mut self) {
        self.is_announced = true;
    }

    fn dialect(&self) -> &'static Dialect {
        &POSTGRES
    }
}
