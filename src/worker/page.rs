//! What the records of a page are to a flow: known keys, history, news that start a run, news that the
//! trigger's `where` leaves out. A record that cannot be judged is never dropped: it starts a failed run.

use serde_json::{Value, json};

use super::definition::{Definition, Poll};
use super::host::Host;
use super::window::{Mode, News};
use crate::connector::cursor::Position;
use crate::connector::{Page, Trigger};
use crate::engine::Failure;
use crate::manifest::connector::Order;
use crate::manifest::flow::Start;
use crate::store::id;
use crate::store::runs::{NewRun, State};
use crate::store::walks::{Listed, WalkRow};
use crate::template::Scope;

/// What a page says.
pub struct Reading {
    /// What it listed, oldest first where the service has an order.
    pub listed: Vec<Listed>,
    /// The newest position of the walk so far.
    pub newest: Option<Position>,
    /// The oldest position of this page.
    pub oldest: Option<Position>,
}

/// Judges the records of a page. `server_ms` is the service's time.
///
/// # Errors
/// A record without its key or its cursor's field: dropping it would lose it.
#[expect(clippy::too_many_arguments, reason = "each is another thing that a record is judged by")]
pub fn read(
    host: &Host,
    definition: &Definition,
    trigger: &Trigger,
    poll: &Poll,
    walk: &WalkRow,
    news: &News,
    page: &Page,
    server_ms: i64,
) -> Result<Reading, Failure> {
    let cursor = &trigger.cursor;
    let mut newest = walk.newest.as_deref().and_then(|newest| cursor.parse(newest));
    let mut oldest: Option<Position> = None;
    let mut listed = Vec::with_capacity(page.records.len());
    let mut scope = trigger.scope(&poll.inputs);
    // Read oldest first, a page's runs can begin with its commit: nothing older can follow. Where only the
    // newest are wanted, which those are shows at the end.
    let wants_newest = matches!(poll.start, Start::Last { .. }) && Mode::from_word(&walk.mode) == Mode::Seed;
    let state = if cursor.order == Order::Asc && !wants_newest { State::Queued } else { State::Held };
    for (at, record) in page.records.iter().enumerate() {
        // Records that are none of this trigger's tell how far back the page reaches, too.
        if let Ok(Some(position)) = cursor.position(record)
            && oldest.as_ref().is_none_or(|oldest| position < *oldest)
        {
            oldest = Some(position);
        }
        let Some(item) = trigger.item(record.clone(), &mut scope)? else { continue };
        let age_ms = item.time_ms.map(|time| server_ms - time);
        if !item.is_ready && age_ms.is_none_or(|age| age < trigger.not_ready_for_ms) {
            continue;
        }
        // Older than keys are remembered: it may be one that was forgotten.
        let is_forgotten = age_ms.is_some_and(|age| age > trigger.remember_ms);
        let is_news = news.is_news(item.position.as_ref(), item.time_ms) && !is_forgotten;
        let place = place(trigger, item.position.as_ref(), walk, at);
        if let Some(position) = item.position {
            newest = cursor.advance(newest, position, server_ms);
        }
        let run = is_news.then(|| new_run(host, definition, walk, &item.key, &item.record, place, state));
        listed.push(Listed { key: item.key, run });
    }
    if cursor.order == Order::Desc {
        // Ids are in order of their making, and equal positions are told apart by id.
        listed.reverse();
    }
    let now_ms = host.now_ms();
    for run in listed.iter_mut().filter_map(|listed| listed.run.as_mut()) {
        run.id = id::new(now_ms);
    }
    Ok(Reading { listed, newest, oldest })
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
        retry_of: None,
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
            run.state = State::Failed;
            run.error = Some(json!(failure).to_string());
        }
    }
    run
}

// Whether a flow's trigger wants an item, and the item's concurrency key.
fn judge(host: &Host, definition: &Definition, item: &Value) -> Result<(bool, Option<String>), Failure> {
    let (filter, slot) = (&definition.flow.trigger.condition, &definition.flow.concurrency.key);
    if filter.is_none() && slot.is_none() {
        return Ok((true, None));
    }
    let mut scope = Scope::new();
    scope.set_now(host.now_ms());
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
    let slot =
        slot.as_ref().map(|slot| slot.render(&scope).map_err(|error| failed("concurrency.key", error))).transpose()?;
    Ok((true, slot))
}
