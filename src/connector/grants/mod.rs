//! Tokens that have to be had before a request can be signed: by a sign-in, a log-in, the client's own
//! credentials or a signed assertion. A [`Source`] per connection and scheme has one and keeps it fresh,
//! one request at a time; what must outlive the process goes through [`Grants`], which the worker and the
//! commands implement over the store. Nothing here ever sends a secret to a host that is not the connection's.

mod answer;
mod jwt;
mod oauth1;
mod oauth2;
mod places;
mod session;
mod sign_in;
mod source;

pub use self::oauth2::{challenge, verifier};
pub use self::places::{Place, Places};
pub use self::sign_in::{Begun, SignIn, Told};
pub use self::source::{Asking, Live, Source};

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::engine::Failure;

/// What a service granted. Secret as a whole: its `Debug` shows nothing of it.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub struct Grant {
    /// The token that signs requests.
    pub access_token: String,
    /// The token's secret, for OAuth 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<String>,
    /// What a new access token is had for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the access token ends, in UTC epoch milliseconds; none where it lasts until it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When it was had, in UTC epoch milliseconds.
    pub obtained_at: i64,
    /// When the person signed in whose grant it is, in UTC epoch milliseconds; the same after every renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<i64>,
    /// What it is good for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Who signed in, where the service said so: a name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The hosts that it was had for: it goes nowhere else.
    pub hosts: String,
}

/// Whose grant: a connection's, for one of its schemes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GrantKey {
    /// The connection's name.
    pub connection: String,
    /// The scheme's name in the connector.
    pub scheme: String,
}

/// A grant as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The grant.
    pub grant: Grant,
    /// Counts up with each renewal and sign-in.
    pub version: i64,
    /// Why the service will not renew it any more; only a new sign-in helps.
    pub refused: Option<String>,
}

/// The answer to [`Grants::claim`].
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Renew it; nobody else does.
    Mine {
        /// Proves the claim.
        ticket: String,
        /// Whether somebody else claimed this very version before and never came back: the service may have
        /// used it up.
        was_interrupted: bool,
    },
    /// Somebody else renews it now.
    Busy,
    /// It is not the newest any more: read it again.
    Changed,
}

/// What a claim ended with.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// The new grant, to be stored before it is used.
    Renewed(Grant),
    /// The service refuses it for good: why.
    Refused(String),
    /// The service did not get the request: as before.
    NotSent,
    /// Nobody knows whether the service used the refresh token up: as before, but this is remembered.
    Unknown,
}

/// A future that a trait object gives.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Where grants are kept that outlive the process. Its failures say what the store said.
pub trait Grants: Send + Sync {
    /// The newest grant.
    fn read<'a>(&'a self, key: &'a GrantKey) -> Later<'a, Option<Kept>>;

    /// Asks for the right to renew a version, for [`LEASE_MS`]; never waits.
    fn claim<'a>(&'a self, key: &'a GrantKey, version: i64) -> Later<'a, Claim>;

    /// Ends a claim. Resolves when that is on the disk; false when the claim had been lost meanwhile.
    fn end<'a>(&'a self, key: &'a GrantKey, ticket: &'a str, ended: Ended) -> Later<'a, bool>;
}

/// How long a claim holds, in milliseconds: longer than any token request may take.
pub const LEASE_MS: i64 = 90_000;

/// Keeps none: where there is no store, nobody has signed in.
pub struct NoGrants;

impl Grants for NoGrants {
    fn read<'a>(&'a self, _: &'a GrantKey) -> Later<'a, Option<Kept>> {
        Box::pin(async { Ok(None) })
    }

    fn claim<'a>(&'a self, _: &'a GrantKey, _: i64) -> Later<'a, Claim> {
        Box::pin(async { Ok(Claim::Changed) })
    }

    fn end<'a>(&'a self, _: &'a GrantKey, _: &'a str, _: Ended) -> Later<'a, bool> {
        Box::pin(async { Ok(false) })
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Grant").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Grant {
    /// Its secrets, for masks.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.access_token.as_str())
            .chain(self.token_secret.as_deref())
            .chain(self.refresh_token.as_deref())
    }
}
