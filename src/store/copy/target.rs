//! The end of a copy that is written: one transaction, with everything and verified, or with nothing.

use std::sync::mpsc::Receiver;

use tokio::sync::mpsc::UnboundedSender;

use super::super::database::{Error, Handle, Param, Sql, code};
use super::super::tables::{Kind, Table, tables};
use super::super::{Result, keys};
use super::portions::{self, Content, Values};
use super::{Copied, CopiedTable, Held, Message, Progress, hold, interrupted};

pub(super) async fn write(
    target: impl FnOnce() -> Result<Handle>,
    held: Held,
    incoming: Receiver<Message>,
    told: UnboundedSender<Progress>,
) -> Result<Copied> {
    let target = target()?;
    let name = target.name().to_owned();
    let mut once = Some((held, incoming));
    let written = target
        .transaction(move |sql| match once.take() {
            Some((held, incoming)) => take(sql, &name, held, &incoming, &told),
            None => Err(interrupted()),
        })
        .await;
    let closed = target.close().await;
    let copied = written?;
    closed?;
    Ok(copied)
}

fn take(
    sql: &mut dyn Sql,
    place: &str,
    held: Held,
    incoming: &Receiver<Message>,
    told: &UnboundedSender<Progress>,
) -> Result<Copied> {
    let own = tables(sql, held.tables.is_among_hosts)?;
    if own.moving != held.tables.moving {
        return Err(differs("its tables are not those of the source"));
    }
    hold(sql, place, &own)?;
    for table in &own.moving {
        if !portions::is_empty(sql, &table.name)? {
            return Err(not_empty(place, &table.name));
        }
    }
    let expected = insert_all(sql, &own.moving, incoming, told)?;
    let mut copied = Vec::new();
    for (table, expected) in own.moving.iter().zip(expected) {
        let found = portions::read(sql, table, &mut |_| Ok(()))?;
        if found != expected {
            return Err(differs(&format!(
                "`{}` has {} rows with the digest {}, and at the source {} with {}",
                table.name, found.rows, found.digest, expected.rows, expected.digest
            )));
        }
        go_on_counting(sql, table)?;
        tell(told, Progress::Verified { table: table.name.clone(), rows: found.rows });
        copied.push(CopiedTable { table: table.name.clone(), rows: found.rows, digest: found.digest });
    }
    let whole = (sql.dialect().whole)();
    sql.batch(&whole)?;
    Ok(Copied { tables: copied, stayed: held.stayed, sealing_key: keys::id(sql)? })
}

// Gives what the source has in each table.
fn insert_all(
    sql: &mut dyn Sql,
    tables: &[Table],
    incoming: &Receiver<Message>,
    told: &UnboundedSender<Progress>,
) -> Result<Vec<Content>> {
    let mut contents = Vec::new();
    let mut written = 0;
    loop {
        match incoming.recv().map_err(|_| interrupted())? {
            Message::Rows { table, rows } => {
                let table = tables.get(table).ok_or_else(interrupted)?;
                holdable(sql, table, &rows, written)?;
                sql.execute_many(&insertion(table), &rows)?;
                written += rows.len() as u64;
                tell(told, Progress::Written { table: table.name.clone(), rows: written });
            }
            Message::Whole { content } => {
                written = 0;
                contents.push(content);
            }
            Message::End if contents.len() == tables.len() => return Ok(contents),
            Message::End => return Err(interrupted()),
        }
    }
}

fn insertion(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), places.join(", "))
}

// A text is copied as it is, or not at all. What it says is not told: it may be an item.
fn holdable(sql: &dyn Sql, table: &Table, rows: &[Values], before: u64) -> Result<()> {
    if sql.dialect().holds_nul {
        return Ok(());
    }
    for (at, row) in rows.iter().enumerate() {
        for (column, value) in table.columns.iter().zip(row) {
            if matches!(value, Param::Text(text) if text.contains('\0')) {
                return Err(Error::new(
                    code::TEXT,
                    format!(
                        "row {} of `{}`, in the order of its key, has a NUL character in `{}`, which the target cannot hold",
                        before + at as u64 + 1,
                        table.name,
                        column.name
                    ),
                    "Nothing was copied. Remove that row at the source, or stay with a file",
                ));
            }
        }
    }
    Ok(())
}

// A key that counts up was given, and not taken from the count.
fn go_on_counting(sql: &mut dyn Sql, table: &Table) -> Result<()> {
    let key: Vec<_> = table.key.iter().filter_map(|at| table.columns.get(*at)).collect();
    let [column] = key.as_slice() else { return Ok(()) };
    if column.kind != Kind::Int {
        return Ok(());
    }
    match (sql.dialect().count_on)(&table.name, &column.name) {
        Some(query) => sql.query(&query, &[], &mut |_| Ok(())),
        None => Ok(()),
    }
}

fn tell(told: &UnboundedSender<Progress>, progress: Progress) {
    // Whoever shows it may have gone: the copy goes on.
    let _ = told.send(progress);
}

fn not_empty(place: &str, table: &str) -> Error {
    Error::new(
        code::NOT_EMPTY,
        format!("the store {place} is not empty: it has rows in `{table}`"),
        "Nothing is ever written over. Name a new file, or an empty database",
    )
}

fn differs(why: &str) -> Error {
    Error::new(
        code::DIFFERS,
        format!("the target is not what the source is: {why}"),
        "Nothing was copied. If it happens again, please report it",
    )
}
