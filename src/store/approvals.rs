//! What people are asked: one row per approval, one per approver of it, and what came back. An answer, what it
//! decides and the waking of its run are one transaction (`answers`); so are a reply that an approval claims and
//! the answer that it gives (`replies`). Links are not here: they are made when they are sent.

mod answers;
mod replies;

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::database::{self, Row, Sql, params};
use super::{Result, Store};
use crate::engine::approval::{self, Ask, Terms};

pub use answers::{Given, How, Taken};
pub(super) use replies::claim;
pub use replies::{Asked, Claim, Incoming, is_for_replies, replies_flow};

/// How an approval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for answers.
    Open,
    /// Enough answers were alike, or a person decided it as a whole.
    Decided,
    /// Its time passed.
    Expired,
    /// Its answers differ so that no choice can get enough.
    Split,
    /// Nobody waits for it any more: its run ended otherwise.
    Closed,
}

/// What a settlement changes about what people are asked.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Approvals that begin, get their end, or are given up.
    pub asks: Vec<Ask>,
    /// Who is about to be asked.
    pub asked: Vec<Asked>,
    /// Whether the run may have open approvals, which its end closes.
    pub may_ask: bool,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// The run that waits for it.
    pub run: String,
    /// The step's place in the run.
    pub key: String,
    /// The flow's name.
    pub flow: String,
    /// The step's id or title, for people.
    pub step: String,
    /// What is asked, of whom.
    pub terms: Terms,
    /// How it is.
    pub state: State,
    /// What was decided.
    pub choice: Option<String>,
    /// The deciding answer's text.
    pub text: Option<String>,
    /// Who gave the deciding answer.
    pub by: Option<String>,
    /// How it came: `link`, `sms`, `cli`.
    pub how: Option<String>,
    /// UTC epoch milliseconds; none while messages are still being sent.
    pub expires_at: Option<i64>,
    /// UTC epoch milliseconds.
    pub created_at: i64,
    /// UTC epoch milliseconds.
    pub decided_at: Option<i64>,
    /// Who is asked, in their order.
    pub approvers: Vec<Approver>,
}

/// One of those who are asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Approver {
    /// What the link names.
    #[serde(skip)]
    pub link: String,
    /// Among the approvers, from 0.
    pub position: usize,
    /// What a reply must carry.
    pub code: String,
    /// The choice.
    pub choice: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// Who answered: the approver's name, or the number that replied.
    pub by: Option<String>,
    /// How the answer came.
    pub how: Option<String>,
    /// UTC epoch milliseconds.
    pub at: Option<i64>,
    /// The last reply that carried the code and answered nothing.
    pub unclear: Option<String>,
}

impl State {
    /// Every state.
    pub const ALL: [State; 5] = [State::Open, State::Decided, State::Expired, State::Split, State::Closed];

    /// The word that the row holds, and that people see.
    pub fn word(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Decided => "decided",
            State::Expired => "expired",
            State::Split => "split",
            State::Closed => "closed",
        }
    }

    /// The state that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl Store {
    /// One approval, by its whole id.
    pub async fn approval(&self, id: String) -> Result<Option<Approval>> {
        self.database.read(move |sql| one(sql, &id, "")).await
    }

    /// The approval that a link names, and the approver's position in it.
    pub async fn approval_of_link(&self, link: String) -> Result<Option<(Approval, usize)>> {
        self.database
            .read(move |sql| {
                let mut found = None;
                sql.query("SELECT approval, position FROM approvers WHERE link = $1", params![&link], &mut |row| {
                    found = Some((row.text(0)?.to_owned(), index(row.int(1)?)));
                    Ok(())
                })?;
                let Some((id, position)) = found else { return Ok(None) };
                Ok(one(sql, &id, "")?.map(|approval| (approval, position)))
            })
            .await
    }

    /// Approvals, newest first; in one state where it is named.
    pub async fn approvals(&self, state: Option<State>, limit: u32) -> Result<Vec<Approval>> {
        self.database
            .read(move |sql| {
                let text =
                    format!("SELECT {COLUMNS} FROM approvals WHERE state = $1 ORDER BY created_at DESC, id LIMIT $2");
                let all = format!("SELECT {COLUMNS} FROM approvals ORDER BY created_at DESC, id LIMIT $1");
                let mut found = match state {
                    Some(state) => select(sql, &text, params![state.word(), limit])?,
                    None => select(sql, &all, params![limit])?,
                };
                for approval in &mut found {
                    approval.approvers = approvers(sql, &approval.id)?;
                }
                Ok(found)
            })
            .await
    }
}

/// Writes down what a settlement changes.
pub(super) fn apply(sql: &mut dyn Sql, run: &str, changes: &Changes, is_over: bool, now_ms: i64) -> Result<()> {
    for ask in &changes.asks {
        match ask {
            Ask::Open { id, key, step, terms } => open(sql, run, (id, key, step), terms, now_ms)?,
            Ask::Until { id, expires_ms } => {
                sql.execute(
                    "UPDATE approvals SET expires_at = $2 WHERE id = $1 AND expires_at IS NULL",
                    params![id, *expires_ms],
                )?;
            }
            Ask::Unreached { id, unreached } => answers::pass_over(sql, id, unreached, now_ms)?,
            Ask::Close { id } => {
                sql.execute(
                    "UPDATE approvals SET state = 'closed', decided_at = $2 WHERE id = $1 AND state = 'open'",
                    params![id, now_ms],
                )?;
            }
        }
    }
    replies::ask(sql, &changes.asked, now_ms)?;
    if is_over && changes.may_ask {
        close_of_run(sql, run, now_ms)?;
    }
    Ok(())
}

/// An answer that came before the run went to wait made it due; its wait must not put that off, since the process may
/// end before it looks.
pub(super) fn wake_if_over(sql: &mut dyn Sql, run: &str, approval: &str, now_ms: i64) -> Result<()> {
    sql.execute(
        "UPDATE runs SET due_at = $3 \
         WHERE id = $1 AND EXISTS (SELECT 1 FROM approvals WHERE id = $2 AND state <> 'open')",
        params![run, approval, now_ms],
    )?;
    Ok(())
}

/// The run is over: nobody waits any more for what it asked.
pub(super) fn close_of_run(sql: &mut dyn Sql, run: &str, now_ms: i64) -> Result<()> {
    sql.execute(
        "UPDATE approvals SET state = 'closed', decided_at = $2 WHERE run = $1 AND state = 'open'",
        params![run, now_ms],
    )?;
    Ok(())
}

/// Removes what a run asked, with the run.
pub(super) fn remove_of_run(sql: &mut dyn Sql, run: &str) -> Result<()> {
    let mut has_asked = false;
    sql.query("SELECT 1 FROM approvals WHERE run = $1 LIMIT 1", params![run], &mut |_| {
        has_asked = true;
        Ok(())
    })?;
    if !has_asked {
        return Ok(());
    }
    for table in ["replies", "asked"] {
        sql.execute(
            &format!(
                "DELETE FROM {table} WHERE link IN (SELECT approvers.link FROM approvers \
                 JOIN approvals ON approvals.id = approvers.approval WHERE approvals.run = $1)"
            ),
            params![run],
        )?;
    }
    sql.execute("DELETE FROM approvers WHERE approval IN (SELECT id FROM approvals WHERE run = $1)", params![run])?;
    sql.execute("DELETE FROM approvals WHERE run = $1", params![run])?;
    Ok(())
}

fn open(sql: &mut dyn Sql, run: &str, (id, key, step): (&str, &str, &str), terms: &Terms, now_ms: i64) -> Result<()> {
    let written = written(terms)?;
    let is_new = sql.execute(
        "INSERT INTO approvals (id, run, key, flow, step, terms, state, created_at) \
         SELECT $1, $2, $3, runs.flow, $4, $5, 'open', $6 FROM runs WHERE runs.id = $2 ON CONFLICT (id) DO NOTHING",
        params![id, run, key, step, &written, now_ms],
    )? == 1;
    for position in (0..terms.approvers.len()).filter(|_| is_new) {
        let (link, code) = (approval::link_id(id, position), approval::code(id, position));
        let place = i64::try_from(position).unwrap_or(i64::MAX);
        sql.execute(
            "INSERT INTO approvers (link, approval, position, code) VALUES ($1, $2, $3, $4)",
            params![&link, id, place, &code],
        )?;
    }
    Ok(())
}

fn written(terms: &Terms) -> Result<String> {
    serde_json::to_string(terms).map_err(|error| {
        let message = format!("what is asked cannot be written down: {error}");
        super::Error::new(database::code::TEXT, message, "Cancel its run with `tidegate runs cancel`")
    })
}

const COLUMNS: &str = "id, run, key, flow, step, terms, state, choice, answer, answered_by, how, expires_at, created_at, \
                       decided_at";

/// `lock` is put behind the query.
fn one(sql: &mut dyn Sql, id: &str, lock: &str) -> Result<Option<Approval>> {
    let text = format!("SELECT {COLUMNS} FROM approvals WHERE id = $1{lock}");
    let mut found = select(sql, &text, params![id])?;
    let Some(mut approval) = found.pop() else { return Ok(None) };
    approval.approvers = approvers(sql, id)?;
    Ok(Some(approval))
}

fn select(sql: &mut dyn Sql, text: &str, params: &[database::Param<'_>]) -> Result<Vec<Approval>> {
    let mut found = Vec::new();
    sql.query(text, params, &mut |row| {
        found.push(from_row(row)?);
        Ok(())
    })?;
    Ok(found)
}

fn from_row(row: &dyn Row) -> Result<Approval> {
    let optional = |column| -> Result<Option<String>> { Ok(row.opt_text(column)?.map(str::to_owned)) };
    let unreadable = |what: &str| {
        let message = format!("an approval's {what} cannot be read");
        super::Error::new(database::code::DAMAGED, message, "Cancel its run with `tidegate runs cancel`")
    };
    Ok(Approval {
        id: row.text(0)?.to_owned(),
        run: row.text(1)?.to_owned(),
        key: row.text(2)?.to_owned(),
        flow: row.text(3)?.to_owned(),
        step: row.text(4)?.to_owned(),
        terms: serde_json::from_str(row.text(5)?).map_err(|_| unreadable("terms"))?,
        state: State::from_word(row.text(6)?).ok_or_else(|| unreadable("state"))?,
        choice: optional(7)?,
        text: optional(8)?,
        by: optional(9)?,
        how: optional(10)?,
        expires_at: row.opt_int(11)?,
        created_at: row.int(12)?,
        decided_at: row.opt_int(13)?,
        approvers: Vec::new(),
    })
}

fn approvers(sql: &mut dyn Sql, approval: &str) -> Result<Vec<Approver>> {
    let mut found = Vec::new();
    sql.query(
        "SELECT link, position, code, choice, answer, answered_by, how, answered_at, unclear FROM approvers \
         WHERE approval = $1 ORDER BY position",
        params![approval],
        &mut |row| {
            let optional = |column| -> Result<Option<String>> { Ok(row.opt_text(column)?.map(str::to_owned)) };
            found.push(Approver {
                link: row.text(0)?.to_owned(),
                position: index(row.int(1)?),
                code: row.text(2)?.to_owned(),
                choice: optional(3)?,
                text: optional(4)?,
                by: optional(5)?,
                how: optional(6)?,
                at: row.opt_int(7)?,
                unclear: optional(8)?,
            });
            Ok(())
        },
    )?;
    Ok(found)
}

fn index(position: i64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
