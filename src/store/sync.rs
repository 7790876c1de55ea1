//! Brings the triggers to what is deployed: new flows get a row, renamed ones keep theirs, vanished ones stop. A
//! trigger whose source changed, so that other items come of it, begins a new ledger and is read for the first time
//! again. Called by `triggers` in one transaction.

use super::database::{Sql, params};
use super::notices::{self, Notice};
use super::triggers::{BY_HAND, COLUMNS, TriggerRow, TriggerSync, one, select};
use super::{Result, held, walks};
use crate::clock::rfc3339;

/// Brings the rows to what `flows` say; hosts that deploy at the same time do it one after the other.
pub(super) fn sync(sql: &mut dyn Sql, flows: &[TriggerSync], now_ms: i64) -> Result<()> {
    let text = format!("SELECT {COLUMNS} FROM triggers ORDER BY flow{}", sql.dialect().for_update);
    let before = select(sql, &text, &[])?;
    for flow in flows {
        if let Some(was) = &flow.was {
            let is_taken = before.iter().any(|row| row.flow == flow.flow);
            if !is_taken && before.iter().any(|row| &row.flow == was) {
                rename(sql, was, &flow.flow)?;
            }
        }
        match (one(sql, &flow.flow)?, &flow.stopped) {
            (Some(row), Some(reason)) => stop(sql, &row, reason, now_ms)?,
            (None, Some(_)) => {}
            (None, None) => add(sql, flow, now_ms)?,
            (Some(row), None) => update(sql, &row, flow, now_ms)?,
        }
    }
    for row in &before {
        let is_there = flows.iter().any(|flow| flow.flow == row.flow || flow.was.as_ref() == Some(&row.flow));
        if !is_there {
            stop(sql, row, "its file is gone", now_ms)?;
        }
    }
    Ok(())
}

// Who was switched off by hand stays so, whatever else stands in its way.
fn stop(sql: &mut dyn Sql, row: &TriggerRow, reason: &str, now_ms: i64) -> Result<()> {
    if !is_off_by_hand(row) {
        sql.execute(
            "UPDATE triggers SET state = 'disabled', reason = $2, updated_at = $3 WHERE flow = $1",
            params![&row.flow, reason, now_ms],
        )?;
    }
    Ok(())
}

fn is_off_by_hand(row: &TriggerRow) -> bool {
    row.state == "disabled" && row.reason.as_deref() == Some(BY_HAND)
}

fn rename(sql: &mut dyn Sql, was: &str, name: &str) -> Result<()> {
    for table in ["triggers", "walks", "ledger", "runs", "notices", "approvals"] {
        sql.execute(&format!("UPDATE {table} SET flow = $2 WHERE flow = $1"), params![was, name])?;
    }
    Ok(())
}

fn add(sql: &mut dyn Sql, flow: &TriggerSync, now_ms: i64) -> Result<()> {
    let state = if flow.is_enabled { "enabled" } else { "disabled" };
    sql.execute(
        "INSERT INTO triggers (flow, definition, source, state, generation, seeded, due_at, failures, updated_at) \
         VALUES ($1, $2, $3, $4, 1, 0, $5, 0, $6) ON CONFLICT (flow) DO NOTHING",
        params![&flow.flow, &flow.definition, &flow.source, state, flow.first_due_at, now_ms],
    )?;
    Ok(())
}

fn update(sql: &mut dyn Sql, row: &TriggerRow, flow: &TriggerSync, now_ms: i64) -> Result<()> {
    // `attention` and `suspended` were found out at work, and end there; what a person said by hand outlives files.
    let (state, reason) = match (flow.is_enabled, row.state.as_str()) {
        _ if is_off_by_hand(row) => ("disabled", Some(BY_HAND)),
        (false, _) => ("disabled", None),
        (true, "disabled") => ("enabled", None),
        (true, "attention" | "suspended") if row.source != flow.source => ("enabled", None),
        (true, _) => (row.state.as_str(), row.reason.as_deref()),
    };
    // A poll that nobody wanted meanwhile was not missed.
    let is_back = row.state == "disabled" && state == "enabled" && !flow.source.is_empty();
    let due_at = match (row.due_at, flow.latest_due_at) {
        (Some(due), Some(latest)) if due <= latest && !is_back => Some(due),
        _ => flow.first_due_at,
    };
    sql.execute(
        "UPDATE triggers SET definition = $2, source = $3, state = $4, reason = $5, due_at = $6, updated_at = $7 \
         WHERE flow = $1",
        params![&flow.flow, &flow.definition, &flow.source, state, reason, due_at, now_ms],
    )?;
    if row.source != flow.source {
        read_anew(sql, row, flow, now_ms)?;
    }
    Ok(())
}

// Other items than before. A new ledger, because keys of other items may be the same; and a first reading, which
// starts nothing that is older than what was covered. One that was not over yet begins again.
fn read_anew(sql: &mut dyn Sql, row: &TriggerRow, flow: &TriggerSync, now_ms: i64) -> Result<()> {
    let is_polled = !flow.source.is_empty();
    let was_read = row.seeded && is_polled;
    let mut value = row.value.clone().filter(|_| was_read && flow.is_dated);
    if let Some(walk) = walks::open_of(sql, &row.flow)? {
        let has_begun = walk.started > held::count(sql, &walk.id)?;
        // The new reading lists these again and knows them by their dates, unless runs of this walk have begun:
        // then it goes on from the newest of them.
        let is_found_again = is_polled && (!row.seeded || (flow.is_dated && row.covered_until.is_some() && !has_begun));
        if is_found_again {
            held::keep_newest(sql, &walk.id, 0)?;
        } else if has_begun && was_read && flow.is_dated {
            if walk.is_loosened {
                notices::insert(sql, &left_unread(row, now_ms))?;
            }
            value = walk.newest.or(value);
        }
        held::close_open(sql, &row.flow)?;
    }
    let covered_until = was_read.then(|| row.covered_until.unwrap_or(now_ms));
    let baseline_at = row.baseline_at.filter(|_| was_read);
    // What is new can be told from history only once it was read: at once.
    let due_at = if is_polled { flow.first_due_at } else { None };
    sql.execute(
        "UPDATE triggers SET generation = generation + 1, seeded = 0, value = $2, covered_until = $3, \
         baseline_at = $4, baseline_value = NULL, deep_at = NULL, \
         due_at = COALESCE($5, due_at), failures = 0, error = NULL WHERE flow = $1",
        params![&row.flow, value.as_deref(), covered_until, baseline_at, due_at],
    )?;
    Ok(())
}

// Newest first, and the newest of it have begun: the older part of that reading was not read.
fn left_unread(row: &TriggerRow, now_ms: i64) -> Notice {
    let from_ms = row.covered_until.unwrap_or(now_ms);
    Notice {
        flow: Some(row.flow.clone()),
        kind: "gap".to_owned(),
        message: format!(
            "items between {} and {} may be missing: the flow's source changed before a poll was finished",
            rfc3339(from_ms),
            rfc3339(now_ms)
        ),
        details: Some(serde_json::json!({ "from_ms": from_ms, "to_ms": now_ms }).to_string()),
        at: now_ms,
        ..Notice::default()
    }
}
