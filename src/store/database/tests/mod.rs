//! What the seam promises: on every database (`both`), on files, and on PostgreSQL alone.

mod beside;
mod both;
mod disk;
mod group;
mod opening;
pub(crate) mod place;
#[path = "../../../../tests/ports.rs"]
mod ports;
mod postgres;
mod power;
mod refusal;
#[path = "../../../../tests/postgres/server.rs"]
pub(crate) mod server;
mod throughput;

use std::path::{Path, PathBuf};

use super::{Change, Dialect, Handle, HostRole, Migration, Options, Result, Sql, open, params};

pub(super) static ONE: [Migration; 1] = [notes()];
/// A newer program's: programs that know [`ONE`] can go on.
pub(super) static TWO: [Migration; 2] = [notes(), tags(Change::Expands)];
/// A newer program's: programs that know [`ONE`] cannot.
pub(super) static BREAKING: [Migration; 2] = [notes(), tags(Change::Breaks)];

const fn tags(change: Change) -> Migration {
    let sql = |_: &Dialect| "CREATE TABLE tags (name TEXT NOT NULL); ALTER TABLE notes ADD COLUMN tag TEXT".into();
    Migration { version: 2, name: "tags", change, sql }
}

pub(super) const fn expanding(version: i64, name: &'static str, sql: fn(&Dialect) -> String) -> Migration {
    Migration { version, name, change: Change::Expands, sql }
}

const fn notes() -> Migration {
    Migration {
        version: 1,
        name: "notes",
        change: Change::Expands,
        sql: |dialect| {
            format!(
                "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, body TEXT, size BIGINT NOT NULL, raw {}){};",
                dialect.bytes, dialect.without_rowid
            )
        },
    }
}

/// A directory of its own, with the path of a store in it.
pub(super) fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidegate.db");
    (directory, path)
}

pub(super) fn host(migrations: &'static [Migration]) -> Options {
    Options {
        host: Some(HostRole { listen: "127.0.0.1:7400".into(), lease_ms: 2_000 }),
        ..Options::new(migrations, 1_700_000_000_000)
    }
}

pub(super) fn open_host(path: &Path) -> Handle {
    open(path, &host(&ONE)).unwrap()
}

pub(super) fn insert(sql: &mut dyn Sql, id: &str) -> Result<()> {
    sql.execute("INSERT INTO notes (id, body, size) VALUES ($1, $2, $3)", params![id, "text", 4])?;
    Ok(())
}

pub(super) fn count(sql: &mut dyn Sql) -> Result<i64> {
    let mut count = 0;
    sql.query("SELECT count(*) FROM notes", &[], &mut |row| {
        count = row.int(0)?;
        Ok(())
    })?;
    Ok(count)
}
