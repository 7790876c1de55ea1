//! One connection's token for one scheme: had when it is first needed, renewed shortly before it ends or when
//! the service refuses it. Tasks of this process wait for each other here, processes wait for each other's
//! claim in [`Grants`]; whoever waited takes the token that the other had.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::jwt::Assertion;
use super::oauth1::Consumer;
use super::oauth2::Client;
use super::places::Places;
use super::session::Login;
use super::{Claim, Ended, Grant, GrantKey, Grants, Kept};
use crate::clock::Clock;
use crate::connector::auth::Credentials;
use crate::connector::mask::Mask;
use crate::connector::message::{HostSet, HttpRequest, HttpResponse};
use crate::connector::requester::Requester;
use crate::engine::{Failure, Verdict};
use crate::manifest::connector::Auth;
use crate::manifest::connector::auth::GrantType;

/// A token is renewed this long before it ends, in milliseconds; or in the last quarter of a short life.
const MARGIN_MS: i64 = 60_000;
/// How long one request for a token may take. The claim on a grant holds longer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often somebody else's claim is looked at, and how many times before giving up: as long as a claim holds.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 900;

/// What asks for tokens.
pub struct Asking<'a> {
    /// What sends.
    pub requester: &'a Requester,
    /// Where the time comes from.
    pub clock: &'a Clock,
    /// What is kept.
    pub grants: &'a dyn Grants,
    /// The connection's hosts.
    pub allowed: &'a HostSet,
    /// The connection's proxy.
    pub proxy: Option<&'a str>,
    /// The connection's secrets.
    pub mask: &'a Mask,
    /// The connection's hosts, as grants remember them.
    pub hosts: String,
}

/// A token that can sign now.
#[derive(Debug)]
pub struct Live {
    /// What signs.
    pub credentials: Credentials,
    /// The connection's secrets and this token's.
    pub mask: Arc<Mask>,
    grant: Grant,
    version: i64,
}

impl Live {
    /// When the person signed in whose token it is; none where it needs no person.
    pub fn signed_in_at(&self) -> Option<i64> {
        self.grant.signed_in_at
    }
}

/// Where a connection's token for a scheme comes from.
pub struct Source {
    key: GrantKey,
    way: Way,
    mask: Arc<Mask>,
    places: Places,
    live: ArcSwapOption<Live>,
    turn: Mutex<Turn>,
}

/// How the token is had.
pub(super) enum Way {
    /// A sign-in by OAuth 1.
    Oauth1(Consumer),
    /// A sign-in by OAuth 2.
    Oauth2(Client),
    /// By the client's own credentials.
    Credentials(Client),
    Session(Login),
    Jwt(Assertion),
}

/// What only the task has whose turn it is.
#[derive(Default)]
struct Turn {
    /// A grant that the store did not take yet, with the ticket of its claim.
    unsaved: Option<(String, Grant)>,
}

impl Asking<'_> {
    /// UTC epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Sends a request for a token. It goes nowhere else, whatever the answer says.
    pub(super) async fn send(&self, request: &HttpRequest, proof: &Credentials) -> Result<HttpResponse, Failure> {
        let sent = self.requester.send_here(request, proof, self.allowed, TIMEOUT, self.proxy).await;
        sent.map_err(|failure| Failure { message: self.mask.text(&failure.message), ..failure })
    }
}

impl Source {
    /// For a scheme whose templates were replaced; none where the scheme needs no token to be had.
    ///
    /// # Errors
    /// When a value cannot be used, in words.
    pub fn new(key: GrantKey, auth: &Auth, places: &Places, mask: &Arc<Mask>) -> Result<Option<Source>, Failure> {
        let way = match auth {
            Auth::Oauth1 { consumer_key, consumer_secret, sign_in: Some(sign_in), .. } => {
                Way::Oauth1(Consumer::new(consumer_key, consumer_secret, sign_in, places)?)
            }
            Auth::Oauth2(scheme) => {
                let client = Client::new(scheme, places)?;
                match scheme.grant {
                    GrantType::AuthorizationCode => Way::Oauth2(client),
                    GrantType::ClientCredentials => Way::Credentials(client),
                }
            }
            Auth::Session(scheme) => Way::Session(Login::new(scheme, places)?),
            Auth::Jwt(scheme) => Way::Jwt(Assertion::new(scheme, places)?),
            _ => return Ok(None),
        };
        Ok(Some(Source {
            key,
            way,
            mask: Arc::clone(mask),
            places: places.clone(),
            live: ArcSwapOption::empty(),
            turn: Mutex::default(),
        }))
    }

    /// Whose it is.
    pub fn key(&self) -> &GrantKey {
        &self.key
    }

    /// Whether there is a token now.
    pub fn is_had(&self) -> bool {
        self.live.load().is_some()
    }

    /// Whether its sign-in can end with a PIN instead of a callback.
    pub fn takes_pin(&self) -> bool {
        matches!(self.way, Way::Oauth1(_))
    }

    /// Whether a refusal other than 401 may mean that the token has ended.
    pub fn is_session(&self) -> bool {
        matches!(self.way, Way::Session(_))
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// A token that is good for now.
    ///
    /// # Errors
    /// `sign_in_needed` where nobody has signed in; `sign_in_ended` where it has to be done again; and what
    /// the service or the store says. Nothing of the action's own request was sent.
    pub async fn fresh(&self, asking: &Asking<'_>) -> Result<Arc<Live>, Failure> {
        if let Some(live) = self.ready(asking.now_ms()) {
            return Ok(live);
        }
        let mut turn = self.turn.lock().await;
        if let Some(live) = self.ready(asking.now_ms()) {
            return Ok(live);
        }
        self.have(asking, &mut turn, None).await
    }

    /// Another token, where the service refused this one.
    ///
    /// # Errors
    /// As [`Source::fresh`].
    pub async fn instead(&self, asking: &Asking<'_>, refused: &Live) -> Result<Arc<Live>, Failure> {
        let mut turn = self.turn.lock().await;
        match self.live.load_full() {
            // Somebody had another one meanwhile.
            Some(live) if live.version != refused.version && !live.grant.is_over(asking.now_ms()) => Ok(live),
            _ => self.have(asking, &mut turn, Some(refused.version)).await,
        }
    }

    /// Reads what is kept again when it is next needed: somebody may have signed in.
    pub fn forget(&self) {
        if matches!(self.way, Way::Oauth1(_) | Way::Oauth2(_)) {
            self.live.store(None);
        }
    }

    fn ready(&self, now_ms: i64) -> Option<Arc<Live>> {
        self.live.load_full().filter(|live| !live.grant.is_due(now_ms))
    }

    async fn have(&self, asking: &Asking<'_>, turn: &mut Turn, refused: Option<i64>) -> Result<Arc<Live>, Failure> {
        let had = match &self.way {
            Way::Oauth1(_) => return self.kept(asking, turn, None, refused).await,
            Way::Oauth2(client) => return self.kept(asking, turn, Some(client), refused).await,
            Way::Credentials(client) => client.by_credentials(asking).await,
            Way::Session(login) => login.token(asking).await,
            Way::Jwt(assertion) => assertion.token(asking).await,
        };
        let last = self.live.load_full();
        match (had, last) {
            (Ok(grant), last) => self.set(grant, last.map_or(1, |last| last.version + 1)),
            // The old one is still good for a moment.
            (Err(_), Some(last)) if refused.is_none() && !last.grant.is_over(asking.now_ms()) => Ok(last),
            (Err(failure), _) => Err(self.told(failure)),
        }
    }

    async fn kept(
        &self,
        asking: &Asking<'_>,
        turn: &mut Turn,
        client: Option<&Client>,
        refused: Option<i64>,
    ) -> Result<Arc<Live>, Failure> {
        for _ in 0..LOOKS {
            if let Some((ticket, grant)) = turn.unsaved.take() {
                self.save(asking, turn, ticket, grant).await?;
            }
            let kept = asking.grants.read(&self.key).await?.ok_or_else(|| self.needed())?;
            self.judge(&kept)?;
            let Kept { grant, version, .. } = kept;
            let now_ms = asking.now_ms();
            let is_good = refused != Some(version) && !grant.is_over(now_ms);
            if is_good && !grant.is_due(now_ms) {
                return self.set(grant, version);
            }
            let (Some(client), Some(refresh_token)) = (client, grant.refresh_token.clone()) else {
                return if is_good {
                    self.set(grant, version)
                } else {
                    Err(self.over("the service no longer takes its token"))
                };
            };
            let (ticket, was_interrupted) = match asking.grants.claim(&self.key, version).await? {
                Claim::Mine { ticket, was_interrupted } => (ticket, was_interrupted),
                Claim::Changed => continue,
                Claim::Busy if is_good => return self.set(grant, version),
                Claim::Busy => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
            };
            match client.renewed(asking, &grant, &refresh_token).await {
                (Ended::Renewed(renewed), _) => {
                    if self.save(asking, turn, ticket, renewed).await? {
                        continue;
                    }
                }
                (ended, failure) => {
                    let ended = self.worded(ended, was_interrupted);
                    asking.grants.end(&self.key, &ticket, ended.clone()).await?;
                    match (ended, failure) {
                        (Ended::Refused(why), _) => return Err(self.over(&why)),
                        _ if is_good => return self.set(grant, version),
                        (_, Some(failure)) => return Err(self.told(failure)),
                        (_, None) => {}
                    }
                }
            }
        }
        Err(Failure {
            verdict: Verdict::Retry { after_ms: None },
            ..Failure::not_sent(
                "token_awaited",
                format!(
                    "another process has been renewing the token of connection `{}` for too long",
                    self.key.connection
                ),
            )
        })
    }

    /// Stores a grant before anything uses it. What the store does not take is kept here for the next try:
    /// the one before it may be worth nothing any more. True when it is the newest now.
    async fn save(&self, asking: &Asking<'_>, turn: &mut Turn, ticket: String, grant: Grant) -> Result<bool, Failure> {
        match asking.grants.end(&self.key, &ticket, Ended::Renewed(grant.clone())).await {
            Ok(is_newest) => Ok(is_newest),
            Err(failure) => {
                turn.unsaved = Some((ticket, grant));
                Err(Failure { verdict: Verdict::Retry { after_ms: None }, ..failure })
            }
        }
    }

    fn set(&self, grant: Grant, version: i64) -> Result<Arc<Live>, Failure> {
        let credentials = match &self.way {
            Way::Oauth1(consumer) => consumer.credentials(&grant),
            Way::Session(login) => login.credentials(&grant.access_token)?,
            _ => Credentials::bearer(&grant.access_token)?,
        };
        let mask = Arc::new(self.mask.and(grant.secrets()));
        let live = Arc::new(Live { credentials, mask, grant, version });
        self.live.store(Some(Arc::clone(&live)));
        Ok(live)
    }

    fn judge(&self, kept: &Kept) -> Result<(), Failure> {
        if kept.grant.hosts != self.places.fingerprint() {
            return Err(self.over("it signed in at other hosts than those that it has now"));
        }
        match &kept.refused {
            Some(why) => Err(self.over(why)),
            None => Ok(()),
        }
    }

    fn worded(&self, ended: Ended, was_interrupted: bool) -> Ended {
        match ended {
            Ended::Refused(why) if was_interrupted => Ended::Refused(format!(
                "{why} (a renewal was cut off before its answer could be stored, which has cost the refresh token)"
            )),
            other => other,
        }
    }

    fn needed(&self) -> Failure {
        let message = format!("connection `{}` has not signed in yet for `{}`", self.key.connection, self.key.scheme);
        Failure { verdict: Verdict::Reauth, ..Failure::not_sent("sign_in_needed", message) }.with_help(self.advice())
    }

    fn over(&self, why: &str) -> Failure {
        let message = format!("connection `{}` has to sign in again: {why}", self.key.connection);
        Failure { verdict: Verdict::Reauth, ..Failure::not_sent("sign_in_ended", message) }.with_help(self.advice())
    }

    fn advice(&self) -> String {
        format!("run `tidegate connections sign-in {} --scheme {}`", self.key.connection, self.key.scheme)
    }

    /// What kept a token from being had, with whose it is.
    fn told(&self, failure: Failure) -> Failure {
        Failure {
            message: format!("no token for connection `{}`: {}", self.key.connection, failure.message),
            help: failure.help.or_else(|| match failure.verdict {
                Verdict::Reauth => Some("check the connection's credentials".to_owned()),
                _ => None,
            }),
            // Of the action's own request nothing was sent.
            outcome: crate::engine::Outcome::NotSent,
            ..failure
        }
    }
}

impl Grant {
    /// Whether it should be renewed.
    fn is_due(&self, now_ms: i64) -> bool {
        self.expires_at.is_some_and(|end_ms| {
            let margin_ms = MARGIN_MS.min(end_ms.saturating_sub(self.obtained_at) / 4);
            now_ms >= end_ms.saturating_sub(margin_ms)
        })
    }

    /// Whether it is good for nothing any more.
    fn is_over(&self, now_ms: i64) -> bool {
        self.expires_at.is_some_and(|end_ms| now_ms >= end_ms)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Source({}/{})", self.key.connection, self.key.scheme)
    }
}
