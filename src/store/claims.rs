//! Who works on what. Where one host works, it is everything's, and a claim costs nothing. Where several may,
//! a claim is in the row: who has it, and an epoch that grows with every change of hands. A claim holds while
//! its host's lease does; whatever is settled says its epoch, so that a host that was taken for dead settles
//! nothing. Epochs keep it right, leases only keep it going.

use super::database::{Presence, Row, Sql, params};
use super::due::{self, Due, DueRun};
use super::triggers::{self, TriggerRow};
use super::{Result, Store};
use crate::planted::bug;

/// Runs of a flow to claim.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The flow.
    pub flow: String,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
    /// How many at most.
    pub limit: u32,
    /// How many runs of the flow this host has claimed already.
    pub claimed: u32,
    /// Slots that are taken: runs that have not begun and want one of them are left out.
    pub busy: Vec<String>,
    /// Whether one host has to have the whole flow, so that its runs keep their order.
    pub is_lane: bool,
}

/// What this host gives back: it could not go on with it.
#[derive(Clone, Debug, Default)]
pub struct GivenUp {
    /// Runs, each with its epoch.
    pub runs: Vec<(String, i64)>,
    /// Runs that were at work when the store refused something, each with its epoch.
    pub refused: Vec<(String, i64)>,
    /// Triggers by flow, each with its epoch.
    pub triggers: Vec<(String, i64)>,
}

/// A claim is free where it has no host, or one whose lease is over by the database's time. After the
/// database itself was away for a while all leases are over: then every host gets the time to come back.
const FREE: &str = "(claimed_by IS NULL OR claimed_by = $N OR claimed_by NOT IN (SELECT id FROM nodes \
                    WHERE lease_until > NOW OR STARTED > NOW - 2 * $L))";

impl Store {
    /// Claims due runs of a flow, begun ones and oldest first.
    pub async fn claim_runs(&self, wanted: Wanted) -> Result<Due> {
        let Some(presence) = self.presence().cloned() else {
            // Those that are claimed are found again, and told apart by whoever asks.
            let Wanted { flow, now_ms, limit, claimed, busy, .. } = wanted;
            return self.due_runs(flow, now_ms, limit + claimed, busy).await;
        };
        // Before the claim: one that runs out meanwhile is looked at again.
        let lapses = presence.lapses();
        let mut due = self.database.transaction(move |sql| claim_runs(sql, &presence, &wanted)).await?;
        due.runs.iter_mut().for_each(|run| run.lapses = lapses);
        Ok(due)
    }

    /// Claims one run, due or not; none while another host has it, or when it is over.
    pub async fn claim_run(&self, id: String) -> Result<Option<i64>> {
        let Some(presence) = self.presence().cloned() else { return Ok(Some(0)) };
        self.database
            .transaction(move |sql| {
                let text = format!(
                    "UPDATE runs SET claimed_by = $2, epoch = epoch + 1 \
                     WHERE id = $1 AND state IN ('queued', 'running') AND {} RETURNING epoch",
                    free(sql, 2, 3)
                );
                let mut epoch = None;
                sql.query(&text, params![&id, presence.id(), presence.lease_ms()], &mut |row| {
                    epoch = Some(row.int(0)?);
                    Ok(())
                })?;
                Ok(epoch)
            })
            .await
    }

    /// Claims due triggers, earliest first. Those of the flows in `polling` are under way here; any other one
    /// that this host has is claimed again: it was claimed for a poll that never began, or has just ended.
    pub async fn claim_triggers(&self, now_ms: i64, limit: u32, polling: Vec<String>) -> Result<Vec<TriggerRow>> {
        let Some(presence) = self.presence().cloned() else {
            let under_way = u32::try_from(polling.len()).unwrap_or(u32::MAX);
            return self.due_triggers(now_ms, limit.saturating_add(under_way)).await;
        };
        let polling = serde_json::Value::from(polling).to_string();
        self.database
            .transaction(move |sql| {
                let text = format!(
                    "UPDATE triggers SET claimed_by = $3, epoch = epoch + 1 WHERE flow IN (SELECT flow FROM triggers \
                     WHERE state = 'enabled' AND due_at <= $1 AND flow NOT IN ({}) AND {} \
                     ORDER BY due_at LIMIT $2{}) RETURNING {}",
                    sql.dialect().json_texts.replace('?', "$5"),
                    free(sql, 3, 4),
                    sql.dialect().for_update_skip_locked,
                    triggers::COLUMNS
                );
                let params = params![now_ms, limit, presence.id(), presence.lease_ms(), &polling];
                let mut rows = triggers::select(sql, &text, params)?;
                rows.sort_by_key(|row| row.due_at);
                Ok(rows)
            })
            .await
    }

    /// Claims work that has no row of its own, by its name; true while this host has it. It keeps it for as
    /// long as it lives.
    pub async fn claim(&self, name: String) -> Result<bool> {
        let Some(presence) = self.presence().cloned() else { return Ok(true) };
        self.database.transaction(move |sql| Ok(claim(sql, &presence, &name)?.is_some())).await
    }

    /// Whether any host holds its session. Of a database that several share; a file's only host is told by its lock.
    pub async fn has_living_host(&self) -> Result<bool> {
        self.database
            .transaction(|sql| {
                let mut lives = false;
                let text = format!("SELECT 1 FROM nodes WHERE {} LIMIT 1", sql.dialect().lives);
                sql.query(&text, &[], &mut |_| {
                    lives = true;
                    Ok(())
                })?;
                Ok(lives)
            })
            .await
    }

    /// Gives back what this host claimed and is done with for now.
    pub async fn give_up(&self, given_up: GivenUp) -> Result<()> {
        let presence = self.presence().cloned();
        if presence.is_none() && given_up.refused.is_empty() {
            return Ok(());
        }
        self.database
            .transaction(move |sql| {
                // What was about to send its first request may have left a mark, and keeps its slot.
                for (run, epoch) in &given_up.refused {
                    let text = "UPDATE runs SET state = 'running' \
                                WHERE id = $1 AND epoch = $2 AND state = 'queued' AND started_at IS NOT NULL";
                    sql.execute(text, params![run, *epoch])?;
                }
                let Some(presence) = &presence else { return Ok(()) };
                let runs: Vec<_> = given_up.runs.iter().chain(&given_up.refused).collect();
                let triggers: Vec<_> = given_up.triggers.iter().collect();
                for (table, key, rows) in [("runs", "id", &runs), ("triggers", "flow", &triggers)] {
                    let text = format!(
                        "UPDATE {table} SET claimed_by = NULL WHERE {key} = $1 AND epoch = $2 AND claimed_by = $3"
                    );
                    let rows: Vec<_> =
                        rows.iter().map(|(key, epoch)| params![key, *epoch, presence.id()].to_vec()).collect();
                    if !rows.is_empty() {
                        sql.execute_many(&text, &rows)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// Whether a run was claimed anew since. What then still says that this host has it, as it was remembered for
    /// the next claim that it may be sending, is taken back: it goes on with nothing of it.
    pub async fn give_way(&self, run: String, epoch: i64) -> Result<bool> {
        let Some(presence) = self.presence().cloned() else { return Ok(false) };
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE runs SET claimed_by = NULL WHERE id = $1 AND epoch > $2 AND claimed_by = $3",
                    params![&run, epoch, presence.id()],
                )?;
                let mut is_taken = false;
                sql.query("SELECT 1 FROM runs WHERE id = $1 AND epoch > $2", params![&run, epoch], &mut |_| {
                    is_taken = true;
                    Ok(())
                })?;
                Ok(is_taken)
            })
            .await
    }
}

// The parameters that hold this host's id and its lease.
fn free(sql: &dyn Sql, node: usize, lease: usize) -> String {
    if bug("claim_outlives_host") {
        return format!("(claimed_by IS NULL OR claimed_by = ${node} OR ${lease} < 0)");
    }
    let dialect = sql.dialect();
    FREE.replace("$N", &format!("${node}"))
        .replace("$L", &format!("CAST(${lease} AS BIGINT)"))
        .replace("NOW", dialect.now_ms)
        .replace("STARTED", dialect.started_ms)
}

// Whether the claim is this host's, and if so, whether it just became so.
fn claim(sql: &mut dyn Sql, presence: &Presence, name: &str) -> Result<Option<bool>> {
    let mut epoch = None;
    let mut is_ours = false;
    let mut look = |row: &dyn Row| {
        is_ours = row.opt_text(0)? == Some(presence.id());
        epoch = Some(row.int(1)?);
        Ok(())
    };
    let text = format!("SELECT claimed_by, epoch FROM claims WHERE name = $1{}", sql.dialect().for_update);
    sql.query(&text, params![name], &mut look)?;
    if is_ours {
        return Ok(Some(false));
    }
    let changed = match epoch {
        None => sql.execute(
            "INSERT INTO claims (name, claimed_by, epoch) VALUES ($1, $2, 1) ON CONFLICT (name) DO NOTHING",
            params![name, presence.id()],
        )?,
        Some(_) => {
            let text =
                format!("UPDATE claims SET claimed_by = $2, epoch = epoch + 1 WHERE name = $1 AND {}", free(sql, 2, 3));
            sql.execute(&text, params![name, presence.id(), presence.lease_ms()])?
        }
    };
    Ok((changed == 1).then_some(true))
}

fn claim_runs(sql: &mut dyn Sql, presence: &Presence, wanted: &Wanted) -> Result<Due> {
    let Wanted { flow, now_ms, limit, busy, is_lane, .. } = wanted;
    let mut is_new_lane = false;
    if *is_lane {
        match claim(sql, presence, &format!("lane {flow}"))? {
            // Another host's: it is looked at again in a while.
            None => return Ok(Due::default()),
            Some(is_new) => is_new_lane = is_new,
        }
        if is_new_lane {
            take_lane(sql, presence, flow)?;
        }
    }
    let slots = serde_json::Value::from(busy.clone()).to_string();
    let mut runs: Vec<DueRun> = Vec::new();
    let mut owners: Vec<Option<String>> = Vec::new();
    for picks_begun in [true, false] {
        let conditions = if picks_begun { due::BEGUN.to_owned() } else { due::not_begun(sql, Some(6)) };
        let text = format!(
            "SELECT {}, claimed_by FROM runs WHERE {conditions} AND (claimed_by IS NULL OR claimed_by <> $4) AND {} \
             ORDER BY due_at, position LIMIT $3{}",
            due::COLUMNS,
            free(sql, 4, 5),
            sql.dialect().for_update_skip_locked,
        );
        let room = due::room(*limit, &runs);
        if room == 0 {
            break;
        }
        let params = params![flow, *now_ms, room, presence.id(), presence.lease_ms(), &slots];
        let params = if picks_begun { &params[..5] } else { params };
        sql.query(&text, params, &mut |row| {
            runs.push(due::from_row(row)?);
            owners.push(row.opt_text(14)?.map(str::to_owned));
            Ok(())
        })?;
    }
    take(sql, presence, &mut runs)?;
    let mut alive: Vec<(String, bool)> = Vec::new();
    for (run, owner) in runs.iter_mut().zip(&owners) {
        let Some(owner) = owner else { continue };
        run.may_still_send = match alive.iter().find(|(known, _)| known == owner) {
            Some((_, lives)) => *lives,
            None => {
                let lives = lives(sql, owner)? && !bug("pause_taken_for_death");
                alive.push((owner.clone(), lives));
                lives
            }
        };
    }
    runs.sort_by_key(|run| (!run.has_begun, run.due_at, run.position));
    let due = due::whole(sql, runs, flow, *now_ms, *limit)?;
    Ok(Due { is_new_lane, ..due })
}

// The claim of what was picked, and is locked: its epoch grows.
fn take(sql: &mut dyn Sql, presence: &Presence, runs: &mut [DueRun]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    let text = format!(
        "UPDATE runs SET claimed_by = $1, epoch = epoch + 1 WHERE id IN ({})",
        sql.dialect().json_texts.replace('?', "$2")
    );
    sql.execute(&text, params![presence.id(), serde_json::Value::from(ids).to_string()])?;
    runs.iter_mut().for_each(|run| run.epoch += 1);
    Ok(())
}

// The host before may be heard of again while its runs wait here for their turn: it has none of them any more. Who
// was about to send is remembered, for the claim that follows.
fn take_lane(sql: &mut dyn Sql, presence: &Presence, flow: &str) -> Result<()> {
    let text = format!(
        "UPDATE runs SET epoch = epoch + 1, claimed_by = CASE WHEN EXISTS \
           (SELECT 1 FROM steps WHERE steps.run = runs.id AND steps.state = 'sending') THEN claimed_by END \
         WHERE flow = $1 AND state IN ('queued', 'running') AND claimed_by <> $2 AND {}",
        free(sql, 2, 3)
    );
    sql.execute(&text, params![flow, presence.id(), presence.lease_ms()])?;
    due::count_begun(sql, flow)
}

// Whether a host that is not heard of still holds its session.
fn lives(sql: &mut dyn Sql, node: &str) -> Result<bool> {
    let mut lives = false;
    let text = format!("SELECT 1 FROM nodes WHERE id = $1 AND {}", sql.dialect().lives);
    sql.query(&text, params![node], &mut |_| {
        lives = true;
        Ok(())
    })?;
    Ok(lives)
}

#[cfg(test)]
mod tests;
