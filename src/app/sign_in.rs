//! Signing in: a connection's user agrees at the service, and what it grants is stored, sealed. The caller shows
//! the address and brings back what the service told; see `web::sign_in` for the ways that goes.

pub mod link;

pub use crate::connector::grants::Told;

use std::sync::Arc;

use serde::Serialize;

use super::connections::{self, Tested};
use super::{Error, Exit, Place, Project, Result, Time, deploy, open, project};
use crate::connector::grants::{Begun, Grant, GrantKey};
use crate::connector::{Connection, Executor};
use crate::engine::Failure;
use crate::worker::{Accounts, StoredGrants};

/// Which sign-in is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The connection's name.
    pub connection: String,
    /// The scheme; the first that the connection has the fields for unless given.
    pub scheme: Option<String>,
}

/// A sign-in that can begin: its connection is sound, and the store takes what it will grant.
pub struct Ready {
    place: Place,
    executor: Executor,
    connection: Arc<Connection>,
    scheme: String,
    grants: StoredGrants,
}

/// A sign-in under way.
pub struct Started {
    ready: Ready,
    begun: Begun,
}

/// A sign-in that was done.
#[derive(Clone, Debug, Serialize)]
pub struct SignedIn {
    /// The connection.
    pub connection: String,
    /// The scheme.
    pub scheme: String,
    /// Who signed in, where the service said so.
    pub account: Option<String>,
    /// What the token is good for, where the service said so.
    pub scopes: Vec<String>,
    /// When the token ends; it is renewed before that where it can be.
    pub expires_at: Option<Time>,
    /// Whether it can be renewed without a person.
    pub is_renewed: bool,
    /// What a test of the connection says now.
    pub test: Option<Tested>,
}

/// Prepares a sign-in; nothing is asked of the service yet.
///
/// # Errors
/// `connection_unknown`, `sign_in_unknown`, `sign_in_given`, `auth_missing`, the key's and the store's.
pub async fn prepare(place: &Place, wanted: &Wanted) -> Result<Ready> {
    project::folder(place)?;
    let project = project::load(place);
    let settings = Arc::clone(&project.catalog.settings.value);
    if !settings.connections.contains_key(&wanted.connection) {
        return Err(connections::unknown(&wanted.connection, &settings));
    }
    let connection = bind(place, &project, &wanted.connection).await?;
    let scheme = choose(&connection, wanted.scheme.as_deref())?;
    let store = open::tool(&open::location(place, &settings)?, &place.clock)?;
    let keys = open::keys(place, &settings, &store)?;
    // A key that is missing or wrong is told before anybody opens a browser.
    keys.key(place.clock.now_ms()).await?;
    let grants = StoredGrants::new(store, keys, place.clock.clone());
    let executor = open::executor(&place.directory, &settings, &place.clock)?;
    Ok(Ready { place: place.clone(), executor, connection, scheme, grants })
}

impl Ready {
    /// Whether it can end with a PIN.
    pub fn takes_pin(&self) -> bool {
        self.connection.source(&self.scheme).is_ok_and(|source| source.takes_pin())
    }

    /// Begins. The service sends the user back to `redirect_uri`; without one it shows a PIN.
    ///
    /// # Errors
    /// What the service says.
    pub async fn start(self, redirect_uri: Option<&str>) -> Result<Started> {
        let begun = self.executor.begin_sign_in(&self.connection, &self.scheme, redirect_uri).await?;
        Ok(Started { ready: self, begun })
    }
}

impl Started {
    /// What the user opens in a browser.
    pub fn url(&self) -> &str {
        &self.begun.url
    }

    /// The connection's name.
    pub fn connection(&self) -> &str {
        &self.ready.connection.name
    }

    /// Whether a callback belongs to this sign-in.
    pub fn is_mine(&self, told: &Told) -> bool {
        told.state() == Some(self.begun.state.as_str())
    }

    /// Ends it with what the service told: the grant is stored. The connection is not tested yet.
    ///
    /// # Errors
    /// `sign_in_denied`, `sign_in_mismatch`, `sign_in_expired`, and what the service or the store says.
    pub async fn finish(&self, told: Told) -> Result<SignedIn> {
        let Ready { executor, connection, scheme, grants, .. } = &self.ready;
        let grant = executor.finish_sign_in(connection, scheme, &self.begun, told).await?;
        store(grants, &connection.name, scheme, &grant).await
    }

    /// Asks the service whether the connection works now; its stopped polls go on if it does.
    ///
    /// # Errors
    /// The store's.
    pub async fn test(&self) -> Result<Option<Tested>> {
        Ok(connections::test(&self.ready.place, Some(self.connection())).await?.pop())
    }
}

async fn store(grants: &StoredGrants, connection: &str, scheme: &str, grant: &Grant) -> Result<SignedIn> {
    let key = GrantKey { connection: connection.to_owned(), scheme: scheme.to_owned() };
    grants.put(&key, grant).await?;
    Ok(SignedIn {
        connection: key.connection,
        scheme: key.scheme,
        account: grant.account.clone(),
        scopes: grant.scopes.clone(),
        expires_at: grant.expires_at.map(Time::from_ms),
        is_renewed: grant.refresh_token.is_some() || grant.expires_at.is_none(),
        test: None,
    })
}

async fn bind(place: &Place, project: &Project, name: &str) -> Result<Arc<Connection>> {
    let accounts = Accounts::new(deploy::accounts(&project.catalog), open::secrets(place, project).await?);
    Ok(connections::bind(project, &accounts, name)?)
}

fn choose(connection: &Connection, wanted: Option<&str>) -> Result<String> {
    let schemes = connection.sign_ins();
    if let Some(wanted) = wanted {
        connection.source(wanted)?;
        if schemes.contains(&wanted) {
            return Ok(wanted.to_owned());
        }
        return Err(none(connection, &format!("nobody signs in for `{wanted}`")));
    }
    let mut first: Option<Failure> = None;
    for scheme in &schemes {
        match connection.source(scheme) {
            Ok(_) => return Ok((*scheme).to_owned()),
            Err(failure) => {
                first.get_or_insert(failure);
            }
        }
    }
    match first {
        Some(failure) => Err(failure.into()),
        None => Err(none(connection, "its connector has no scheme with a sign-in")),
    }
}

fn none(connection: &Connection, why: &str) -> Error {
    let message = format!("connection `{}` cannot sign in: {why}", connection.name);
    let error = Error::new(Exit::Connection, "sign_in_unknown", message);
    match connection.sign_ins().as_slice() {
        [] => error.with_help("give its fields instead"),
        schemes => error.with_help(format!("sign-ins: {}", schemes.join(", "))),
    }
}
