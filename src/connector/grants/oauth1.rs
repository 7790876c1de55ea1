//! OAuth 1.0a in three legs (RFC 5849, section 2): a request token, the user's consent in a browser, an access
//! token.

use std::borrow::Cow;

use url::Url;

use super::places::Places;
use super::source::Asking;
use super::{Grant, answer};
use crate::connector::auth::{Credentials, oauth1};
use crate::connector::message::{Body, HttpRequest, HttpResponse, Method};
use crate::engine::Failure;
use crate::manifest::connector::auth::Oauth1SignIn;

/// An application and where its users sign in. Secret: has no `Debug`.
pub struct Consumer {
    key: String,
    secret: String,
    request_token: Url,
    pub(super) authorize: Url,
    access_token: Url,
}

/// A token with its secret.
pub(super) struct Pair {
    pub token: String,
    pub secret: String,
}

impl Consumer {
    pub fn new(key: &str, secret: &str, sign_in: &Oauth1SignIn, places: &Places) -> Result<Consumer, Failure> {
        Ok(Consumer {
            key: key.to_owned(),
            secret: secret.to_owned(),
            request_token: places.url(&sign_in.request_token)?,
            authorize: places.url(&sign_in.authorize)?,
            access_token: places.url(&sign_in.access_token)?,
        })
    }

    /// What signs for the user.
    pub fn credentials(&self, grant: &Grant) -> Credentials {
        let secret = grant.token_secret.as_deref().unwrap_or_default();
        Credentials::Oauth1(Box::new(oauth1::Signer::new(&self.key, &self.secret, &grant.access_token, secret)))
    }

    /// The first leg. `callback` is an address, or `oob` for a PIN.
    pub(super) async fn requested(&self, asking: &Asking<'_>, callback: &str) -> Result<Pair, Failure> {
        let signer = oauth1::Signer::new(&self.key, &self.secret, "", "").with("oauth_callback", callback);
        let response = self.post(asking, &self.request_token, signer).await?;
        answer::check(&response, asking.mask, asking.now_ms()).map_err(|failure| {
            failure.with_help("check the API key and secret, and that the app's settings list the callback address")
        })?;
        if field(&response, "oauth_callback_confirmed").as_deref() != Some("true") {
            return Err(unreadable(&response, "it did not confirm the callback"));
        }
        pair(&response)
    }

    /// The third leg.
    pub(super) async fn granted(
        &self,
        asking: &Asking<'_>,
        requested: &Pair,
        verifier: &str,
    ) -> Result<Grant, Failure> {
        let signer = oauth1::Signer::new(&self.key, &self.secret, &requested.token, &requested.secret)
            .with("oauth_verifier", verifier);
        let response = self.post(asking, &self.access_token, signer).await?;
        answer::check(&response, asking.mask, asking.now_ms())?;
        let Pair { token, secret } = pair(&response)?;
        Ok(Grant {
            access_token: token,
            token_secret: Some(secret),
            obtained_at: asking.now_ms(),
            account: field(&response, "screen_name")
                .map(|name| format!("@{name}"))
                .or_else(|| field(&response, "user_id")),
            hosts: asking.hosts.clone(),
            ..Grant::default()
        })
    }

    async fn post(&self, asking: &Asking<'_>, url: &Url, signer: oauth1::Signer) -> Result<HttpResponse, Failure> {
        let request = HttpRequest { method: Method::POST, url: url.clone(), headers: Vec::new(), body: Body::Empty };
        asking.send(&request, &Credentials::Oauth1(Box::new(signer))).await
    }
}

/// The answers are forms, whatever their content type says.
fn field(response: &HttpResponse, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(&response.body);
    pairs.find(|(given, _)| given == name).map(|(_, value)| Cow::into_owned(value)).filter(|value| !value.is_empty())
}

fn pair(response: &HttpResponse) -> Result<Pair, Failure> {
    match (field(response, "oauth_token"), field(response, "oauth_token_secret")) {
        (Some(token), Some(secret)) => Ok(Pair { token, secret }),
        _ => Err(unreadable(response, "it gave no token")),
    }
}

fn unreadable(response: &HttpResponse, why: &str) -> Failure {
    let host = response.url.host_str().unwrap_or_default();
    let message = format!("{host} answered {} to the sign-in, but {why}", response.status);
    Failure::not_sent("token_unreadable", message).with_help("check the `sign_in` addresses of the connector")
}
