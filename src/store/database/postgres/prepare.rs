//! The look at a database before it is a store, and its tables. Whatever is refused is left as it is. One
//! process at a time: the others wait at an advisory lock.

use super::super::error::{Error, Result, code};
use super::super::migrations::{self, Applied, Change};
use super::super::params;
use super::super::sql::Sql;
use super::super::{Options, Side};
use super::dialect::POSTGRES;
use super::link::Link;
use super::session::Session;

/// 13 is the oldest that its makers keep.
const VERSION_MIN: i64 = 130_000;
/// `Tide`: who holds it changes the tables, or copies them.
pub(super) const LOCK: i64 = 0x5469_6465;
/// What the comment on the table of migrations says, of a store and of one that is not whole yet.
pub(super) const OURS: &str = "Tidegate store";
const UNFINISHED: &str = "Tidegate store, not copied whole";
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Looks, and brings the tables up to date.
pub(super) fn prepare(session: &mut Session, link: &Link, options: &Options) -> Result<()> {
    in_transaction(session, &mut |sql| {
        old_enough(sql, link)?;
        // Held until the transaction ends, with everything in it or with nothing.
        let locked = sql.query("SELECT pg_advisory_xact_lock($1)", params![LOCK], &mut |_| Ok(()));
        locked.map_err(|error| busy(link, error))?;
        let found = found(sql, link, options.copy)?;
        let is_new = found.is_none();
        let applied = match found {
            Some(applied) => applied,
            None if options.copy == Some(Side::From) => return Err(Error::missing(link.name())),
            None => {
                let said = if options.copy == Some(Side::To) { UNFINISHED } else { OURS };
                // Transactions that stand, and hosts that are there: see `session` and `attendance`.
                sql.batch(&format!(
                    "{}; COMMENT ON TABLE migrations IS '{said}'; CREATE TABLE commits (session TEXT NOT NULL, \
                     sequence BIGINT NOT NULL, abandoned BIGINT NOT NULL, PRIMARY KEY (session, sequence)); \
                     CREATE TABLE nodes (id TEXT NOT NULL PRIMARY KEY, session BIGINT NOT NULL, name TEXT NOT NULL, \
                     started_at BIGINT NOT NULL, lease_until BIGINT NOT NULL)",
                    migrations::CREATE_TABLE
                ))?;
                Vec::new()
            }
        };
        if options.copy.is_some() {
            migrations::known_whole(link.name(), options.migrations, &applied)?;
        }
        let pending = migrations::pending(link.name(), options.migrations, &applied, &POSTGRES)?;
        if !is_new && pending.iter().any(|migration| migration.change == Change::Breaks) {
            all_gone(sql, link)?;
        }
        for migration in pending {
            migrations::apply(sql, migration, options.now_ms)?;
        }
        Ok(())
    })?;
    if options.host.is_some() {
        in_transaction(session, &mut |sql| tell_looseness(sql, link))?;
    }
    Ok(())
}

// The steps that the store has; none where the schema is empty.
fn found(sql: &mut dyn Sql, link: &Link, copy: Option<Side>) -> Result<Option<Vec<Applied>>> {
    let mut tables: Vec<(String, Option<String>)> = Vec::new();
    sql.query(
        "SELECT CAST(relname AS TEXT), obj_description(oid, 'pg_class') FROM pg_class \
         WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'v', 'm')",
        &[],
        &mut |row| {
            tables.push((row.text(0)?.to_owned(), row.opt_text(1)?.map(str::to_owned)));
            Ok(())
        },
    )?;
    let said = tables.iter().find(|(name, _)| name == "migrations").and_then(|(_, said)| said.as_deref());
    match said {
        Some(UNFINISHED) if copy != Some(Side::To) => return Err(Error::unfinished(link.name())),
        Some(OURS | UNFINISHED) => return migrations::applied(sql).map(Some),
        _ => {}
    }
    match tables.first() {
        None => Ok(None),
        Some((name, _)) => Err(Error::new(
            code::NOT_OURS,
            format!("the database {} is not a Tidegate store: it has a table `{name}` of something else", link.name()),
            "It is left as it is. Give Tidegate a database of its own, or a schema with `?options=-csearch_path%3Dtidegate`",
        )),
    }
}

// Nobody holds it for long but who copies the store.
fn busy(link: &Link, error: Error) -> Error {
    if error.code != code::BUSY {
        return error;
    }
    Error::new(
        code::BUSY,
        format!("another process copies the database {}, or changes its tables", link.name()),
        "Try again when it is done; where both ends of a copy lead here, name another database as the second",
    )
    .retryable()
}

// Hosts at work would go wrong with what is to be changed.
fn all_gone(sql: &mut dyn Sql, link: &Link) -> Result<()> {
    let mut hosts = Vec::new();
    if let Some(query) = POSTGRES.hosts_at_work {
        sql.query(query, &[], &mut |row| {
            hosts.push(row.text(0)?.to_owned());
            Ok(())
        })?;
    }
    if hosts.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        code::IN_USE,
        format!("hosts of an older version work on the database {}: {}", link.name(), hosts.join("; ")),
        "This version changes the tables in a way that they cannot go on with: stop them all, then start this one",
    ))
}

fn old_enough(sql: &mut dyn Sql, link: &Link) -> Result<()> {
    let version = setting(sql, "server_version_num")?.parse().unwrap_or(0);
    if version >= VERSION_MIN {
        return Ok(());
    }
    Err(Error::new(
        code::POSTGRES_TOO_OLD,
        format!("the server of the database {} is PostgreSQL {}", link.name(), version / 10_000),
        "Tidegate works with PostgreSQL 13 and newer",
    ))
}

// What makes a commit less than durable is the server's own affair, but is said.
fn tell_looseness(sql: &mut dyn Sql, link: &Link) -> Result<()> {
    for (name, loose) in [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")] {
        if setting(sql, name)? == loose {
            tracing::warn!(
                "the server of the database {} runs with {name} = {loose}: a crash of it can lose commits",
                link.name()
            );
        }
    }
    Ok(())
}

fn setting(sql: &mut dyn Sql, name: &str) -> Result<String> {
    let mut value = String::new();
    sql.query("SELECT current_setting($1)", params![name], &mut |row| {
        value = row.text(0)?.to_owned();
        Ok(())
    })?;
    Ok(value)
}

fn in_transaction(session: &mut Session, run: &mut dyn FnMut(&mut dyn Sql) -> Result<()>) -> Result<()> {
    loop {
        session.begin(BEGIN)?;
        let outcome = run(session).and_then(|()| session.commit());
        session.rollback();
        match outcome {
            // All of it can be done again: what is there already is found.
            Err(error) if error.code == code::UNREACHABLE => {}
            outcome => return outcome,
        }
    }
}
