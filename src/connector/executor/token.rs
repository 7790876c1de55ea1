//! What signs a request: the first of an action's schemes whose credentials are at hand or can be had, and
//! another token where the service refuses the first.

use std::sync::Arc;

use super::Executor;
use super::answer::Page;
use crate::connector::action::Action;
use crate::connector::auth::Credentials;
use crate::connector::connection::Connection;
use crate::connector::grants::{Asking, Begun, Grant, Live, SignIn, Source, Told};
use crate::connector::mask::Mask;
use crate::connector::prepare::Prepared;
use crate::engine::{Failure, Outcome, Verdict};

/// What signs one request.
pub(super) enum Token {
    /// It is given.
    Given(Arc<Credentials>, Arc<Mask>),
    /// It was had.
    Had(Arc<Source>, Arc<Live>),
}

impl Token {
    pub fn credentials(&self) -> &Credentials {
        match self {
            Token::Given(credentials, _) => credentials,
            Token::Had(_, live) => &live.credentials,
        }
    }

    /// Hides the connection's secrets, and the token.
    pub fn mask(&self) -> &Arc<Mask> {
        match self {
            Token::Given(_, mask) => mask,
            Token::Had(_, live) => &live.mask,
        }
    }
}

impl Executor {
    /// What signs this request.
    pub(super) async fn token(&self, prepared: &Prepared) -> Result<Token, Failure> {
        let Some(connection) = &prepared.connection else {
            return Ok(Token::Given(Arc::default(), Arc::default()));
        };
        let mut needed = None;
        for way in &prepared.credentials {
            let Credentials::Had(source) = way.as_ref() else {
                return Ok(Token::Given(Arc::clone(way), Arc::clone(&connection.mask)));
            };
            match source.fresh(&self.asking(connection)).await {
                Ok(live) => return Ok(Token::Had(Arc::clone(source), live)),
                // Nobody has signed in for this scheme: the next may do.
                Err(failure) if failure.code == "sign_in_needed" => {
                    needed.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        match needed {
            Some(failure) => Err(failure),
            None => Ok(Token::Given(Arc::default(), Arc::clone(&connection.mask))),
        }
    }

    /// What tells one account behind a connection from another, for an action: who signed in when, or the name or token
    /// that is given. Nothing where it cannot be known; then what asks fails for the same reason.
    pub(in crate::connector) async fn account(&self, connection: &Arc<Connection>, action: &Action) -> String {
        for way in connection.credentials(action).unwrap_or_default() {
            let Credentials::Had(source) = way.as_ref() else { return way.account() };
            match source.fresh(&self.asking(connection)).await {
                Ok(live) => return live.signed_in_at().map(|at_ms| at_ms.to_string()).unwrap_or_default(),
                Err(failure) if failure.code == "sign_in_needed" => {}
                Err(_) => break,
            }
        }
        String::new()
    }

    /// Another token, where this one was had and the service refused it.
    pub(super) async fn another(
        &self,
        prepared: &Prepared,
        token: &Token,
        result: &Result<Page, Failure>,
    ) -> Option<Result<Token, Failure>> {
        let (Token::Had(source, live), Err(failure), Some(connection)) = (token, result, &prepared.connection) else {
            return None;
        };
        let is_refused = failure.verdict == Verdict::Reauth && failure.outcome == Outcome::NotDone;
        if !is_refused || !(failure.status == Some(401) || source.is_session()) {
            return None;
        }
        let another = source.instead(&self.asking(connection), live).await;
        Some(another.map(|live| Token::Had(Arc::clone(source), live)))
    }

    /// Begins a user's sign-in; see [`SignIn::begin`].
    ///
    /// # Errors
    /// As [`Connection::source`] and [`SignIn::begin`].
    pub async fn begin_sign_in(
        &self,
        connection: &Connection,
        scheme: &str,
        redirect_uri: Option<&str>,
    ) -> Result<Begun, Failure> {
        let source = connection.source(scheme)?;
        SignIn { source, asking: self.asking(connection) }.begin(redirect_uri).await
    }

    /// Ends it with what the service told; the grant is the caller's to store.
    ///
    /// # Errors
    /// As [`Connection::source`] and [`SignIn::finish`].
    pub async fn finish_sign_in(
        &self,
        connection: &Connection,
        scheme: &str,
        begun: &Begun,
        told: Told,
    ) -> Result<Grant, Failure> {
        let source = connection.source(scheme)?;
        SignIn { source, asking: self.asking(connection) }.finish(begun, told).await
    }

    /// Takes back at the service what a user granted; see [`SignIn::revoke`].
    ///
    /// # Errors
    /// As [`Connection::source`] and [`SignIn::revoke`].
    pub async fn revoke(&self, connection: &Connection, scheme: &str, grant: &Grant) -> Result<(), Failure> {
        let source = connection.source(scheme)?;
        SignIn { source, asking: self.asking(connection) }.revoke(grant).await
    }

    fn asking<'a>(&'a self, connection: &'a Connection) -> Asking<'a> {
        Asking {
            requester: &self.requester,
            clock: &self.clock,
            grants: self.grants.as_ref(),
            allowed: &connection.allowed,
            proxy: connection.proxy.as_deref(),
            mask: &connection.mask,
            hosts: connection.fingerprint.clone(),
        }
    }
}
