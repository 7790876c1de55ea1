//! Answers that come as messages: who was asked over which connection, and which incoming messages belong to an
//! approval. A message is claimed once, in the transaction that takes the answer which it gives; whichever poll
//! sees it later finds it claimed, so it never starts a run.

use super::super::database::{Sql, params};
use super::super::{Result, Store};
use super::answers::answer;
use super::{Given, How, Taken, index};
use crate::engine::approval::{self, Reply, Terms};

/// Somebody was asked over a connection to which an answer may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The connection.
    pub connection: String,
    /// Where the message goes: a phone number.
    pub address: String,
    /// The approval.
    pub approval: String,
    /// The approver, by position.
    pub position: usize,
}

/// A message that came in over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The connection.
    pub connection: String,
    /// Its key in the trigger that found it.
    pub key: String,
    /// Who sent it.
    pub address: String,
    /// What it says.
    pub message: String,
    /// How such an answer comes, in a word: `sms`.
    pub kind: String,
}

/// Whether a message belongs to an approval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// It does: no flow may see it.
    pub is_claimed: bool,
    /// The flow whose run goes on because of it.
    pub wakes: Option<String>,
}

/// What stands in the place of a flow's name for the poll that looks for replies over a connection. No flow can
/// be called so.
pub fn replies_flow(connection: &str) -> String {
    format!("{PREFIX}{connection}")
}

/// Whether a name is one of those.
pub fn is_for_replies(name: &str) -> bool {
    name.starts_with(PREFIX)
}

const PREFIX: &str = "replies:";

impl Store {
    /// Whether another approver of the same approval was asked at the same address.
    pub async fn is_asked_as_another(&self, asked: Asked) -> Result<bool> {
        let link = approval::link_id(&asked.approval, asked.position);
        self.database
            .read(move |sql| {
                let mut is_asked = false;
                sql.query(
                    "SELECT 1 FROM asked JOIN approvers ON approvers.link = asked.link \
                     WHERE asked.connection = $1 AND asked.address = $2 AND approvers.approval = $3 \
                     AND asked.link <> $4 LIMIT 1",
                    params![&asked.connection, &asked.address, &asked.approval, &link],
                    &mut |_| {
                        is_asked = true;
                        Ok(())
                    },
                )?;
                Ok(is_asked)
            })
            .await
    }

    /// Lets the poll for replies over a connection rest where nobody who was asked over it may still answer; it
    /// is due again when somebody is asked. True when it rests.
    pub async fn rest_unless_awaited(&self, flow: String, connection: String, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                if is_awaited(sql, &connection)? {
                    return Ok(false);
                }
                sql.execute(
                    "UPDATE triggers SET due_at = $2, updated_at = $3 WHERE flow = $1",
                    params![&flow, i64::MAX, now_ms],
                )?;
                Ok(true)
            })
            .await
    }
}

fn is_awaited(sql: &mut dyn Sql, connection: &str) -> Result<bool> {
    let mut is_awaited = false;
    sql.query(
        "SELECT 1 FROM asked JOIN approvers ON approvers.link = asked.link \
         JOIN approvals ON approvals.id = approvers.approval \
         WHERE asked.connection = $1 AND approvals.state = 'open' AND approvers.answered_at IS NULL LIMIT 1",
        params![connection],
        &mut |_| {
            is_awaited = true;
            Ok(())
        },
    )?;
    Ok(is_awaited)
}

/// Writes down who is about to be asked, and makes the poll for replies due.
pub fn ask(sql: &mut dyn Sql, asked: &[Asked], now_ms: i64) -> Result<()> {
    for asked in asked {
        let link = approval::link_id(&asked.approval, asked.position);
        sql.execute(
            "INSERT INTO asked (connection, address, link) VALUES ($1, $2, $3) \
             ON CONFLICT (connection, address, link) DO NOTHING",
            params![&asked.connection, &asked.address, &link],
        )?;
        sql.execute(
            "UPDATE triggers SET due_at = $2 WHERE flow = $1 AND state = 'enabled' \
             AND (due_at IS NULL OR due_at > $2)",
            params![&replies_flow(&asked.connection), now_ms],
        )?;
    }
    Ok(())
}

/// Finds out whether a message belongs to an approval, and takes the answer that it gives.
pub fn claim(sql: &mut dyn Sql, incoming: &Incoming, now_ms: i64) -> Result<Claim> {
    let mut is_known = false;
    sql.query(
        "SELECT 1 FROM replies WHERE connection = $1 AND key = $2",
        params![&incoming.connection, &incoming.key],
        &mut |_| {
            is_known = true;
            Ok(())
        },
    )?;
    if is_known {
        return Ok(Claim { is_claimed: true, wakes: None });
    }
    for asked in askers(sql, incoming)? {
        let Ok(terms) = serde_json::from_str::<Terms>(&asked.terms) else { continue };
        let reply = approval::read_reply(&incoming.message, &asked.code, &terms);
        if reply == Reply::Other {
            continue;
        }
        let is_first = sql.execute(
            "INSERT INTO replies (connection, key, link, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (connection, key) DO NOTHING",
            params![&incoming.connection, &incoming.key, &asked.link, now_ms],
        )? == 1;
        if !is_first {
            return Ok(Claim { is_claimed: true, wakes: None });
        }
        let Reply::Answer { choice, text } = reply else {
            sql.execute(
                "UPDATE approvers SET unclear = $2 WHERE link = $1 AND answered_at IS NULL",
                params![&asked.link, &incoming.message],
            )?;
            return Ok(Claim { is_claimed: true, wakes: None });
        };
        let given = Given {
            choice,
            text: text.filter(|text| !text.is_empty()),
            by: Some(incoming.address.clone()),
            how: How::Reply(incoming.kind.clone()),
            now_ms,
        };
        let wakes = match answer(sql, &asked.approval, asked.position, &given)? {
            Taken::Recorded(approval) => Some(approval.flow),
            Taken::Before(_) | Taken::Over(_) | Taken::Unknown => None,
        };
        return Ok(Claim { is_claimed: true, wakes });
    }
    Ok(Claim::default())
}

/// An approver who was asked at the address from which a message came.
struct Asker {
    link: String,
    approval: String,
    position: usize,
    code: String,
    terms: String,
}

/// Those who were asked last first: of two equal codes the newer one is meant.
fn askers(sql: &mut dyn Sql, incoming: &Incoming) -> Result<Vec<Asker>> {
    let mut askers = Vec::new();
    sql.query(
        "SELECT approvers.link, approvers.approval, approvers.position, approvers.code, approvals.terms FROM asked \
         JOIN approvers ON approvers.link = asked.link JOIN approvals ON approvals.id = approvers.approval \
         WHERE asked.connection = $1 AND asked.address = $2 ORDER BY approvals.created_at DESC",
        params![&incoming.connection, &incoming.address],
        &mut |row| {
            askers.push(Asker {
                link: row.text(0)?.to_owned(),
                approval: row.text(1)?.to_owned(),
                position: index(row.int(2)?),
                code: row.text(3)?.to_owned(),
                terms: row.text(4)?.to_owned(),
            });
            Ok(())
        },
    )?;
    Ok(askers)
}
