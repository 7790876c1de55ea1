//! The seam to a database: a transaction is a synchronous closure without outside effects, handed over to the
//! database's own threads, which may run it in a group with others and run it again. Everything above works
//! with [`Handle`] and [`Sql`]; nothing above knows which database it is. Refuses files that are not ours.

mod error;
mod host_lock;
mod look;
mod migrations;
mod postgres;
mod presence;
mod queue;
mod reader;
mod row;
mod session;
#[cfg(test)]
pub(crate) mod simulated;
mod sql;
mod sqlite;
mod task;
mod whereabouts;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::sync::Arc;

pub use error::{Error, Result, code};
pub use migrations::{Change, Migration};
pub use presence::Presence;
pub(crate) use sql::params;
pub use sql::{Dialect, Param, Row, Sql};
pub use task::{Task, Work};
pub use writer::GroupBounds;

/// What a database does with closures. SQLite and PostgreSQL each implement it once.
pub trait Database: Send + Sync {
    /// Takes `work` to be run in a transaction that writes, and to be finished once that is durable.
    fn write(&self, work: Work);

    /// Takes `work` that only reads; it sees everything that was committed before this call.
    fn read(&self, work: Work);

    fn dialect(&self) -> &'static Dialect;

    /// The store as it is shown: never with a user or a password.
    fn name(&self) -> &str;

    /// What shows other hosts that this one is there; none where there can be no others.
    fn presence(&self) -> Option<Arc<Presence>>;

    /// Whether the store is still where it was opened: from then on it takes nothing.
    ///
    /// # Errors
    /// `store_moved`.
    fn look_for(&self) -> Result<()> {
        Ok(())
    }

    /// Does what was taken, takes no more, and lets go of the database. Blocks until that is done.
    fn close(&self) -> Result<()>;
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The schema, in ascending order of versions.
    pub migrations: &'static [Migration],
    /// Set by a host, which must be alone; `None` for a tool that works for a moment beside it.
    pub host: Option<HostRole>,
    /// Set where a store is opened to be copied: hosts are kept from it meanwhile.
    pub copy: Option<Side>,
    /// UTC epoch milliseconds, for what is written down about the opening.
    pub now_ms: i64,
    pub synchronous: Synchronous,
    /// The page cache of the writer, and of each reader, in KiB.
    pub cache_kib: u32,
    pub reader_cache_kib: u32,
    /// Threads that read.
    pub readers: usize,
    pub group: GroupBounds,
    /// How long a write waits for another process's to end.
    pub busy_timeout_ms: u64,
}

/// What the second host on a store is told about the first.
#[derive(Clone, Debug)]
pub struct HostRole {
    /// The address of its console, or `off`.
    pub listen: String,
    /// Where there may be other hosts: for how long after its last word this one counts as alive.
    pub lease_ms: i64,
}

/// Which end of a copy a store is opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is copied: it has to be there, and to be known whole.
    From,
    /// What is copied to. Where it is made for that, nobody else takes it before [`Dialect::whole`] was said.
    To,
}

/// How far a commit is on its way to the disk when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// On the disk: it survives the machine's power.
    Full,
    /// With the operating system: it survives the process, and a power loss may take the last commits. For
    /// `demo` and tests.
    Normal,
}

/// An open store, cheap to clone.
#[derive(Clone)]
pub struct Handle {
    database: Arc<dyn Database>,
}

/// Opens or makes the store in the SQLite file `path`. Blocks for some milliseconds.
///
/// # Errors
/// `store_not_ours`, `store_damaged`, `store_newer` and `store_migration_changed` leave the file as it is.
/// `store_locked` names the host that is at work. `store_read_only`, `store_full` and `store_io` say what
/// the file system refused. `store_unfinished` is a copy that was not finished, `store_missing` one that was to be
/// copied and is not there.
pub fn open(path: &Path, options: &Options) -> Result<Handle> {
    Ok(Handle { database: Arc::new(sqlite::open(path, options)?) })
}

/// Opens the store in the PostgreSQL database at `address` (`postgres://user:password@host:port/database`, with
/// `sslmode` and `sslrootcert`), and makes its tables where it is empty. Any number of hosts may. Blocks for as
/// long as connecting takes.
///
/// # Errors
/// `store_address`, `store_unreachable` and `store_login` say why there is no connection; `store_not_ours`,
/// `store_newer` and `store_migration_changed` leave the database as it is. The user and the password are in
/// none of them.
pub fn open_postgres(address: &str, options: &Options) -> Result<Handle> {
    Ok(Handle { database: Arc::new(postgres::open(address, options)?) })
}

impl Options {
    /// For a tool; a host sets [`Options::host`] as well.
    pub fn new(migrations: &'static [Migration], now_ms: i64) -> Self {
        Options {
            migrations,
            host: None,
            copy: None,
            now_ms,
            synchronous: Synchronous::Full,
            cache_kib: 8 * 1024,
            reader_cache_kib: 1024,
            readers: 2,
            group: GroupBounds { rows: 2000, time_ms: 10 },
            busy_timeout_ms: 5000,
        }
    }
}

impl Synchronous {
    fn text(self) -> &'static str {
        match self {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        }
    }
}

impl Handle {
    /// Runs `run` in a transaction and resolves when its commit is durable. `run` may be called more than
    /// once, each time from nothing, and must have no effect but its statements. An error, its own or the
    /// database's, undoes all of it. Dropping the future does not take the transaction back.
    pub async fn transaction<T, F>(&self, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
    {
        ask(run, |work| self.database.write(work)).await
    }

    /// Runs `run`, which only reads, beside the writer. It sees one state of the store, with everything that
    /// was committed before this call.
    pub async fn read<T, F>(&self, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
    {
        ask(run, |work| self.database.read(work)).await
    }

    /// Whether the store is still where it was opened: from then on it takes nothing.
    ///
    /// # Errors
    /// `store_moved`.
    pub fn look_for(&self) -> Result<()> {
        self.database.look_for()
    }

    /// [`Handle::transaction`] for a thread that may wait.
    pub fn transaction_blocking<T, F>(&self, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
    {
        ask_blocking(run, |work| self.database.write(work))
    }

    /// [`Handle::read`] for a thread that may wait.
    pub fn read_blocking<T, F>(&self, run: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
    {
        ask_blocking(run, |work| self.database.read(work))
    }

    /// A number that is another one whenever a different process has committed since the last call: a host
    /// asks now and then, and looks again at what a tool may have changed.
    pub async fn data_version(&self) -> Result<i64> {
        let statement = self.database.dialect().data_version;
        self.transaction(move |sql| {
            let mut version = 0;
            sql.query(statement, &[], &mut |row| {
                version = row.int(0)?;
                Ok(())
            })?;
            Ok(version)
        })
        .await
    }

    /// Hands up to `pages` free pages back to the file system; the writer is busy meanwhile, so ask for some
    /// hundred at a time.
    pub async fn vacuum_some(&self, pages: u32) -> Result<()> {
        match (self.database.dialect().vacuum_some)(pages) {
            Some(statement) => self.transaction(move |sql| sql.query(&statement, &[], &mut |_| Ok(()))).await,
            None => Ok(()),
        }
    }

    pub fn dialect(&self) -> &'static Dialect {
        self.database.dialect()
    }

    /// The store as it is shown: never with a user or a password.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// What shows other hosts that this one is there; none where there can be no others.
    pub fn presence(&self) -> Option<Arc<Presence>> {
        self.database.presence()
    }

    /// Does what was handed in, empties the write-ahead log and lets go of the file and its lock. Other
    /// clones of the handle get `store_closed` from then on.
    pub async fn close(self) -> Result<()> {
        let database = self.database;
        match tokio::task::spawn_blocking(move || database.close()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::panicked()),
        }
    }

    /// [`Handle::close`] for a thread that may wait.
    pub fn close_blocking(self) -> Result<()> {
        self.database.close()
    }
}

async fn ask<T, F>(run: F, send: impl FnOnce(Work)) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Nobody waits any more where the future was dropped: the transaction stands all the same.
    send(task::pack(run, move |outcome| drop(sender.send(outcome))));
    receiver.await.unwrap_or_else(|_| Err(Error::closed()))
}

fn ask_blocking<T, F>(run: F, send: impl FnOnce(Work)) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut dyn Sql) -> Result<T> + Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    send(task::pack(run, move |outcome| drop(sender.send(outcome))));
    receiver.recv().unwrap_or_else(|_| Err(Error::closed()))
}
