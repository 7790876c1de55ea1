//! Connections that were made with `connect`: what would stand in the settings as one text, and their secret
//! fields sealed, each bound to its connection, its field and the hosts that it may go to. What the text means
//! is the caller's; nothing here can open a secret.

use super::database::{Row, Sql, params};
use super::{Result, Store, keys};
use crate::sealing::{Identity, Sealed};

/// A stored connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// As it would stand in the settings, as JSON, without its secrets.
    pub body: String,
    /// Its secret fields.
    pub secrets: Vec<Sealed>,
}

impl Store {
    /// Every stored connection, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        self.database.read(select).await
    }

    /// The same for a thread that may wait.
    pub fn accounts_blocking(&self) -> Result<Vec<Account>> {
        self.database.read_blocking(select)
    }

    /// Writes connections, all or nothing, each instead of what has its name. Tokens of a replaced one are
    /// forgotten: they belonged to other credentials.
    ///
    /// # Errors
    /// `key_changed` where a secret is not sealed under the store's present key.
    pub async fn put_accounts(&self, accounts: Vec<Account>, now_ms: i64) -> Result<()> {
        self.database
            .transaction(move |sql| {
                keys::admit(
                    sql,
                    accounts.iter().flat_map(|account| &account.secrets).map(|sealed| sealed.key.as_str()),
                )?;
                accounts.iter().try_for_each(|account| put(sql, account, now_ms))
            })
            .await
    }

    /// Rewrites what is not secret of a connection; false where there is none of that name.
    pub async fn set_account_body(&self, name: String, body: String, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let update = "UPDATE accounts SET body = $2, updated_at = $3 WHERE name = $1";
                Ok(sql.execute(update, params![&name, &body, now_ms])? > 0)
            })
            .await
    }

    /// Forgets a connection with its secrets, its tokens and how it was; false where there is none.
    pub async fn remove_account(&self, name: String) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let removed = sql.execute("DELETE FROM accounts WHERE name = $1", params![&name])? > 0;
                if removed {
                    sql.execute("DELETE FROM account_secrets WHERE account = $1", params![&name])?;
                    sql.execute("DELETE FROM tokens WHERE connection = $1", params![&name])?;
                    sql.execute("DELETE FROM connections WHERE name = $1", params![&name])?;
                }
                Ok(removed)
            })
            .await
    }
}

/// A sealed value whose columns begin at `first`: connection, field, audience, key, body.
pub(super) fn sealed(row: &dyn Row, first: usize) -> Result<Sealed> {
    Ok(Sealed {
        identity: Identity {
            connection: row.text(first)?.to_owned(),
            field: row.text(first + 1)?.to_owned(),
            audience: row.text(first + 2)?.to_owned(),
        },
        key: row.text(first + 3)?.to_owned(),
        body: row.bytes(first + 4)?.to_vec(),
    })
}

fn select(sql: &mut dyn Sql) -> Result<Vec<Account>> {
    let mut accounts = Vec::new();
    sql.query("SELECT name, body FROM accounts ORDER BY name", params![], &mut |row| {
        accounts.push(Account { name: row.text(0)?.to_owned(), body: row.text(1)?.to_owned(), secrets: Vec::new() });
        Ok(())
    })?;
    let select = "SELECT account, field, audience, sealing_key, body FROM account_secrets ORDER BY account, field";
    sql.query(select, params![], &mut |row| {
        let sealed = sealed(row, 0)?;
        if let Some(account) = accounts.iter_mut().find(|account| account.name == sealed.identity.connection) {
            account.secrets.push(sealed);
        }
        Ok(())
    })?;
    Ok(accounts)
}

fn put(sql: &mut dyn Sql, account: &Account, now_ms: i64) -> Result<()> {
    let Account { name, body, secrets } = account;
    sql.execute(
        "INSERT INTO accounts (name, body, created_at, updated_at) VALUES ($1, $2, $3, $3) \
         ON CONFLICT (name) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at",
        params![name, body, now_ms],
    )?;
    sql.execute("DELETE FROM account_secrets WHERE account = $1", params![name])?;
    sql.execute("DELETE FROM tokens WHERE connection = $1", params![name])?;
    for Sealed { identity, key, body } in secrets {
        sql.execute(
            "INSERT INTO account_secrets (account, field, audience, sealing_key, body) VALUES ($1, $2, $3, $4, $5)",
            params![name, &identity.field, &identity.audience, key, body.as_slice()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
