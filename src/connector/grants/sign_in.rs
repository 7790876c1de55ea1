//! A user's sign-in at the service, from the address to open to the grant: OAuth 1.0a in three legs, or OAuth 2
//! with PKCE. What lies between is a [`Begun`], which whoever runs the sign-in keeps; it is good once.

use serde::{Deserialize, Serialize};

use super::Grant;
use super::oauth1::Pair;
use super::oauth2::{challenge, verifier};
use super::source::{Asking, Source, Way};
use crate::connector::request::append_query;
use crate::engine::{Failure, Verdict};

/// Stands for the callback where a PIN is typed in instead (RFC 5849, section 2.1).
const OUT_OF_BAND: &str = "oob";

/// A sign-in at one connection's service.
pub struct SignIn<'a> {
    /// Where the grant will be used.
    pub source: &'a Source,
    /// What asks.
    pub asking: Asking<'a>,
}

/// A sign-in under way. Secret: its `Debug` shows nothing of it.
#[derive(Clone, Deserialize, Serialize)]
pub struct Begun {
    /// What the user opens in a browser.
    pub url: String,
    /// What the callback has to carry: the state, or the request token.
    pub state: String,
    /// Where the service sends the user back; none where a PIN is typed in.
    pub redirect_uri: Option<String>,
    /// The request token's secret, or the code verifier.
    secret: String,
}

/// What came back from the service.
#[derive(Clone)]
pub enum Told {
    /// The decoded query of the callback.
    Callback(Vec<(String, String)>),
    /// What the user typed in: a PIN, a code, or the whole address that the browser ended at.
    Typed(String),
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Begun(..)")
    }
}

impl Told {
    fn field(&self, name: &str) -> Option<&str> {
        let Told::Callback(pairs) = self else { return None };
        pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// What a callback is for: the state, or the request token.
    pub fn state(&self) -> Option<&str> {
        self.field("state").or_else(|| self.field("oauth_token")).or_else(|| self.field("denied"))
    }

    /// A typed address becomes its query; anything else stays.
    fn opened(self) -> Told {
        let Told::Typed(text) = &self else { return self };
        match url::Url::parse(text.trim()) {
            Ok(url) if url.query().is_some() => Told::Callback(url.query_pairs().into_owned().collect()),
            _ => self,
        }
    }
}

impl SignIn<'_> {
    /// Begins: for OAuth 1 the service is asked for a request token. `redirect_uri` is where the service sends
    /// the user back, exactly as it is registered there; none for a PIN, which only OAuth 1 knows.
    ///
    /// # Errors
    /// The service's refusal, `sign_in_unknown` for a scheme that has none.
    pub async fn begin(&self, redirect_uri: Option<&str>) -> Result<Begun, Failure> {
        let redirect_uri = redirect_uri.map(str::to_owned);
        match self.source.way() {
            Way::Oauth1(consumer) => {
                let callback = redirect_uri.as_deref().unwrap_or(OUT_OF_BAND);
                let Pair { token, secret } = consumer.requested(&self.asking, callback).await?;
                let mut url = consumer.authorize.clone();
                append_query(&mut url, &[("oauth_token".to_owned(), token.clone())]);
                Ok(Begun { url: url.into(), state: token, redirect_uri, secret })
            }
            Way::Oauth2(client) => {
                let (Some(authorize), Some(callback)) = (&client.authorize, &redirect_uri) else {
                    return Err(Failure::not_sent(
                        "sign_in_unknown",
                        "this scheme cannot sign in without a callback address",
                    ));
                };
                let (state, secret) = (verifier()?, verifier()?);
                let mut query: Vec<(String, String)> = [
                    ("response_type", "code"),
                    ("client_id", client.client_id.as_str()),
                    ("redirect_uri", callback),
                    ("scope", &client.scopes.join(" ")),
                    ("state", &state),
                    ("code_challenge", &challenge(&secret)),
                    ("code_challenge_method", "S256"),
                ]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
                query.extend(client.authorize_parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
                query.retain(|(_, value)| !value.is_empty());
                let mut url = authorize.clone();
                append_query(&mut url, &query);
                Ok(Begun { url: url.into(), state, redirect_uri, secret })
            }
            _ => {
                let message = format!("the scheme `{}` has no sign-in", self.source.key().scheme);
                Err(Failure::not_sent("sign_in_unknown", message))
            }
        }
    }

    /// Ends it: the grant, for what the service told.
    ///
    /// # Errors
    /// `sign_in_denied`, `sign_in_mismatch`, `sign_in_incomplete`, `sign_in_expired`, and what else the
    /// service says.
    pub async fn finish(&self, begun: &Begun, told: Told) -> Result<Grant, Failure> {
        let told = told.opened();
        if let Told::Callback(_) = &told {
            if told.state() != Some(begun.state.as_str()) {
                return Err(Failure::not_sent("sign_in_mismatch", "this answer belongs to another sign-in")
                    .with_help("begin again, and use the newest link in one browser"));
            }
            if let Some(why) = denied(&told) {
                return Err(Failure::not_sent("sign_in_denied", why)
                    .with_help("begin again and agree, or leave the connection as it is"));
            }
        }
        let named = |name: &str| match &told {
            Told::Typed(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Told::Callback(_) => told.field(name),
        };
        let ended = match self.source.way() {
            Way::Oauth1(consumer) => {
                let verifier = named("oauth_verifier").ok_or_else(incomplete)?;
                let requested = Pair { token: begun.state.clone(), secret: begun.secret.clone() };
                consumer.granted(&self.asking, &requested, verifier).await
            }
            Way::Oauth2(client) => {
                let code = named("code").ok_or_else(incomplete)?;
                let redirect_uri = begun.redirect_uri.as_deref().unwrap_or_default();
                client.by_code(&self.asking, code, redirect_uri, &begun.secret).await
            }
            _ => Err(incomplete()),
        };
        let signed_in_at = Some(self.asking.now_ms());
        ended.map(|grant| Grant { signed_in_at, ..grant }).map_err(|failure| match failure.verdict {
            Verdict::Reauth => Failure {
                code: "sign_in_expired".to_owned(),
                message: format!("the sign-in was not accepted: {}", failure.message),
                help: Some("begin again: what the service gives is good once and for a short time only".to_owned()),
                ..failure
            },
            _ => failure,
        })
    }
}

impl SignIn<'_> {
    /// Takes a grant back at the service, where it can be done there: the refresh token, or else the token.
    ///
    /// # Errors
    /// What the service says; the grant may then be good still.
    pub async fn revoke(&self, grant: &Grant) -> Result<(), Failure> {
        let Way::Oauth2(client) = self.source.way() else { return Ok(()) };
        match &grant.refresh_token {
            Some(token) => client.revoked(&self.asking, token, "refresh_token").await,
            None => client.revoked(&self.asking, &grant.access_token, "access_token").await,
        }
    }
}

/// Why the user did not agree; `error` of OAuth 2 (RFC 6749, section 4.1.2.1), `denied` as X sends it.
fn denied(told: &Told) -> Option<String> {
    if told.field("denied").is_some() {
        return Some("the sign-in was denied at the service".to_owned());
    }
    let error = told.field("error")?;
    let words: String = told.field("error_description").unwrap_or_default().chars().take(200).collect();
    Some(match (error, words.is_empty()) {
        ("access_denied", true) => "the sign-in was denied at the service".to_owned(),
        ("access_denied", false) => format!("the sign-in was denied at the service: {words}"),
        (_, true) => format!("the service refused the sign-in ({error})"),
        (_, false) => format!("the service refused the sign-in ({error}): {words}"),
    })
}

fn incomplete() -> Failure {
    Failure::not_sent("sign_in_incomplete", "the service sent no code back").with_help("begin again")
}
