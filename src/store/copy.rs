//! A whole store, copied from one database to another, verified. The source is kept still by one transaction that
//! reads, the target takes everything in one that writes, and portions go from one to the other: nobody sees a
//! part, and whatever fails leaves the target as it was. What is of one database or one host stays (`tables`).

mod portions;
mod source;
mod target;

use std::sync::mpsc::sync_channel;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use self::portions::{Content, Values};
use super::Result;
use super::database::{Error, Handle, Sql, code};
use super::tables::Tables;

/// What was copied.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// Tables whose rows were copied, each the same at both ends.
    pub tables: Vec<CopiedTable>,
    /// Tables with rows that were not, as they are about one database or one host.
    pub stayed: Vec<StayedTable>,
    /// The key that the secrets stay sealed under; none where nothing is sealed.
    pub sealing_key: Option<String>,
}

/// A table whose rows were copied.
#[derive(Clone, Debug, Serialize)]
pub struct CopiedTable {
    /// Its name.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// Of their content, read at both ends in the order of the key; hexadecimal.
    pub digest: String,
}

/// A table whose rows were not copied.
#[derive(Clone, Debug, Serialize)]
pub struct StayedTable {
    /// Its name.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// What they are.
    pub why: &'static str,
}

/// How far a copy has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many rows of a table were written.
    Written { table: String, rows: u64 },
    /// A table was read again at the target.
    Verified { table: String, rows: u64 },
}

// What the source has, once it is still.
struct Held {
    tables: Tables,
    stayed: Vec<StayedTable>,
}

// What goes from the source to the target.
enum Message {
    Rows { table: usize, rows: Vec<Values> },
    Whole { content: Content },
    End,
}

/// Copies `source`, which was opened for that, to what `target` opens; `is_among_hosts` where both are databases of
/// several hosts. The target is opened once the source is known to be free.
///
/// # Errors
/// `store_in_use` names hosts at work; `store_not_empty`; `store_text` where a text has a character that the target
/// cannot hold; `store_differs` where the two ends are not the same; `store_interrupted`. Nothing was copied then.
pub async fn copy(
    source: &Handle,
    target: impl FnOnce() -> Result<Handle>,
    is_among_hosts: bool,
    told: UnboundedSender<Progress>,
) -> Result<Copied> {
    let (held, is_held) = oneshot::channel();
    let (portions, incoming) = sync_channel(1);
    // Dropped when the target is done: until then the source stays as it is.
    let (done, is_done) = sync_channel::<()>(0);
    let mut reading = Some((held, portions, is_done));
    let (handle, name) = (source.clone(), source.name().to_owned());
    let reading = tokio::spawn(async move {
        let once = move |sql: &mut dyn Sql| match reading.take() {
            Some((held, portions, is_done)) => source::read(sql, &name, is_among_hosts, held, &portions, &is_done),
            None => Err(interrupted()),
        };
        handle.transaction(once).await
    });
    let written = match is_held.await {
        Ok(held) => target::write(target, held, incoming, told).await,
        Err(_) => Err(interrupted()),
    };
    drop(done);
    let read = reading.await.unwrap_or_else(|_| Err(interrupted()));
    match (written, read) {
        (Ok(copied), _) => Ok(copied),
        // The one end stopped because the other did: that one says why.
        (Err(error), Err(why)) if error.code == code::INTERRUPTED => Err(why),
        (Err(error), _) => Err(error),
    }
}

/// Keeps the tables of the store that is shown as `place` as they are until the transaction ends.
fn hold(sql: &mut dyn Sql, place: &str, tables: &Tables) -> Result<()> {
    // Before anything is held up, and once more when nobody can come.
    no_host(sql, place)?;
    let names: Vec<&str> = tables.moving.iter().map(|table| table.name.as_str()).collect();
    let statements = (sql.dialect().hold_still)(&names);
    sql.batch(&statements)?;
    no_host(sql, place)
}

fn no_host(sql: &mut dyn Sql, place: &str) -> Result<()> {
    let mut hosts = Vec::new();
    if let Some(query) = sql.dialect().hosts_at_work {
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
        format!("hosts work on the database {place}: {}", hosts.join("; ")),
        "Stop them first; one that was killed counts for as long as its lease holds",
    ))
}

fn interrupted() -> Error {
    Error::new(
        code::INTERRUPTED,
        "the copy was interrupted: a connection was lost, or the other end has stopped",
        "Nothing was copied; do it again",
    )
}

#[cfg(test)]
mod tests;
