//! What the seam promises, on real files in temporary directories.

mod beside;
mod disk;
mod group;
mod opening;
mod refusal;
mod throughput;

use std::path::{Path, PathBuf};

use super::{Handle, HostRole, Migration, Options, Result, Sql, open, params};

pub(super) static ONE: [Migration; 1] = [notes()];
pub(super) static TWO: [Migration; 2] =
    [notes(), Migration { version: 2, name: "tags", sql: |_| "CREATE TABLE tags (name TEXT NOT NULL)".into() }];

const fn notes() -> Migration {
    Migration {
        version: 1,
        name: "notes",
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
    Options { host: Some(HostRole { listen: "127.0.0.1:7400".into() }), ..Options::new(migrations, 1_700_000_000_000) }
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
