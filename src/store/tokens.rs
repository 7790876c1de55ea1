//! What services gave that must be renewed (OAuth tokens), sealed, by connection and auth scheme. One process
//! at a time renews a token: it takes a lease under the row's lock, and what it got is committed before it is
//! used. Everyone else finds the newer version, or waits until the lease ends.

use super::accounts::sealed;
use super::database::{Sql, params};
use super::{Result, Store, keys};
use crate::sealing::{Identity, Sealed};

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The connection, the auth scheme (as the field), and where it may be sent.
    pub sealed: Sealed,
    /// Counts up whenever it is renewed.
    pub version: i64,
    /// Why the service will not renew it any more.
    pub refused: Option<String>,
}

/// What came of asking for the right to renew a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is the caller's until the time that it named.
    Granted {
        /// Whether somebody else had it and never said what came of it.
        was_interrupted: bool,
    },
    /// Somebody else renews it, until this time at the longest; UTC epoch milliseconds.
    Held {
        /// When the lease ends.
        until_ms: i64,
    },
    /// It is another version already than the caller had seen.
    Newer(Token),
}

/// Who asks for the right to renew which token.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The connection, of the settings or stored.
    pub connection: String,
    /// The auth scheme.
    pub scheme: String,
    /// The version that the caller has seen; 0 where it has seen none.
    pub seen: i64,
    /// Names the caller: unique to this renewal.
    pub holder: String,
    /// How long the renewal may take; milliseconds.
    pub lease_ms: i64,
}

impl Store {
    /// The token of a connection's auth scheme.
    pub async fn token(&self, connection: String, scheme: String) -> Result<Option<Token>> {
        self.database.read(move |sql| Ok(select(sql, &connection, &scheme, "")?.and_then(|row| row.token))).await
    }

    /// Asks for the right to renew a token. On a database that several machines share, its own time counts.
    pub async fn lease_token(&self, asked: Asked, now_ms: i64) -> Result<Lease> {
        self.database
            .transaction(move |sql| {
                let now_ms = agreed_ms(sql, now_ms)?;
                let Asked { connection, scheme, seen, holder, lease_ms } = &asked;
                sql.execute(
                    "INSERT INTO tokens (connection, scheme, audience, sealing_key, version, updated_at) \
                     VALUES ($1, $2, '', '', 0, $3) ON CONFLICT (connection, scheme) DO NOTHING",
                    params![connection, scheme, now_ms],
                )?;
                let lock = sql.dialect().for_update;
                let row = select(sql, connection, scheme, lock)?.unwrap_or_default();
                if let Some(token) = row.token.filter(|token| token.version != *seen) {
                    return Ok(Lease::Newer(token));
                }
                let was_interrupted = match row.lease {
                    Some((by, until_ms)) if until_ms > now_ms && by != *holder => {
                        return Ok(Lease::Held { until_ms });
                    }
                    lease => lease.is_some(),
                };
                sql.execute(
                    "UPDATE tokens SET lease_holder = $3, lease_until = $4 WHERE connection = $1 AND scheme = $2",
                    params![connection, scheme, holder, now_ms + lease_ms],
                )?;
                Ok(Lease::Granted { was_interrupted })
            })
            .await
    }

    /// Writes a renewed token and ends the lease; none where the lease was no longer the holder's. Returns its
    /// version.
    ///
    /// # Errors
    /// `key_changed` where it is not sealed under the store's present key.
    pub async fn renew_token(&self, sealed: Sealed, holder: String, now_ms: i64) -> Result<Option<i64>> {
        self.database
            .transaction(move |sql| {
                keys::admit(sql, [sealed.key.as_str()])?;
                let Identity { connection, field, audience } = &sealed.identity;
                let mut version = None;
                sql.query(
                    "UPDATE tokens SET audience = $3, sealing_key = $4, body = $5, version = version + 1, \
                     lease_holder = NULL, lease_until = NULL, refused = NULL, updated_at = $6 \
                     WHERE connection = $1 AND scheme = $2 AND lease_holder = $7 RETURNING version",
                    params![connection, field, audience, &sealed.key, sealed.body.as_slice(), now_ms, &holder],
                    &mut |row| {
                        version = Some(row.int(0)?);
                        Ok(())
                    },
                )?;
                Ok(version)
            })
            .await
    }

    /// Gives the right to renew back: the attempt came to nothing.
    pub async fn release_token(&self, connection: String, scheme: String, holder: String) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE tokens SET lease_holder = NULL, lease_until = NULL \
                     WHERE connection = $1 AND scheme = $2 AND lease_holder = $3",
                    params![&connection, &scheme, &holder],
                )?;
                Ok(())
            })
            .await
    }

    /// Ends the lease of an attempt of which nobody knows what came: whoever leases next is told.
    pub async fn abandon_token(&self, connection: String, scheme: String, holder: String) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE tokens SET lease_until = 0 WHERE connection = $1 AND scheme = $2 AND lease_holder = $3",
                    params![&connection, &scheme, &holder],
                )?;
                Ok(())
            })
            .await
    }

    /// Records that the service renews a token no more, and ends the lease.
    pub async fn refuse_token(&self, connection: String, scheme: String, holder: String, why: String) -> Result<()> {
        self.database
            .transaction(move |sql| {
                sql.execute(
                    "UPDATE tokens SET refused = $4, lease_holder = NULL, lease_until = NULL \
                     WHERE connection = $1 AND scheme = $2 AND lease_holder = $3",
                    params![&connection, &scheme, &holder, &why],
                )?;
                Ok(())
            })
            .await
    }

    /// Writes a token that a person signed in for, whoever renews meanwhile; returns its version.
    ///
    /// # Errors
    /// `key_changed` where it is not sealed under the store's present key.
    pub async fn put_token(&self, sealed: Sealed, now_ms: i64) -> Result<i64> {
        self.database
            .transaction(move |sql| {
                keys::admit(sql, [sealed.key.as_str()])?;
                let Identity { connection, field, audience } = &sealed.identity;
                let mut version = 0;
                sql.query(
                    "INSERT INTO tokens (connection, scheme, audience, sealing_key, body, version, updated_at) \
                     VALUES ($1, $2, $3, $4, $5, 1, $6) ON CONFLICT (connection, scheme) DO UPDATE SET \
                     audience = excluded.audience, sealing_key = excluded.sealing_key, body = excluded.body, \
                     version = tokens.version + 1, lease_holder = NULL, lease_until = NULL, refused = NULL, \
                     updated_at = excluded.updated_at RETURNING version",
                    params![connection, field, audience, &sealed.key, sealed.body.as_slice(), now_ms],
                    &mut |row| {
                        version = row.int(0)?;
                        Ok(())
                    },
                )?;
                Ok(version)
            })
            .await
    }

    /// Forgets a connection's tokens; how many there were.
    pub async fn remove_tokens(&self, connection: String) -> Result<u64> {
        self.database
            .transaction(move |sql| sql.execute("DELETE FROM tokens WHERE connection = $1", params![&connection]))
            .await
    }
}

// One host's clock may be ahead of another's by more than a lease: the same refresh token would be used twice.
fn agreed_ms(sql: &mut dyn Sql, own_ms: i64) -> Result<i64> {
    let dialect = sql.dialect();
    let mut now_ms = own_ms;
    if dialect.is_shared {
        sql.query(&format!("SELECT {}", dialect.now_ms), &[], &mut |row| {
            now_ms = row.int(0)?;
            Ok(())
        })?;
    }
    Ok(now_ms)
}

#[derive(Default)]
struct TokenRow {
    token: Option<Token>,
    lease: Option<(String, i64)>,
}

fn select(sql: &mut dyn Sql, connection: &str, scheme: &str, lock: &str) -> Result<Option<TokenRow>> {
    let select = format!(
        "SELECT connection, scheme, audience, sealing_key, body, version, lease_holder, lease_until, refused FROM tokens \
         WHERE connection = $1 AND scheme = $2 {lock}"
    );
    let mut found = None;
    sql.query(&select, params![connection, scheme], &mut |row| {
        let token = match row.is_null(4)? {
            true => None,
            false => Some(Token {
                sealed: sealed(row, 0)?,
                version: row.int(5)?,
                refused: row.opt_text(8)?.map(str::to_owned),
            }),
        };
        let lease = row.opt_text(6)?.map(str::to_owned).zip(row.opt_int(7)?);
        found = Some(TokenRow { token, lease });
        Ok(())
    })?;
    Ok(found)
}
