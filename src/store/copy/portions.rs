//! A table read in the order of its key, in portions that fit into little memory, with a digest over all of it.
//! Both databases order keys by their bytes, so that the same rows give the same digest on each.

use sha2::{Digest, Sha256};

use super::super::Result;
use super::super::database::{Param, Row, Sql, params};
use super::super::tables::{Kind, Table};

/// Values of one row, in the order of the table's columns.
pub type Values = Vec<Param<'static>>;

/// How many rows a table has, and what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub rows: u64,
    /// SHA-256 over the names and values, in hexadecimal.
    pub digest: String,
}

/// Rows of a portion at most.
const ROWS: i64 = 1_000;
/// Bytes of a portion, unless its only row has more.
const BYTES: i64 = 4 * 1024 * 1024;
/// What a row takes beside its texts and bytes.
const ROW_BYTES: i64 = 128;

/// Reads a table whole and hands over its portions.
pub fn read(sql: &mut dyn Sql, table: &Table, each: &mut dyn FnMut(Vec<Values>) -> Result<()>) -> Result<Content> {
    let mut digest = Sha256::new();
    text(&mut digest, &table.name);
    table.columns.iter().for_each(|column| text(&mut digest, &column.name));
    let mut rows = 0;
    let mut last: Option<Values> = None;
    loop {
        let portion = next(sql, table, last.as_ref())?;
        let Some(end) = portion.last() else { break };
        last = Some(table.key.iter().filter_map(|at| end.get(*at).cloned()).collect());
        rows += portion.len() as u64;
        portion.iter().flatten().for_each(|value| absorb(&mut digest, value));
        each(portion)?;
    }
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Content { rows, digest })
}

// The rows that come after this key; none at the end.
fn next(sql: &mut dyn Sql, table: &Table, after: Option<&Values>) -> Result<Vec<Values>> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let key = table.key.iter().filter_map(|at| names.get(*at).copied()).collect::<Vec<_>>().join(", ");
    let (condition, limit) = match after {
        None => (String::new(), 1),
        Some(values) => {
            let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
            (format!("WHERE ({key}) > ({}) ", places.join(", ")), values.len() + 1)
        }
    };
    let rest = format!("FROM {} {condition}ORDER BY {key} LIMIT ${limit}", table.name);
    let with = |limit: i64| {
        let mut params = after.cloned().unwrap_or_default();
        params.push(Param::from(limit));
        params
    };

    // How much there is, before any of it is in memory.
    let (mut count, mut bytes) = (0, 0);
    sql.query(&format!("SELECT {} {rest}", size(table)), &with(ROWS), &mut |row| {
        bytes += row.int(0)? + ROW_BYTES;
        if bytes <= BYTES || count == 0 {
            count += 1;
        }
        Ok(())
    })?;
    let mut portion = Vec::new();
    if count > 0 {
        sql.query(&format!("SELECT {} {rest}", names.join(", ")), &with(count), &mut |row| {
            portion.push(values(row, table)?);
            Ok(())
        })?;
    }
    Ok(portion)
}

fn size(table: &Table) -> String {
    let lengths = table.columns.iter().filter(|column| column.kind != Kind::Int);
    let lengths: Vec<String> = lengths.map(|column| format!("coalesce(octet_length({}), 0)", column.name)).collect();
    format!("CAST({} AS BIGINT)", if lengths.is_empty() { "0".to_owned() } else { lengths.join(" + ") })
}

fn values(row: &dyn Row, table: &Table) -> Result<Values> {
    let mut values = Vec::with_capacity(table.columns.len());
    for (at, column) in table.columns.iter().enumerate() {
        values.push(match column.kind {
            Kind::Int => Param::from(row.opt_int(at)?),
            Kind::Text => Param::from(row.opt_text(at)?.map(str::to_owned)),
            Kind::Bytes => Param::from(row.opt_bytes(at)?.map(<[u8]>::to_vec)),
        });
    }
    Ok(values)
}

// Each value says its kind and its length, so that no two rows run into each other.
fn absorb(digest: &mut Sha256, value: &Param<'_>) {
    match value {
        Param::Null => digest.update([0]),
        Param::Int(number) => {
            digest.update([1]);
            digest.update(number.to_be_bytes());
        }
        Param::Text(value) => text(digest, value),
        Param::Bytes(value) => {
            digest.update([3]);
            digest.update((value.len() as u64).to_be_bytes());
            digest.update(value);
        }
    }
}

fn text(digest: &mut Sha256, value: &str) {
    digest.update([2]);
    digest.update((value.len() as u64).to_be_bytes());
    digest.update(value);
}

/// Whether a table has any row.
pub fn is_empty(sql: &mut dyn Sql, table: &str) -> Result<bool> {
    let mut is_empty = true;
    sql.query(&format!("SELECT 1 FROM {table} LIMIT 1"), params![], &mut |_| {
        is_empty = false;
        Ok(())
    })?;
    Ok(is_empty)
}

/// How many rows a table has.
pub fn count(sql: &mut dyn Sql, table: &str) -> Result<u64> {
    let mut count = 0;
    sql.query(&format!("SELECT count(*) FROM {table}"), params![], &mut |row| {
        count = row.int(0)?.unsigned_abs();
        Ok(())
    })?;
    Ok(count)
}
