//! How a store gets its tables: numbered steps, each applied once in a transaction of its own and written
//! down with a checksum of its text. Refuses a store that a newer Tidegate has changed, and a step whose
//! text is not the one that was applied. The database decides about locks; this file only about steps.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{Error, Result, code};
use super::params;
use super::sql::{Dialect, Sql};

/// One step of the schema. Its text must never change once it was released: add another step.
#[derive(Debug)]
pub struct Migration {
    /// Counts up from 1, in the order of the list.
    pub version: i64,
    pub name: &'static str,
    /// The statements, parted by semicolons.
    pub sql: fn(&Dialect) -> String,
}

/// A step that the store says it has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) checksum: String,
}

pub(super) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at_ms BIGINT NOT NULL
)";

const SELECT: &str = "SELECT version, name, checksum FROM migrations ORDER BY version";

/// The newest version that this program knows.
pub(super) fn newest(migrations: &[Migration]) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The steps that the store has.
pub(super) fn applied(sql: &mut dyn Sql) -> Result<Vec<Applied>> {
    let mut applied = Vec::new();
    sql.query(SELECT, &[], &mut |row| {
        applied.push(Applied { version: row.int(0)?, name: row.text(1)?.into(), checksum: row.text(2)?.into() });
        Ok(())
    })?;
    Ok(applied)
}

/// The steps still to be applied to the store at `path`.
///
/// # Errors
/// `store_newer` where the store has a step that this program does not know; `store_migration_changed`
/// where a step reads otherwise than when it was applied, or was left out.
pub(super) fn pending(
    path: &Path,
    migrations: &'static [Migration],
    applied: &[Applied],
    dialect: &Dialect,
) -> Result<Vec<&'static Migration>> {
    let last = applied.iter().map(|step| step.version).max().unwrap_or(0);
    if last > newest(migrations) {
        return Err(newer(path, last, migrations));
    }
    for step in applied {
        let known = migrations.iter().find(|migration| migration.version == step.version);
        if known.is_none_or(|migration| checksum(migration, dialect) != step.checksum) {
            return Err(changed(
                path,
                format!("migration {} ({}) reads otherwise than when it was applied", step.version, step.name),
            ));
        }
    }
    let pending: Vec<_> =
        migrations.iter().filter(|migration| applied.iter().all(|step| step.version != migration.version)).collect();
    match pending.iter().find(|migration| migration.version < last) {
        Some(skipped) => Err(changed(path, format!("migration {} ({}) was left out", skipped.version, skipped.name))),
        None => Ok(pending),
    }
}

/// Applies one step and writes it down, inside the transaction that the caller has opened.
pub(super) fn apply(sql: &mut dyn Sql, migration: &Migration, now_ms: i64) -> Result<()> {
    let dialect = sql.dialect();
    sql.batch(&(migration.sql)(dialect))?;
    sql.execute(
        "INSERT INTO migrations (version, name, checksum, applied_at_ms) VALUES ($1, $2, $3, $4)",
        params![migration.version, migration.name, checksum(migration, dialect), now_ms],
    )?;
    Ok(())
}

/// The store at `path` has step `version`, which is beyond what this program knows.
pub(super) fn newer(path: &Path, version: i64, migrations: &[Migration]) -> Error {
    Error::new(
        code::NEWER,
        format!(
            "the store {} was written by a newer Tidegate: it has schema version {version}, this program knows {}",
            path.display(),
            newest(migrations)
        ),
        "The file is left as it is. Use the newer program, or name another file with --store",
    )
}

fn changed(path: &Path, why: String) -> Error {
    Error::new(
        code::MIGRATION_CHANGED,
        format!("the schema of the store {} is not the one of this program: {why}", path.display()),
        "The file is left as it is. Use the program that wrote it, or name another file with --store",
    )
}

/// Line ends are left out of the sum: a checkout may change them.
fn checksum(migration: &Migration, dialect: &Dialect) -> String {
    let text = (migration.sql)(dialect).replace("\r\n", "\n");
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
