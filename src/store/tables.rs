//! Every table, and what becomes of it when a store is copied to another database. The columns are the database's
//! own word, so that none can be forgotten; a table that has no line here is refused, and a test finds it first.

use super::Result;
use super::database::{Error, Sql, code};

/// What becomes of a table when a store is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its rows are copied.
    Moves,
    /// Its rows are copied where both are databases of several hosts; the reason stands here for where they are not.
    MovesAmongHosts(&'static str),
    /// Its rows are about one database, or one host: the reason.
    Stays(&'static str),
}

/// A table that is copied, as its database describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    /// Those that are copied, by name.
    pub columns: Vec<Column>,
    /// Its primary key: places in `columns`, in the key's order.
    pub key: Vec<usize>,
}

/// A column that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Bytes,
}

/// The tables of a store: those that are copied, and those that are not, with the reason.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// Whether both ends of the copy are databases of several hosts.
    pub is_among_hosts: bool,
    pub moving: Vec<Table>,
    pub staying: Vec<(String, &'static str)>,
}

/// Each table, by name. A migration that makes a table adds its line.
pub const FATES: &[(&str, Fate)] = &[
    ("account_secrets", Fate::Moves),
    ("accounts", Fate::Moves),
    ("approvals", Fate::Moves),
    ("approvers", Fate::Moves),
    ("asked", Fate::Moves),
    ("blobs", Fate::Moves),
    ("blocks", Fate::Moves),
    ("checks", Fate::Moves),
    ("claims", Fate::Stays("which host has what")),
    ("commits", Fate::Stays("marks of a database's own transactions")),
    ("connections", Fate::Moves),
    ("definitions", Fate::Moves),
    ("ledger", Fate::Moves),
    ("matches", Fate::Moves),
    ("migrations", Fate::Stays("what was done to its own tables")),
    ("nodes", Fate::Stays("hosts that work on it")),
    ("notices", Fate::Moves),
    ("publications", Fate::MovesAmongHosts("the host on a file reads the project from its folder")),
    ("remembered", Fate::Moves),
    ("replies", Fate::Moves),
    ("runs", Fate::Moves),
    ("sealing_keys", Fate::Moves),
    ("sign_ins", Fate::Moves),
    ("steps", Fate::Moves),
    ("tokens", Fate::Moves),
    ("triggers", Fate::Moves),
    ("walks", Fate::Moves),
];

/// Columns that say who works on a row now. Nobody does once it is copied: they are null there. Epochs are copied,
/// as they may only grow.
const OF_A_HOST: &[(&str, &str)] =
    &[("runs", "claimed_by"), ("tokens", "lease_holder"), ("tokens", "lease_until"), ("triggers", "claimed_by")];

/// The tables of the store that `sql` is of; `is_among_hosts` where it and the other end are databases of several.
///
/// # Errors
/// `store_tables` for a table without a fate, or one that cannot be read in the order of its key.
pub(super) fn tables(sql: &mut dyn Sql, is_among_hosts: bool) -> Result<Tables> {
    let mut found: Vec<(String, Vec<(Column, i64)>)> = Vec::new();
    let mut unknown = None;
    let columns = sql.dialect().columns;
    sql.query(columns, &[], &mut |row| {
        let (table, name, place) = (row.text(0)?, row.text(1)?, row.int(3)?);
        if OF_A_HOST.contains(&(table, name)) {
            return Ok(());
        }
        let Some(kind) = kind(row.text(2)?) else {
            unknown = Some(format!("the column `{name}` of `{table}` has a type of its own"));
            return Ok(());
        };
        let column = (Column { name: name.to_owned(), kind }, place);
        match found.last_mut() {
            Some((last, columns)) if last == table => columns.push(column),
            _ => found.push((table.to_owned(), vec![column])),
        }
        Ok(())
    })?;
    let mut tables = Tables { is_among_hosts, moving: Vec::new(), staying: Vec::new() };
    for (name, columns) in found {
        match FATES.iter().find(|(known, _)| *known == name).map(|(_, fate)| *fate) {
            Some(Fate::Stays(why)) => tables.staying.push((name, why)),
            Some(Fate::MovesAmongHosts(why)) if !is_among_hosts => tables.staying.push((name, why)),
            Some(Fate::Moves | Fate::MovesAmongHosts(_)) => tables.moving.push(table(name, columns)),
            None => unknown = Some(format!("nothing is said of the table `{name}`")),
        }
    }
    if let Some(keyless) = tables.moving.iter().find(|table| table.key.is_empty()) {
        unknown = Some(format!("the table `{}` has no primary key", keyless.name));
    }
    match unknown {
        None => Ok(tables),
        Some(why) => Err(Error::new(
            code::TABLES,
            format!("the store cannot be copied whole: {why}"),
            "Remove what another program has added, or use the program that made it",
        )),
    }
}

fn table(name: String, columns: Vec<(Column, i64)>) -> Table {
    let mut key: Vec<(i64, usize)> =
        columns.iter().enumerate().map(|(at, (_, place))| (*place, at)).filter(|(place, _)| *place > 0).collect();
    key.sort_unstable();
    let key = key.into_iter().map(|(_, at)| at).collect();
    Table { name, columns: columns.into_iter().map(|(column, _)| column).collect(), key }
}

// As SQLite and PostgreSQL call them.
fn kind(written: &str) -> Option<Kind> {
    match written.to_ascii_lowercase().as_str() {
        "bigint" | "integer" => Some(Kind::Int),
        "text" => Some(Kind::Text),
        "blob" | "bytea" => Some(Kind::Bytes),
        _ => None,
    }
}
