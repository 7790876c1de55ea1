//! The end of a copy that is read: one transaction, which keeps the store as it is until the target is done.

use std::sync::mpsc::{Receiver, SyncSender};

use tokio::sync::oneshot;

use super::super::Result;
use super::super::database::Sql;
use super::super::tables::tables;
use super::{Held, Message, StayedTable, hold, interrupted, portions};

pub(super) fn read(
    sql: &mut dyn Sql,
    place: &str,
    is_among_hosts: bool,
    held: oneshot::Sender<Held>,
    portions: &SyncSender<Message>,
    is_done: &Receiver<()>,
) -> Result<()> {
    let tables = tables(sql, is_among_hosts)?;
    hold(sql, place, &tables)?;
    let mut stayed = Vec::new();
    for (table, why) in &tables.staying {
        stayed.push(StayedTable { table: table.clone(), rows: portions::count(sql, table)?, why });
    }
    let moving = tables.moving.clone();
    held.send(Held { tables, stayed }).map_err(|_| interrupted())?;
    let send = |message| portions.send(message).map_err(|_| interrupted());
    for (at, table) in moving.iter().enumerate() {
        let content = portions::read(sql, table, &mut |rows| send(Message::Rows { table: at, rows }))?;
        send(Message::Whole { content })?;
    }
    send(Message::End)?;
    // Nothing comes: its other end is let go of.
    let _ = is_done.recv();
    Ok(())
}
