//! OAuth 2: the requests to the token endpoint (RFC 6749), PKCE (RFC 7636) and revocation (RFC 7009).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use url::Url;

use super::answer;
use super::places::Places;
use super::source::Asking;
use super::{Ended, Grant};
use crate::connector::auth::Credentials;
use crate::connector::auth::oauth1::percent_encode;
use crate::connector::message::{Body, HttpRequest, Method};
use crate::engine::Failure;
use crate::manifest::connector::auth::{ClientAuth, Oauth2};

/// A scheme whose values are resolved. Secret: has no `Debug`.
#[derive(Clone)]
pub struct Client {
    pub(super) token: Url,
    pub(super) authorize: Option<Url>,
    pub(super) revoke: Option<Url>,
    pub(super) client_id: String,
    client_secret: Option<String>,
    client_auth: ClientAuth,
    pub(super) scopes: Vec<String>,
    pub(super) authorize_parameters: BTreeMap<String, String>,
    token_parameters: BTreeMap<String, String>,
    pub(super) lifetime_ms: Option<i64>,
}

impl Client {
    /// From a scheme whose templates were replaced.
    pub fn new(scheme: &Oauth2, places: &Places) -> Result<Client, Failure> {
        let url = |endpoint: &Option<_>| endpoint.as_ref().map(|endpoint| places.url(endpoint)).transpose();
        Ok(Client {
            token: places.url(&scheme.token)?,
            authorize: url(&scheme.authorize)?,
            revoke: url(&scheme.revoke)?,
            client_id: scheme.client_id.clone(),
            client_secret: scheme.client_secret.clone().filter(|secret| !secret.is_empty()),
            client_auth: scheme.client_auth,
            scopes: scheme.scopes.clone(),
            authorize_parameters: scheme.authorize_parameters.clone(),
            token_parameters: scheme.token_parameters.clone(),
            lifetime_ms: scheme.lifetime.map(|lifetime| lifetime.ms),
        })
    }

    /// A token by the client's own credentials (section 4.4).
    pub async fn by_credentials(&self, asking: &Asking<'_>) -> Result<Grant, Failure> {
        let scopes = self.scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        let mut grant = self.ask(asking, &form, None).await?;
        // It can always be had anew.
        grant.refresh_token = None;
        Ok(grant)
    }

    /// The grant for the code that a sign-in gave (section 4.1.3).
    pub async fn by_code(
        &self,
        asking: &Asking<'_>,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Grant, Failure> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        self.ask(asking, &form, None).await
    }

    /// A new grant for a refresh token (section 6), and how a claim on the old one ends.
    pub async fn renewed(&self, asking: &Asking<'_>, before: &Grant, refresh_token: &str) -> (Ended, Option<Failure>) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        match self.ask(asking, &form, Some(before)).await {
            Ok(grant) => (Ended::Renewed(grant), None),
            Err(failure) => (ended(&failure), Some(failure)),
        }
    }

    /// Takes a token back at the service; where that cannot be done, the failure says why.
    pub async fn revoked(&self, asking: &Asking<'_>, token: &str, kind: &str) -> Result<(), Failure> {
        let Some(url) = &self.revoke else { return Ok(()) };
        let form = [("token", token), ("token_type_hint", kind)];
        let response = asking.send(&self.request(url, &form), &self.proof()?).await?;
        answer::check(&response, asking.mask, asking.now_ms())
    }

    async fn ask(&self, asking: &Asking<'_>, form: &[(&str, &str)], before: Option<&Grant>) -> Result<Grant, Failure> {
        let response = asking.send(&self.request(&self.token, form), &self.proof()?).await?;
        answer::check(&response, asking.mask, asking.now_ms())?;
        let mut grant = answer::grant(&response, before, self.lifetime_ms, asking.now_ms())?;
        if grant.scopes.is_empty() {
            grant.scopes.clone_from(&self.scopes);
        }
        grant.hosts.clone_from(&asking.hosts);
        Ok(grant)
    }

    fn request(&self, url: &Url, form: &[(&str, &str)]) -> HttpRequest {
        let mut pairs: Vec<(String, String)> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let more = self.token_parameters.iter().map(|(name, value)| (name.clone(), value.clone()));
        pairs.extend(more);
        match (&self.client_secret, self.client_auth) {
            (Some(_), ClientAuth::Basic) => {}
            (Some(secret), ClientAuth::Body) => {
                pairs.push(("client_id".to_owned(), self.client_id.clone()));
                pairs.push(("client_secret".to_owned(), secret.clone()));
            }
            (None, _) => pairs.push(("client_id".to_owned(), self.client_id.clone())),
        }
        let headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        HttpRequest { method: Method::POST, url: url.clone(), headers, body: Body::Form(pairs) }
    }

    /// `Basic`, both parts form-encoded first (section 2.3.1).
    fn proof(&self) -> Result<Credentials, Failure> {
        match (&self.client_secret, self.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                let pair = format!("{}:{}", percent_encode(&self.client_id), percent_encode(secret));
                Credentials::basic(&STANDARD.encode(pair))
            }
            _ => Ok(Credentials::None),
        }
    }
}

/// What a failed renewal means for the grant.
fn ended(failure: &Failure) -> Ended {
    use crate::engine::{Outcome, Verdict};
    match (failure.outcome, failure.verdict) {
        (Outcome::Unknown, _) => Ended::Unknown,
        // `invalid_grant`: the token; `invalid_request` is what X says of one that it does not know. What the
        // service says of the client itself a new secret mends, and the grant is as good as before.
        (_, Verdict::Reauth)
            if matches!(failure.service_code.as_deref(), Some("invalid_grant" | "invalid_request")) =>
        {
            Ended::Refused(failure.message.clone())
        }
        _ => Ended::NotSent,
    }
}

/// A code verifier (RFC 7636, section 4.1): 256 random bits in base64url.
///
/// # Errors
/// `no_randomness`.
pub fn verifier() -> Result<String, Failure> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits)
        .map_err(|error| Failure::not_sent("no_randomness", format!("the system gives no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

/// The S256 challenge of a verifier (section 4.2).
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}
