//! Signing in by a link to the public pages: the command gives it, the host's pages lead through it. The link's
//! token, the service's state and the browser's cookie are kept as hashes; what else is needed is sealed.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{SignedIn, Wanted, prepare};
use crate::app::up::Live;
use crate::app::{Error, Exit, Place, Result, connections, project};
use crate::connector::Connection;
use crate::connector::grants::{Begun, Told, verifier};
use crate::store::Store;
use crate::store::sign_ins::{Sent, SignInRow};

/// The end of the callback's address.
pub const CALLBACK: &str = "/sign-in/callback";
/// How long a link is good, in milliseconds.
pub const LIFE_MS: i64 = 900_000;
/// How often the command looks whether it was used.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A link that somebody can sign in by.
pub struct Link {
    /// What they open.
    pub url: String,
    id: String,
    connection: String,
    scheme: String,
    store: Store,
    place: Place,
}

/// A browser on its way to the service.
pub struct Leaving {
    /// Where it goes.
    pub url: String,
    /// What only this browser knows, for a cookie.
    pub cookie: String,
    /// The connection's name.
    pub connection: String,
}

/// Makes a link. The host has to be at work, as its pages are where the link leads.
///
/// # Errors
/// `public_url_missing`, and what [`prepare`] says.
pub async fn offer(place: &Place, wanted: &Wanted) -> Result<Link> {
    let settings = Arc::clone(&project::settled(place)?.catalog.settings.value);
    let base = base(settings.public.as_ref().and_then(|public| public.url.as_deref()))?;
    let ready = prepare(place, wanted).await?;
    let token = verifier()?;
    let id = hash(&token);
    let (connection, scheme) = (ready.connection.name.clone(), ready.scheme.clone());
    let store = ready.grants.store().clone();
    let now_ms = place.clock.now_ms();
    let row = SignInRow { id: id.clone(), connection: connection.clone(), scheme: scheme.clone(), outcome: None };
    store.offer_sign_in(row, now_ms + LIFE_MS, now_ms).await?;
    Ok(Link { url: format!("{base}/sign-in/{token}"), id, connection, scheme, store, place: place.clone() })
}

impl Link {
    /// Waits until somebody signed in by it, then tests the connection.
    ///
    /// # Errors
    /// Why nobody did: `sign_in_failed`, `sign_in_timeout`; and the store's.
    pub async fn wait(self) -> Result<SignedIn> {
        loop {
            let row = self.store.sign_in(self.id.clone(), self.place.clock.now_ms()).await?;
            match row.map(|row| row.outcome) {
                None => {
                    let error = Error::new(Exit::Connection, "sign_in_timeout", "nobody signed in in time");
                    return Err(error.with_help("make another link"));
                }
                Some(Some(outcome)) if outcome.is_empty() => {
                    let test = connections::test(&self.place, Some(&self.connection)).await?.pop();
                    let (connection, scheme) = (self.connection, self.scheme);
                    let account = None;
                    return Ok(SignedIn {
                        connection,
                        scheme,
                        account,
                        scopes: Vec::new(),
                        expires_at: None,
                        is_renewed: true,
                        test,
                    });
                }
                Some(Some(outcome)) if outcome != "under way" => {
                    return Err(Error::new(Exit::Connection, "sign_in_failed", outcome).with_help("make another link"));
                }
                Some(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

/// The sign-in that a link is for, while it can be used.
///
/// # Errors
/// The store's.
pub async fn find(live: &Live, token: &str) -> Result<Option<SignInRow>> {
    let found = live.host.store.sign_in(hash(token), live.host.now_ms()).await?;
    Ok(found.filter(|row| row.outcome.is_none()))
}

/// Begins at the service, for the browser that asks.
///
/// # Errors
/// `sign_in_expired`, `public_url_missing`, and what the service or the store says.
pub async fn begin(live: &Live, token: &str) -> Result<Leaving> {
    let row = find(live, token).await?.ok_or_else(over)?;
    let connection = bind(live, &row.connection)?;
    let project = live.project();
    let public = project.catalog.settings.value.public.as_ref().and_then(|public| public.url.clone());
    let callback = format!("{}{CALLBACK}", base(public.as_deref())?);
    let begun = live.host.executor.begin_sign_in(&connection, &row.scheme, Some(&callback)).await?;
    let cookie = verifier()?;
    let text = serde_json::to_string(&begun).map_err(|error| Error::problem("sign_in_failed", error.to_string()))?;
    let sealed = live.grants.seal(&row.connection, &row.id, &text).await?;
    let sent = Sent { state: hash(&begun.state), browser: hash(&cookie), sealing_key: sealed.key, body: sealed.body };
    if !live.host.store.send_sign_in(row.id, sent).await? {
        return Err(over());
    }
    Ok(Leaving { url: begun.url, cookie, connection: row.connection })
}

/// Ends the sign-in that a callback belongs to, in the browser that began it. The connection's stopped polls go on.
///
/// # Errors
/// `sign_in_mismatch` where it is none of this browser's, or was used before; and as
/// [`super::Started::finish`].
pub async fn finish(live: &Live, cookie: Option<&str>, told: Told) -> Result<SignedIn> {
    let mismatch = || {
        Error::new(
            Exit::Connection,
            "sign_in_mismatch",
            "this answer belongs to no sign-in of this browser, or was used before",
        )
        .with_help("open the link again, in one browser")
    };
    let (Some(state), Some(cookie)) = (told.state().map(hash), cookie.map(hash)) else { return Err(mismatch()) };
    let store = &live.host.store;
    let taken = store.take_sign_in(state, cookie, live.host.now_ms()).await?.ok_or_else(mismatch)?;
    let id = taken.row.id.clone();
    let ended = async {
        let (connection, scheme) = (&taken.row.connection, &taken.row.scheme);
        let text = live.grants.unseal(connection, &id, taken.sealing_key, taken.body).await?;
        let begun: Begun = serde_json::from_str(&text).map_err(|_| over())?;
        let bound = bind(live, connection)?;
        let grant = live.host.executor.finish_sign_in(&bound, scheme, &begun, told).await?;
        let done = super::store(&live.grants, connection, scheme, &grant).await?;
        live.host.deployment().accounts.forget_tokens();
        connections::record(&live.view(), store, connection, &Ok(())).await?;
        Ok(done)
    };
    let ended: Result<SignedIn> = ended.await;
    let outcome = ended.as_ref().err().map_or_else(String::new, |error| error.message.clone());
    store.end_sign_in(id.clone(), outcome).await?;
    ended
}

/// Whether browsers reach the public pages encrypted.
pub fn is_https(live: &Live) -> bool {
    let project = live.project();
    let public = project.catalog.settings.value.public.as_ref();
    public.and_then(|public| public.url.as_deref()).is_some_and(|url| url.starts_with("https://"))
}

fn bind(live: &Live, name: &str) -> Result<Arc<Connection>> {
    let deployment = live.host.deployment();
    Ok(connections::bind(&live.project(), &deployment.accounts, name)?)
}

fn base(url: Option<&str>) -> Result<String> {
    let url = url.ok_or_else(|| {
        Error::new(Exit::Connection, "public_url_missing", "a link needs `public: {url: ...}` in tidegate.yaml")
            .with_help("give the address at which the public listener is reached, or sign in without --link")
    })?;
    Ok(url.trim_end_matches('/').to_owned())
}

fn over() -> Error {
    Error::new(Exit::Connection, "sign_in_expired", "this link was used, or is too old").with_help("make another link")
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
