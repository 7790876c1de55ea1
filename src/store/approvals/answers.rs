//! Taking an answer: the first one counts, by a conditional update under the approval's row lock, so that of two
//! that come at once exactly one decides. What it decides, and the waking of the run, are the same transaction.

use super::super::database::{Sql, params};
use super::super::{Result, Store};
use super::{Approval, State, one};
use crate::engine::approval::{Standing, Unreached};

/// An answer to an approval.
#[derive(Clone, Debug)]
pub struct Given {
    /// The choice; none where only a text is asked for.
    pub choice: Option<String>,
    /// A text of one's own.
    pub text: Option<String>,
    /// Who gave it, where that is known otherwise than by the approver's name.
    pub by: Option<String>,
    /// How it came.
    pub how: How,
    /// UTC epoch milliseconds.
    pub now_ms: i64,
}

/// How an answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By the approver's link.
    Link,
    /// By a reply; the connector's word for it: `sms`.
    Reply(String),
    /// A person on this machine decided it as a whole.
    Cli,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// It is written down; the approval as it is now.
    Recorded(Box<Approval>),
    /// The same approver answered before: that answer stands.
    Before(Box<Approval>),
    /// The approval was over before this answer came.
    Over(Box<Approval>),
    /// There is no such approval.
    Unknown,
}

impl How {
    fn word(&self) -> &str {
        match self {
            How::Link => "link",
            How::Reply(kind) => kind,
            How::Cli => "cli",
        }
    }
}

impl Store {
    /// Takes an approver's answer.
    pub async fn answer_approval(&self, approval: String, position: usize, given: Given) -> Result<Taken> {
        self.database.transaction(move |sql| answer(sql, &approval, position, &given)).await
    }

    /// Decides an approval as a whole, whoever was asked.
    pub async fn decide_approval(&self, approval: String, given: Given) -> Result<Taken> {
        self.database
            .transaction(move |sql| {
                let Some(found) = current(sql, &approval, given.now_ms)? else { return Ok(Taken::Unknown) };
                if found.state != State::Open {
                    return Ok(Taken::Over(Box::new(found)));
                }
                settle(sql, &found, State::Decided, given.choice.as_deref(), &given, given.by.as_deref())?;
                again(sql, &approval).map(|found| found.map_or(Taken::Unknown, Taken::Recorded))
            })
            .await
    }

    /// Ends an approval whose time has passed; the approval as it is then. A decision that came first stands.
    pub async fn expire_approval(&self, approval: String, now_ms: i64) -> Result<Option<Approval>> {
        self.database.transaction(move |sql| current(sql, &approval, now_ms)).await
    }
}

pub(super) fn answer(sql: &mut dyn Sql, approval: &str, position: usize, given: &Given) -> Result<Taken> {
    let Some(found) = current(sql, approval, given.now_ms)? else { return Ok(Taken::Unknown) };
    let Some(approver) = found.approvers.get(position) else { return Ok(Taken::Unknown) };
    if approver.at.is_some() {
        return Ok(Taken::Before(Box::new(found)));
    }
    if found.state != State::Open {
        return Ok(Taken::Over(Box::new(found)));
    }
    let by = found.terms.name_of(position).or(given.by.as_deref());
    let is_first = sql.execute(
        "UPDATE approvers SET choice = $2, answer = $3, answered_by = $4, how = $5, answered_at = $6 \
         WHERE link = $1 AND answered_at IS NULL",
        params![&approver.link, given.choice.as_deref(), given.text.as_deref(), by, given.how.word(), given.now_ms],
    )? == 1;
    if is_first {
        decide(sql, &found, position, given, by)?;
    }
    let taken = if is_first { Taken::Recorded } else { Taken::Before };
    again(sql, approval).map(|found| found.map_or(Taken::Unknown, taken))
}

/// What the answers come to, with the one that the approver at `position` just gave.
fn decide(sql: &mut dyn Sql, found: &Approval, position: usize, given: &Given, by: Option<&str>) -> Result<()> {
    let before = found.approvers.iter().filter(|approver| approver.at.is_some());
    let answers: Vec<Option<&str>> =
        before.map(|approver| approver.choice.as_deref()).chain([given.choice.as_deref()]).collect();
    match found.terms.standing(&answers, silent(found, Some(position))) {
        Standing::Open => Ok(()),
        Standing::Decided(choice) => settle(sql, found, State::Decided, choice, given, by),
        Standing::Split => settle(sql, found, State::Split, None, given, None),
    }
}

/// How many cannot answer, as they could not be asked. Whoever answers all the same was asked.
fn silent(found: &Approval, answers_now: Option<usize>) -> usize {
    let has_answered = |position: usize| {
        Some(position) == answers_now || found.approvers.get(position).is_some_and(|approver| approver.at.is_some())
    };
    found.terms.unreached.iter().filter(|unreached| !has_answered(unreached.position)).count()
}

/// Writes down who could not be asked. Where no choice can get enough answers without them, it is over.
pub(super) fn pass_over(sql: &mut dyn Sql, id: &str, unreached: &[Unreached], now_ms: i64) -> Result<()> {
    let lock = sql.dialect().for_update;
    let Some(mut found) = one(sql, id, lock)? else { return Ok(()) };
    found.terms.unreached = unreached.to_vec();
    let terms = super::written(&found.terms)?;
    sql.execute("UPDATE approvals SET terms = $2 WHERE id = $1", params![id, &terms])?;
    let answers: Vec<Option<&str>> =
        found.approvers.iter().filter(|one| one.at.is_some()).map(|one| one.choice.as_deref()).collect();
    if found.terms.standing(&answers, silent(&found, None)) == Standing::Split {
        end(sql, &found, State::Split, now_ms)?;
    }
    Ok(())
}

fn settle(
    sql: &mut dyn Sql,
    found: &Approval,
    state: State,
    choice: Option<&str>,
    given: &Given,
    by: Option<&str>,
) -> Result<()> {
    let text = given.text.as_deref().filter(|_| state == State::Decided);
    let is_settled = sql.execute(
        "UPDATE approvals SET state = $2, choice = $3, answer = $4, answered_by = $5, how = $6, decided_at = $7 \
         WHERE id = $1 AND state = 'open'",
        params![&found.id, state.word(), choice, text, by, given.how.word(), given.now_ms],
    )? == 1;
    if is_settled {
        wake(sql, &found.run, given.now_ms)?;
    }
    Ok(())
}

/// The approval under its row lock; ended first where its time has passed.
fn current(sql: &mut dyn Sql, id: &str, now_ms: i64) -> Result<Option<Approval>> {
    let lock = sql.dialect().for_update;
    let Some(mut found) = one(sql, id, lock)? else { return Ok(None) };
    if found.state == State::Open && found.expires_at.is_some_and(|expires_at| expires_at <= now_ms) {
        end(sql, &found, State::Expired, now_ms)?;
        found.state = State::Expired;
        found.decided_at = Some(now_ms);
    }
    Ok(Some(found))
}

/// Ends it without an answer.
fn end(sql: &mut dyn Sql, found: &Approval, state: State, now_ms: i64) -> Result<()> {
    sql.execute(
        "UPDATE approvals SET state = $2, decided_at = $3 WHERE id = $1 AND state = 'open'",
        params![&found.id, state.word(), now_ms],
    )?;
    wake(sql, &found.run, now_ms)
}

fn again(sql: &mut dyn Sql, id: &str) -> Result<Option<Box<Approval>>> {
    Ok(one(sql, id, "")?.map(Box::new))
}

/// The run goes on at once.
fn wake(sql: &mut dyn Sql, run: &str, now_ms: i64) -> Result<()> {
    sql.execute("UPDATE runs SET due_at = $2 WHERE id = $1 AND state = 'running'", params![run, now_ms])?;
    Ok(())
}
