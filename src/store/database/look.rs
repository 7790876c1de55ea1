//! The look at a file before it is opened for writing: whether it is a store, whole, and not newer than this
//! program. Whatever it refuses stays as it was, byte for byte, with no file added beside it: the header is
//! read as bytes, the rest through a connection that takes no locks and writes nothing.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use super::error::{Error, Result, code};
use super::migrations::{self, Migration};
use super::session::{SQLITE, Session};
use super::{Options, Side};

/// `Tide`, in the header of every store (SQLite file format, offset 68).
pub(super) const APPLICATION_ID: i32 = 0x5469_6465;

/// `Tidc`, in the header of a store that was begun as a copy and is not whole.
pub(super) const UNFINISHED_ID: i32 = 0x5469_6463;

/// How long the pages are checked at a start. A full check reads the whole file (a second and more for a
/// gigabyte), and a start must not wait for that: small stores are checked whole, large ones in part, with
/// more time where the last shutdown was not a clean one.
const CHECK_AFTER_CLEAN: Duration = Duration::from_millis(10);
const CHECK_AFTER_CRASH: Duration = Duration::from_millis(100);

const HEADER_LENGTH: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no file yet, or an empty one.
    Nothing,
    Store,
}

/// What tells whether somebody wrote to the files while they were looked at.
#[derive(PartialEq, Eq)]
struct Traces {
    length: u64,
    modified: Option<SystemTime>,
    /// A write-ahead log or a journal holds something: the last user crashed, or is still there.
    live: bool,
}

/// Looks at `path`; for whoever has it alone its pages are checked as well.
pub(super) fn look(path: &Arc<Path>, options: &Options) -> Result<Found> {
    for _ in 0..3 {
        let before = traces(path)?;
        let outcome = look_once(path, &before, options);
        // Another process that writes at this moment makes a whole file look damaged.
        if outcome.is_ok() || traces(path)? == before {
            return outcome;
        }
    }
    Err(Error::new(
        code::BUSY,
        format!("the store {} is being written to by another process", path.display()),
        "Try again when that process is done",
    )
    .retryable())
}

fn look_once(path: &Arc<Path>, traces: &Traces, options: &Options) -> Result<Found> {
    if traces.length == 0 {
        return match traces.live {
            false => Ok(Found::Nothing),
            true => Err(Error::damaged(
                path,
                "the file is missing or empty, but the -wal or -journal file beside it is not",
            )),
        };
    }
    let mut header = [0; HEADER_LENGTH];
    let failed = |error: std::io::Error| Error::file(path, "reading", &error);
    match File::open(path).map_err(failed)?.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return Err(not_ours(path, "it is shorter than the header of an SQLite file"));
        }
        Err(error) => return Err(failed(error)),
    }
    judge_header(path, &header, traces, options.migrations)?;
    judge_content(path, traces, options)?;
    Ok(Found::Store)
}

fn traces(path: &Path) -> Result<Traces> {
    let mut live = false;
    for ending in ["-wal", "-journal"] {
        live |= metadata(&beside(path, ending))?.is_some_and(|metadata| metadata.len() > 0);
    }
    let metadata = metadata(path)?;
    if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(Error::new(
            code::IO,
            format!("the store {} is a directory", path.display()),
            "Name a file with --store",
        ));
    }
    let length = metadata.as_ref().map_or(0, fs::Metadata::len);
    Ok(Traces { length, modified: metadata.and_then(|metadata| metadata.modified().ok()), live })
}

fn metadata(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, "looking at", &error)),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(ending);
    beside.into()
}

/// Offsets as in the SQLite file format, section 1.3.
fn judge_header(path: &Path, header: &[u8; HEADER_LENGTH], traces: &Traces, migrations: &[Migration]) -> Result<()> {
    if !header.starts_with(MAGIC) {
        return Err(not_ours(path, "it does not begin as an SQLite file, or its beginning was overwritten"));
    }
    let application_id = be_u32(header, 68);
    if ![APPLICATION_ID, UNFINISHED_ID].map(i32::cast_unsigned).contains(&application_id) {
        return Err(not_ours(path, "it is an SQLite file of another application"));
    }
    let needed = i64::from(be_u32(header, 60));
    if needed > migrations::newest(migrations) {
        return Err(migrations::newer(&path.display().to_string(), needed, migrations));
    }
    let page_size = match be_u32(header, 16) >> 16 {
        1 => 65_536,
        size => u64::from(size),
    };
    if !page_size.is_power_of_two() || page_size < 512 {
        return Err(Error::damaged(path, format!("its header gives a page size of {page_size}")));
    }
    let pages = u64::from(be_u32(header, 28));
    // The count of pages holds only where the last writer kept it, and a live log may hold the rest.
    let counted = be_u32(header, 24) == be_u32(header, 92);
    if counted && !traces.live && traces.length < pages * page_size {
        let expected = pages * page_size;
        return Err(Error::damaged(path, format!("it was cut off: {} of {expected} bytes are there", traces.length)));
    }
    Ok(())
}

fn judge_content(path: &Arc<Path>, traces: &Traces, options: &Options) -> Result<()> {
    let migrations = options.migrations;
    let failed = |error: rusqlite::Error| Error::sqlite(path, "the look before opening", &error);
    let connection = connect(path, traces.live).map_err(failed)?;
    // The log may hold a newer one than the header.
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    if id == UNFINISHED_ID && options.copy != Some(Side::To) {
        return Err(Error::unfinished(&path.display().to_string()));
    }
    let applied =
        migrations::applied(&mut Session::new(&connection, Arc::clone(path))).map_err(|error| match error.code {
            code::STATEMENT | code::COLUMN => Error::damaged(path, error.message),
            _ => error,
        })?;
    migrations::pending(&path.display().to_string(), migrations, &applied, &SQLITE)?;
    if options.host.is_some() || options.copy.is_some() {
        let time = if traces.live { CHECK_AFTER_CRASH } else { CHECK_AFTER_CLEAN };
        check_pages(path, connection, time)?;
    }
    Ok(())
}

/// A file at rest is read as one that cannot change, which adds no files beside it; a live one needs its log.
fn connect(path: &Path, live: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if live {
        Connection::open_with_flags(path, flags)?
    } else {
        let mut address = url::Url::from_file_path(path).map_err(|()| rusqlite::Error::InvalidPath(path.into()))?;
        address.set_query(Some("mode=ro&immutable=1"));
        Connection::open_with_flags(address.as_str(), flags | OpenFlags::SQLITE_OPEN_URI)?
    };
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn check_pages(path: &Path, mut connection: Connection, time: Duration) -> Result<()> {
    let failed = |error: rusqlite::Error| Error::sqlite(path, "PRAGMA quick_check", &error);
    let deadline = Instant::now() + time;
    connection.progress_handler(1000, Some(move || Instant::now() >= deadline)).map_err(failed)?;
    let answer = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match answer {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(Error::damaged(path, answer.replace('\n', " "))),
        // The time is up.
        Err(error) if error.sqlite_error().is_some_and(|failure| failure.extended_code == ffi::SQLITE_INTERRUPT) => {
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

fn not_ours(path: &Path, why: &str) -> Error {
    Error::new(
        code::NOT_OURS,
        format!("{} is not a Tidegate store: {why}", path.display()),
        "The file is left as it is. Name another with --store, or restore a backup if this was a store",
    )
}

fn be_u32(header: &[u8; HEADER_LENGTH], at: usize) -> u32 {
    header.iter().skip(at).take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}
