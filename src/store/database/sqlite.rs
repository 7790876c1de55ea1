//! A store in one SQLite file: opening it, step by step, and the threads that work on it. In the order that
//! leaves a refused file alone: look, lock, open, migrate, start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Error, Result, code};
use super::host_lock::HostLock;
use super::look::{self, APPLICATION_ID, Found, UNFINISHED_ID};
use super::migrations;
use super::queue::Queue;
use super::reader;
use super::session::{Damage, SQLITE, Session};
use super::sql::{Dialect, Sql};
use super::task::Work;
use super::whereabouts::Whereabouts;
use super::writer::{BEGIN, Writer};
use super::{Database, Options, Presence, Side};

/// 3.51.3 is the first without the mistake that could lose a commit when a write-ahead log starts over.
const VERSION_MIN: i32 = 3_051_003;

/// The write-ahead log is moved into the file each time it has grown by so many pages (of 4 KiB).
const CHECKPOINT_PAGES: u32 = 2000;

/// The files that this process has open. SQLite's locks on a file are the process's, and closing any handle
/// on the file drops them all (POSIX), so a file that is open already must not be looked at again.
static OPEN: Mutex<Vec<Arc<Path>>> = Mutex::new(Vec::new());

pub(super) struct Sqlite {
    writes: Arc<Queue>,
    reads: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<Result<()>>>>,
    threads: Vec<ThreadId>,
    name: String,
    damage: Damage,
    whereabouts: Whereabouts,
}

/// What the writer's thread owns, in the order in which it is let go of.
struct Held {
    connection: Connection,
    lock: Option<HostLock>,
    entry: OpenEntry,
}

struct OpenEntry(Arc<Path>);

impl Drop for OpenEntry {
    fn drop(&mut self) {
        let mut open = OPEN.lock();
        if let Some(index) = open.iter().position(|path| *path == self.0) {
            open.swap_remove(index);
        }
    }
}

/// Opens or makes the store at `path`, and starts its threads.
pub(super) fn open(path: &Path, options: &Options) -> Result<Sqlite> {
    if rusqlite::version_number() < VERSION_MIN {
        return Err(Error::new(
            code::SQLITE_TOO_OLD,
            format!("SQLite {} can lose commits; 3.51.3 or newer is needed", rusqlite::version()),
            "Build Tidegate with the SQLite that it brings along",
        ));
    }
    let path = resolve(path)?;
    let held = prepare(&path, options)?;
    let mut readers = Vec::new();
    for _ in 0..options.readers.max(1) {
        readers.push(connect_reader(&path, options)?);
    }
    start(held, readers, options)
}

impl Sqlite {
    fn stop(&self) {
        self.writes.close();
        self.reads.close();
    }

    fn join(&self) -> Result<()> {
        match self.writer.lock().take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Error::panicked()),
        }
    }
}

impl Database for Sqlite {
    fn write(&self, work: Work) {
        if let Err(refused) = self.writes.push(work) {
            refused.finish(Err(Error::closed()));
        }
    }

    fn read(&self, work: Work) {
        if let Err(refused) = self.reads.push(work) {
            refused.finish(Err(Error::closed()));
        }
    }

    fn dialect(&self) -> &'static Dialect {
        &SQLITE
    }

    fn name(&self) -> &str {
        &self.name
    }

    // The lock on the file says that there is no other.
    fn presence(&self) -> Option<Arc<Presence>> {
        None
    }

    fn look_for(&self) -> Result<()> {
        let found = self.whereabouts.look();
        if let Err(moved) = &found {
            self.damage.get_or_init(|| moved.clone());
        }
        found
    }

    fn close(&self) -> Result<()> {
        self.stop();
        self.join()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.stop();
        // The last handle may go down inside a closure; that thread cannot wait for itself.
        if !self.threads.contains(&thread::current().id())
            && let Err(error) = self.join()
        {
            tracing::error!(%error, "the store was not closed cleanly; nothing that was acknowledged is lost");
        }
    }
}

/// One name for a file however it is given, so that its lock and its log have one name too.
fn resolve(path: &Path) -> Result<Arc<Path>> {
    if let Ok(canonical) = path.canonicalize() {
        return Ok(canonical.into());
    }
    let absolute = std::path::absolute(path).map_err(|error| Error::file(path, "finding", &error))?;
    let (Some(directory), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(Error::new(
            code::IO,
            format!("the store {} has no file name", path.display()),
            "Name a file with --store",
        ));
    };
    match directory.canonicalize() {
        Ok(directory) if directory.is_dir() => Ok(directory.join(name).into()),
        Ok(_) => Err(directory_wanted(directory, "is not a directory")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(directory_wanted(directory, "does not exist"))
        }
        Err(error) => Err(Error::file(directory, "finding", &error)),
    }
}

fn directory_wanted(directory: &Path, why: &str) -> Error {
    let directory: PathBuf = directory.into();
    Error::new(
        code::IO,
        format!("the directory {} of the store {why}", directory.display()),
        "Make it first, or name another file with --store",
    )
}

/// Looks, locks, opens and migrates. One at a time in a process, because of [`OPEN`].
fn prepare(path: &Arc<Path>, options: &Options) -> Result<Held> {
    let mut open = OPEN.lock();
    let found = match open.contains(path) {
        true => Found::Store,
        false => look::look(path, options)?,
    };
    if options.copy == Some(Side::From) && found == Found::Nothing {
        return Err(Error::missing(&path.display().to_string()));
    }
    let mut lock = match (&options.host, options.copy) {
        (Some(host), _) => Some(HostLock::take(path, &format!("listening on {}", host.listen), options.now_ms)?),
        (None, Some(_)) => Some(HostLock::take(path, "copying it", options.now_ms)?),
        (None, None) => None,
    };
    // A tool may change the schema only where no host is at work.
    let preparing = || HostLock::take(path, "preparing the store", options.now_ms);
    let temporary = if lock.is_none() && found == Found::Nothing { Some(preparing()?) } else { None };
    let connection = connect_writer(path, options, found == Found::Nothing)?;
    if let Some(lock) = &mut lock {
        lock.hold(path)?;
    }
    let mut session = Session::new(&connection, Arc::clone(path));
    let applied = migrations::applied(&mut session)?;
    if options.copy.is_some() {
        migrations::known_whole(&path.display().to_string(), options.migrations, &applied)?;
    }
    let pending = migrations::pending(&path.display().to_string(), options.migrations, &applied, &SQLITE)?;
    let _temporary = match temporary {
        None if lock.is_none() && !pending.is_empty() => Some(preparing()?),
        kept => kept,
    };
    for migration in &pending {
        in_transaction(&mut session, |sql| {
            migrations::apply(sql, migration, options.now_ms)?;
            // What a look at the header alone goes by.
            let needs = migrations::needs(options.migrations, migration.version);
            sql.batch(&format!("PRAGMA user_version = {needs}"))
        })?;
    }
    // The log begins only here, and is emptied: a later look finds the version in the file's own header.
    session.batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = {};",
        i64::from(CHECKPOINT_PAGES) * 4096 * 2
    ))?;
    if !pending.is_empty() {
        session.batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    drop(session);
    open.push(Arc::clone(path));
    Ok(Held { connection, lock: lock.take(), entry: OpenEntry(Arc::clone(path)) })
}

fn connect_writer(path: &Arc<Path>, options: &Options, new: bool) -> Result<Connection> {
    let failed = |error: rusqlite::Error| Error::sqlite(path, "opening", &error);
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if new {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(busy_timeout(options)).map_err(failed)?;
    if connection.is_readonly("main").map_err(failed)? {
        return Err(Error::new(
            code::READ_ONLY,
            format!("the store {} cannot be written", path.display()),
            "Give Tidegate's user write access to the file and its directory",
        ));
    }
    let mut session = Session::new(&connection, Arc::clone(path));
    session.batch(&format!(
        "PRAGMA synchronous = {}; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{}; PRAGMA mmap_size = 0;
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
        options.synchronous.text(),
        options.cache_kib
    ))?;
    if new {
        session.batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        let id = if options.copy == Some(Side::To) { UNFINISHED_ID } else { APPLICATION_ID };
        in_transaction(&mut session, |sql| {
            sql.batch(&format!("PRAGMA application_id = {id}"))?;
            sql.batch(migrations::CREATE_TABLE)
        })?;
    }
    drop(session);
    Ok(connection)
}

fn connect_reader(path: &Arc<Path>, options: &Options) -> Result<Connection> {
    let failed = |error: rusqlite::Error| Error::sqlite(path, "opening", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(busy_timeout(options)).map_err(failed)?;
    connection
        .execute_batch(&format!(
            "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{}; PRAGMA mmap_size = 0;
             PRAGMA trusted_schema = OFF;",
            options.reader_cache_kib
        ))
        .map_err(failed)?;
    Ok(connection)
}

fn busy_timeout(options: &Options) -> Duration {
    Duration::from_millis(options.busy_timeout_ms)
}

fn in_transaction(session: &mut Session<'_>, mut run: impl FnMut(&mut dyn Sql) -> Result<()>) -> Result<()> {
    let outcome = session.begin(BEGIN).and_then(|()| run(session)).and_then(|()| session.commit());
    if outcome.is_err() {
        session.rollback();
    }
    outcome
}

fn start(held: Held, readers: Vec<Connection>, options: &Options) -> Result<Sqlite> {
    let (writes, reads) = (Arc::new(Queue::default()), Arc::new(Queue::default()));
    let path = Arc::clone(&held.entry.0);
    let name = path.display().to_string();
    let mut reading = Vec::new();
    let failed = |error: std::io::Error| Error::file(&path, "starting a thread for", &error);
    let (damage, whereabouts) = (Damage::default(), Whereabouts::of(&path));
    for connection in readers {
        let (queue, path, damage) = (Arc::clone(&reads), Arc::clone(&path), Arc::clone(&damage));
        let run = move || reader::run(&queue, &mut Session::new(&connection, path).sharing(&damage));
        match thread::Builder::new().name("store-reader".into()).spawn(run) {
            Ok(thread) => reading.push(thread),
            Err(error) => {
                reads.close();
                return Err(failed(error));
            }
        }
    }
    let mut threads: Vec<_> = reading.iter().map(|thread| thread.thread().id()).collect();
    let (bounds, busy_timeout, queue) = (options.group, busy_timeout(options), Arc::clone(&writes));
    let shared = Arc::clone(&damage);
    let writer = thread::Builder::new().name("store-writer".into()).spawn(move || {
        let path = Arc::clone(&held.entry.0);
        let session = Session::new(&held.connection, Arc::clone(&path)).sharing(&shared);
        let mut writer = Writer::new(session, queue, bounds, busy_timeout);
        writer.run();
        let read = reading.into_iter().map(JoinHandle::join).all(|joined| joined.is_ok());
        writer.checkpoint();
        drop(writer);
        let Held { connection, lock, entry } = held;
        if shared.get().is_some_and(|damage| damage.code == code::DAMAGED)
            && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::warn!(%error, "the write-ahead log is moved into the damaged store");
        }
        let closed = connection.close().map_err(|(_, error)| Error::sqlite(&path, "closing", &error));
        drop((lock, entry));
        if read { closed } else { Err(Error::panicked()) }
    });
    match writer {
        Ok(writer) => {
            threads.push(writer.thread().id());
            Ok(Sqlite { writes, reads, writer: Mutex::new(Some(writer)), threads, name, damage, whereabouts })
        }
        Err(error) => {
            reads.close();
            Err(failed(error))
        }
    }
}
