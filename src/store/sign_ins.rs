//! Sign-ins under way on the public pages: known by hashes of what the link, the service and the browser carry,
//! what they must not show sealed. Each is good once and for a quarter of an hour.

use super::database::{Sql, params};
use super::{Result, Store};

/// A sign-in that a link was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInRow {
    /// The hash of its link's token.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// The auth scheme.
    pub scheme: String,
    /// What came of it, where it is over: nothing for "signed in", else why not.
    pub outcome: Option<String>,
}

/// What the browser took to the service.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The hash of what the callback has to carry.
    pub state: String,
    /// The hash of the browser's cookie.
    pub browser: String,
    /// The id of the key that seals `body`.
    pub sealing_key: String,
    /// What the end needs, sealed.
    pub body: Vec<u8>,
}

/// The sign-in that a callback belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The sign-in.
    pub row: SignInRow,
    /// The id of the key that seals `body`.
    pub sealing_key: String,
    /// What the end needs, sealed.
    pub body: Vec<u8>,
}

impl Store {
    /// Keeps a new sign-in until `expires_at`, and forgets those that are over.
    pub async fn offer_sign_in(&self, row: SignInRow, expires_at: i64, now_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                // Whoever waits for the outcome looks a little longer than the link is good.
                sql.execute("DELETE FROM sign_ins WHERE expires_at < $1", params![now_ms - KEPT_MS])?;
                sql.execute(
                    "INSERT INTO sign_ins (id, connection, scheme, expires_at) VALUES ($1, $2, $3, $4)",
                    params![&row.id, &row.connection, &row.scheme, expires_at],
                )?;
                Ok(())
            })
            .await
    }

    /// A sign-in by the hash of its link, if it is not too old.
    pub async fn sign_in(&self, id: String, now_ms: i64) -> Result<Option<SignInRow>> {
        self.database
            .read(move |sql| {
                let mut found = None;
                sql.query(
                    "SELECT id, connection, scheme, outcome FROM sign_ins WHERE id = $1 AND expires_at > $2",
                    params![&id, now_ms],
                    &mut |row| {
                        found = Some(SignInRow {
                            id: row.text(0)?.to_owned(),
                            connection: row.text(1)?.to_owned(),
                            scheme: row.text(2)?.to_owned(),
                            outcome: row.opt_text(3)?.map(str::to_owned),
                        });
                        Ok(())
                    },
                )?;
                Ok(found)
            })
            .await
    }

    /// Remembers where a browser was sent; the newest counts. False where the sign-in is over.
    pub async fn send_sign_in(&self, id: String, sent: Sent) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let Sent { state, browser, sealing_key, body } = &sent;
                let changed = sql.execute(
                    "UPDATE sign_ins SET state = $2, browser = $3, sealing_key = $4, body = $5 \
                     WHERE id = $1 AND outcome IS NULL",
                    params![&id, state, browser, sealing_key, body.as_slice()],
                )?;
                Ok(changed > 0)
            })
            .await
    }

    /// Takes the sign-in that a callback of this browser belongs to: once.
    pub async fn take_sign_in(&self, state: String, browser: String, now_ms: i64) -> Result<Option<Taken>> {
        self.database
            .transaction(move |sql| {
                let Some(taken) = select(sql, &state, &browser, now_ms)? else { return Ok(None) };
                sql.execute(
                    "UPDATE sign_ins SET state = NULL, browser = NULL, body = NULL, outcome = 'under way' WHERE id = $1",
                    params![&taken.row.id],
                )?;
                Ok(Some(taken))
            })
            .await
    }

    /// Says what came of a sign-in: an empty text for "signed in".
    pub async fn end_sign_in(&self, id: String, outcome: String) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute("UPDATE sign_ins SET outcome = $2 WHERE id = $1", params![&id, &outcome])?;
                Ok(())
            })
            .await
    }
}

/// How long the outcome of one that is over can be looked at.
const KEPT_MS: i64 = 60_000;

fn select(sql: &mut dyn Sql, state: &str, browser: &str, now_ms: i64) -> Result<Option<Taken>> {
    let select = format!(
        "SELECT id, connection, scheme, sealing_key, body FROM sign_ins \
         WHERE state = $1 AND browser = $2 AND expires_at > $3 AND body IS NOT NULL {lock}",
        lock = sql.dialect().for_update
    );
    let mut found = None;
    sql.query(&select, params![state, browser, now_ms], &mut |row| {
        let of = SignInRow {
            id: row.text(0)?.to_owned(),
            connection: row.text(1)?.to_owned(),
            scheme: row.text(2)?.to_owned(),
            outcome: None,
        };
        found = Some(Taken { row: of, sealing_key: row.text(3)?.to_owned(), body: row.bytes(4)?.to_vec() });
        Ok(())
    })?;
    Ok(found)
}
