//! How a store gets its tables: numbered steps, each applied once in a transaction of its own and written
//! down with a checksum of its text and with the oldest program that may work with it. A step that only adds
//! keeps older programs working, so that two versions can share a store. Refuses a store that this program is
//! too old for, and a step whose text is not the one that was applied. The database decides about locks.

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
    /// What it means for programs that do not know it.
    pub change: Change,
    /// The statements, parted by semicolons.
    pub sql: fn(&Dialect) -> String,
}

/// What a step means for programs that do not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It only adds tables, indexes, and columns that may be left out: such programs go on working.
    Expands,
    /// Such programs would go wrong: they are refused, and it is applied only while no host is at work.
    Breaks,
}

/// A step that the store says it has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) checksum: String,
    /// The oldest program that may work with the store, by the newest step that it knows.
    pub(super) needs: i64,
}

pub(super) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    needs BIGINT NOT NULL,
    applied_at_ms BIGINT NOT NULL
)";

const SELECT: &str = "SELECT version, name, checksum, needs FROM migrations ORDER BY version";
/// What every program has that has a store at all.
const FIRST: i64 = 1;

/// The newest version that this program knows.
pub(super) fn newest(migrations: &[Migration]) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The oldest program that may work with a store that has the steps up to `version`.
pub(super) fn needs(migrations: &[Migration], version: i64) -> i64 {
    let breaking = migrations.iter().filter(|step| step.change == Change::Breaks && step.version <= version);
    breaking.map(|step| step.version).max().unwrap_or(FIRST)
}

/// Refuses a store with steps that this program does not know, although it could work with it: a copy would leave
/// out what they added.
///
/// # Errors
/// `store_newer`.
pub(super) fn known_whole(place: &str, migrations: &[Migration], applied: &[Applied]) -> Result<()> {
    match applied.iter().map(|step| step.version).max() {
        Some(last) if last > newest(migrations) => Err(newer(place, last, migrations)),
        _ => Ok(()),
    }
}

/// The steps that the store has.
pub(super) fn applied(sql: &mut dyn Sql) -> Result<Vec<Applied>> {
    let mut applied = Vec::new();
    sql.query(SELECT, &[], &mut |row| {
        let (name, checksum) = (row.text(1)?.into(), row.text(2)?.into());
        applied.push(Applied { version: row.int(0)?, name, checksum, needs: row.int(3)? });
        Ok(())
    })?;
    Ok(applied)
}

/// The steps still to be applied to the store that is shown as `place`.
///
/// # Errors
/// `store_newer` where the store has a step that this program does not know and cannot work with;
/// `store_migration_changed` where a step reads otherwise than when it was applied, or was left out.
pub(super) fn pending(
    place: &str,
    migrations: &'static [Migration],
    applied: &[Applied],
    dialect: &Dialect,
) -> Result<Vec<&'static Migration>> {
    let last = applied.iter().map(|step| step.version).max().unwrap_or(0);
    let needed = applied.iter().map(|step| step.needs).max().unwrap_or(FIRST);
    let newest = newest(migrations);
    if needed > newest {
        return Err(newer(place, needed, migrations));
    }
    // What a newer program has added since is not this one's affair.
    for step in applied.iter().filter(|step| step.version <= newest) {
        let known = migrations.iter().find(|migration| migration.version == step.version);
        if known.is_none_or(|migration| checksum(migration, dialect) != step.checksum) {
            return Err(changed(
                place,
                format!("migration {} ({}) reads otherwise than when it was applied", step.version, step.name),
            ));
        }
    }
    let pending: Vec<_> =
        migrations.iter().filter(|migration| applied.iter().all(|step| step.version != migration.version)).collect();
    match pending.iter().find(|migration| migration.version < last) {
        Some(skipped) => Err(changed(place, format!("migration {} ({}) was left out", skipped.version, skipped.name))),
        None => Ok(pending),
    }
}

/// Applies one step and writes it down, inside the transaction that the caller has opened.
pub(super) fn apply(sql: &mut dyn Sql, migration: &Migration, now_ms: i64) -> Result<()> {
    let dialect = sql.dialect();
    let needs = match migration.change {
        Change::Expands => FIRST,
        Change::Breaks => migration.version,
    };
    sql.batch(&(migration.sql)(dialect))?;
    sql.execute(
        "INSERT INTO migrations (version, name, checksum, needs, applied_at_ms) VALUES ($1, $2, $3, $4, $5)",
        params![migration.version, migration.name, checksum(migration, dialect), needs, now_ms],
    )?;
    Ok(())
}

/// The store that is shown as `place` needs a program that knows step `version`.
pub(super) fn newer(place: &str, version: i64, migrations: &[Migration]) -> Error {
    Error::new(
        code::NEWER,
        format!(
            "the store {} was written by a newer Tidegate: it needs schema version {version}, this program knows {}",
            place,
            newest(migrations)
        ),
        "It is left as it is. Use the newer program, or name another one with --store",
    )
}

fn changed(place: &str, why: String) -> Error {
    Error::new(
        code::MIGRATION_CHANGED,
        format!("the schema of the store {place} is not the one of this program: {why}"),
        "It is left as it is. Use the program that wrote it, or name another one with --store",
    )
}

/// Line ends are left out of the sum: a checkout may change them.
fn checksum(migration: &Migration, dialect: &Dialect) -> String {
    let text = (migration.sql)(dialect).replace("\r\n", "\n");
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
