//! Grants as the connector's sources see them, over the store: sealed, versioned, one renewal at a time among
//! all processes that share the store.

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::keys::{self, Keys};
use crate::clock::Clock;
use crate::connector::grants::{Claim, Ended, Grant, GrantKey, Grants, Kept, LEASE_MS, Later};
use crate::engine::{Failure, Verdict};
use crate::sealing::{Identity, Key, Sealed};
use crate::store::tokens::{Asked, Lease};
use crate::store::{self, Store};

/// The grants of a store.
pub struct StoredGrants {
    store: Store,
    keys: Keys,
    clock: Clock,
}

impl StoredGrants {
    /// Of this store, under its key.
    pub fn new(store: Store, keys: Keys, clock: Clock) -> Self {
        StoredGrants { store, keys, clock }
    }

    /// Stores what a person signed in for; whoever renews the one before comes too late.
    ///
    /// # Errors
    /// The key's and the store's.
    pub async fn put(&self, key: &GrantKey, grant: &Grant) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        let sealing = self.keys.key(now_ms).await.map_err(|error| key_failure(&error))?;
        let sealed = seal(&sealing, key, grant)?;
        self.store.put_token(sealed, now_ms).await.map_err(|error| store_failure(&error))?;
        Ok(())
    }

    /// Where they are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Seals what is kept for a sign-in under way.
    ///
    /// # Errors
    /// The key's and the store's.
    pub async fn seal(&self, connection: &str, id: &str, text: &str) -> Result<Sealed, Failure> {
        let sealing = self.keys.key(self.clock.now_ms()).await.map_err(|error| key_failure(&error))?;
        let sealed = sealing.seal(of_sign_in(connection, id), text);
        sealed.map_err(|error| Failure::not_sent("seal_failed", format!("the sign-in cannot be sealed: {error}")))
    }

    /// Opens it again.
    ///
    /// # Errors
    /// `sign_in_expired` where it does not open: the key was changed meanwhile.
    pub async fn unseal(
        &self,
        connection: &str,
        id: &str,
        key: String,
        body: Vec<u8>,
    ) -> Result<Zeroizing<String>, Failure> {
        let sealing = self.keys.key(self.clock.now_ms()).await.map_err(|error| key_failure(&error))?;
        sealing.open(&Sealed { identity: of_sign_in(connection, id), key, body }).map_err(|error| {
            Failure::not_sent("sign_in_expired", format!("the sign-in cannot be opened: {error}"))
                .with_help("begin again")
        })
    }

    async fn kept(&self, key: &GrantKey) -> Result<Option<Kept>, Failure> {
        let read = self.store.token(key.connection.clone(), key.scheme.clone()).await;
        let Some(token) = read.map_err(|error| store_failure(&error))? else { return Ok(None) };
        let sealing = self.keys.existing().await.map_err(|error| key_failure(&error))?;
        let sealing = sealing.ok_or_else(|| broken(key, "its key is gone"))?;
        let text = sealing.open(&token.sealed).map_err(|error| broken(key, &error.to_string()))?;
        let grant: Grant = serde_json::from_str(&text).map_err(|error| broken(key, &error.to_string()))?;
        Ok(Some(Kept { grant, version: token.version, refused: token.refused }))
    }

    async fn lease(&self, key: &GrantKey, version: i64) -> Result<Claim, Failure> {
        let ticket = Uuid::now_v7().to_string();
        let asked = Asked {
            connection: key.connection.clone(),
            scheme: key.scheme.clone(),
            seen: version,
            holder: ticket.clone(),
            lease_ms: LEASE_MS,
        };
        let lease = self.store.lease_token(asked, self.clock.now_ms()).await.map_err(|error| store_failure(&error))?;
        Ok(match lease {
            Lease::Granted { was_interrupted } => Claim::Mine { ticket, was_interrupted },
            Lease::Held { .. } => Claim::Busy,
            Lease::Newer(_) => Claim::Changed,
        })
    }

    async fn settle(&self, key: &GrantKey, ticket: &str, ended: Ended) -> Result<bool, Failure> {
        let (connection, scheme, holder) = (key.connection.clone(), key.scheme.clone(), ticket.to_owned());
        let settled = match ended {
            Ended::Renewed(grant) => {
                let now_ms = self.clock.now_ms();
                let sealing = self.keys.key(now_ms).await.map_err(|error| key_failure(&error))?;
                let sealed = seal(&sealing, key, &grant)?;
                let renewed = self.store.renew_token(sealed, holder, now_ms).await;
                return renewed.map(|version| version.is_some()).map_err(|error| store_failure(&error));
            }
            Ended::Refused(why) => self.store.refuse_token(connection, scheme, holder, why).await,
            Ended::NotSent => self.store.release_token(connection, scheme, holder).await,
            Ended::Unknown => self.store.abandon_token(connection, scheme, holder).await,
        };
        settled.map(|()| true).map_err(|error| store_failure(&error))
    }
}

impl Grants for StoredGrants {
    fn read<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<Kept>> {
        Box::pin(self.kept(key))
    }

    fn claim<'a>(&'a self, key: &'a GrantKey, version: i64) -> Later<'a, Claim> {
        Box::pin(self.lease(key, version))
    }

    fn end<'a>(&'a self, key: &'a GrantKey, ticket: &'a str, ended: Ended) -> Later<'a, bool> {
        Box::pin(self.settle(key, ticket, ended))
    }
}

fn of_sign_in(connection: &str, id: &str) -> Identity {
    Identity { connection: connection.to_owned(), field: format!("sign-in {id}"), audience: String::new() }
}

fn seal(sealing: &Arc<Key>, key: &GrantKey, grant: &Grant) -> Result<Sealed, Failure> {
    let text = serde_json::to_string(grant).map_err(|error| broken(key, &error.to_string()))?;
    let identity =
        Identity { connection: key.connection.clone(), field: key.scheme.clone(), audience: grant.hosts.clone() };
    sealing.seal(identity, &text).map_err(|error| broken(key, &error.to_string()))
}

/// What the store does not take or give now may be had later.
fn store_failure(error: &store::Error) -> Failure {
    let failure = Failure::not_sent(error.code, error.message.clone()).with_help(error.help.to_string());
    Failure { verdict: Verdict::Retry { after_ms: None }, ..failure }
}

fn key_failure(error: &keys::Error) -> Failure {
    Failure::not_sent(error.code, error.message.clone()).with_help(error.help.clone())
}

fn broken(key: &GrantKey, why: &str) -> Failure {
    let message = format!("the tokens of connection `{}` for `{}` cannot be opened: {why}", key.connection, key.scheme);
    Failure::not_sent("grant_unreadable", message).with_help("sign in again")
}
