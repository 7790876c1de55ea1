//! What the records of a page are to a flow: known keys, history, news that start a run, news that the
//! trigger's `where` leaves out. A record that cannot be judged is never dropped: it starts a failed run.

use serde_json::{Value, json};

use super::definition::{Definition, Poll};
use super::host::Host;
use super::window::News;
use crate::connector::cursor::Position;
use crate::connector::{Page, Replies, Trigger};
use crate::engine::Failure;
use crate::manifest::connector::Order;
use crate::manifest::flow::Emit;
use crate::planted::bug;
use crate::store::approvals::Incoming;
use crate::store::id;
use crate::store::runs::{NewRun, State};
use crate::store::walks::{Listed, WalkRow};
use crate::template::{Expression, Scope, Template};

/// What a page says.
pub struct Reading {
    /// What it listed, oldest first where the service has an order.
    pub listed: Vec<Listed>,
    /// The newest position of the walk so far.
    pub newest: Option<Position>,
    /// The oldest position of this page.
    pub oldest: Option<Position>,
    /// The newest position of this page.
    pub latest: Option<Position>,
    /// The time of the oldest record of the walk so far that was left unseen; UTC epoch milliseconds.
    pub not_ready_ms: Option<i64>,
}

/// Judges the records of a page. `server_ms` is the service's time, `state` what a run begins as.
///
/// # Errors
/// A record without its key or its cursor's field: dropping it would lose it.
#[expect(clippy::too_many_arguments, reason = "each is another thing that a record is judged by")]
pub fn read(
    host: &Host,
    definition: &Definition,
    trigger: &Trigger,
    poll: &Poll,
    connection: &str,
    walk: &WalkRow,
    news: &News,
    page: &Page,
    (server_ms, state): (i64, State),
) -> Result<Reading, Failure> {
    let cursor = &trigger.cursor;
    let mut newest = walk.newest.as_deref().and_then(|newest| cursor.parse(newest));
    let (mut oldest, mut latest): (Option<Position>, Option<Position>) = (None, None);
    let mut not_ready_ms = walk.not_ready_at;
    let mut listed = Vec::with_capacity(page.records.len());
    let mut scope = trigger.scope(&poll.inputs);
    let connector = definition.connectors.get(&poll.connector);
    let replies = connector.and_then(|found| found.replies.as_ref()).filter(|replies| replies.trigger == poll.trigger);
    for (at, record) in page.records.iter().enumerate() {
        // Records that are none of this trigger's tell how far back the page reaches, too.
        if let Ok(Some(position)) = cursor.position(record) {
            if oldest.as_ref().is_none_or(|oldest| position < *oldest) {
                oldest = Some(position.clone());
            }
            latest = latest.max(Some(position));
        }
        let Some(item) = trigger.item(record.clone(), &mut scope)? else { continue };
        let age_ms = item.time_ms.map(|time| server_ms - time);
        if !item.is_ready && age_ms.is_none_or(|age| age < trigger.not_ready_for_ms) {
            if bug("not_ready_seen") {
                listed.push(Listed { key: item.key, run: None, reply: None });
            }
            not_ready_ms = [not_ready_ms, item.time_ms].into_iter().flatten().min();
            continue;
        }
        let is_news = news.is_news(item.position.as_ref(), item.time_ms);
        let place = place(trigger, item.position.as_ref(), walk, at);
        if let Some(position) = item.position {
            newest = cursor.advance(newest, position, server_ms);
        }
        let is_news = is_news && !definition.flow.is_empty();
        let reply = replies.and_then(|replies| reply(replies, connection, &item.key, &item.record));
        let run = is_news.then(|| new_run(host, definition, walk, &item.key, &item.record, place, state));
        listed.push(Listed { key: item.key, run, reply });
    }
    if cursor.order == Order::Desc {
        // Ids are in order of their making, and equal positions are told apart by id.
        listed.reverse();
    }
    let now_ms = host.now_ms();
    for run in listed.iter_mut().filter_map(|listed| listed.run.as_mut()) {
        run.id = id::new(now_ms);
    }
    Ok(Reading { listed, newest, oldest, latest, not_ready_ms })
}

// The message that a record is: whether it answers an approval is found out where it is written down.
fn reply(replies: &Replies, connection: &str, key: &str, record: &Value) -> Option<Incoming> {
    let message = replies.message(record)?;
    Some(Incoming {
        connection: connection.to_owned(),
        key: key.to_owned(),
        address: message.from,
        message: message.text,
        kind: replies.kind.clone(),
    })
}

// Its place among the runs of its flow: smaller is older.
fn place(trigger: &Trigger, position: Option<&Position>, walk: &WalkRow, at: usize) -> i64 {
    if let Some(position) = position {
        return trigger.cursor.sort_value(position);
    }
    let listed = walk.listed.saturating_add(i64::try_from(at).unwrap_or(i64::MAX));
    if trigger.cursor.order == Order::Desc { -listed } else { listed }
}

fn new_run(
    host: &Host,
    definition: &Definition,
    walk: &WalkRow,
    key: &str,
    record: &Value,
    position: i64,
    state: State,
) -> NewRun {
    let item = record.to_string();
    let run = NewRun {
        id: String::new(),
        flow: definition.name.clone(),
        definition: definition.hash.clone(),
        state,
        position,
        slot: None,
        walk: Some(walk.id.clone()),
        item_key: Some(key.to_owned()),
        item,
        repeats: None,
        error: None,
    };
    judged(host, definition, record, run)
}

/// A run as the flow's trigger wants it: with its concurrency key, filtered, or failed where that cannot be told.
pub fn judged(host: &Host, definition: &Definition, item: &Value, mut run: NewRun) -> NewRun {
    match judge(host, definition, item) {
        Ok((true, slot)) => run.slot = slot,
        Ok((false, _)) => run.state = State::Filtered,
        Err(failure) => {
            host.undecided.lock().add(&run.flow, &failure);
            run.state = State::Failed;
            run.error = Some(json!(failure).to_string());
        }
    }
    run
}

/// A run of an item that the flow's trigger wants, with its concurrency key; failed where that cannot be told.
pub fn slotted(definition: &Definition, item: &Value, mut run: NewRun, now_ms: i64) -> NewRun {
    match asked(definition, item, None, definition.flow.concurrency.key.as_ref(), now_ms) {
        Ok((_, slot)) => run.slot = slot,
        Err(failure) => {
            run.state = State::Failed;
            run.error = Some(json!(failure).to_string());
        }
    }
    run
}

// Whether a flow's trigger wants an item, and the item's concurrency key. What is put together has its key later.
fn judge(host: &Host, definition: &Definition, item: &Value) -> Result<(bool, Option<String>), Failure> {
    let slot = definition.flow.concurrency.key.as_ref().filter(|_| definition.flow.trigger.emit == Emit::Each);
    asked(definition, item, definition.flow.trigger.condition.as_ref(), slot, host.now_ms())
}

fn asked(
    definition: &Definition,
    item: &Value,
    filter: Option<&Expression>,
    slot: Option<&Template>,
    now_ms: i64,
) -> Result<(bool, Option<String>), Failure> {
    if filter.is_none() && slot.is_none() {
        return Ok((true, None));
    }
    let mut scope = Scope::new();
    scope.set_now(now_ms);
    scope.set("inputs", definition.inputs.clone());
    scope.set("item", item.clone());
    let failed = |place: &str, error: crate::template::Error| {
        Failure::not_sent(error.code, format!("{place}: {}", error.message))
    };
    if let Some(filter) = filter
        && !filter.is_true(&scope).map_err(|error| failed("trigger.where", error))?
    {
        return Ok((false, None));
    }
    let slot = slot.map(|slot| slot.render(&scope).map_err(|error| failed("concurrency.key", error))).transpose()?;
    Ok((true, slot))
}
