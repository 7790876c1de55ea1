//! The key that the store's secrets are sealed under: known by its id and by a value that it alone opens, so
//! that a wrong key is refused before anything is written. There is one at a time; changing it seals everything
//! anew in one transaction. The key itself is never here.

use super::database::{Sql, params};
use super::{Error, Result, Store};
use crate::sealing::{self, Identity, Key, Sealed};

/// The stable codes of this topic's errors.
pub mod code {
    /// The key is not the one that the store's secrets are sealed under.
    pub const WRONG: &str = "key_wrong";
    /// The key was changed meanwhile by another process.
    pub const CHANGED: &str = "key_changed";
    /// A sealed value does not open.
    pub const ALTERED: &str = "seal_broken";
}

// Every table with sealed values: its name and the column that is the identity's field.
const SEALED: [(&str, &str, &str); 2] = [("account_secrets", "account", "field"), ("tokens", "connection", "scheme")];

impl Store {
    /// The id of the key that the store's secrets are sealed under; none while nothing is sealed.
    pub async fn key_id(&self) -> Result<Option<String>> {
        self.database.read(id).await
    }

    /// The same for a thread that may wait.
    pub fn key_id_blocking(&self) -> Result<Option<String>> {
        self.database.read_blocking(id)
    }

    /// Makes a key the store's, where it has none yet; else that it is the store's already is proven.
    ///
    /// # Errors
    /// `key_wrong`; nothing is written then.
    pub async fn adopt_key(&self, key: &Key, now_ms: i64) -> Result<()> {
        let proof = seal(key, Identity::default(), PROOF)?;
        let known = self
            .database
            .transaction(move |sql| {
                adopt(sql, &proof, now_ms)?;
                current(sql)
            })
            .await?;
        known.map_or(Ok(()), |known| prove(key, &known))
    }

    /// That a key is the store's, where it has one.
    ///
    /// # Errors
    /// `key_wrong`.
    pub async fn check_key(&self, key: &Key) -> Result<()> {
        let known = self.database.read(current).await?;
        known.map_or(Ok(()), |known| prove(key, &known))
    }

    /// Seals everything under another key, all or nothing; returns how many values that were.
    ///
    /// # Errors
    /// `key_wrong` where `from` is not the store's, `seal_broken` where a value does not open: nothing is
    /// changed then.
    pub async fn rekey(&self, from: Key, to: Key, now_ms: i64) -> Result<usize> {
        self.database
            .transaction(move |sql| {
                let known = current(sql)?.ok_or_else(nothing_sealed)?;
                prove(&from, &known)?;
                let mut count = 0;
                for (table, connection, field) in SEALED {
                    for sealed in all(sql, table, connection, field)? {
                        let text = from.open(&sealed).map_err(|error| broken(&sealed.identity, &error))?;
                        let anew = seal(&to, sealed.identity, &text)?;
                        let update = format!(
                            "UPDATE {table} SET sealing_key = $1, body = $2 WHERE {connection} = $3 AND {field} = $4"
                        );
                        let Identity { connection, field, .. } = &anew.identity;
                        sql.execute(&update, params![&anew.key, anew.body.as_slice(), connection, field])?;
                        count += 1;
                    }
                }
                sql.execute("DELETE FROM sealing_keys", params![])?;
                adopt(sql, &seal(&to, Identity::default(), PROOF)?, now_ms)?;
                Ok(count)
            })
            .await
    }
}

/// That values were sealed under the store's present key: checked where they are written.
pub(super) fn admit<'a>(sql: &mut dyn Sql, keys: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let known = id(sql)?;
    for key in keys {
        if known.as_deref() != Some(key) {
            return Err(Error::new(
                code::CHANGED,
                "the key that secrets are sealed under was changed meanwhile",
                "Nothing was written; do it again",
            )
            .retryable());
        }
    }
    Ok(())
}

const PROOF: &str = "this key opens the store";

/// The id of the key that secrets are sealed under.
pub(super) fn id(sql: &mut dyn Sql) -> Result<Option<String>> {
    Ok(current(sql)?.map(|proof| proof.key))
}

fn current(sql: &mut dyn Sql) -> Result<Option<Sealed>> {
    let mut found = None;
    sql.query("SELECT id, proof FROM sealing_keys", params![], &mut |row| {
        let (key, body) = (row.text(0)?.to_owned(), row.bytes(1)?.to_vec());
        found = Some(Sealed { identity: Identity::default(), key, body });
        Ok(())
    })?;
    Ok(found)
}

fn adopt(sql: &mut dyn Sql, proof: &Sealed, now_ms: i64) -> Result<()> {
    sql.execute(
        "INSERT INTO sealing_keys (slot, id, proof, created_at) VALUES (1, $1, $2, $3) ON CONFLICT (slot) DO NOTHING",
        params![&proof.key, proof.body.as_slice(), now_ms],
    )?;
    Ok(())
}

fn prove(key: &Key, known: &Sealed) -> Result<()> {
    match key.open(known) {
        Ok(proof) if *proof == PROOF => Ok(()),
        Ok(_) | Err(_) => Err(Error::new(
            code::WRONG,
            format!(
                "this is not the key that the store's secrets are sealed under: it is {}, they need {}",
                key.id(),
                known.key
            ),
            "Nothing was written. Give the right key with --key-file or TIDEGATE_KEY; without it the stored connections have to be removed and made again",
        )),
    }
}

fn all(sql: &mut dyn Sql, table: &str, connection: &str, field: &str) -> Result<Vec<Sealed>> {
    let select = format!(
        "SELECT {connection}, {field}, audience, sealing_key, body FROM {table} WHERE body IS NOT NULL \
         ORDER BY {connection}, {field} {lock}",
        lock = sql.dialect().for_update
    );
    let mut found = Vec::new();
    sql.query(&select, params![], &mut |row| {
        found.push(super::accounts::sealed(row, 0)?);
        Ok(())
    })?;
    Ok(found)
}

fn seal(key: &Key, identity: Identity, text: &str) -> Result<Sealed> {
    key.seal(identity, text).map_err(|error| {
        Error::new(code::ALTERED, format!("a secret could not be sealed: {error}"), "Nothing was written; try again")
    })
}

fn broken(identity: &Identity, error: &sealing::Error) -> Error {
    Error::new(
        code::ALTERED,
        format!("`{}` of the connection `{}` does not open: {error}", identity.field, identity.connection),
        "Nothing was changed. Remove that connection and make it again",
    )
}

fn nothing_sealed() -> Error {
    Error::new(
        code::WRONG,
        "the store holds nothing that is sealed, so there is no key to change",
        "Nothing is to be done",
    )
}
